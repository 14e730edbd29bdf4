"""`python -m benchmarks [FOLDER OF MODEL DOCUMENTS]`: every figure, its bound, and whether it holds."""

import sys
from pathlib import Path

import anyio

from benchmarks import call, start
from fal_mcp import bundled


async def main(models: Path) -> int:
    """Print the figures; 1 where one is over its bound."""
    measured = [
        (*start.run(models), start.MOST, "times"),
        (*await call.wall_time(0.05), call.MOST, "times"),
        (*await call.wall_time(0.0), call.MOST_OF_NOTHING, "times"),
        (*await call.requests(5), call.MOST_REQUESTS, "requests"),
    ]
    failed = 0
    for line, figure, most, unit in measured:
        holds = figure <= most
        failed += not holds
        sys.stdout.write(f"{'ok  ' if holds else 'OVER'} {line}: {figure:.2f} {unit} (at most {most})\n")
    return 1 if failed else 0


if __name__ == "__main__":
    chosen = Path(sys.argv[1]) if len(sys.argv) > 1 else bundled.schemas() / "models"
    sys.exit(anyio.run(main, chosen))
