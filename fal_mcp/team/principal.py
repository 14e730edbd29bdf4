"""A principal: who calls, told by the issuer, the subject and the client together; what it may, and what it pays with.

Which principal a call is of travels with the call, into the tasks that it begins. It is set by whoever let the
request in; where nobody did, the server is one person's, and the call is theirs.
"""

import hashlib
import json
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache

from fal_mcp.team.scopes import SCOPES


@dataclass(frozen=True, slots=True)
class Principal:
    """`name` is for people. `key` is the caller's own key of fal's, where each pays for itself; it is in memory only.
    `daily_budget` is in USD."""

    issuer: str
    subject: str
    client: str
    name: str
    scopes: frozenset[str] = frozenset(SCOPES)
    daily_budget: float | None = None
    key: str | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        """Stands in rows and logs: tells it from any other, and nothing of it."""
        return _id_of(self.issuer, self.subject, self.client)

    def owner(self, payer: str) -> str:
        """Whose its jobs are: its own below the payer's."""
        return f"{payer}/{self.id}"


# A request asks for it a dozen times.
@lru_cache(maxsize=1024)
def _id_of(issuer: str, subject: str, client: str) -> str:
    # As JSON, so that no separator within a part makes two principals one.
    text = json.dumps([issuer, subject, client])
    return f"p_{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"


_CALLER: ContextVar[Principal | None] = ContextVar("caller", default=None)


def caller() -> Principal | None:
    """Whose call this is; None where the server is one person's."""
    return _CALLER.get()


def own_daily_budget() -> float | None:
    """What this call's principal may spend in a day, in USD; None without a limit of its own."""
    principal = caller()
    return None if principal is None else principal.daily_budget


@contextmanager
def calling(principal: Principal | None) -> Generator[None]:
    """What is done in it is this principal's, and what is begun in it stays so."""
    before = _CALLER.set(principal)
    try:
        yield
    finally:
        _CALLER.reset(before)
