"""One submitted piece of paid work, as it is remembered. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fal_mcp.client.queue import Request
from fal_mcp.errors import FalError, GenerationFailed, MaybeReceived, RequestRejected, Unreachable

State = Literal["intent", "queued", "running", "completed", "failed", "cancelled", "unknown"]
UNFINISHED: tuple[State, ...] = ("intent", "queued", "running", "unknown")
BILLED: tuple[State, ...] = ("intent", "queued", "running", "completed", "unknown")
"""What counts against a budget. fal bills neither what it refused nor what was cancelled in the queue."""


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants run: on whose behalf, and what it is thought to cost. `price` is None where that cannot be
    told, and `price_note` says how it was told or why not."""

    endpoint_id: str
    arguments: Mapping[str, Any]
    owner: str = "local"
    price: float | None = None
    price_note: str = ""
    is_repeatable: bool = True
    """Whether the same arguments give the same result, so that two calls of it are one."""
    is_fresh: bool = False
    """Whether it is to be run even where the same was asked for a moment ago."""
    headers: Mapping[str, str] | None = None
    query: Mapping[str, str] | None = None

    @property
    def digest(self) -> str:
        """The same for the same endpoint and arguments, whatever the order of their keys."""
        text = json.dumps([self.endpoint_id, dict(self.arguments)], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the ledger. Times are seconds since 1970; costs are in USD."""

    job_id: str
    endpoint_id: str
    owner: str
    digest: str
    state: State
    created: float
    updated: float
    arguments: dict[str, Any] | None = None
    request: Request | None = None
    position: int | None = None
    price: float | None = None
    price_note: str = ""
    output: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    queue_seconds: float = 0.0
    run_seconds: float = 0.0
    detached: float | None = None
    """When the last call that waited for it was broken off; None while one waits, or once it was answered."""

    billed: float | None = None
    """What fal says it cost, where fal was asked."""

    saved: dict[str, str] | None = None
    """Where its files were saved on this disk, by their URLs."""

    @property
    def cost(self) -> float | None:
        """What it cost, as far as is known; None where nothing is. What failed or was cancelled costs nothing, as in
        the ledger's sums."""
        if self.billed is not None:
            return self.billed
        return self.price if self.state in BILLED else 0.0

    @property
    def is_over(self) -> bool:
        return self.state in ("completed", "failed", "cancelled")


def costs_nothing(error: FalError) -> bool:
    """Whether what ended so is not billed: it was refused, failed, or never sent. An answer that was lost may be."""
    is_refused = isinstance(error, (RequestRejected, GenerationFailed, Unreachable))
    return is_refused and not isinstance(error, MaybeReceived)
