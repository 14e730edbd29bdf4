"""`fal-mcp login`, `logout`, `whoami`: the key, asked for without echo, tried at fal, and stored."""

import getpass
import sys
from dataclasses import replace

import anyio

from fal_mcp.client.fal import Fal
from fal_mcp.config import Hosts, Settings
from fal_mcp.errors import FalError, NotAuthorised
from fal_mcp.json_values import JsonObject, NotJson, dumped, object_of, parsed, text_of
from fal_mcp.key import checked
from fal_mcp.machine.key_store import KeyStore, system_keychain
from fal_mcp.terminal import screen
from fal_mcp.terminal.session import DONE, FAILED, WRONG
from fal_mcp.ways_to_fal import fal_of

_PAGE = "https://fal.ai/dashboard/keys"
_PATIENCE = 15.0
_ONLY_FAL = "A stored key is sent to fal itself and to no stand-in (--fal-url): set FAL_KEY for that."


async def login(settings: Settings, is_forced: bool) -> int:
    """Ask for a key, try it at fal, and store it. Returns the exit code."""
    try:
        # Never an argument: those are seen in the list of processes and kept in the shell's history.
        text = _asked().strip()
        key = checked("The key", text) if text else ""
    except (ValueError, EOFError) as error:
        screen.trouble(str(error) or "No key was given.")
        return WRONG
    if not key:
        screen.trouble("No key was given.", f"Create one at {_PAGE}.")
        return WRONG
    try:
        # Tried before it is stored: a slip shows now, and not in a host's log.
        screen.say(screen.out(), await _whose(replace(settings, key=key)))
    except NotAuthorised as error:
        screen.trouble(f"fal does not take this key: {error.message}", f"It was not stored. Create one at {_PAGE}.")
        return FAILED
    except FalError as error:
        screen.trouble(f"fal could not be asked about the key: {error.message}", error.hint)
        if not is_forced:
            screen.trouble("It was not stored; --force stores it all the same.")
            return FAILED
    try:
        place = KeyStore(settings.config, system_keychain()).keep(key)
    except FalError as error:
        screen.trouble(error.message, error.hint)
        return FAILED
    screen.say(screen.out(), f"Stored in {place}. A key in FAL_KEY still wins over it.")
    if settings.hosts != Hosts():
        screen.say(screen.errors(), _ONLY_FAL, "yellow")
    return DONE


def logout(settings: Settings) -> int:
    """Forget the stored key."""
    try:
        was_there = KeyStore(settings.config).forget()
    except FalError as error:
        screen.trouble(error.message, error.hint)
        return FAILED
    screen.say(
        screen.out(),
        "The key is forgotten here. At fal it goes on to work until it is deleted: " + _PAGE
        if was_there
        else "No key was stored.",
    )
    return DONE


async def whoami(settings: Settings, source: str, as_json: bool) -> int:
    """Say whose key is in use, and where it comes from."""
    if settings.key is None:
        hint = "fal-mcp login stores one; FAL_KEY sets one for a while."
        screen.trouble("There is no key.", hint if settings.hosts == Hosts() else _ONLY_FAL)
        return FAILED
    try:
        account = await account_of(settings)
    except FalError as error:
        screen.trouble(error.message, error.hint)
        return FAILED
    if as_json:
        screen.out().print(dumped({"source": source, **account}, indent=1))
        return DONE
    screen.say(screen.out(), f"{_said(account)} The key comes from {source}.")
    return DONE


async def account_of(settings: Settings) -> JsonObject:
    """What fal says of the key: whose it is, and what it may.

    Raises:
        FalError: fal does not know it, or cannot be asked.
    """
    with anyio.move_on_after(_PATIENCE):
        async with fal_of(replace(settings, admin_key=settings.admin_key or settings.key)) as fal:
            # What a model costs is told to any key, and to nobody without one.
            await fal.models.prices(["fal-ai/flux/dev"])
            owner = await _owner(fal)
        scope = "ADMIN" if owner is not None and settings.admin_key is None else "API"
        return {"key_id": (settings.key or "").partition(":")[0][:40], "scope": scope, "owner": owner or None}
    raise FalError(f"fal did not answer within {_PATIENCE:.0f} seconds.", hint="Check the network and its proxy.")


async def _whose(settings: Settings) -> str:
    return _said(await account_of(settings))


async def _owner(fal: Fal) -> str | None:
    """Whose account it is, which fal tells keys of scope ADMIN alone; None for others."""
    try:
        answer = await fal.platform.send("GET", "/account/billing", as_admin=True)
    except FalError:
        return None
    return text_of(_object(answer.content).get("username")) or ""


def _object(content: bytes) -> JsonObject:
    try:
        return object_of(parsed(content))
    except NotJson:
        return {}


def _said(account: JsonObject) -> str:
    owner = f", account {account['owner']}" if account["owner"] else ""
    return f"fal knows the key {account['key_id']}: scope {account['scope']}{owner}."


def _asked() -> str:
    """The key, without echo at a terminal, else the line that is piped in."""
    if not sys.stdin.isatty():
        return sys.stdin.readline()
    return getpass.getpass("fal's key (not shown): ")
