"""`fal-mcp models` and `fal-mcp webhook`."""

from pathlib import Path
from typing import Annotated

import typer

from fal_mcp.cli.completion import ids_that_begin
from fal_mcp.cli.options import AsJson, help_alone, takes
from fal_mcp.cli.start import ran, settings_of
from fal_mcp.json_values import JsonObject

models_app = typer.Typer(help="fal's models: search, show, refresh.")
webhook_app = typer.Typer(help="fal's callbacks.")


@models_app.callback(invoke_without_command=True)
def model_commands(context: typer.Context) -> None:
    """fal's models: search, show, refresh."""
    help_alone(context)


@models_app.command("refresh")
@takes("fal")
def refresh_models(chosen: JsonObject) -> None:
    """Fetch fal's catalog now."""
    from fal_mcp.terminal import refresh

    raise typer.Exit(ran(refresh.run, settings_of(chosen)))


@models_app.command("search")
@takes("models")
def search_models(
    chosen: JsonObject,
    query: str,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many, the best first.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Find models for a task in plain words."""
    from fal_mcp.terminal import models

    raise typer.Exit(models.search(settings_of(chosen), query, limit, as_json))


@models_app.command("show")
@takes("models")
def show_model(
    chosen: JsonObject,
    endpoint_id: Annotated[str, typer.Argument(metavar="MODEL", autocompletion=ids_that_begin)],
    as_json: AsJson = False,
) -> None:
    """Say what a model does, costs and takes."""
    from fal_mcp.terminal import models

    raise typer.Exit(models.show(settings_of(chosen), endpoint_id, as_json))


@webhook_app.callback(invoke_without_command=True)
def webhook_commands(context: typer.Context) -> None:
    """fal's callbacks."""
    help_alone(context)


@webhook_app.command("verify", short_help="Check that a saved delivery is fal's.")
@takes("fal")
def verify_webhook(
    chosen: JsonObject,
    headers: Annotated[Path, typer.Argument(help="A JSON object of the delivery's headers.")],
    body: Annotated[Path, typer.Argument(help="The delivery's body, byte for byte.")],
) -> None:
    """Check with fal's published keys that a saved delivery is fal's; within five minutes of it."""
    from fal_mcp.terminal import webhook

    raise typer.Exit(ran(webhook.verify, settings_of(chosen), headers, body))
