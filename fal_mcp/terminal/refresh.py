"""`fal-mcp models refresh`: a refresh of the catalog, drawn as it goes."""

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from fal_mcp.config import Settings
from fal_mcp.errors import FalError
from fal_mcp.refresh import refresh
from fal_mcp.terminal import screen
from fal_mcp.terminal.session import DONE, FAILED
from fal_mcp.ways_to_fal import fal_of


async def run(settings: Settings) -> int:
    """Refresh and say what changed. Returns the exit code."""
    console = screen.errors()
    columns = (SpinnerColumn(), TextColumn("{task.completed:.0f} models"), TimeElapsedColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    try:
        with bar:
            task = bar.add_task("models", total=None)

            async def tell(count: int) -> None:
                bar.update(task, completed=count)

            async with fal_of(settings) as fal:
                done = await refresh(fal, settings.catalog_folder, tell, prices=settings.key is not None)
    except (FalError, OSError) as error:
        screen.trouble(f"fal's catalog could not be fetched: {error} What was here stays.", getattr(error, "hint", ""))
        return FAILED
    missing = "" if done.is_whole else " Some pages did not come; what they held before was kept."
    about = f"{done.count} models, {len(done.changed)} new or changed, in {settings.catalog_folder}.{missing}"
    screen.say(screen.out(), about)
    return DONE
