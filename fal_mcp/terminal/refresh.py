"""`fal-mcp models refresh`: a refresh of the catalog, drawn as it goes."""

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from fal_mcp.client.fal import Fal
from fal_mcp.config import Settings
from fal_mcp.errors import FalError
from fal_mcp.refresh import refresh


async def run(settings: Settings) -> int:
    """Refresh and say what changed. Returns the exit code."""
    console = Console(highlight=False, stderr=True)
    bar = Progress(SpinnerColumn(), TextColumn("{task.completed:.0f} models"), TimeElapsedColumn(), console=console)
    with bar:
        task = bar.add_task("models", total=None)

        async def tell(count: int) -> None:
            bar.update(task, completed=count)

        try:
            async with Fal(settings) as fal:
                done = await refresh(fal, settings.catalog_folder, tell, prices=settings.key is not None)
        except (FalError, OSError) as error:
            console.print(f"fal's catalog could not be fetched: {error} What was here stays.", style="red")
            return 1
    missing = "" if done.is_whole else " Some pages did not come; what they held before was kept."
    console.print(f"{done.count} models, {len(done.changed)} new or changed, in {settings.catalog_folder}.{missing}")
    return 0
