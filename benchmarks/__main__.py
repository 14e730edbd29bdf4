"""`python -m benchmarks [FOLDER OF MODEL DOCUMENTS]`: every figure, its bound, and whether it holds."""

import sys
from pathlib import Path

import anyio

from benchmarks import call, catalog, start
from fal_mcp import bundled


def main(models: Path) -> int:
    """Print the figures; 1 where one is over its bound."""
    failed = _say([(*start.run(models), start.MOST, "times")])
    failed += _say(
        [
            (*anyio.run(call.wall_time, 0.05), call.MOST, "times"),
            (*anyio.run(call.wall_time, 0.0), call.MOST_OF_NOTHING, "times"),
            (*anyio.run(call.requests, 5), call.MOST_REQUESTS, "requests"),
        ]
    )
    with catalog.at_fals_size(models) as folder:
        failed += _say([(*start.run(folder), start.MOST, "times")])
        failed += _say(catalog.memory(folder))
        failed += _say(catalog.lists(folder))
        failed += _say(catalog.searching(folder))
        failed += _say(anyio.run(catalog.refreshing, folder))
    return 1 if failed else 0


def _say(measured: list[catalog.Figure]) -> int:
    for line, figure, most, unit in measured:
        sys.stdout.write(f"{'ok  ' if figure <= most else 'OVER'} {line}: {figure:.2f} {unit} (at most {most:g})\n")
        sys.stdout.flush()
    return sum(figure > most for _, figure, most, _ in measured)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else bundled.schemas() / "models"))
