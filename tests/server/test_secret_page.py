"""The page on which a user writes a secret: what it takes, from whom, and how often; also in a browser."""

import os
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any
from urllib.parse import urlencode, urlsplit

import anyio
import httpx
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st
from playwright.async_api import async_playwright

from fal_mcp.errors import RequestRejected
from fal_mcp.server import secret_page
from fal_mcp.server.secret_page import LARGEST, SecretPage, SecretPages
from tests.server.gallery_host import CHROMIUM

BOUND = 30
NAME, PURPOSE = "HF_TOKEN", "It goes <nowhere>."
VALUE = 'hush "4711" & <b>ü</b> \\ + %41'
FORM = {"content-type": "application/x-www-form-urlencoded"}


@asynccontextmanager
async def opened(lifetime: float = 60.0) -> AsyncGenerator[tuple[SecretPage, httpx.AsyncClient]]:
    """A page, and a browser."""
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks, httpx.AsyncClient() as browser:
            page = await SecretPages(tasks, lifetime).open(NAME, PURPOSE)
            yield page, browser
            tasks.cancel_scope.cancel()


def origin(page: SecretPage) -> str:
    return f"http://{urlsplit(page.url).netloc}"


async def test_it_takes_one_value_once():
    async with opened() as (page, browser):
        shown = await browser.get(page.url)
        taken = await browser.post(page.url, data={"value": VALUE}, headers={"origin": origin(page)})
        value = await page.value()
        for method in ("GET", "POST"):
            # Soon nobody listens there.
            with suppress(httpx.TransportError):
                assert (await browser.request(method, page.url, data={"value": "other"})).status_code == 404
        assert (shown.status_code, taken.status_code) == (200, 200) and "Done, you may close" in taken.text
        assert value == VALUE == await page.value()


async def test_it_shows_its_name_and_purpose_and_lets_nothing_run_or_stay():
    async with opened() as (page, browser):
        shown = await browser.get(page.url)
    policy = shown.headers["content-security-policy"]
    assert NAME in shown.text and "It goes &lt;nowhere&gt;." in shown.text and "<script" not in shown.text
    assert 'type="password"' in shown.text and "color-scheme:light dark" in shown.text
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert shown.headers["cache-control"] == "no-store" and shown.headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 403),
        ({"host": "localhost:1"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"origin": "null"}, 403),
        ({}, 200),
    ],
)
async def test_strangers_neither_read_nor_write_it(headers: dict[str, str], status: int):
    """A name that was made to lead to this machine, a stranger's page, and a page without an origin."""
    async with opened() as (page, browser):
        read = await browser.get(page.url, headers=headers)
        assert read.status_code == status and (NAME in read.text) == (status == 200)
        written = await browser.post(page.url, data={"value": VALUE}, headers=headers)
        assert written.status_code == status and page.settled.is_set() == (status == 200)


@pytest.mark.parametrize("path", ["/", "/wrong", "/%ff%00", "{token}/", "{token}x", "//{token}"])
async def test_at_another_address_there_is_nothing(path: str):
    async with opened() as (page, browser):
        url = origin(page) + path.format(token=urlsplit(page.url).path)
        for answer in (await browser.get(url), await browser.post(url, data={"value": VALUE})):
            assert answer.status_code == 404 and NAME not in answer.text
        assert not page.settled.is_set()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"value=" + b"x" * (LARGEST - 5), 413),
        (b"x" * (10 * LARGEST), 413),
        (b"value=", 400),
        (b"", 400),
        (b'{"value": "x"}', 400),
        (b"value=%ff", 400),
        (b"value=\xff", 400),
        (b"value=a&value=b", 400),
    ],
    ids=["too long", "far too long", "no value", "nothing", "json", "no utf-8", "no ascii", "two values"],
)
async def test_what_is_no_value_is_not_taken_and_may_be_put_right(body: bytes, status: int):
    async with opened() as (page, browser):
        refused = await browser.post(page.url, content=body, headers=FORM)
        assert refused.status_code == status and "Not taken" in refused.text and not page.settled.is_set()
        assert (await browser.post(page.url, data={"value": VALUE})).status_code == 200
        assert await page.value() == VALUE


async def test_the_longest_form_is_taken():
    async with opened() as (page, browser):
        answer = await browser.post(page.url, content=b"value=" + b"x" * (LARGEST - 6), headers=FORM)
        assert answer.status_code == 200 and await page.value() == "x" * (LARGEST - 6)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD"])
async def test_it_is_read_or_posted_to_and_nothing_else(method: str):
    async with opened() as (page, browser):
        assert (await browser.request(method, page.url)).status_code == 405


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_any_text_comes_as_it_was_written(value: str):
    """Written as browsers write forms: application/x-www-form-urlencoded, in UTF-8."""
    assert secret_page._posted(urlencode({"value": value}).encode()) == value  # pyright: ignore[reportPrivateUsage]


async def test_it_ends_in_time_without_a_value():
    async with opened(0.2) as (page, browser):
        with pytest.raises(TimeoutError):
            await page.value()
        with pytest.raises(httpx.TransportError):
            while True:
                assert (await browser.get(page.url)).status_code == 404


async def test_a_value_waits_for_who_asked_and_no_longer_than_the_page_may_be_there():
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks, httpx.AsyncClient() as browser:
            pages = SecretPages(tasks, 60.0)
            page = await pages.open(NAME, PURPOSE)
            await browser.post(page.url, data={"value": VALUE})
            assert pages.find(page.id) is page and pages.find("another") is None and pages.find(None) is None
            assert page.id not in page.url
            page.close()
            while pages.find(page.id) is not None:
                await checkpoint()


async def test_a_machine_without_room_for_a_page_says_so_and_serves_on():
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            pages = SecretPages(tasks, 60.0)
            with no_more_descriptors(), pytest.raises(RequestRejected, match="No page can be opened"):
                await pages.open(NAME, PURPOSE)
            page = await pages.open(NAME, PURPOSE)
            page.close()


@contextmanager
def no_more_descriptors() -> Generator[None]:
    """As many files are open as may be."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = os.open(os.devnull, os.O_RDONLY)
    os.close(highest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_browser_can_send_the_form():
    """Its policies let the form through: browsers say `Origin: null` under `no-referrer`."""
    if CHROMIUM is None:
        pytest.skip("There is no Chromium on this machine: apt-get install chromium")
    faults: list[str] = []

    def fault(error: Any) -> None:
        faults.append(str(error))

    async with opened() as (page, _), async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        screen = await browser.new_page()
        screen.on("console", lambda message: fault(message.text) if message.type == "error" else None)
        await screen.goto(page.url)
        field = screen.get_by_label(NAME)
        assert await field.evaluate("field => getComputedStyle(field).display") == "block"
        await field.fill(VALUE)
        await screen.get_by_role("button").click()
        await screen.get_by_text("Done, you may close this page").wait_for()
        value = await page.value()
        await browser.close()
    assert value == VALUE and [one for one in faults if "favicon" not in one] == []
