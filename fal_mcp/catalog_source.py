"""Which catalog a server, or the command line for one run, reads."""

from typing import TYPE_CHECKING

from fal_mcp import bundled
from fal_mcp.config import Settings

# Imported with the first list or call.
if TYPE_CHECKING:
    from fal_mcp.catalog.source import Source


def source_of(settings: Settings) -> "Source":
    """The folder the settings name, else fal's catalog as last fetched, else the starter catalog."""
    from fal_mcp.catalog import cache
    from fal_mcp.catalog.source import Folder

    if settings.models is not None:
        return Folder(settings.models)
    return cache.newest(settings.catalog_folder) or Folder(bundled.schemas() / "models")
