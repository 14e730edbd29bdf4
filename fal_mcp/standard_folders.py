"""Where programs of this user keep what is theirs. The one door of `platformdirs`."""

from collections.abc import Callable
from pathlib import Path

import platformdirs

from fal_mcp.errors import NotReadable

_NAME = "fal-mcp"


def data() -> Path:
    """What must not be lost: the ledger, and files that were made.

    Raises:
        NotReadable: this user has no home folder; so for the others.
    """
    return _checked(lambda: platformdirs.user_data_path(_NAME, appauthor=False))


def cache() -> Path:
    """What can be fetched again."""
    return _checked(lambda: platformdirs.user_cache_path(_NAME, appauthor=False))


def config() -> Path:
    """What somebody decided: a stored key."""
    return _checked(lambda: platformdirs.user_config_path(_NAME, appauthor=False))


def _checked(find: Callable[[], Path]) -> Path:
    try:
        folder = find()
    except RuntimeError:
        folder = Path()
    # Earlier versions of the library give a folder named `~` below the one that is worked in.
    if not folder.is_absolute():
        raise NotReadable(
            "No home folder is known of the user that this runs as: set HOME to the absolute path of a folder.", hint=""
        )
    return folder
