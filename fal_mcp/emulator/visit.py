"""One request to the emulator, and what answers it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from fal_mcp.emulator.emulator import Call, Emulator


@dataclass(frozen=True, slots=True)
class Visit:
    """One request, read whole, and the base URL of each host as its sender knows them."""

    method: str
    role: str
    path: str
    raw_path: str
    """The path as it was sent, where `%2F` is no separator."""
    query: Any
    headers: Any
    body: bytes
    bases: dict[str, str]

    def base(self, role: str) -> str:
        """The URL of one of fal's hosts."""
        return self.bases[role]

    @property
    def key(self) -> str:
        """The key that it came with."""
        return self.headers.get("authorization", "").partition(" ")[2]

    def call(self) -> Call:
        """What is remembered of it."""
        return Call(self.method, self.role, self.path, str(self.query), dict(self.headers), self.body)


Answer = Callable[[Emulator, Visit], Awaitable[Response]]
"""Answers whatever one host is asked."""
