"""`fal-mcp token`: who may call a shared server over HTTP."""

from typing import Annotated

import typer

from fal_mcp.cli.options import AsJson, takes
from fal_mcp.cli.start import settings_of
from fal_mcp.config import Settings
from fal_mcp.json_values import JsonObject

token_app = typer.Typer(help="Who may call over HTTP: create, list, revoke.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Whose it is: a person or a program.")]


@token_app.command("create")
@takes("token")
def create(
    chosen: JsonObject,
    name: Name,
    scope: Annotated[
        list[str] | None, typer.Option(metavar="SCOPE", help="What it may, repeatable. Default: fal:read and fal:run.")
    ] = None,
    budget: Annotated[float | None, typer.Option(min=0, help="The most it may spend on one UTC day, in USD.")] = None,
    days: Annotated[float | None, typer.Option(min=0, help="For how long it is good. Default: until revoked.")] = None,
) -> None:
    """Make a token and print it once; only its digest is kept."""
    from fal_mcp.terminal import tokens

    raise typer.Exit(tokens.create(_settings(chosen), name, tuple(scope or ()), budget, days))


@token_app.command("list")
@takes("token")
def list_tokens(chosen: JsonObject, as_json: AsJson = False) -> None:
    """List the tokens there are: names, scopes and budgets."""
    from fal_mcp.terminal import tokens

    raise typer.Exit(tokens.listed(_settings(chosen), as_json))


@token_app.command("revoke")
@takes("token")
def revoke(chosen: JsonObject, name: Name) -> None:
    """Revoke a token; a server that runs takes it no more from its next request on."""
    from fal_mcp.terminal import tokens

    raise typer.Exit(tokens.revoke(_settings(chosen), name))


def _settings(chosen: JsonObject) -> Settings:
    return settings_of(chosen, needs_key=False)
