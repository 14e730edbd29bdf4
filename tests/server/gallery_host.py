"""A host with MCP Apps for tests: a page in a headless Chromium, with the gallery in a sandboxed frame."""

import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from playwright.async_api import Browser, Frame, FrameLocator, Page, Playwright, Route, async_playwright, expect

from fal_mcp.config import Hosts
from fal_mcp.emulator import Emulator
from fal_mcp.emulator.emulator import StoredFile
from fal_mcp.emulator.pictures import encoded
from fal_mcp.server import gallery

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
Json = dict[str, Any]
Answer = Callable[[str, Json], Awaitable[Json]]
_LONGEST_WAIT_MS = 30_000
_LONGEST = 45
"""Seconds, to start it or to end it; a browser that hangs is killed by Playwright's driver after thirty."""
_PAGE = Path(__file__).with_name("gallery_host.html")
_EVERYTHING: Json = {"openLinks": {}, "serverTools": {}, "serverResources": {}}


class GalleryHost:
    """What the gallery sees of a host, and what the host sees of the gallery."""

    def __init__(self, page: Page, hosts: Hosts) -> None:
        self.page = page
        self.heard: list[Json] = []
        """Every message from the gallery, oldest first."""
        self.requested: list[str] = []
        """Every address the browser asked for."""
        self.tool: Answer = _no_tool
        """Answers tools/call."""
        self.resources: dict[str, Json] = {}
        """Answers resources/read."""
        self._hosts = hosts
        self._welcome: Json = {}
        self._is_ready = anyio.Event()

    @property
    def gallery(self) -> FrameLocator:
        """The page as its user sees it."""
        return self.page.frame_locator("iframe")

    @property
    def inside(self) -> Frame:
        """The page as a script in it would see it."""
        return self.page.frames[1]

    @property
    def calls(self) -> list[tuple[str, Json]]:
        """The tool calls that the page made."""
        return [
            (said["params"]["name"], said["params"]["arguments"])
            for said in self.heard
            if said["method"] == "tools/call"
        ]

    async def show(
        self,
        given: Json | None = None,
        result: Json | None = None,
        *,
        hosts: Hosts | None = None,
        capabilities: Json = _EVERYTHING,
        **context: Any,
    ) -> None:
        """The gallery, for a call with the arguments `given` and, where there is one, its result."""
        self._welcome = {
            "protocolVersion": "2026-01-26",
            "hostInfo": {"name": "test", "version": "1"},
            "hostCapabilities": capabilities,
            "hostContext": context,
        }
        self._is_ready = anyio.Event()
        await self.page.goto(f"{self._hosts.cdn}/host.html")
        await self.page.evaluate("html => { frame.srcdoc = html }", gallery.page(hosts or self._hosts))
        await self._is_ready.wait()
        if given is not None:
            await self.say("ui/notifications/tool-input", {"arguments": given})
        if result is not None:
            await self.say("ui/notifications/tool-result", result)

    async def say(self, method: str, params: Json) -> None:
        """Tell the gallery something."""
        await self.page.evaluate("message => send(message)", {"method": method, "params": params})

    async def answer(self, message: Json) -> Json:
        """What the host answers to a message of the gallery's."""
        self.heard.append(message)
        match message.get("method"):
            case "ui/initialize":
                return self._welcome
            case "ui/notifications/initialized":
                self._is_ready.set()
            case "tools/call":
                return await self.tool(message["params"]["name"], message["params"]["arguments"])
            case "resources/read":
                return {"contents": [self.resources[message["params"]["uri"]]]}
            case _:
                pass
        return {}

    async def route(self, route: Route) -> None:
        """Loopback is reached, fal's media hosts answer with a picture, and nothing else is there."""
        url = route.request.url
        self.requested.append(url)
        if url.startswith(self._hosts.cdn):
            await route.continue_()
        elif url.startswith("https://v3.fal.media/"):
            await route.fulfill(body=encoded("a pier", 1, 64, 48, "image/png"), content_type="image/png")
        else:
            await route.abort()


async def _no_tool(name: str, arguments: Json) -> Json:
    raise AssertionError(f"{name} was called with {arguments}.")


@asynccontextmanager
async def gallery_host(fal: Emulator, hosts: Hosts) -> AsyncGenerator[GalleryHost]:
    """The host's page, served by the emulator; the test is skipped where there is no Chromium."""
    if CHROMIUM is None:
        pytest.skip("There is no Chromium on this machine: apt-get install chromium")
    fal.files["/host.html"] = StoredFile("host.html", "text/html", _PAGE.read_bytes)
    expect.set_options(timeout=_LONGEST_WAIT_MS)
    async with AsyncExitStack() as opened:
        # A fixture opens and closes it, outside the bounds of the tests; and Playwright has none for most of this.
        with _in_time("started"):
            playwright = await opened.enter_async_context(_playwright())
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            opened.push_async_callback(_closed, browser)
            page = await browser.new_page(viewport={"width": 760, "height": 900})
            host = GalleryHost(page, hosts)
            # Its types leave out what a callback returns.
            await page.expose_function("answer", host.answer)  # pyright: ignore[reportUnknownMemberType]
            await page.route("**/*", host.route)
        yield host


@asynccontextmanager
async def _playwright() -> AsyncGenerator[Playwright]:
    manager = async_playwright()
    try:
        yield await manager.__aenter__()
    finally:
        with _in_time("ended"):
            await manager.__aexit__()


async def _closed(browser: Browser) -> None:
    with _in_time("closed"):
        await browser.close()


@contextmanager
def _in_time(what: str) -> Generator[None]:
    try:
        with anyio.fail_after(_LONGEST):
            yield
    except TimeoutError as error:
        raise AssertionError(f"The browser was not {what} within {_LONGEST} s.") from error
