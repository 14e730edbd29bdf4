"""fal's request queue: submit, follow, fetch, cancel.

Knows nothing of MCP or of which models exist. Retrying a single request is `http`'s business; going from the stream
to polling and back is this module's. Fact sheet §2.
"""

import json
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import anyio
import anyio.to_thread
import httpx_sse

from fal_mcp.client import answers
from fal_mcp.client.http import Http
from fal_mcp.config import Hosts
from fal_mcp.errors import FalError, GenerationFailed, NotFound, RequestRejected, ServiceFailed, Unreachable

FASTEST_POLL = 0.5
"""Seconds; fal is never asked more than twice a second about one request."""
SLOWEST_POLL = 5.0
_MOST_REMEMBERED_LINES = 2000
_LAST_BYTES = 0.25
_NOT_READY_TRIES = 8
_LARGE = 1024 * 1024
"""Bytes from which on an answer is read in a thread, so that no other call waits for it."""
_DEEPEST = 200

Cancelled = Literal["requested", "already completed", "not found"]


@dataclass(frozen=True, slots=True)
class Request:
    """One submitted request, with the URLs that fal gave for it; nothing builds them from parts."""

    endpoint_id: str
    request_id: str
    status_url: str
    response_url: str
    cancel_url: str


@dataclass(frozen=True, slots=True)
class Log:
    """One line of a model's log, as it came: not cleaned."""

    message: str
    timestamp: str = ""


@dataclass(frozen=True, slots=True)
class Queued:
    """Waiting. `position` counts the requests in front, from 0; None where fal does not say."""

    position: int | None = None


@dataclass(frozen=True, slots=True)
class InProgress:
    """Running. `logs` are the lines that were not reported before."""

    logs: tuple[Log, ...] = ()


@dataclass(frozen=True, slots=True)
class Completed:
    """Over. `seconds` is the time it ran, where fal says; `error` what went wrong, where something did."""

    logs: tuple[Log, ...] = ()
    seconds: float | None = None
    error: GenerationFailed | None = None


Status = Queued | InProgress | Completed
Trouble = Callable[[FalError], Awaitable[None] | None]
"""Told what stands in the way of following a request, each time; the following goes on."""
_PassOn = Callable[[Status], Awaitable[Completed | None]]


class Queue:
    """The queue of one fal account."""

    def __init__(self, http: Http, hosts: Hosts) -> None:
        self._http = http
        self._hosts = hosts

    async def submit(
        self,
        endpoint_id: str,
        arguments: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Request:
        """Put a request in the queue. From here on it may cost money. Headers and query: fact sheet §2.2.

        Raises:
            NotAuthorised, OutOfCredit, NotFound, InvalidInput, RateLimited: fal refused it; nothing runs.
            MaybeReceived: it was sent, the answer was lost, and it was not sent again.
        """
        self._http.need_key()
        response = await self._http.post_once(f"{self._hosts.queue}/{endpoint_id}", arguments, headers, query)
        return _request(endpoint_id, response.content, self._hosts)

    async def status(self, request: Request) -> Status:
        """Where the request stands, with the log lines fal still holds."""
        response = await self._http.get(request.status_url, {"logs": "1"})
        return _status(response.content)

    async def follow(
        self, request: Request, seen: Callable[[Status], Awaitable[None]], trouble: Trouble | None = None
    ) -> Completed:
        """Call `seen` with every change until the request is over, each log line once; return the last.

        Streams; polls where the stream is refused or breaks, from twice a second to once in five seconds.

        Raises:
            FalError: the status could not be had, after all retries.
        """
        lines = _Lines()

        async def pass_on(status: Status) -> Completed | None:
            status = lines.only_new(status)
            await seen(status)
            return status if isinstance(status, Completed) else None

        return await self._stream(request, pass_on) or await self._poll(request, pass_on)

    async def result(self, request: Request) -> dict[str, Any]:
        """The model's output.

        Raises:
            InvalidInput: the model refused its arguments.
            GenerationFailed: the model failed, or the request was cancelled.
        """
        for attempt in range(_NOT_READY_TRIES):
            try:
                response = await self._http.get(request.response_url)
            except RequestRejected as error:
                if not _is_not_ready(error.message) or attempt == _NOT_READY_TRIES - 1:
                    raise
            else:
                output = await read_output(response.content)
                # Right after COMPLETED a 200 may still carry the text of "not ready" (fact sheet §2.5).
                if not _is_not_ready(str(output.get("detail", ""))):
                    return output
            await anyio.sleep(FASTEST_POLL * (attempt + 1))
        raise ServiceFailed("fal says the request is completed and does not hand out its result.")

    async def cancel(self, request: Request) -> Cancelled:
        """Ask fal to drop the request: at once while it waits; while it runs, if the model heeds it."""
        try:
            await self._http.put(request.cancel_url)
        except NotFound:
            return "not found"
        except RequestRejected as error:
            if error.status == 400 and "ALREADY_COMPLETED" in error.message:
                return "already completed"
            raise
        return "requested"

    async def _stream(self, request: Request, pass_on: _PassOn) -> Completed | None:
        """None where the stream was refused, broke, or ended before the request did."""
        try:
            async with self._http.stream(f"{request.status_url}/stream", {"logs": "1"}) as response:
                events = httpx_sse.EventSource(response).aiter_sse()
                async for event in events:
                    if last := await pass_on(_status(event.data.encode())):
                        # Read to its end, a stream leaves its connection to the next request.
                        with anyio.move_on_after(_LAST_BYTES):
                            await anext(events, None)
                        return last
        except (Unreachable, RequestRejected, ServiceFailed, httpx_sse.SSEError):
            # No failure of the request; a poll will tell if the request itself is in trouble.
            return None
        return None

    async def _poll(self, request: Request, pass_on: _PassOn) -> Completed:
        interval = FASTEST_POLL
        while True:
            if last := await pass_on(await self.status(request)):
                return last
            await anyio.sleep(interval * random.uniform(1.0, 1.2))
            interval = min(interval * 1.3, SLOWEST_POLL)


class _Lines:
    """Drops log lines seen before: polled logs are a moving window, told apart by time and text (fact sheet §2.3)."""

    def __init__(self) -> None:
        self._seen: dict[Log, None] = {}

    def only_new(self, status: Status) -> Status:
        if isinstance(status, Queued):
            return status
        new = tuple(line for line in dict.fromkeys(status.logs) if line not in self._seen)
        self._seen.update(dict.fromkeys(new))
        for line in list(self._seen)[: max(len(self._seen) - _MOST_REMEMBERED_LINES, 0)]:
            del self._seen[line]
        return replace(status, logs=new)


def _status(body: bytes) -> Status:
    status = answers.json_object(body)
    if status is None:
        raise ServiceFailed("fal told the status in something that is not JSON.")
    return read_status(status)


def read_status(status: Mapping[str, Any]) -> Status:
    """A status body, whatever is missing from it.

    Raises:
        ServiceFailed: its status is none of fal's three words.
    """
    logs = tuple(_logs(status.get("logs")))
    match status.get("status"):
        case "IN_QUEUE":
            position = status.get("queue_position")
            return Queued(position if isinstance(position, int) and position >= 0 else None)
        case "IN_PROGRESS":
            return InProgress(logs)
        case "COMPLETED":
            metrics = status.get("metrics")
            seconds: Any = cast(dict[str, Any], metrics).get("inference_time") if isinstance(metrics, dict) else None
            return Completed(
                logs, float(seconds) if isinstance(seconds, (int, float)) else None, answers.failure(status)
            )
        case other:
            raise ServiceFailed(f"fal reports a status this server does not know: {str(other)[:40]!r}.")


def _logs(entries: Any) -> list[Log]:
    found: list[Log] = []
    for entry in cast(list[Any], entries) if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            line = cast(dict[str, Any], entry)
            found.append(Log(str(line.get("message") or ""), str(line.get("timestamp") or "")))
    return found


def _request(endpoint_id: str, body: bytes, hosts: Hosts) -> Request:
    answer = answers.json_object(body) or {}
    urls = [answer.get(key) for key in ("request_id", "status_url", "response_url", "cancel_url")]
    if not all(isinstance(value, str) and value for value in urls):
        raise ServiceFailed(
            "fal took the request and its answer names no request to follow.",
            retryable=False,
            hint="It may be running. Look at https://fal.ai/dashboard/requests before you repeat it.",
        )
    request = Request(endpoint_id, *cast(list[str], urls))
    for url in (request.status_url, request.response_url, request.cancel_url):
        if not hosts.takes_the_key(url):
            raise ServiceFailed(
                "fal's answer names an address that is not fal's, and the key is not sent there.",
                request_id=request.request_id,
                retryable=False,
                hint="Nothing was sent to it. Check the address this server is pointed at.",
            )
    return request


async def read_output(body: bytes) -> dict[str, Any]:
    """As `output_of`, a large answer in a thread."""
    return await anyio.to_thread.run_sync(output_of, body) if len(body) > _LARGE else output_of(body)


def output_of(body: bytes) -> dict[str, Any]:
    """A model's answer as an object; one that is nested too deep to be handled stays text, so that it is not lost.

    Raises:
        ServiceFailed: it is not JSON.
    """
    try:
        value: Any = json.loads(body)
    except RecursionError:
        return {"output": body.decode("utf-8", "replace")}
    except ValueError as error:
        raise ServiceFailed("fal's answer is not JSON.") from error
    if _is_too_deep(body, value):
        return {"output": body.decode("utf-8", "replace")}
    return cast(dict[str, Any], value) if isinstance(value, dict) else {"output": value}


def _is_too_deep(body: bytes, value: Any) -> bool:
    if body.count(b"[") + body.count(b"{") <= _DEEPEST:
        return False
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        level = [inner for outer in level for inner in _inside(outer) if isinstance(inner, (dict, list))]
        if not level:
            return False
    return True


def _inside(value: Any) -> Iterable[Any]:
    return cast(dict[str, Any], value).values() if isinstance(value, dict) else cast(list[Any], value)


def _is_not_ready(message: str) -> bool:
    return "still in progress" in message.casefold()
