"""The environment, read into settings; and what is tried before a command begins."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import typer

from fal_mcp.config import Settings
from fal_mcp.json_values import JsonObject
from fal_mcp.machine.broad_folders import default_folders
from fal_mcp.machine.key_store import KeyStore


def settings_of(chosen: JsonObject, *, needs_key: bool = True) -> Settings:
    try:
        settings = Settings.from_env(os.environ, **chosen)
        return with_stored_key(settings) if needs_key else settings
    except Exception as error:
        wrong(f"fal-mcp cannot start: {error}")
        raise AssertionError from error


def quiet(chosen: JsonObject) -> Settings:
    """Settings of a command that looks at what is there and fetches no catalog."""
    return replace(settings_of(chosen), refresh_hours=0.0)


def is_key_stored() -> bool:
    """Whether `login` stored a key, which the server then finds by itself wherever it is started."""
    return KeyStore(Settings().config).key() is not None


def with_stored_key(settings: Settings) -> Settings:
    """With the key that `login` stored, unless one is set. A stand-in for fal is never sent it."""
    if settings.key is not None or settings.hosts != type(settings.hosts)():
        return settings
    return replace(settings, key=KeyStore(settings.config).key())


def source_of_key(settings: Settings) -> str:
    names = ("FAL_KEY", "FAL_KEY_ID", "FAL_KEY_FILE")
    # In the order in which they win over one another.
    return next((name for name in names if os.environ.get(name, "").strip()), "fal-mcp login")


def for_one_run(chosen: JsonObject) -> Settings:
    settings = settings_of(chosen)
    if settings.read_only:
        wrong("fal-mcp run does more than read, and --read-only is on (or FAL_MCP_READ_ONLY). Nothing was sent.")
    return replace(
        settings,
        output_dir=settings.output_dir or Path.cwd(),
        allow_dirs=settings.allow_dirs or default_folders(),
        may_ask_for_folders=True,
        refresh_hours=0.0,
    )


def check_folders(settings: Settings, chosen: JsonObject) -> None:
    """Refuse to start with a folder that was named and cannot be written; say so of the one that was not named."""
    from fal_mcp.terminal import folders

    is_named = bool(chosen.get("data_dir") or os.environ.get("FAL_MCP_DATA_DIR"))
    if settings.output_dir and (trouble := folders.fault(settings.output_dir)):
        wrong(f"fal-mcp cannot start: {trouble} --output-dir names another folder.")
    if settings.data and (trouble := folders.fault(settings.data)):
        if is_named:
            wrong(f"fal-mcp cannot start: {trouble} --data-dir names another folder.")
        typer.echo(f"Nothing can be run: {trouble} --data-dir names another folder. What is free works.", err=True)


def check_selection(settings: Settings) -> None:
    """Name what in --list, --pin and --only means nothing. Words that always mean something cost no look."""
    from fal_mcp.config import DEFAULT_PINS

    # A look means reading every category of the catalog, and most starts need none.
    is_plain = set(settings.listed) <= {"search", "pinned", "all", "mine"} and settings.only == ("*",)
    if is_plain and set(settings.pins) <= set(DEFAULT_PINS):
        return
    from fal_mcp.catalog.catalog import Catalog
    from fal_mcp.catalog_source import source_of
    from fal_mcp.toolsets.selection import Selection

    selection, catalog = Selection(settings.listed, settings.pins, settings.only), Catalog(source_of(settings))
    if problems := selection.problems(catalog):
        wrong(f"fal-mcp cannot start: {' '.join(problems)}")
    for doubt in selection.doubts(catalog, DEFAULT_PINS):
        typer.echo(f"Of --pin: {doubt}", err=True)


def wrong(message: str) -> None:
    from fal_mcp.terminal import screen

    screen.say(screen.errors(), message)
    raise typer.Exit(2)


def ran(function: Callable[..., Any], *arguments: Any) -> Any:
    return anyio.run(function, *arguments)
