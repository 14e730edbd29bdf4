"""`python -m benchmarks [--long] [FOLDER OF MODEL DOCUMENTS]`: every figure, its bound, and whether it holds.

`--long` adds a job of three minutes."""

import sys
from pathlib import Path

import anyio

from benchmarks import call, catalog, cpu, download, jobs, moments, previews, search, start, upload
from fal_mcp import bundled


def main(models: Path, is_long: bool) -> int:
    """Print the figures; 1 where one is over its bound."""
    failed = _say([(*start.run(models), start.MOST, "times")])
    failed += _say(start.later())
    failed += _say(
        [
            (*anyio.run(call.wall_time, 0.05), call.MOST, "times"),
            (*anyio.run(call.wall_time, 0.0), call.MOST_OF_NOTHING, "times"),
            (*anyio.run(call.requests, 5), call.MOST_REQUESTS, "requests"),
        ]
    )
    failed += _say(anyio.run(cpu.of_a_call))
    failed += _say(anyio.run(jobs.at_once))
    failed += _say(jobs.full_ledger())
    failed += _say(anyio.run(moments.measured))
    failed += _say(anyio.run(upload.one_gibibyte))
    failed += _say(anyio.run(download.one_gibibyte))
    failed += _say(anyio.run(previews.eight_at_once))
    if is_long:
        failed += _say(anyio.run(jobs.long, 180.0))
    failed += _say(search.quality())
    with catalog.at_fals_size(models) as folder:
        failed += _say([(*start.run(folder), start.MOST, "times")])
        failed += _say(catalog.memory(folder))
        failed += _say(catalog.lists(folder))
        failed += _say(catalog.searching(folder))
        failed += _say(search.speed(folder))
        failed += _say(anyio.run(catalog.refreshing, folder))
    return 1 if failed else 0


def _say(measured: list[catalog.Figure]) -> int:
    for line, figure, most, unit in measured:
        sys.stdout.write(f"{'ok  ' if figure <= most else 'OVER'} {line}: {figure:.2f} {unit} (at most {most:g})\n")
        sys.stdout.flush()
    return sum(figure > most for _, figure, most, _ in measured)


if __name__ == "__main__":
    folders = [one for one in sys.argv[1:] if one != "--long"]
    sys.exit(main(Path(folders[0]) if folders else bundled.schemas() / "models", "--long" in sys.argv))
