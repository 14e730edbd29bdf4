"""`fal-mcp run`."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from fal_mcp.cli.completion import ids_that_begin, pairs_that_begin
from fal_mcp.cli.options import AsJson, Yes, takes
from fal_mcp.cli.start import for_one_run, ran, wrong
from fal_mcp.config import Settings
from fal_mcp.json_values import JsonObject


class RunCommand(TyperCommand):
    """`run ID --help` says what that model takes, after what `run` takes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        # `--help` ends the parsing before the arguments are read, so the id is picked out of what was typed: of all
        # that `run` takes only an id has a slash and no dash before it.
        ctx.meta["fal_mcp.typed"] = next((arg for arg in args if "/" in arg and not arg.startswith("-")), None)
        return super().parse_args(ctx, args)

    def get_help(self, ctx: Any) -> str:
        text, endpoint_id = super().get_help(ctx), ctx.meta.get("fal_mcp.typed")
        if endpoint_id is None:
            return text
        from fal_mcp.terminal import models

        return f"{text}\n\n{models.help_text(Settings.surveyed(os.environ)[0], endpoint_id)}"


@takes("run")
def run_model(
    chosen: JsonObject,
    endpoint_id: Annotated[str, typer.Argument(metavar="MODEL", help="The model's id.", autocompletion=ids_that_begin)],
    pairs: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE…", help="Arguments; KEY:=JSON for JSON.", autocompletion=pairs_that_begin),
    ] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Stream it, for models that stream.")] = False,
    sync: Annotated[bool, typer.Option("--sync", help="Run it without the queue, for fast models.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Begin it, print the job's id, and do not wait.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run it even if the same was just asked for.")] = False,
    batch: Annotated[Path | None, typer.Option(help="A file with one JSON object of arguments a line.")] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Run a model and save what comes out in the current folder, or in --output-dir.

    Exit codes: 0 it is there, 1 it failed or was not saved, 2 it was asked for wrongly, 3 it still runs.
    """
    from fal_mcp.terminal import run

    if (batch and (stream or sync)) or (stream and sync) or (detach and (stream or sync)):
        wrong("--sync and --stream run one model while you wait: neither goes with --batch, --detach or the other.")
    mode = "stream" if stream else "sync" if sync else "queue"
    wish = run.Wish(endpoint_id, pairs or [], batch, mode, as_json, detach, fresh, yes)
    began: list[str] = []
    try:
        code = ran(run.run, for_one_run(chosen), wish, began)
    except KeyboardInterrupt:
        run.interrupted(began)
        # 128 and the signal's number, as shells have it.
        raise typer.Exit(130) from None
    raise typer.Exit(code)
