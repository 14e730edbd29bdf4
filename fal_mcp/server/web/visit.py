"""One request over HTTP: what whoever looked at it on its way in left word of for the log, and whether it is over."""

import random
from dataclasses import dataclass, field

from starlette.types import Scope

_NAME = "fal_mcp.visit"


@dataclass(slots=True)
class Visit:
    """`principal` is the id of who was let in, and `refused` why nobody was; both may be empty. `is_open`: its path is
    there for anybody."""

    # It tells the lines of a log apart and guards nothing, so that the system need not be asked for it.
    id: str = field(default_factory=lambda: f"{random.getrandbits(64):016x}")
    principal: str = ""
    refused: str = ""
    is_open: bool = False
    is_over: bool = False
    """Whether it was answered, or its connection broke: from then on nothing reaches whoever asked."""
    is_out: bool | None = None
    """Whether the answer went out whole: None while it is being made or written, False where its connection was gone
    before its last byte was taken."""


def begun(scope: Scope) -> Visit:
    """A new one, which goes along with this request."""
    visit = scope[_NAME] = Visit()
    return visit


def known(scope: Scope) -> Visit | None:
    """That of this request, where one was begun."""
    found = scope.get(_NAME)
    return found if isinstance(found, Visit) else None


def of(scope: Scope) -> Visit:
    """That of this request; where none was begun, one of which nobody hears."""
    return known(scope) or Visit()
