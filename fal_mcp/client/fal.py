"""fal as one object: each of its APIs over one connection pool."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

import httpx

from fal_mcp.client.access import Access
from fal_mcp.client.app_files import AppFiles
from fal_mcp.client.docs import Docs
from fal_mcp.client.fal_cli import FalCli
from fal_mcp.client.http import Http
from fal_mcp.client.media import MediaFiles
from fal_mcp.client.models import Models
from fal_mcp.client.platform import Platform
from fal_mcp.client.queue import Queue
from fal_mcp.client.requests import Requests
from fal_mcp.client.retry import Clock
from fal_mcp.client.run import Run
from fal_mcp.client.serverless_secrets import ServerlessSecrets
from fal_mcp.client.storage import Storage
from fal_mcp.client.stream import Stream
from fal_mcp.client.webhooks import Webhooks
from fal_mcp.config import Settings
from fal_mcp.text import hide

if TYPE_CHECKING:
    from fal_mcp.client.realtime import Realtime


class Fal:
    """What a call may ask of fal. Use as an async context manager."""

    def __init__(
        self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None, clock: Clock | None = None
    ) -> None:
        self._hosts = settings.hosts
        hide(settings.key)
        hide(settings.admin_key)
        self._http = Http(settings.hosts, settings.key, transport, settings.admin_key, clock, settings.wait)
        self.queue = Queue(self._http, settings.hosts)
        self.run = Run(self._http, settings.hosts)
        self.models = Models(self._http, settings.hosts)
        self.platform = Platform(self._http, settings.hosts)
        self.requests = Requests(self._http, settings.hosts)
        self.secrets = ServerlessSecrets(self._http, settings.hosts)
        self.stream = Stream(self._http, settings.hosts)
        self.storage = Storage(self._http, settings.hosts)
        self.webhooks = Webhooks(self._http, settings.hosts)
        self.access = Access(self._http, settings.hosts)
        self.app_files = AppFiles(self._http, settings.hosts)
        self.docs = Docs(self._http, settings.hosts)
        self.cli = FalCli(settings)
        self.media = MediaFiles(self._http, settings.hosts)

    @cached_property
    def realtime(self) -> "Realtime":
        """Connections that are held open. Few calls need them, and WebSockets take long to import."""
        from fal_mcp.client.realtime import Realtime

        return Realtime(self._http, self._hosts)

    def need_key(self) -> None:
        """Refuse what needs a key where there is none.

        Raises:
            NotAuthorised: the hint says how to get one and where it goes.
        """
        self._http.need_key()

    async def __aenter__(self) -> "Fal":
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self._http.__aexit__(*exc)
