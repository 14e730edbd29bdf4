"""fal's request queue: submit, follow, fetch, cancel.

Knows nothing of MCP or of which models exist. Following is not running, and neither is fetching: no trouble with either
says anything about the job, so both go on, slower, until fal itself says that it is over.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from typing import Literal

import anyio
import httpx

from fal_mcp.client import answers, body
from fal_mcp.client.endpoint_id import Request, request_of
from fal_mcp.client.events import Event, events
from fal_mcp.client.following import SLOWEST_POLL, Following, Pace, Trouble
from fal_mcp.client.http import Http
from fal_mcp.client.outputs import output_of, raw_output, read_output, too_large_output
from fal_mcp.client.retry import ALWAYS, IF_NOT_RECEIVED, NEVER, TRANSIENT, pause
from fal_mcp.client.status import (
    Completed,
    InProgress,
    Log,
    Queued,
    Status,
    read_status,
    status_in,
)
from fal_mcp.config import Hosts
from fal_mcp.errors import (
    FalError,
    GenerationFailed,
    NotFound,
    RequestRejected,
    ResultNotReady,
    ServiceFailed,
)
from fal_mcp.json_values import JsonMapping, JsonObject, text_of

__all__ = [
    "Cancelled",
    "Completed",
    "InProgress",
    "Log",
    "Pace",
    "Queue",
    "Queued",
    "Request",
    "Status",
    "Trouble",
    "output_of",
    "read_output",
    "read_status",
]

# Seconds.
_LAST_BYTES = 0.25
_SILENCE = 120.0
"""Seconds without a change after which a stream that still sends signs of life is not believed and polled instead."""
# Right after COMPLETED the result may for a moment still be said to be in progress; with their pauses these tries take
# some ten seconds.
_RESULT_TRIES = 6
_Odd = tuple[bytes, str] | None
"""A body that is no output at first sight, and what it is called; None where it is no model's."""
# To a cancel, 409 is an answer: it is completed. Asked again it would only be said again.
_CANCELLING = replace(ALWAYS, statuses=TRANSIENT - {409})

Cancelled = Literal["requested", "already completed", "not found"]


class Queue:
    """The queue of one fal account."""

    def __init__(self, http: Http, hosts: Hosts, pace: Pace | None = None) -> None:
        self._http = http
        self._hosts = hosts
        self._pace = pace or Pace()

    async def submit(
        self,
        endpoint_id: str,
        arguments: JsonMapping,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Request:
        """Put a request in the queue. From here on it may cost money.

        An answer that names the request and lacks its addresses, or names others than fal's, is enough: the addresses
        are built in the form that fal documents.

        Raises:
            RequestRejected: fal refused it, in its own form; nothing runs. The kind below it says why.
            Unreachable: of this very kind, nothing was sent, or nothing was let through.
            MaybeReceived: anything else. It may run, and was not sent again; `request_id` is fal's, where it named one.
        """
        self._http.need_key()
        response = await self._http.request(
            "POST",
            f"{self._hosts.queue}/{endpoint_id}",
            # Sent again only where it is certain that nothing was begun: fal has no key by which it would tell two
            # submits of the same wish apart.
            retry=IF_NOT_RECEIVED,
            params=query,
            headers=headers,
            json=arguments,
            most=body.SMALL,
            changes=True,
            judge=answers.refusal_of_paid,
        )
        return self._taken(endpoint_id, response)

    async def status(self, request: Request) -> Status:
        """Where the request stands, with the log lines fal still holds.

        Raises:
            FalError: it could not be had.
        """
        response = await self._http.get(request.status_url, {"logs": "1"}, most=body.LARGEST)
        return status_in(response.content)

    async def follow(
        self, request: Request, seen: Callable[[Status], Awaitable[None]], trouble: Trouble | None = None
    ) -> Completed:
        """Call `seen` with each of the request's `statuses`, and return the last.

        Raises:
            NotFound: fal says itself, again and again for a minute, that it does not know the request.
        """
        last = Completed()
        async with aclosing(self.statuses(request, trouble)) as found:
            async for status in found:
                await seen(status)
                last = status if isinstance(status, Completed) else last
        return last

    async def statuses(self, request: Request, trouble: Trouble | None = None) -> AsyncGenerator[Status]:
        """Every change until the request is over, each log line once; the last is `Completed`.

        Streams; polls where the stream is refused or breaks, from twice a second to once in five seconds. Whatever
        stands in the way is told to `trouble` and waited out, more slowly each time, for as long as it lasts.

        Raises:
            NotFound: fal says itself, again and again for a minute, that it does not know the request.
        """
        following = Following(self._pace, self._http.clock.now, trouble)
        # One stream costs fal less than many polls, and tells a log line as it is written.
        for way in (self._by_stream, self._by_polls):
            found = way(request, following)
            try:
                async for status in found:
                    yield status
            finally:
                await found.aclose()

    async def result(self, request: Request) -> JsonObject:
        """The model's output: as it is where it is an object, else wrapped as `outputs` says.

        Tried a few times within some ten seconds. Only what fal says of the job in its own form ends it; an output that
        merely looks like a refusal is an output, and a body that cannot be read is believed when it comes again.

        Raises:
            InputRefused: the model refused its arguments.
            GenerationFailed: the model failed, or the request was cancelled.
            ResultNotReady: it could not be fetched; it is still at fal.
        """
        odd: list[_Odd] = []
        attempt = 0
        while True:
            try:
                return await self._fetched(request, odd)
            except ResultNotReady as error:
                if attempt == _RESULT_TRIES - 1:
                    # The same bytes six times are no accident of the way: it is what the model gave, and it is paid
                    # for.
                    if len(odd) == _RESULT_TRIES and len(set(odd)) == 1 and odd[0] is not None:
                        return _believed(*odd[0])
                    raise
                wait = error.retry_after
            await self._http.clock.sleep(pause(attempt, min(wait or 0.0, SLOWEST_POLL), SLOWEST_POLL))
            attempt += 1

    async def cancel(self, request: Request) -> Cancelled:
        """Ask fal to drop the request: at once while it waits; while it runs, if the model heeds it.

        Raises:
            FalError: fal did not say.
        """
        try:
            await self._http.request("PUT", request.cancel_url, retry=_CANCELLING, most=body.SMALL)
        except NotFound:
            return "not found"
        except RequestRejected as error:
            # fal's guide has 400 with this word, and its description of the models 409.
            if error.status == 409 or (error.status == 400 and "ALREADY_COMPLETED" in error.message):
                return "already completed"
            raise
        return "requested"

    def _taken(self, endpoint_id: str, response: httpx.Response) -> Request:
        answer = answers.json_object(response.content) or {}
        request_id = answers.id_in(answer)
        if request_id is None:
            raise answers.unproven(response.status_code, response.headers, response.content)
        # fal's own addresses are preferred: they leave out the endpoint's sub-path, which not every host does alike.
        names = ("status_url", "response_url", "cancel_url")
        urls = [text_of(answer.get(name)) or "" for name in names]
        # All or none: the key goes to these addresses at every poll, so that one foreign address makes all three
        # doubtful.
        if all(map(self._http.is_fals, urls)):
            return Request(endpoint_id, request_id, *urls)
        return request_of(endpoint_id, request_id, self._hosts)

    async def _by_stream(self, request: Request, following: Following) -> AsyncGenerator[Status]:
        """Ends early where the stream is refused, breaks, falls silent, or ends before the request does.

        None of that is trouble yet: a poll will tell if the request itself is in any.
        """
        stack = AsyncExitStack()
        try:
            found = await stack.enter_async_context(self._streamed(request))
            while not following.is_over and (status := await _next_status(found)) is not None:
                yield following.passed(status)
            if following.is_over:
                # Read to its end, a stream leaves its connection to the next request.
                with anyio.move_on_after(_LAST_BYTES):
                    await _next_status(found)
        except FalError:
            return
        finally:
            await stack.aclose()

    @asynccontextmanager
    async def _streamed(self, request: Request) -> AsyncGenerator[AsyncGenerator[Event]]:
        url = f"{request.status_url}/stream?logs=1"
        async with self._http.stream("GET", url, headers=_EVENTS) as incoming:
            async with aclosing(events(incoming)) as stream:
                yield stream

    async def _by_polls(self, request: Request, following: Following) -> AsyncGenerator[Status]:
        while not following.is_over:
            try:
                response = await self._http.request(
                    "GET", request.status_url, retry=NEVER, params={"logs": "1"}, most=body.LARGEST
                )
                status = status_in(response.content)
            except FalError as error:
                wait = await following.in_trouble(error)
                # fal may come to use a fourth word for the end. Whether a result is there settles it, whatever the
                # word.
                if following.is_puzzled and await self._has_ended(request):
                    yield following.passed(Completed())
            else:
                yield following.passed(status)
                wait = following.interval()
            if not following.is_over:
                await self._http.clock.sleep(wait)

    async def _has_ended(self, request: Request) -> bool:
        """Whether fal hands out a result, or says that there will be none. For words about it that nobody knows."""
        try:
            await self._fetched(request, [])
        except GenerationFailed:
            return True
        except FalError:
            return False
        return True

    async def _fetched(self, request: Request, odd: list[_Odd]) -> JsonObject:
        # A second time it is asked for unpacked: what packs it may be what is broken.
        headers = {"accept-encoding": "identity"} if odd else None
        try:
            response = await self._http.request(
                "GET", request.response_url, retry=NEVER, headers=headers, judge=answers.of_result
            )
        except GenerationFailed:
            raise
        # It is at fal and paid for: its address is handed out in its place, and whoever wants it can fetch it.
        except body.TooLarge:
            return too_large_output(request.response_url, body.LARGEST)
        except ResultNotReady as error:
            raise (await self._failure(request, error) or error) from error
        except FalError as error:
            odd.append(None)
            raise answers.not_ready(error) from error
        return await _output(response, odd)

    async def _failure(self, request: Request, error: ResultNotReady) -> GenerationFailed | None:
        """What the status says of a result that is refused in words that may be the model's or anybody's."""
        # Only where the refusal could be the model's own. Others are about the question, and the status knows no more.
        if error.status is None or (error.status < 500 and error.status != 404):
            return None
        try:
            response = await self._http.request("GET", request.status_url, retry=NEVER, most=body.LARGEST)
            status = status_in(response.content)
        except FalError:
            return None
        return status.error if isinstance(status, Completed) else None


_EVENTS = {"accept": "text/event-stream"}


async def _next_status(stream: AsyncGenerator[Event]) -> Status | None:
    """The next status of a stream; None where there is none that can be had."""
    try:
        with anyio.fail_after(_SILENCE):
            event = await anext(stream, None)
        return status_in(event.data.encode("utf-8", "replace")) if event else None
    except (FalError, TimeoutError):
        return None


async def _output(response: httpx.Response, odd: list[_Odd]) -> JsonObject:
    """The output in a good answer; what is none at first sight is written down, and is not ready."""
    content = response.content
    try:
        output = await read_output(content)
    except ServiceFailed as error:
        odd.append(None if _is_a_page(response) else (content, response.headers.get("content-type", "")))
        raise answers.not_ready(error) from error
    if response.status_code == 202 or answers.is_not_ready(output):
        raise answers.not_ready(ServiceFailed("fal says that it is still in progress."))
    # An empty answer may be what the model gave and may be one that is not there yet: it is believed when it comes
    # again.
    if output == {"output": None}:
        odd.append((content, "application/json"))
        raise answers.not_ready(ServiceFailed("fal's answer is empty."))
    return output


def _is_a_page(response: httpx.Response) -> bool:
    """Whether a body is the page of something between here and fal, and not what a model gave."""
    return response.content.lstrip()[:1] in (b"<", b"") and "x-fal-request-id" not in response.headers


def _believed(content: bytes, content_type: str) -> JsonObject:
    """What came the same each time is what the model gave."""
    try:
        return output_of(content)
    except ServiceFailed:
        return raw_output(content, content_type, "The model's answer is not JSON; this is what it gave.")
