"""Models that stream: events as they come, the last one being the result.

Some speak the stream of language models that has an end mark, pieces of text and a last event about usage alone; what
such a stream says in all is its result.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from typing import Any

from fal_mcp.client import answers, body
from fal_mcp.client.events import events
from fal_mcp.client.http import Http
from fal_mcp.client.incoming import Incoming
from fal_mcp.client.outputs import read_output
from fal_mcp.config import Hosts
from fal_mcp.errors import FalError, MaybeReceived, ServiceFailed, Unreachable
from fal_mcp.json_values import JsonMapping, JsonObject, NotJson, is_object, list_of, object_of, parsed
from fal_mcp.json_values import text_of as text_in

_MOST_EVENTS = 100_000
_MOST_TEXT = 16 * 1024 * 1024
_NO_EVENTS = frozenset({"", "[DONE]", "keepalive", "keep-alive", "ping", "heartbeat", "null"})
"""What streams say to show that they are alive, or over; no model's output."""
_ABOUT_IT = frozenset({"usage", "id", "object", "created", "model", "system_fingerprint", "service_tier", "provider"})
_ACCEPT = {"accept": "text/event-stream"}
_PAID = "It was paid for as far as it came. Run it through the queue to have it kept, or again."


class Stream:
    """fal's streaming host."""

    def __init__(self, http: Http, hosts: Hosts) -> None:
        self._http = http
        self._hosts = hosts

    async def run(self, endpoint_id: str, arguments: JsonMapping, seen: Callable[[Any], Awaitable[None]]) -> JsonObject:
        """Call `seen` with each event and return the last that is one. There is no queue, and nothing to come back to.

        Raises:
            RequestRejected: fal refused it, in its own form; nothing ran.
            Unreachable: of this very kind, nothing was sent.
            GenerationFailed: fal says that it failed.
            MaybeReceived: it broke off or gave nothing; it may have been paid for, and `partial` is what came of it.
        """
        collected = Collected()
        async with self._opened(endpoint_id, arguments) as incoming:
            if _is_no_stream(incoming):
                return await _at_once(incoming)
            async with aclosing(_each(incoming, collected)) as found:
                async for event in found:
                    await seen(event)
        if (result := collected.result()) is None:
            raise _nothing()
        return result

    async def events(self, endpoint_id: str, arguments: JsonMapping) -> AsyncGenerator[Any]:
        """Each event as it comes; of most models the last is the result. A model that does not stream gives one.

        Raises:
            FalError: as for `run`.
        """
        collected = Collected()
        stack = AsyncExitStack()
        try:
            incoming = await stack.enter_async_context(self._opened(endpoint_id, arguments))
            if _is_no_stream(incoming):
                yield await _at_once(incoming)
                return
            found = await stack.enter_async_context(aclosing(_each(incoming, collected)))
            async for event in found:
                yield event
        finally:
            await stack.aclose()
        if collected.result() is None:
            raise _nothing()

    def _opened(self, endpoint_id: str, arguments: JsonMapping) -> AbstractAsyncContextManager[Incoming]:
        self._http.need_key()
        # fal streams a model under this sub-path alone; some endpoints are listed with it.
        path = endpoint_id if endpoint_id.endswith("/stream") else f"{endpoint_id}/stream"
        url = f"{self._hosts.run}/{path}"
        return self._http.stream("POST", url, headers=_ACCEPT, json=arguments, changes=True, judge=answers.of_run)


def _is_no_stream(incoming: Incoming) -> bool:
    return "json" in incoming.headers.get("content-type", "")


def _nothing() -> MaybeReceived:
    return MaybeReceived("The stream ended before it gave anything. It may have been paid for.", hint=_PAID)


async def _at_once(incoming: Incoming) -> JsonObject:
    try:
        return await read_output(await incoming.whole(body.LARGEST))
    except ServiceFailed as error:
        raise MaybeReceived(f"What came in place of a stream cannot be read: {error.message}", hint=_PAID) from error


async def _each(incoming: Incoming, collected: "Collected") -> AsyncGenerator[Any]:
    stream = events(incoming)
    try:
        while collected.count < _MOST_EVENTS:
            try:
                event = await anext(stream, None)
            except (Unreachable, ServiceFailed) as error:
                # What came before is paid for, and is handed out with the error.
                raise _broken(collected, error) from error
            if event is None:
                return
            if collected.taken(event.data):
                yield collected.last
    finally:
        await stream.aclose()


class Collected:
    """What has come of a stream. `last` is the newest event, `count` how many there were."""

    def __init__(self) -> None:
        self.last: object = None
        self.count = 0
        self._result: object = None
        self._is_json = False
        self._about: JsonObject = {}
        self._pieces: list[str] = []
        self._size = 0

    def taken(self, data: str) -> bool:
        """Whether this was an event, and not only a sign of life."""
        if data.strip() in _NO_EVENTS or data.strip().casefold() in _NO_EVENTS:
            return False
        value, is_json = _value(data)
        if value is None:
            return False
        self.count += 1
        self.last = value
        if is_json and _is_only_about_it(value):
            # The bill's figures come after the last piece of text, and are no result in its place.
            self._about.update({key: object_of(value)[key] for key in ("usage",) if key in value})
        elif is_json or not self._is_json:
            # Once there was JSON, a text between is a remark of the stream's and no result.
            self._result, self._is_json = value, is_json
            self._add(_delta(value))
        return True

    def result(self) -> JsonObject | None:
        """The last that came, with the whole text where it came in pieces; None where nothing did."""
        if self._result is None:
            return dict(self._about) or None
        result = self._result if is_object(self._result) else {"output": self._result}
        text = "".join(self._pieces)
        return {**result, **({"output": text} if text else {}), **self._about}

    def _add(self, delta: str) -> None:
        self._size += len(delta)
        # Dropped and not refused: the run is paid for, and its beginning is better than an error.
        if delta and self._size <= _MOST_TEXT:
            self._pieces.append(delta)


def _value(data: str) -> tuple[Any, bool]:
    try:
        return parsed(data), True
    except NotJson:
        return data, False


def _is_only_about_it(value: object) -> bool:
    """Whether an event says what the run used up, and nothing that it made."""
    event = object_of(value)
    rest = {key for key, item in event.items() if not (key == "choices" and item in ([], None))}
    return "usage" in rest and rest <= _ABOUT_IT


def _delta(value: object) -> str:
    """The piece of text in an event of the kind that language models stream."""
    choices = list_of(object_of(value).get("choices"))
    return text_in(object_of(object_of(choices[0] if choices else None).get("delta")).get("content")) or ""


def _broken(collected: Collected, cause: FalError) -> MaybeReceived:
    text = text_of(collected.last)
    came = f" What came: {text[-600:]}" if text else ""
    error = MaybeReceived(
        f"The stream broke off after {collected.count} events.{came}", hint=_PAID, request_id=cause.request_id
    )
    error.partial = collected.result()
    return error


def text_of(event: object) -> str:
    """The text an event carries, under the names that language models use for it."""
    if isinstance(event, str):
        return event
    fields = object_of(event)
    names = ("output", "text", "partial", "delta", "content")
    return next((text for name in names if (text := text_in(fields.get(name))) is not None), "") or _delta(event)


def pictures_in(event: object) -> int:
    """How many pictures an event carries."""
    return len(list_of(object_of(event).get("images")))
