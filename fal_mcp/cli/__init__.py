"""The command line. The one place that reads the environment; what a command does is in `terminal`."""

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from fal_mcp import __version__, bundled, logs
from fal_mcp.cli.install import install
from fal_mcp.cli.jobs import jobs_app, ledger_app, usage
from fal_mcp.cli.models import models_app, webhook_app
from fal_mcp.cli.options import AsJson, takes
from fal_mcp.cli.over_http import check_http
from fal_mcp.cli.run import RunCommand, run_model
from fal_mcp.cli.start import check_folders, check_selection, ran, settings_of, source_of_key, with_stored_key, wrong
from fal_mcp.cli.tokens import token_app
from fal_mcp.config import Settings
from fal_mcp.json_values import JsonObject
from fal_mcp.machine.broad_folders import default_folders

logger = logging.getLogger("fal_mcp")
app = typer.Typer(
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Every model on fal as a typed MCP tool. Without a command, serves on standard input and output.",
)
app.command(name="run", cls=RunCommand, short_help="Run a model and save what comes out.")(run_model)
app.add_typer(jobs_app, name="jobs")
app.add_typer(ledger_app, name="ledger")
app.add_typer(models_app, name="models")
app.add_typer(webhook_app, name="webhook")
app.add_typer(token_app, name="token")
app.command(short_help="Say what was spent, by model.")(usage)
app.command(short_help="Put this server into Claude, Cursor, Codex, …")(install)


@app.callback(invoke_without_command=True)
@takes("serve")
def main_command(
    chosen: JsonObject,
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Say the version and stop.")] = False,
) -> None:
    """Serve on standard input and output, unless a command is given."""
    if version:
        typer.echo(__version__)
    elif context.invoked_subcommand is None:
        _serve(None, chosen)


@app.command(short_help="Serve MCP, over HTTP too with --http PORT.")
@takes("serve")
def serve(
    chosen: JsonObject,
    http: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT", help="Serve HTTP instead, on 127.0.0.1 unless told otherwise; 0 takes any port."
        ),
    ] = None,
) -> None:
    """Serve MCP: on standard input and output, or over HTTP with --http."""
    _serve(http, chosen)


def _serve(http: str | None, chosen: JsonObject) -> None:
    settings = settings_of(chosen)
    if http is None:
        from fal_mcp.server import first_answers

        if not first_answers.can_be_reached():
            wrong("Standard input or output is closed, so no host can talk to this server. --http PORT serves one.")
        # Only on standard input and output, where whoever talks to the server is who started it; over HTTP the disk
        # is another's.
        allowed = settings.allow_dirs or default_folders()
        names = settings.secret_env or None
        settings = replace(settings, allow_dirs=allowed, may_ask_for_folders=True, secret_env=names)
    check_folders(settings, chosen)
    check_selection(settings)
    # On standard input and output the log is a host's, which shows each line of it to its user as trouble.
    level = settings.log_level or ("warning" if http is None else "info")
    # A host ends this process by a signal that leaves it no time to write; and rushes come over HTTP alone.
    logs.begin(settings.log_format, level, moment=0.0 if http is None else logs.A_MOMENT)
    if http is None:
        from fal_mcp.server import stdio

        if sys.stdin.isatty():
            from fal_mcp.terminal import screen

            about = "An MCP server waits here for a host's messages; Ctrl-C ends it. Try: fal-mcp demo"
            screen.say(screen.errors(), about)
        ran(stdio.serve, settings)
    else:
        from fal_mcp.server import http as over_http

        settings, host, port = check_http(settings, http)
        ran(over_http.serve, settings, port, _say_in_the_log if settings.log_format == "json" else _say_where, host)


def _say_where(url: str) -> None:
    typer.echo(f"Serving MCP on {url}", err=True)


def _say_in_the_log(url: str) -> None:
    # What reads JSON reads nothing else.
    logger.info("Serving MCP on %s", url)


@app.command(short_help="Show the whole thing without a key.")
def demo(
    out: Annotated[Path | None, typer.Option(help="Where the files go. Default: ./fal-mcp-demo.")] = None,
) -> None:
    """Show the whole thing without a key: a local fal, this server, and three models called over MCP."""
    from fal_mcp import demo as show
    from fal_mcp.terminal import program

    raise typer.Exit(ran(show.run, out or Path("fal-mcp-demo"), program.called(sys.argv[0])))


@app.command(short_help="Run a local stand-in for fal.")
@takes("emulate")
def emulate(
    chosen: JsonObject,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port on 127.0.0.1; 0 takes any that is free.")] = 0,
    speed: Annotated[str, typer.Option(help="How fast its jobs are: instant, quick or real.")] = "instant",
) -> None:
    """Run a local stand-in for fal: queue, results, storage and catalog. Its key is 'emulator:emulator'."""
    from fal_mcp.terminal import emulate as terminal

    if speed not in terminal.SPEEDS:
        wrong(f"--speed is {speed!r} and should be one of {', '.join(terminal.SPEEDS)}.")
    ran(terminal.run, settings_of(chosen).models or bundled.schemas() / "models", port, speed)


@app.command(short_help="Ask for fal's key, try it, and store it.")
@takes("fal")
def login(
    chosen: JsonObject,
    force: Annotated[bool, typer.Option("--force", help="Store it even where fal cannot be asked.")] = False,
) -> None:
    """Ask for fal's key without showing it, try it, and store it in the system's keychain or a file of yours."""
    from fal_mcp.terminal import login as terminal

    raise typer.Exit(ran(terminal.login, settings_of(chosen, needs_key=False), force))


@app.command()
def logout() -> None:
    """Forget the stored key."""
    from fal_mcp.terminal import login as terminal

    raise typer.Exit(terminal.logout(settings_of({}, needs_key=False)))


@app.command(short_help="Say whose key it is, and what it may.")
@takes("fal")
def whoami(chosen: JsonObject, as_json: AsJson = False) -> None:
    """Say whose key is in use, what it may, and where it comes from."""
    from fal_mcp.terminal import login as terminal

    settings = settings_of(chosen)
    raise typer.Exit(ran(terminal.whoami, settings, source_of_key(settings), as_json))


@app.command(short_help="Examine what this server needs.")
@takes("look")
def doctor(chosen: JsonObject, as_json: AsJson = False) -> None:
    """Examine what this server needs: key, network, folders, catalog, hosts. Exit code 1: something is amiss."""
    from fal_mcp.terminal import doctor as terminal

    # It has to run where nothing else does, so what is wrong is collected and not raised.
    settings, problems = Settings.surveyed(os.environ, **chosen)
    try:
        settings = with_stored_key(settings)
    except Exception as error:
        problems.append(str(error))
    work = terminal.Examined(settings, dict(os.environ), tuple(problems), source_of_key(settings))
    raise typer.Exit(ran(terminal.run, work, as_json))


def main() -> None:
    """The console script: whatever ends a command is said in sentences."""
    from fal_mcp.terminal import streams

    streams.make_ready(os.environ)
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        streams.let_go()
        sys.exit(1)
    except Exception as error:
        from fal_mcp.terminal import screen, troubles

        screen.trouble(*troubles.sentences(error, os.environ))
        streams.let_go()
        sys.exit(1)
