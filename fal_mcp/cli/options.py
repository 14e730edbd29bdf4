"""The settings as options of the command line, each declared where it is declared: in the table of settings."""

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from fal_mcp.json_values import JsonObject
from fal_mcp.settings_table import Setting, taken_by

AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Say yes to every question beforehand.")]


def help_alone(context: typer.Context) -> None:
    """Print the help of a group of commands that was called without one: asking what there is is no error."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


_TYPES: JsonObject = {
    **{
        "switch": bool | None,
        "number": float | None,
        "count": float | None,
        "money": float | None,
        "folder": Path | None,
        "file": Path | None,
    },
    **{"folders": list[Path] | None, "names": list[str] | None},
}


_PLACEHOLDERS: Mapping[str, str] = {
    **{
        "number": "NUMBER",
        "count": "NUMBER",
        "money": "USD",
        "choice": "WORD",
        "words": "WORDS",
        "names": "NAME",
        "address": "URL",
    },
    **{"folder": "FOLDER", "folders": "FOLDER", "file": "FILE", "store": "URL"},
}
"""What stands in the help for a value: what a person has there, where typer would name Python's type."""


def takes(command: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command function the options of `command`; what was chosen comes to it as one mapping, `chosen`."""

    def wrap(function: Callable[..., None]) -> Callable[..., None]:
        # The options are written into the signature, as typer knows no other way to be told of them.
        own = [each for each in inspect.signature(function).parameters.values() if each.name != "chosen"]
        settings = taken_by(command)
        parameters = [*own, *map(_parameter, settings)]

        @functools.wraps(function)
        def run(**given: Any) -> None:
            function(chosen={setting.name: given.pop(setting.name) for setting in settings}, **given)

        # typer reads a function by these two.
        run.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportAttributeAccessIssue]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return wrap


def _parameter(setting: Setting) -> inspect.Parameter:
    # Both ways: a variable may have switched it on for every start, and this one wants it off.
    flag = f"{setting.option}/--no-{setting.option[2:]}" if setting.kind == "switch" else setting.option
    placeholder = None if setting.kind == "switch" else _PLACEHOLDERS.get(setting.kind, "TEXT")
    option: Any = typer.Option(flag, help=_help(setting), show_default=False, metavar=placeholder)
    kind = _TYPES.get(setting.kind, str | None)
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(setting.name, keyword, default=None, annotation=Annotated[kind, option])


def _help(setting: Setting) -> str:
    choices = f" One of: {', '.join(setting.choices)}." if setting.choices else ""
    # With blanks, so that a narrow terminal does not break a list inside its words.
    default = setting.default.replace(",", ", ") if setting.choices else setting.default
    return f"{setting.help}{choices} Default: {default}. [{setting.variable}]"
