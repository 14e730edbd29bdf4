"""fal as one object: each of its APIs over one connection pool, and what most callers want of them as one call each."""

import inspect
import math
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

import httpx

from fal_mcp.client.access import Access
from fal_mcp.client.app_files import AppFiles
from fal_mcp.client.docs import Docs
from fal_mcp.client.endpoint_documents import EndpointDocuments
from fal_mcp.client.endpoint_id import Request, request_of
from fal_mcp.client.fal_cli import FalCli
from fal_mcp.client.files import downloaded, uploaded
from fal_mcp.client.http import Http
from fal_mcp.client.media import MediaFiles
from fal_mcp.client.models import Models
from fal_mcp.client.platform import Platform
from fal_mcp.client.queue import Cancelled, Queue
from fal_mcp.client.requests import Requests
from fal_mcp.client.retry import Clock
from fal_mcp.client.run import Run
from fal_mcp.client.serverless_secrets import ServerlessSecrets
from fal_mcp.client.status import Completed, Status
from fal_mcp.client.storage import Storage
from fal_mcp.client.stream import Stream
from fal_mcp.client.webhooks import Webhooks
from fal_mcp.config import Hosts
from fal_mcp.json_values import JsonMapping, JsonObject
from fal_mcp.text import hide

if TYPE_CHECKING:
    from fal_mcp.client.realtime import Line, Realtime

T = TypeVar("T")
OnEnqueue = Callable[[Request], Awaitable[None] | None]
OnQueueUpdate = Callable[[Status], Awaitable[None] | None]


class Fal:
    """fal, for one account. Use as an async context manager.

    The key is given and never looked for: no variable of the environment is read for it. Without one, only what fal
    tells anybody can be asked. `hosts` is where a stand-in for fal is; `admin_key` is asked for costs and the account;
    `patience` is the seconds within which a question is asked again where fal does not answer it.
    """

    def __init__(
        self,
        key: str | None = None,
        *,
        hosts: Hosts | None = None,
        admin_key: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
        patience: float = math.inf,
        cli: FalCli | None = None,
    ) -> None:
        hide(key)
        hide(admin_key)
        self.hosts = hosts = hosts or Hosts()
        self._http = http = Http(hosts, key, transport, admin_key, clock, patience)
        self.queue = Queue(http, hosts)
        self.synchronous = Run(http, hosts)
        self.streaming = Stream(http, hosts)
        self.models = Models(http, hosts)
        self.endpoint_documents = EndpointDocuments(http, hosts)
        self.platform = Platform(http, hosts)
        self.requests = Requests(http, hosts)
        self.secrets = ServerlessSecrets(http, hosts)
        self.storage = Storage(http, hosts)
        self.webhooks = Webhooks(http, hosts)
        self.access = Access(http, hosts)
        self.app_files = AppFiles(http, hosts)
        self.docs = Docs(http, hosts)
        self.cli = cli or FalCli(None, key)
        self.media = MediaFiles(http, hosts)

    async def submit(
        self,
        endpoint_id: str,
        arguments: JsonMapping,
        *,
        webhook_url: str | None = None,
        priority: Literal["normal", "low"] | None = None,
    ) -> Request:
        """Put a request in the queue. From here on it may cost money, and it is never sent twice.

        Raises:
            RequestRejected: fal refused it; nothing runs.
            Unreachable: of this very kind, nothing was sent.
            MaybeReceived: the answer was lost; it may run.
        """
        headers = {"x-fal-queue-priority": priority} if priority else None
        query = {"fal_webhook": webhook_url} if webhook_url else None
        return await self.queue.submit(endpoint_id, arguments, headers=headers, query=query)

    def request(self, endpoint_id: str, request_id: str) -> Request:
        """A request that was submitted before, by its id. Nothing is asked of fal."""
        return request_of(endpoint_id, request_id, self.hosts)

    async def status(self, request: Request) -> Status:
        """Where a request stands now.

        Raises:
            FalError: it could not be had.
        """
        return await self.queue.status(request)

    def statuses(self, request: Request) -> AsyncGenerator[Status]:
        """Every change of a request until it is `Completed`, each log line once, whatever stands in the way.

        Raises:
            NotFound: fal says for a minute that it does not know the request.
        """
        return self.queue.statuses(request)

    async def follow(self, request: Request, on_queue_update: OnQueueUpdate | None = None) -> Completed:
        """The last of a request's statuses; each is told to `on_queue_update`.

        Raises:
            NotFound: fal says for a minute that it does not know the request.
        """
        return await self.queue.follow(request, lambda status: _tell(on_queue_update, status))

    async def result(self, request: Request) -> JsonObject:
        """What the model made, once the request is completed. Costs nothing, however often it is asked for.

        Raises:
            GenerationFailed: the model failed, or it was cancelled; `InputRefused` where its arguments are why.
            ResultNotReady: it could not be fetched; fal has it.
        """
        return await self.queue.result(request)

    async def cancel(self, request: Request) -> Cancelled:
        """Ask fal to drop a request: at once while it waits; while it runs, if the model heeds it.

        Raises:
            FalError: fal did not say.
        """
        return await self.queue.cancel(request)

    async def subscribe(
        self,
        endpoint_id: str,
        arguments: JsonMapping,
        *,
        on_enqueue: OnEnqueue | None = None,
        on_queue_update: OnQueueUpdate | None = None,
    ) -> JsonObject:
        """Submit, follow, and return the result. `on_enqueue` is told the request, by which it can be come back to.

        Giving up on it cancels nothing at fal.

        Raises:
            FalError: as for `submit`, `follow` and `result`.
        """
        request = await self.submit(endpoint_id, arguments)
        await _tell(on_enqueue, request)
        await self.follow(request, on_queue_update)
        return await self.result(request)

    async def run(self, endpoint_id: str, arguments: JsonMapping) -> JsonObject:
        """Run a fast model without the queue: one request, and nothing to come back to if the line breaks.

        Raises:
            FalError: as for `submit` and `result`.
        """
        return await self.synchronous.run(endpoint_id, arguments)

    def stream(self, endpoint_id: str, arguments: JsonMapping) -> AsyncGenerator[Any]:
        """The events of a model that streams; of most, the last is the result.

        Raises:
            MaybeReceived: it broke off; `partial` is what came of it.
            FalError: as for `run`.
        """
        return self.streaming.events(endpoint_id, arguments)

    def realtime(self, endpoint_id: str, *, max_buffering: int | None = None) -> "AbstractAsyncContextManager[Line]":
        """A connection that is held open: `await connection.ask(arguments, seconds)`. Files in it are bytes.

        Raises:
            FalError: it could not be opened.
        """
        return self._realtime.opened(endpoint_id, max_buffering=max_buffering)

    async def upload(
        self,
        file: str | os.PathLike[str] | bytes,
        *,
        name: str | None = None,
        content_type: str | None = None,
        lifetime: int | None = None,
    ) -> str:
        """Put a file, by its path or its bytes, on fal's CDN; its URL. It is read as it is sent.

        What is not said of it is told by its name; `lifetime` is in seconds, None leaves it to the account's setting.

        Raises:
            NotReadable: there is no such file, or it cannot be read.
            FalError: it could not be put there, after retries.
        """
        return await uploaded(self.storage, file, name=name, content_type=content_type, lifetime=lifetime)

    async def download(self, url: str, path: str | os.PathLike[str]) -> Path:
        """Save a file that a model made; where it is. It is there whole or not at all.

        Raises:
            ServiceFailed: `url` is not on fal's own hosts; nothing else is fetched.
            NotWritable: it cannot be written there.
            FalError: it could not be had, after retries.
        """
        return await downloaded(self.media, url, Path(path))

    @cached_property
    def _realtime(self) -> "Realtime":
        # Few calls need it, and WebSockets take long to import.
        from fal_mcp.client.realtime import Realtime

        return Realtime(self._http, self.hosts)

    def need_key(self) -> None:
        """Refuse what needs a key where there is none.

        Raises:
            NotAuthorised: the hint says how to get one and where it goes.
        """
        self._http.need_key()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._http.__aexit__(*exc)


async def _tell(callback: Callable[[T], Awaitable[None] | None] | None, news: T) -> None:
    if callback is not None and inspect.isawaitable(told := callback(news)):
        await told
