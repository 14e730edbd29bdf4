"""`python -m pictures [FOLDER]`: every picture anew, in `docs/pictures/` or in FOLDER.

The gallery's need Chromium.
"""

import sys
from pathlib import Path

import anyio

from pictures import gallery, scenes

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"


def main(folder: Path) -> int:
    """Make them, a line each."""
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for columns in scenes.WIDTHS:
        for scene, terminal, code in scenes.screens(columns=columns):
            file = folder / f"{scene.name}-{columns}.svg"
            file.write_text(terminal.svg(scene.command), "utf-8")
            failed += bool(code)
            sys.stdout.write(f"{file} ({file.stat().st_size / 1000:.0f} kB){f', exit code {code}' if code else ''}\n")
    for file in anyio.run(gallery.pictures, folder):
        sys.stdout.write(f"{file} ({file.stat().st_size / 1000:.0f} kB)\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER))
