"""`fal-mcp install`: puts this server into the hosts' configurations, or takes it out."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fal_mcp.cli.completion import hosts_that_begin
from fal_mcp.cli.start import is_key_stored


def install(
    hosts: Annotated[
        list[str] | None,
        typer.Argument(help="Hosts; none is every one that is found here.", autocompletion=hosts_that_begin),
    ] = None,
    project: Annotated[
        Path | None, typer.Option(help="A project's folder: writes its own file.", exists=True, file_okay=False)
    ] = None,
    is_printed: Annotated[bool, typer.Option("--print", help="Only show what belongs there.")] = False,
    is_removed: Annotated[bool, typer.Option("--uninstall", help="Take it out again.")] = False,
    has_literal_key: Annotated[
        bool, typer.Option("--literal-key", help="Write FAL_KEY itself into the file. Whoever reads it has the key.")
    ] = False,
    needs_no_yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    allow_dir: Annotated[
        list[str] | None,
        typer.Option("--allow-dir", metavar="FOLDER", help="A folder whose files the server may read; repeatable."),
    ] = None,
    output_dir: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="A folder that what comes out is saved in.")
    ] = None,
) -> None:
    """Put this server into a host's configuration: Claude, Cursor, VS Code, Codex, Gemini and more."""
    from fal_mcp.terminal import install as terminal

    arguments = [part for folder in allow_dir or [] for part in ("--allow-dir", str(Path(folder).absolute()))]
    if output_dir:
        arguments += ["--output-dir", str(Path(output_dir).absolute())]
    key_by = "literal" if has_literal_key else ("stored" if is_key_stored() else "reference")
    wish = terminal.Wish(hosts or (), project, arguments, key_by, is_printed, is_removed, needs_no_yes)
    raise typer.Exit(terminal.run(wish, os.environ, terminal.shown, typer.confirm))
