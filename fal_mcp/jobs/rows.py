"""A job as a row of the ledger and back. Pure."""

from typing import Any

from fal_mcp.client.queue import Request
from fal_mcp.jobs import cost
from fal_mcp.jobs.job import Job
from fal_mcp.json_values import JsonMapping, JsonObject, NotJson, dumped, number_of, object_of, parsed, whole_number_of

COLUMNS = (
    "job_id, endpoint_id, owner, digest, state, created, updated, arguments, request_id, status_url, response_url, "
    "cancel_url, position, price_micro, price_note, error, queue_seconds, run_seconds, detached, billed_micro, saved, "
    "way, has_run, answered, asked, call_id, connection, session, fence, account, per_second, rate_note, trace"
)
"""All but the output, which may be large and is kept in a table of its own."""
_NAMES = COLUMNS.split(", ")
_OBJECTS = ("arguments", "error", "saved")
REQUEST = ("request_id", "status_url", "response_url", "cancel_url")
_MOMENTS: dict[str, float | None] = {
    **dict.fromkeys(("created", "updated", "asked", "queue_seconds", "run_seconds"), 0.0),
    **dict.fromkeys(("detached", "answered", "per_second")),
}
"""Columns of numbers, with what stands for one that is none."""
_COUNTS: dict[str, int | None] = {"position": None, "price_micro": None, "billed_micro": None, "has_run": 1, "fence": 0}
"""The same for whole ones. What cannot be told of a run counts as one."""
_MAY_LACK = frozenset({*_OBJECTS, *REQUEST})
_PLAIN = (
    *("way", "call_id", "connection", "session", "fence", "answered", "asked", "detached", "account"),
    *("per_second", "rate_note", "trace"),
)


def read(row: tuple[Any, ...], output: str | None = None) -> Job:
    """The job that a row stands for."""
    named: JsonObject = {name: typed(name, value) for name, value in zip(_NAMES, row, strict=True)}
    urls = [named.pop(name) for name in REQUEST]
    price, billed = named.pop("price_micro"), named.pop("billed_micro")
    named |= {name: read_object(named[name]) for name in _OBJECTS}
    named["has_run"] = bool(named["has_run"])
    return Job(
        **named,
        price=cost.dollars(price),
        billed=cost.dollars(billed),
        # All four or none: with a part of them nothing can be asked of fal.
        request=Request(named["endpoint_id"], *urls) if all(urls) else None,
        output=read_object(output),
    )


def typed(name: str, value: object) -> Any:
    """A value as its column has it, whatever another program or a damaged page put there: SQLite checks no types."""
    if name in _MOMENTS:
        number = number_of(value)
        return max(number, 0.0) if number is not None else _MOMENTS[name]
    if name in _COUNTS:
        whole = whole_number_of(value)
        return max(whole, 0) if whole is not None else _COUNTS[name]
    if value is None and name in _MAY_LACK:
        return None
    return value if isinstance(value, str) else ""


def written(job: Job) -> JsonObject:
    """The columns of a job that is about to be begun."""
    return {
        **{name: getattr(job, name) for name in ("job_id", "endpoint_id", "owner", "digest", "state", "created")},
        **{name: getattr(job, name) for name in _PLAIN},
        "updated": job.updated,
        "arguments": text(job.arguments),
        "price_micro": cost.micro(job.price),
        "price_note": job.price_note,
        "booked": cost.booked(job.state, cost.micro(job.price), None, job.has_run),
        # What a server of an earlier version asks for.
        "process": 0,
    }


def request_columns(request: Request) -> JsonObject:
    """The columns that say where fal has it."""
    return {name: getattr(request, name) for name in REQUEST}


def changed(columns: JsonMapping) -> JsonObject:
    """Values by the names of `Job`'s fields as columns of the ledger."""
    values = dict(columns)
    for name in ("error", "saved"):
        if name in values:
            values[name] = text(values[name])
    for name in ("price", "billed"):
        if name in values:
            values[f"{name}_micro"] = cost.micro(values.pop(name))
    return {name: _sound(value) for name, value in values.items()}


def text(value: JsonMapping | None) -> str | None:
    """An object as it is kept."""
    return None if value is None else dumped(dict(value))


def _sound(value: Any) -> Any:
    # Neither engine takes half characters, PostgreSQL no NUL and no truth in a column of whole numbers.
    if isinstance(value, bool):
        return int(value)
    return value.encode("utf-8", "replace").decode().replace("\0", "?") if isinstance(value, str) else value


def read_object(content: object) -> JsonObject | None:
    """An object that was kept; None where there is none."""
    if not isinstance(content, str):
        return None
    try:
        return object_of(parsed(content))
    except NotJson:
        return None
