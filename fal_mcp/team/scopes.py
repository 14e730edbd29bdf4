"""What a principal may do, in scopes: one for each effect, and one for what is the whole account's."""

from collections.abc import Iterable

READ, RUN, WRITE, ADMIN = "fal:read", "fal:run", "fal:write", "fal:admin"
SCOPES = (READ, RUN, WRITE, ADMIN)
_INCLUDES = {RUN: {READ}, WRITE: {READ}, ADMIN: {READ, RUN, WRITE}}
_OF_EFFECT = {"reads": READ, "spends": RUN, "writes": WRITE, "destroys": WRITE}


def held(granted: Iterable[str]) -> frozenset[str]:
    """The scopes that were granted, with those that they include; unknown ones are left out."""
    known = {scope for scope in granted if scope in SCOPES}
    return frozenset(known.union(*(_INCLUDES.get(scope, set()) for scope in known)))


def needed(effect: str, key: str, *, is_own: bool) -> str:
    """The scope that a tool needs by its effect and its key; `is_own`: it shows and changes the caller's own alone."""
    if key == "admin" or not is_own:
        return ADMIN
    return _OF_EFFECT.get(effect, ADMIN)
