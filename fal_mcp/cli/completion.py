"""What completion offers: ids of models, and names of their arguments."""

import os

import typer

from fal_mcp.config import Settings


def ids_that_begin(incomplete: str) -> list[str]:
    from fal_mcp.terminal import models

    return models.ids(Settings.surveyed(os.environ)[0], incomplete)


def pairs_that_begin(context: typer.Context, incomplete: str) -> list[str]:
    from fal_mcp.terminal import models

    endpoint_id = str(context.params.get("endpoint_id") or "")
    return models.argument_names(Settings.surveyed(os.environ)[0], endpoint_id, incomplete)


def hosts_that_begin(incomplete: str) -> list[str]:
    from fal_mcp.install.hosts import HOSTS

    return [name for name in HOSTS if name.startswith(incomplete)]
