"""A copy of a file that nobody else can change, for a program that opens it by its name."""

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def private_copy(content: bytes, original: Path) -> Generator[Path]:
    """A file of this content under the original's name, in a folder of its owner alone; gone afterwards.

    What lies beside the original is beside it too, by links: a program may look there for what belongs to it.
    """
    place = Path(tempfile.mkdtemp(prefix="fal-mcp-"))
    try:
        # The folder's own name too: a package is called after it.
        folder = place / (original.parent.name or "app")
        folder.mkdir(0o700)
        copy = folder / original.name
        copy.write_bytes(content)
        # Windows lets few people make links; there it does without.
        with suppress(OSError):
            for beside in original.parent.iterdir():
                if beside.name != original.name:
                    (folder / beside.name).symlink_to(beside)
        yield copy
    finally:
        shutil.rmtree(place, ignore_errors=True)
