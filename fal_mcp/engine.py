"""What a running server has, or the command line for one run; and the one maker of what a call may use.

Each part is made when it is first asked for. Knows nothing of MCP: `server.shared` adds that.
"""

import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self

import anyio
import anyio.abc
import anyio.lowlevel
import anyio.to_thread

from fal_mcp.catalog_source import source_of
from fal_mcp.config import DEFAULT_PINS, Settings
from fal_mcp.errors import FalError, RateLimited
from fal_mcp.freshness import FIRST_AFTER, Freshness
from fal_mcp.json_values import JsonObject
from fal_mcp.machine.output_folder import OutputFolder
from fal_mcp.machine.readable import Readable
from fal_mcp.machine.variables import Variables
from fal_mcp.team.principal import caller

# These take a quarter as long to import as the SDK itself: they come in with the first list or call.
if TYPE_CHECKING:
    import httpx

    from fal_mcp.catalog_exchange import CatalogExchange
    from fal_mcp.client.fal import Fal
    from fal_mcp.jobs.account import Account
    from fal_mcp.jobs.app_news import AppNews
    from fal_mcp.jobs.jobs import Jobs
    from fal_mcp.jobs.progress import Report
    from fal_mcp.jobs.records import Change
    from fal_mcp.jobs.sessions import Sessions
    from fal_mcp.runs.call import Call
    from fal_mcp.runs.pricing import Prices
    from fal_mcp.runs.resolution import Resolution
    from fal_mcp.tools.tool import Tool
    from fal_mcp.toolsets.own_tools import OwnTools
    from fal_mcp.toolsets.selection import Selection
    from fal_mcp.toolsets.toolbox import Toolbox
    from fal_mcp.ways_to_fal import Payers

_PICK_UP_AFTER = 1.0
_KEPT_DOCUMENTS, _KEPT_OF_A_CALLER = 500, 50

logger = logging.getLogger("fal_mcp")


class Engine:
    """Use as an async context manager; what it opened is closed, and its background work ended, on exit."""

    def __init__(
        self,
        settings: Settings,
        transport: "httpx.AsyncBaseTransport | None",
        tools_changed: Callable[[], Awaitable[None]],
        more_tools: "Sequence[Tool]" = (),
    ) -> None:
        self.settings = settings
        self.server_id = secrets.token_hex(4)
        """Tells this server's connections from those of another on the same ledger."""
        self._transport = transport
        self._tools_changed = tools_changed
        self._more_tools = more_tools
        self.readable = Readable(settings.allow_dirs, may_ask=settings.may_ask_for_folders, own=settings.own_folders)
        self.variables = Variables(settings.variable, settings.secret_env)
        self.output = OutputFolder(settings.output_dir) if settings.output_dir else None
        self.kept = OutputFolder(settings.kept_folder)
        self._open = AsyncExitStack()
        self._tools: Toolbox | None = None
        self._tasks: anyio.abc.TaskGroup | None = None
        self.hearers: list[Callable[[Change], None]] = []
        """Told of what becomes of jobs, from before the first one on."""
        self._freshness = Freshness(settings, lambda: self.fal, self._take_newest, lambda: self._exchange)

    async def __aenter__(self) -> Self:
        # By hand and not with `async with`: what runs in it lives from here to `__aexit__`, through everything in
        # between.
        self._tasks = await anyio.create_task_group().__aenter__()
        if self.settings.models is None and self.settings.refresh_hours:
            self._tasks.start_soon(self._freshness.keep)
        # Without a key nothing of it could be asked of fal; the jobs wait for a server that has one.
        if not {*self.settings.listed, *self.settings.pins} <= {*DEFAULT_PINS, "pinned", "search", "all"}:
            self._tasks.start_soon(self._keep_own)
        if self.settings.is_recorded and (self.settings.key is not None or self.settings.own_keys):
            self._tasks.start_soon(self._pick_up)
        return self

    async def __aexit__(self, *exc: Any) -> None:
        try:
            # First the work, then what it uses: a follower that outlives the ledger could not write its last word.
            self.background.cancel_scope.cancel()
            await self.background.__aexit__(None, None, None)
        finally:
            await self._open.aclose()

    @property
    def background(self) -> anyio.abc.TaskGroup:
        """Where work hangs that outlives a call. Nothing in it may raise: that would end the server."""
        assert self._tasks is not None
        return self._tasks

    @property
    def tools(self) -> "Toolbox":
        """All tools, over the newest catalog there is."""
        if self._tools is None:
            self._tools = self._toolbox()
        return self._tools

    @cached_property
    def account(self) -> "Account":
        """Whose key this server pays with."""
        from fal_mcp.jobs.account import Account

        ledger, requests = lambda: self.jobs.ledger, lambda: self._own_fal.requests
        return Account(self.settings.key, ledger, requests, lambda: self.background)

    @property
    def owner(self) -> str:
        """Whose work this call is: the account's, or where many share the server, the principal's below it."""
        principal = caller()
        return self.account.name if principal is None else principal.owner(self.account.name)

    @property
    def fal(self) -> "Fal":
        """The way to fal with the key that this call pays with, closed when the server stops."""
        principal = caller()
        return self._own_fal if principal is None or principal.key is None else self.payers.of(principal.key).fal

    @cached_property
    def payers(self) -> "Payers":
        """The callers that pay with keys of their own."""
        from fal_mcp.ways_to_fal import Payers

        beside = partial(self._beside_the_catalog, _KEPT_OF_A_CALLER)
        payers = Payers(self.settings, self._transport, beside)
        self._open.push_async_callback(payers.aclose)
        return payers

    @cached_property
    def _own_fal(self) -> "Fal":
        from fal_mcp.ways_to_fal import fal_of

        fal = fal_of(self.settings, self._transport)
        self._open.push_async_exit(fal)
        return fal

    @cached_property
    def jobs(self) -> "Jobs":
        """All paid work, with its ledger."""
        from fal_mcp import paid_work

        ledger = paid_work.ledger_of(self.settings)
        ledger.hearers += self.hearers
        self._open.push_async_callback(ledger.aclose)
        # By a function: a client is only opened, and a key only missed, where something is sent.
        jobs = paid_work.jobs_of(self.settings, lambda: self.fal, ledger, self.background, lambda: self.account.name)
        self._open.push_async_callback(jobs.aclose)
        return jobs

    @cached_property
    def sessions(self) -> "Sessions":
        """The realtime connections that are kept between calls, closed when the server stops."""
        from fal_mcp.jobs.sessions import Sessions

        return Sessions(lambda: self.fal, self.jobs.ledger, lambda: self.jobs.limits, self.background)

    @property
    def prices(self) -> "Prices":
        """What was asked about prices lately; what one account pays is none of another's business."""
        principal = caller()
        return self._own_prices if principal is None or principal.key is None else self.payers.of(principal.key).prices

    @cached_property
    def _own_prices(self) -> "Prices":
        from fal_mcp.runs.pricing import Prices

        return Prices()

    @cached_property
    def own_tools(self) -> "OwnTools":
        """When the account's apps are read for the list, and whether the list is another then."""
        from fal_mcp.toolsets.own_tools import OwnTools

        return OwnTools(self.settings, lambda: self.tools, lambda: self.fal, self._tools_changed)

    def deployed(self) -> None:
        """An app was deployed: what is known of the account's apps is asked for anew, and told where it is listed, by
        this server and the others of its ledger."""
        self._look_at_apps()
        self.background.start_soon(self._app_news.tell)

    def _look_at_apps(self) -> None:
        self.resolution.forget()
        if self.own_tools.may_be_listed:
            self.background.start_soon(self.own_tools.look)

    @cached_property
    def _app_news(self) -> "AppNews":
        from fal_mcp.jobs.app_news import AppNews

        return AppNews(self.jobs, lambda: self.account.name, self._look_at_apps)

    @property
    def resolution(self) -> "Resolution":
        """What the key that this call pays with can run beside the catalog; the same for every catalog that this server
        comes to have. An account's apps, and what private ones take, are none of another's business."""
        principal = caller()
        if principal is None or principal.key is None:
            return self._own_resolution
        try:
            return self.payers.of(principal.key).resolution
        except RateLimited:
            from fal_mcp.runs.resolution import Resolution

            # A list is made all the same; a call says why nothing else can be.
            return Resolution()

    @cached_property
    def _own_resolution(self) -> "Resolution":
        return self._beside_the_catalog(_KEPT_DOCUMENTS)

    def _beside_the_catalog(self, most_kept: int) -> "Resolution":
        from fal_mcp.runs import sources

        return sources.of_a_key(lambda: self.tools.catalog, max(self.settings.refresh_hours, 1.0) * 3600, most_kept)

    @cached_property
    def selection(self) -> "Selection":
        """What is listed and what may be run, by this server's settings."""
        from fal_mcp.toolsets.selection import Selection

        return Selection(self.settings.listed, self.settings.pins, self.settings.only)

    def call(self, tell: "Callable[[Report], Awaitable[None]]", **more: Any) -> "Call":
        """What one call may use: everything of this server's, and what is the call's own."""
        from fal_mcp.runs.call import Call

        known: JsonObject = {
            "wait": self.settings.wait,
            "owner": self.owner,
            "prices": self.prices,
            "readable": self.readable,
            "variables": self.variables,
            "shows_previews": self.settings.previews,
            "output": self.output,
            "kept": self.kept,
            "is_shared": self.settings.is_shared,
            "secrets": self.settings.secrets_folder,
            "sessions": lambda: self.sessions,
            "deployed": self.deployed,
        }
        return Call(lambda: self.fal, self.tools.catalog, self.jobs, tell, **{**known, **more})

    def leave_jobs(self) -> None:
        """This server ends: what runs goes on at fal, and whoever waits for it is told so."""
        if "jobs" in self.__dict__:
            self.jobs.leave()

    async def is_ready(self) -> bool:
        """Whether paid work can be written down, without which no call is of use."""
        try:
            await self.jobs.ledger.spent_now(self.account.name)
        except FalError:
            return False
        return True

    def unheard(self) -> "Call":
        """What a resource or a task may use when it is read: nobody hears its progress, and no picture is made."""
        return self.call(_nobody, shows_previews=False)

    async def refresh(self) -> None:
        """Fetch fal's catalog now, and announce it if a tool that is listed is another now.

        Raises:
            FalError, OSError: it could not be fetched or kept; everything stays as it was.
        """
        await self._freshness.refresh()

    @cached_property
    def _exchange(self) -> "CatalogExchange":
        from fal_mcp import catalog_exchange

        jobs = self.jobs if self.settings.is_recorded else None
        return catalog_exchange.among_servers(
            self.settings.catalog_folder, jobs, lambda: self.account.name, self._freshness.look
        )

    async def _take_newest(self, changed: frozenset[str] | None, revision: str = "") -> None:
        # Another server fetched it: what is of this revision already, or not read yet, needs nothing.
        if changed is None and (self._tools is None or self._tools.catalog.revision == revision):
            return
        before = self.tools
        # Made beside the old one and put in its place in one step: a call sees all of one catalog or of the other.
        self._tools = await anyio.to_thread.run_sync(self._prepared)
        if self.lists_differ(before, self._tools, changed):
            await self._tools_changed()

    def lists_differ(self, before: "Toolbox", after: "Toolbox", changed: frozenset[str] | None) -> bool:
        """Whether a list of tools is another now, after a change of these models, or of any."""
        return before.names() != after.names() or changed is None or not changed.isdisjoint(after.names())

    async def _pick_up(self) -> None:
        """Go on with what servers that ended left unfinished, once the handshake is through, and now and then."""
        await anyio.sleep(_PICK_UP_AFTER)
        try:
            jobs = self.jobs
        except FalError as error:
            logger.error("%s", error.message)
            return
        await self.account.know()
        self._app_news.listen()
        await jobs.picks_up.keep(jobs.hearing.hear)

    async def _keep_own(self) -> None:
        await anyio.sleep(FIRST_AFTER)
        await self.own_tools.keep()

    def _toolbox(self) -> "Toolbox":
        from fal_mcp.catalog.catalog import Catalog
        from fal_mcp.toolsets.toolbox import Toolbox

        settings = self.settings
        return Toolbox(
            Catalog(source_of(self.settings)),
            self.selection,
            settings.toolsets,
            self._more_tools,
            is_read_only=settings.read_only,
            has_admin_key=settings.admin_key is not None,
            resolution=lambda: self.resolution,
        )

    def _prepared(self) -> "Toolbox":
        """A toolbox over the newest catalog, its list made: work for a thread, so that no running call waits."""
        fresh = self._toolbox()
        fresh.names()
        return fresh


async def _nobody(_: Any) -> None:
    await anyio.lowlevel.checkpoint()
