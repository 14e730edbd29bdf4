"""Models that stream: events as they come, the last one being the result. Fact sheet §3.2."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import httpx_sse

from fal_mcp.client.http import Http
from fal_mcp.config import Hosts
from fal_mcp.errors import GenerationFailed, MaybeReceived, Unreachable

_MOST_EVENTS = 100_000


class Stream:
    """fal's streaming host."""

    def __init__(self, http: Http, hosts: Hosts) -> None:
        self._http = http
        self._hosts = hosts

    async def run(
        self, endpoint_id: str, arguments: Mapping[str, Any], seen: Callable[[Any], Awaitable[None]]
    ) -> dict[str, Any]:
        """Call `seen` with each event and return the last. There is no queue, and nothing to come back to.

        Raises:
            GenerationFailed: it ended before it gave anything, or broke off; the message says how far it came.
            FalError: fal refused it; nothing ran.
        """
        self._http.need_key()
        path = endpoint_id if endpoint_id.endswith("/stream") else f"{endpoint_id}/stream"
        last: Any = None
        count = 0
        try:
            async with self._http.posted(f"{self._hosts.run}/{path}", arguments) as response:
                async for event in httpx_sse.EventSource(response).aiter_sse():
                    if not event.data:
                        continue
                    last, count = _value(event.data), count + 1
                    await seen(last)
                    if count >= _MOST_EVENTS:
                        break
        except MaybeReceived:
            raise
        except (Unreachable, httpx_sse.SSEError) as error:
            raise _broken(count, last) from error
        if last is None:
            raise GenerationFailed("The stream ended before it gave anything.")
        return cast(dict[str, Any], last) if isinstance(last, dict) else {"output": last}


def _value(data: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data


def _broken(count: int, last: Any) -> GenerationFailed:
    text = text_of(last)
    came = f" What came: {text[-600:]}" if text else ""
    return GenerationFailed(
        f"The stream broke off after {count} events.{came}",
        hint="It was paid for as far as it came. Run it through the queue to have it kept, or again.",
    )


def text_of(event: Any) -> str:
    """The text an event carries, under the names that language models use for it."""
    if isinstance(event, str):
        return event
    if isinstance(event, dict):
        found = cast(dict[str, Any], event)
        for name in ("output", "text", "partial", "delta", "content"):
            if isinstance(found.get(name), str):
                return found[name]
    return ""


def pictures_in(event: Any) -> int:
    """How many pictures an event carries."""
    images: Any = cast(dict[str, Any], event).get("images") if isinstance(event, dict) else None
    return len(cast(list[Any], images)) if isinstance(images, list) else 0
