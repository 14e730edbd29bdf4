"""What completion offers: ids of models, and names and values of their arguments."""

import os
from collections.abc import Iterable

import typer

from fal_mcp.config import Settings
from fal_mcp.settings_table import BY_NAME


def ids_that_begin(context: typer.Context, incomplete: str) -> list[str]:
    from fal_mcp.terminal import candidates

    return candidates.ids(_settings(context), incomplete)


def pairs_that_begin(context: typer.Context, incomplete: str) -> list[str]:
    from fal_mcp.terminal import candidates

    endpoint_id = str(context.params.get("endpoint_id") or "")
    # A list or a tuple, by Typer's version.
    before: Iterable[object] = context.params.get("pairs") or ()
    return candidates.pairs(_settings(context), endpoint_id, [*map(str, before)], incomplete)


def hosts_that_begin(incomplete: str) -> list[str]:
    from fal_mcp.install.hosts import HOSTS

    return [name for name in HOSTS if name.startswith(incomplete)]


def _settings(context: typer.Context) -> Settings:
    """The settings of the line that is typed: another catalog may be asked for on it."""
    chosen = {name: value for name, value in context.params.items() if name in BY_NAME and value is not None}
    return Settings.surveyed(os.environ, **chosen)[0]
