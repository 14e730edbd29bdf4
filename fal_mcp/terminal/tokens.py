"""The file of tokens, as people see it."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

from fal_mcp.config import Settings
from fal_mcp.team.scopes import READ, RUN
from fal_mcp.team.token_file import Entry, TokenFile
from fal_mcp.terminal import screen
from fal_mcp.text import one_line

_DAY = 24 * 3600.0


def create(settings: Settings, name: str, scopes: tuple[str, ...], budget: float | None, days: float | None) -> int:
    """Make a token, and print it alone, so that it can be piped on."""
    expires = None if days is None else time.time() + days * _DAY
    token = TokenFile(_file(settings)).create(name, scopes or (READ, RUN), budget, expires)
    screen.out().print(token)
    return 0


def listed(settings: Settings, as_json: bool) -> int:
    """List the tokens."""
    entries = TokenFile(_file(settings)).entries()
    if as_json:
        screen.out().print(json.dumps([_data(entry) for entry in entries], indent=2))
    else:
        for line in map(_line, entries) if entries else [f"There are no tokens in {_file(settings)}."]:
            screen.say(screen.out(), line)
    return 0


def revoke(settings: Settings, name: str) -> int:
    """Revoke a token."""
    TokenFile(_file(settings)).revoke(name)
    screen.out().print(f"Revoked {name!r}.")
    return 0


def _file(settings: Settings) -> Path:
    return settings.tokens or settings.config / "tokens.json"


def _data(entry: Entry) -> dict[str, object]:
    names = ("name", "scopes", "created", "expires", "daily_budget")
    return {name: getattr(entry, name) for name in names}


def _line(entry: Entry) -> str:
    budget = "no budget of its own" if entry.daily_budget is None else f"{entry.daily_budget:g} USD a day"
    until = "" if entry.expires is None else f" | until {datetime.fromtimestamp(entry.expires, UTC):%Y-%m-%d %H:%M} UTC"
    return f"{one_line(entry.name, 100)} | {' '.join(entry.scopes)} | {budget}{until}"
