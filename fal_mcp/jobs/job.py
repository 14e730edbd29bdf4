"""One submitted piece of paid work, as it is remembered. Pure, but for the id that a new one gets."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fal_mcp.client.queue import Request
from fal_mcp.errors import FalError, GenerationFailed, MaybeReceived, RequestRejected, Unreachable
from fal_mcp.jobs import cost
from fal_mcp.jobs.cost import State
from fal_mcp.json_values import JsonMapping, JsonObject

UNFINISHED: tuple[State, ...] = ("waiting", "intent", "queued", "running", "unknown")
Way = Literal["queue", "workflow", "sync", "stream", "realtime", "compute"]
"""How it goes to fal. Only what is followed outside of its call can be found again and be joined."""
FOLLOWED: tuple[Way, ...] = ("queue", "workflow")
NOBODY = "nobody"
"""Whose the work of a server without a key is."""
FIRST_OWNER = "local"
"""Whose everything was before the ledger told keys apart."""


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants run: on whose behalf, and what it is thought to cost. `price` is None where that cannot be
    told, and `price_note` says how it was told or why not."""

    endpoint_id: str
    arguments: JsonMapping
    owner: str = FIRST_OWNER
    price: float | None = None
    price_note: str = ""
    per_second: float | None = None
    """USD for each second that it runs, where it is billed by that."""
    rate_note: str = ""
    """Where that is from."""
    is_repeatable: bool = True
    """Whether the same arguments give the same result, so that two calls of it are one."""
    is_fresh: bool = False
    """Whether it is to be run even where the same was asked for a moment ago."""
    is_only_joined: bool = False
    """Whether nobody was asked about money, because there was a job to join: then nothing new may be begun."""
    headers: Mapping[str, str] | None = None
    query: Mapping[str, str] | None = None
    way: Way = "queue"
    steps: int = 0
    """How many steps a workflow has, as far as that is known."""
    call_id: str = ""
    """The call that wants it: what one call wants twice is two."""
    connection: str = ""
    """The client's connection; empty where there is no telling."""
    trace: str = ""
    """The trace that it is asked for in, as a traceparent of W3C's; empty where nothing is traced."""
    came: float | None = None
    """When its call reached this server, by `time.monotonic`: whether two were made at once is not told by when their
    prices, files or questions were done with. None for now."""

    @property
    def payer(self) -> str:
        """Who pays for it at fal."""
        return payer_of(self.owner)

    @property
    def digest(self) -> str:
        """The same for the same endpoint, arguments and way, whatever the order of their keys."""
        # Left out for the queue, so that the digests of before there were other ways still match.
        way = [] if self.way == "queue" else [self.way]
        text = json.dumps([self.endpoint_id, dict(self.arguments), *way], sort_keys=True, ensure_ascii=False)
        # Arguments may hold half a character where a client cut a text; a digest must not be what fails on it.
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the ledger. Times are seconds since 1970; costs are in USD. A row of a list has no `output`."""

    job_id: str
    endpoint_id: str
    owner: str
    digest: str
    state: State
    created: float
    updated: float
    arguments: JsonObject | None = None
    request: Request | None = None
    position: int | None = None
    price: float | None = None
    price_note: str = ""
    output: JsonObject | None = None
    error: JsonObject | None = None
    queue_seconds: float = 0.0
    run_seconds: float = 0.0
    detached: float | None = None
    """When the last call that asked for it ended without an answer; None while one waits, or once it was answered."""

    billed: float | None = None
    """What fal says it cost, where fal was asked."""

    saved: dict[str, str] | None = None
    """Where its files were saved on this disk, by their URLs."""

    way: Way = "queue"
    has_run: bool = False
    """Whether the model began, as far as was seen: from there on a cancel may cost, and so may a refusal of the
    model's. Taken back where it failed on fal's side, which costs nothing."""
    answered: float | None = None
    """When a client was last handed its result, or that it goes on; None where nobody got an answer yet."""
    asked: float = 0.0
    """When a call last asked for it."""
    call_id: str = ""
    connection: str = ""
    session: str = ""
    """The server that follows it."""
    fence: int = 0
    """Grows whenever another server takes it over; what an earlier one still wants to write is not written."""
    account: str = ""
    """Who pays for it at fal."""
    per_second: float | None = None
    rate_note: str = ""
    trace: str = ""
    """The trace that it was asked for in, as a traceparent of W3C's."""

    @property
    def cost(self) -> float | None:
        """What it cost, as far as is known; None where nothing is. The same as in the ledger's sums."""
        amount = cost.booked(self.state, cost.micro(self.price), cost.micro(self.billed), self.has_run)
        return cost.dollars(amount) if amount or self.price is not None or self.is_free else None

    @property
    def is_over(self) -> bool:
        return self.state in ("completed", "failed", "cancelled", "lost")

    @property
    def is_free(self) -> bool:
        """Whether it costs nothing, whatever its price."""
        return cost.booked(self.state, 1, cost.micro(self.billed), self.has_run) == 0


@dataclass(frozen=True, slots=True)
class Started:
    """A job that was begun, or joined because it was begun already."""

    job: Job
    is_joined: bool


def begun(order: Order, now: float, came: float, session: str, *, keeps_arguments: bool) -> Job:
    """A new job for this order, about to be submitted by the server of this session."""
    # Its call came a little earlier: between the two lie checks and questions, and a retry is told by when it came.
    return Job(
        job_id=f"job_{secrets.token_hex(16)}",
        endpoint_id=order.endpoint_id,
        owner=order.owner,
        digest=order.digest,
        state="intent",
        created=now,
        updated=now,
        arguments=dict(order.arguments) if keeps_arguments else None,
        price=cost.dollars(cost.micro(order.price)),
        price_note=order.price_note,
        per_second=order.per_second,
        rate_note=order.rate_note,
        way=order.way,
        asked=came,
        call_id=order.call_id,
        connection=order.connection,
        session=session,
        fence=1,
        account=order.payer,
        trace=order.trace,
    )


def owner_of(key: str | None) -> str:
    """Whose work is done with this key: fal's id of it, which is no secret. A key without an id is told by a digest."""
    if not key:
        return NOBODY
    # The id and not the secret: it stands in a file, and in every row.
    key_id, colon, _ = key.partition(":")
    return (
        key_id if colon and key_id else f"key-{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"
    )


def payer_of(owner: str) -> str:
    """Who pays for this owner's jobs: what stands before the slash; where the server has no key, each for itself."""
    payer = owner.partition("/")[0]
    return owner if payer == NOBODY else payer


def principal_of(owner: str) -> str:
    """Who it is of those that share the payer's account; empty where nobody shares it."""
    return owner.partition("/")[2]


def costs_nothing(error: FalError) -> bool:
    """Whether what ended so is not billed: it was refused, failed, or never sent. An answer that was lost may be."""
    is_refused = isinstance(error, (RequestRejected, GenerationFailed, Unreachable))
    # `MaybeReceived` is an `Unreachable` too, and says the opposite about money.
    return is_refused and not isinstance(error, MaybeReceived)
