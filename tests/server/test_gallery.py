"""The gallery: what hosts are told of it, in both eras, and what it does in a browser."""

import base64
import hashlib
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any

import anyio
import mcp_types as types
import pytest
from anyio.lowlevel import checkpoint
from mcp.client import Client
from playwright.async_api import Locator, expect

from fal_mcp.config import Hosts, Settings
from fal_mcp.emulator import Emulator, Failure, Script
from fal_mcp.emulator.pictures import encoded
from fal_mcp.server import app, gallery
from fal_mcp.terminal.words import money
from tests.server.gallery_host import GalleryHost, Json, gallery_host

BOUND = 60
FLUX, UPSCALER = "fal-ai/flux/dev", "clarityai/crystal-upscaler"
ANIMATOR = "fal-ai/kling-video/v2.5-turbo/pro/image-to-video"
FALS = ["https://fal.media", "https://*.fal.media"]
PIER = {"prompt": "a pier at night", "seed": 7}
PICTURE = {"url": "https://v3.fal.media/files/b/1/pier.png", "kind": "image", "content_type": "image/png"}
ATTACK = "<img src=x onerror=\"parent.postMessage('ran', '*')\">"
Serve = Callable[..., Client]


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, settings: Settings) -> Serve:
    def client(**changes: Any) -> Client:
        return Client(app.build(replace(settings, **changes)), mode=request.param)

    return client


@pytest.fixture
async def screen(fal: Emulator, settings: Settings) -> AsyncGenerator[GalleryHost]:
    async with gallery_host(fal, settings.hosts) as opened:
        yield opened


def completed(*files: Json, **more: Any) -> Json:
    """A result as run_model gives it."""
    data = {
        "status": "completed",
        "endpoint_id": FLUX,
        "job_id": "j1",
        "output": {"prompt": "a pier at night", "seed": 7},
        "files": list(files),
        "timing": {"queue_s": 0.1, "run_s": 2.0},
        "cost": {"usd": 0.025, "is_estimate": True, "note": ""},
        **more,
    }
    return {"content": [{"type": "text", "text": "It ran."}], "structuredContent": data}


def in_progress(**more: Any) -> Json:
    data = {
        "status": "in_progress",
        "state": "queued",
        "endpoint_id": FLUX,
        "job_id": "j1",
        "queue_position": 3,
        **more,
    }
    return {"content": [{"type": "text", "text": "It waits."}], "structuredContent": data}


def dumped(result: types.CallToolResult) -> Json:
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)


def policy(page: str) -> dict[str, str]:
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert found is not None
    return {name: rest for name, _, rest in (part.strip().partition(" ") for part in found[1].split(";"))}


def sha256(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


async def buttons(place: Locator) -> list[str]:
    return await place.get_by_role("button").all_text_contents()


async def test_the_gallery_is_a_resource_of_mcp_apps(host: Serve):
    """SEP-1865: the address, the MIME type, and the policy beside both the entry and the content."""
    with anyio.fail_after(BOUND):
        async with host(hosts=Hosts()) as client:
            listed = (await client.list_resources()).resources
            (content,) = (await client.read_resource("ui://fal/gallery.html")).contents
    entry = next(one for one in listed if str(one.uri).startswith("ui:"))
    assert str(entry.uri) == str(content.uri) == "ui://fal/gallery.html"
    assert entry.mime_type == content.mime_type == "text/html;profile=mcp-app"
    csp = {"resourceDomains": FALS, "connectDomains": []}
    assert entry.meta == content.meta == {"ui": {"csp": csp, "prefersBorder": True}}
    assert isinstance(content, types.TextResourceContents) and content.text.startswith("<!doctype html>")


async def test_media_of_a_stand_in_may_be_shown_too(host: Serve, settings: Settings):
    with anyio.fail_after(BOUND):
        async with host() as client:
            (content,) = (await client.read_resource(gallery.URI)).contents
    origin = settings.hosts.cdn.removesuffix("/cdn")
    assert content.meta is not None and content.meta["ui"]["csp"]["resourceDomains"] == [*FALS, origin]
    assert isinstance(content, types.TextResourceContents)
    assert policy(content.text)["media-src"].split() == [*FALS, origin]


async def test_every_tool_that_answers_with_a_run_shows_it_in_the_gallery_and_no_other_does(host: Serve):
    with anyio.fail_after(BOUND):
        async with host(listed=("all",)) as client:
            tools = (await client.list_tools()).tools
    shown = {tool.name for tool in tools if (tool.meta or {}).get("ui") == {"resourceUri": gallery.URI}}
    models = {tool.name for tool in tools if "fal/endpoint_id" in (tool.meta or {})}
    assert shown == models | {"run_model", "run_again", "wait_for_job", "get_job"} and len(models) > 30
    assert not any("ui" in (tool.meta or {}) for tool in tools if tool.name not in shown)


async def test_the_extension_is_declared(settings: Settings):
    """Fact M1.1: only revision 2026-07-28 has a place for it."""
    with anyio.fail_after(BOUND):
        async with Client(app.build(settings)) as client:
            assert (client.server_capabilities.extensions or {})["io.modelcontextprotocol/ui"] == {}


def test_the_page_runs_its_own_script_and_style_and_loads_nothing_but_fals_media():
    page = gallery.page(Hosts())
    (script,) = re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert policy(page) == {
        "default-src": "'none'",
        "script-src": sha256(script),
        "style-src": sha256(style),
        "img-src": " ".join([*FALS, "data:"]),
        "media-src": " ".join(FALS),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert re.findall(r"\bsrc=|innerHTML|<link|@import|\burl\(", page) == []


@pytest.mark.parametrize(
    ("endpoint_id", "arguments", "kind", "check"),
    [
        (FLUX, PIER, "image", "e => e.complete && e.naturalWidth === 1024"),
        ("fal-ai/veo3", {"prompt": "a pier", "duration": "4s"}, "video", "e => e.controls"),
        ("fal-ai/elevenlabs/tts/eleven-v3", {"text": "A pier."}, "audio", "e => e.controls"),
        ("fal-ai/triposr", {"image_url": "https://e.x/a.png"}, "3d", "e => e.target === '_blank'"),
    ],
)
async def test_what_a_run_made_is_shown(
    screen: GalleryHost, settings: Settings, endpoint_id: str, arguments: Json, kind: str, check: str
):
    tags = {"image": "img", "video": "video", "audio": "audio", "3d": "a"}
    with anyio.fail_after(BOUND):
        async with Client(app.build(settings)) as client:
            result = await client.call_tool("run_model", {"endpoint_id": endpoint_id, "arguments": arguments})
        await screen.show({"endpoint_id": endpoint_id, "arguments": arguments}, dumped(result))
        url = next(file["url"] for file in result.structured_content["files"] if file["kind"] == kind)
        shown = screen.gallery.locator(f"figure[data-kind='{kind}'] {tags[kind]}").first
        await expect(shown).to_have_attribute("href" if kind == "3d" else "src", url)
        await screen.inside.wait_for_function(f"s => ({check})(document.querySelector(s))", arg=f"figure {tags[kind]}")
        await expect(screen.gallery.locator("h2")).to_have_text(endpoint_id)
        if kind in ("video", "audio"):
            await screen.inside.wait_for_function("s => document.querySelector(s).readyState > 0", arg=tags[kind])


async def test_data_that_came_beside_the_answer_is_shown_like_data_in_it(screen: GalleryHost):
    answer = completed()
    with anyio.fail_after(BOUND):
        await screen.show(PIER, {"content": answer["content"], "_meta": {"fal/data": answer["structuredContent"]}})
        await expect(screen.gallery.get_by_role("status")).to_have_text(
            "Completed · ran for 2.0 s · about $0.025 · seed 7"
        )


async def test_a_picture_in_the_answer_itself_is_shown_and_a_dead_link_is_said(screen: GalleryHost, settings: Settings):
    dot = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
    dead = {"url": f"{settings.hosts.cdn}/files/gone.mp4", "kind": "video"}
    with anyio.fail_after(BOUND):
        await screen.show(PIER, completed({"url": dot, "kind": "image"}, dead))
        await screen.inside.wait_for_function("() => document.querySelector('img').naturalWidth === 1")
        gone = screen.gallery.locator("figure[data-kind='video']")
        await expect(gone.locator(".stand-in")).to_contain_text("This file could not be loaded.")
        await expect(gone.locator("video")).to_have_count(0)


async def test_a_picture_that_came_as_bytes_is_read_from_the_server(screen: GalleryHost):
    uri = "fal://jobs/j1/files/1"
    blob = base64.b64encode(encoded("a pier", 1, 64, 48, "image/png")).decode()
    screen.resources = {uri: {"uri": uri, "mimeType": "image/png", "blob": blob}}
    screen.resources["fal://jobs/j1/files/2"] = {"mimeType": "text/html", "blob": blob}
    files = [{"url": f"fal://jobs/j1/files/{n}", "kind": "image"} for n in (1, 2)]
    with anyio.fail_after(BOUND):
        await screen.show(PIER, completed(*files))
        await expect(screen.gallery.locator("img")).to_have_js_property("naturalWidth", 64)
        await expect(screen.gallery.get_by_text("Kept by this server")).to_have_count(1)
        await expect(screen.gallery.get_by_role("button", name="Upscale")).to_have_count(2)


async def test_words_are_shown_with_the_settings_and_the_cost(screen: GalleryHost):
    output = {"text": "The ship leaves\nat nine.", "url": "https://e.x/a"}
    result = completed(output=output, endpoint_id="fal-ai/whisper")
    with anyio.fail_after(BOUND):
        await screen.show({"audio_url": "https://e.x/a.mp3", "task": "transcribe"}, result)
        await expect(screen.gallery.locator(".said")).to_have_text("The ship leaves\nat nine.")
        await expect(screen.gallery.get_by_role("status")).to_have_text("Completed · ran for 2.0 s · about $0.025")
        await screen.gallery.get_by_text("Parameters").click()
        await expect(screen.gallery.locator("dl")).to_be_visible()
        rows = await screen.gallery.locator("dl div").all_inner_texts()
    assert [row.split() for row in rows] == [["audio_url", "https://e.x/a.mp3"], ["task", "transcribe"]]


@pytest.mark.parametrize("usd", [0.0, 0.0031254, 0.01966, 0.025, 0.05898, 0.1, 3.2, 12.0])
async def test_money_is_written_as_people_write_it(screen: GalleryHost, usd: float):
    with anyio.fail_after(BOUND):
        await screen.show(PIER, completed(cost={"usd": usd, "is_estimate": True}))
        await expect(screen.gallery.get_by_role("status")).to_contain_text(f"about {money(usd)}")


async def test_a_run_is_followed_until_it_is_over(screen: GalleryHost, fal: Emulator, settings: Settings):
    fal.script(FLUX, Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with Client(app.build(replace(settings, wait=0.2))) as client:

            async def tool(name: str, arguments: Json) -> Json:
                next(iter(fal.jobs.values())).release()
                return dumped(await client.call_tool(name, arguments))

            begun = await client.call_tool("fal-ai_flux_dev", PIER)
            await screen.show(PIER)
            await expect(screen.gallery.get_by_role("progressbar")).to_be_visible()
            await expect(screen.gallery.locator(".prompt")).to_have_text("a pier at night")
            screen.tool = tool
            await screen.say("ui/notifications/tool-result", dumped(begun))
            await expect(screen.gallery.locator("img")).to_have_count(1)
        await expect(screen.gallery.get_by_role("progressbar")).to_have_count(0)
    assert begun.structured_content["status"] == "in_progress"
    wanted = {"job_id": begun.structured_content["job_id"], "seconds": 20}
    assert {name for name, _ in screen.calls} == {"wait_for_job"} and screen.calls[0][1] == wanted


async def test_a_waiting_run_says_how_many_are_before_it(screen: GalleryHost):
    with anyio.fail_after(BOUND):
        await screen.show(PIER, in_progress(), capabilities={})
        await expect(screen.gallery.get_by_role("status")).to_have_text("Waiting in fal's queue, 3 before it")
    assert screen.calls == [], "a host that takes no calls is sent none"


async def test_a_host_that_stops_answering_is_said_and_the_run_is_not_called_failed(screen: GalleryHost):
    async def tool(name: str, arguments: Json) -> Json:
        raise ConnectionError("gone away")

    screen.tool = tool
    with anyio.fail_after(BOUND):
        await screen.show(PIER, in_progress())
        await expect(screen.gallery.get_by_role("status")).to_contain_text("gone away")
        await expect(screen.gallery.get_by_role("status")).to_contain_text("The run goes on: ask for job j1.")


async def test_a_failed_run_says_why(screen: GalleryHost, fal: Emulator, settings: Settings):
    fal.script(FLUX, Script(failure=Failure(422, {"detail": [{"loc": ["body", "prompt"], "msg": "Too dark."}]})))
    with anyio.fail_after(BOUND):
        async with Client(app.build(settings)) as client:
            result = await client.call_tool("fal-ai_flux_dev", PIER)
        await screen.show(PIER, dumped(result))
        await expect(screen.gallery.locator(".failure")).to_contain_text("Too dark.")
        await expect(screen.gallery.get_by_role("status")).to_have_text("Failed")
        assert await buttons(screen.gallery.locator("main")) == []


async def test_a_cancelled_call_is_said(screen: GalleryHost):
    with anyio.fail_after(BOUND):
        await screen.show(PIER)
        await screen.say("ui/notifications/tool-cancelled", {"reason": "user action"})
        await expect(screen.gallery.get_by_role("status")).to_have_text("Cancelled")
        await expect(screen.gallery.locator(".said")).to_have_text("user action")


async def test_a_picture_is_worked_on_only_after_a_question(screen: GalleryHost):
    async def tool(name: str, given: Json) -> Json:
        return completed(endpoint_id=given["endpoint_id"], job_id="j2")

    screen.tool = tool
    video = {"url": "https://v3.fal.media/files/b/1/x.mp4", "kind": "video"}
    picture = {"image_url": "fal://jobs/j1/files/2"}
    wanted: dict[str, tuple[str, Json]] = {
        "Upscale": (UPSCALER, picture),
        "Animate": (ANIMATOR, {**picture, "prompt": "a pier at night"}),
    }
    with anyio.fail_after(BOUND):
        await screen.show(PIER, completed(video, PICTURE), hosts=Hosts())
        card = screen.gallery.locator("figure[data-kind='image']")
        for label, (endpoint_id, _) in wanted.items():
            before = len(screen.calls)
            await card.get_by_role("button", name=label).click()
            await expect(card.get_by_role("group")).to_contain_text(f"it runs {endpoint_id} at fal.")
            await card.get_by_role("button", name="Not now").click()
            await expect(card.get_by_role("group")).to_have_count(0)
            assert len(screen.calls) == before
            await card.get_by_role("button", name=label).click()
            await card.get_by_role("button", name="Run it").click()
            below = screen.gallery.locator("section").nth(1)
            await expect(below.locator("h2")).to_have_text(endpoint_id)
            await expect(below).to_have_attribute("data-phase", "completed")
            await expect(card.locator("img")).to_have_count(1)
    assert screen.calls == [
        ("run_model", {"endpoint_id": endpoint_id, "arguments": arguments})
        for endpoint_id, arguments in wanted.values()
    ]


async def test_the_keyboard_alone_runs_it_again_with_another_seed(screen: GalleryHost):
    async def tool(name: str, given: Json) -> Json:
        return completed(output={"seed": given["arguments"]["seed"]})

    screen.tool = tool
    press = screen.page.keyboard.press
    given = {"endpoint_id": FLUX, "arguments": {**PIER, "num_images": 1}, "fresh": True}
    with anyio.fail_after(BOUND):
        await screen.show(given, completed())
        again = screen.gallery.get_by_role("button", name="Again with another seed")
        await expect(again).to_be_visible()
        await press("Tab")
        await expect(again).to_be_focused()
        await press("Enter")
        await expect(screen.gallery.get_by_role("button", name="Not now")).to_be_focused()
        question = screen.gallery.get_by_role("group", name="Before it runs")
        await expect(question).to_contain_text("The last run cost about $0.025.")
        await press("Escape")
        await expect(again).to_be_focused()
        await press("Enter")
        await press("Tab")
        await expect(screen.gallery.get_by_role("button", name="Run it")).to_be_focused()
        await press("Enter")
        await expect(screen.gallery.locator("section").nth(1).get_by_role("status")).to_contain_text("seed")
        await expect(screen.gallery.locator("section").nth(1)).to_be_focused()
    ((name, called),) = screen.calls
    seed = called["arguments"].pop("seed")
    assert name == "run_model" and seed != 7 and 0 <= seed <= 65_535
    assert called == {"endpoint_id": FLUX, "arguments": {"prompt": "a pier at night", "num_images": 1}}


async def test_what_a_button_asks_for_is_what_the_server_takes(screen: GalleryHost, fal: Emulator, settings: Settings):
    """The page's words go through the real server: its argument names, and its references to a job's files."""
    with anyio.fail_after(BOUND):
        async with Client(app.build(settings)) as client:

            async def tool(name: str, arguments: Json) -> Json:
                return dumped(await client.call_tool(name, arguments))

            screen.tool = tool
            result = await client.call_tool("fal-ai_flux_dev", PIER)
            await screen.show(PIER, dumped(result))
            for label in ("Upscale", "Animate", "Again with another seed"):
                first = screen.gallery.locator("section").first
                await first.get_by_role("button", name=label).click()
                await first.get_by_role("button", name="Run it").click()
                await expect(first.get_by_role("button", name=label)).to_be_visible()
            await expect(screen.gallery.locator("section[data-phase='completed']")).to_have_count(4)
    made = {job.endpoint_id: job.input for job in list(fal.jobs.values())[1:]}
    picture = result.structured_content["files"][0]["url"]
    assert made[UPSCALER] == {"image_url": picture}
    assert made[ANIMATOR] == {"image_url": picture, "prompt": "a pier at night"}
    assert made[FLUX]["prompt"] == "a pier at night" and made[FLUX]["seed"] != 7


async def test_another_seed_is_offered_only_where_there_is_one_and_the_arguments_are_known(screen: GalleryHost):
    shown: list[tuple[Json, Json, list[str]]] = [
        (PIER, completed(output={}), ["Again with another seed"]),
        ({"prompt": "x"}, completed(), ["Again with another seed"]),
        ({"prompt": "x"}, completed(output={"prompt": "x"}), []),
        ({"job_id": "j1"}, completed(), []),
    ]
    with anyio.fail_after(BOUND):
        for given, result, offered in shown:
            await screen.show(given, result)
            await expect(screen.gallery.get_by_role("status")).to_contain_text("Completed")
            assert await buttons(screen.gallery.locator("main")) == offered


async def test_a_host_that_takes_no_tool_calls_is_offered_none(screen: GalleryHost):
    with anyio.fail_after(BOUND):
        await screen.show(PIER, completed(PICTURE), hosts=Hosts(), capabilities={"openLinks": {}})
        await expect(screen.gallery.get_by_role("link", name="Download")).to_be_visible()
        assert await buttons(screen.gallery.locator("main")) == []


async def test_the_host_opens_what_is_downloaded(screen: GalleryHost):
    with anyio.fail_after(BOUND):
        await screen.show(PIER, completed(PICTURE), hosts=Hosts())
        await screen.gallery.get_by_role("link", name="Download").click()
        while "ui/open-link" not in [said["method"] for said in screen.heard]:
            await checkpoint()
    opened = [said["params"] for said in screen.heard if said["method"] == "ui/open-link"]
    assert opened == [{"url": PICTURE["url"]}]


LINKED = [
    "https://fal.media.evil.example/b.png",
    "https://evilfal.media/c.png",
    "https://v3.fal.media:8443/d.png",
    "https://evil.example/%3Cimg%20src=x%20onerror=alert(1)%3E.png",
]
"""Addresses that are nobody's we know: a link says where it leads, and is followed only by a click."""
HOSTILE = [
    *LINKED,
    "javascript:parent.postMessage('ran', '*')",
    "data:text/html,<script>parent.postMessage('ran', '*')</script>",
    "https://fal.media@evil.example/a.png",
    "http://v3.fal.media/e.png",
    "file:///etc/passwd",
    "not an address",
]


async def test_what_others_wrote_runs_nothing_and_leads_nowhere(screen: GalleryHost):
    kinds = ("image", "video", "audio", "3d", "constructor")
    files = [{"url": url, "kind": kind, "content_type": ATTACK, "path": ATTACK} for url in HOSTILE for kind in kinds]
    output = {"prompt": f"{ATTACK}\u202egnp.exe\u200b", "text": ATTACK, "seed": 7}
    given = {"prompt": ATTACK, ATTACK: ATTACK, "job": {"a": [ATTACK]}}
    with anyio.fail_after(BOUND):
        await screen.show(given, completed(PICTURE, *files, output=output, endpoint_id=ATTACK), hosts=Hosts())
        await expect(screen.gallery.locator("figure")).to_have_count(len(files) + 1)
        await expect(screen.gallery.locator(".prompt")).to_have_text(ATTACK)
        await expect(screen.gallery.locator("h2")).to_have_text(ATTACK)
        await screen.inside.wait_for_function("() => document.querySelector('img').naturalWidth > 0")
        tags = await screen.inside.evaluate("[...document.querySelectorAll('main *')].map(e => e.localName)")
        links = await screen.inside.evaluate("[...document.querySelectorAll('a')].map(e => e.href)")
        said = await screen.gallery.locator(".stand-in").all_text_contents()
        handlers = await screen.inside.evaluate(
            "[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames()).filter(n => n.startsWith('on'))"
        )
    assert tags.count("img") == 1 and not {"script", "iframe", "video", "audio", "object", "embed"} & set(tags)
    assert sorted({*links}) == sorted([*LINKED, PICTURE["url"]])
    assert all(one.startswith(("Not on fal's hosts", "Not a link", "In the answer itself")) for one in said)
    assert len(said) == len(files) and handlers == [] and "ran" not in screen.heard
    assert [url for url in screen.requested if "/host.html" not in url] == [PICTURE["url"]]


async def test_invisible_characters_of_others_are_not_shown(screen: GalleryHost):
    result = completed(
        {**PICTURE, "url": "https://v3.fal.media/a%E2%80%AEgnp.exe"}, output={"text": "a\u202eb\u2066c\x07"}
    )
    with anyio.fail_after(BOUND):
        await screen.show({"prompt": "x\u202ey\u200bz"}, result)
        await expect(screen.gallery.locator(".prompt")).to_have_text("xyz")
        await expect(screen.gallery.locator(".said")).to_have_text("abc")
        await expect(screen.gallery.locator(".name")).to_have_text("agnp.exe")


async def test_only_the_host_is_listened_to(screen: GalleryHost):
    forged = {"jsonrpc": "2.0", "method": "ui/notifications/tool-result", "params": completed(endpoint_id="forged")}
    with anyio.fail_after(BOUND):
        await screen.show(PIER, completed())
        await screen.inside.evaluate("message => window.postMessage(message, '*')", forged)
        await screen.say("ui/notifications/host-context-changed", {"theme": "dark"})
        await expect(screen.gallery.locator(":root")).to_have_attribute("data-theme", "dark")
        await expect(screen.gallery.locator("h2")).to_have_text(FLUX)


async def test_the_policy_stops_injected_and_remote_scripts_and_every_other_request(screen: GalleryHost):
    inject = """async () => {
        const stopped = [];
        document.addEventListener("securitypolicyviolation", (event) => stopped.push(event.effectiveDirective));
        const add = (name, attributes) => document.body.append(Object.assign(document.createElement(name), attributes));
        add("script", { textContent: "window.ran = true" });
        add("script", { src: "https://v3.fal.media/x.js" });
        add("style", { textContent: "body { display: none }" });
        add("img", { src: "https://evil.example/a.png" });
        add("iframe", { src: "https://v3.fal.media/x" });
        await fetch("https://v3.fal.media/x").catch(() => {});
        while (stopped.length < 6) await new Promise((resolve) => setTimeout(resolve, 10));
        return { stopped, ran: window.ran ?? false };
    }"""
    with anyio.fail_after(BOUND):
        await screen.show(PIER, completed(), hosts=Hosts())
        await expect(screen.gallery.locator("h2")).to_have_text(FLUX)
        found = await screen.inside.evaluate(inject)
    assert sorted(found["stopped"]) == [
        *("connect-src", "frame-src", "img-src", "script-src-elem", "script-src-elem", "style-src-elem")
    ]
    assert found["ran"] is False and [url for url in screen.requested if "/host.html" not in url] == []


async def test_light_and_dark_are_the_hosts_and_else_the_systems(screen: GalleryHost):
    async def is_dark() -> bool:
        paper = await screen.inside.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        return sum(map(int, re.findall(r"\d+", paper))) < 3 * 128

    with anyio.fail_after(BOUND):
        await screen.show(PIER, completed(), theme="dark")
        assert await is_dark()
        await screen.say("ui/notifications/host-context-changed", {"theme": "light"})
        await expect(screen.gallery.locator(":root")).to_have_attribute("data-theme", "light")
        assert not await is_dark()
        await screen.show(PIER, completed())
        for scheme in ("dark", "light"):
            await screen.page.emulate_media(color_scheme=scheme)
            assert await is_dark() is (scheme == "dark")


async def test_nothing_is_wider_than_the_page_and_the_host_is_told_its_height(screen: GalleryHost):
    long = {"url": f"https://evil.example/{'a' * 300}.png", "kind": "image", "content_type": "image/png"}
    given, result = {"prompt": "b" * 500, "c" * 200: "d" * 500}, completed(long, PICTURE, PICTURE)
    with anyio.fail_after(BOUND):
        await screen.show(given, result, hosts=Hosts())
        await screen.gallery.get_by_text("Parameters").click()
        await expect(screen.gallery.locator("dl")).to_be_visible()
        for width in (320, 760, 1000):
            await screen.page.set_viewport_size({"width": width, "height": 700})
            await screen.inside.wait_for_function("width => innerWidth === width", arg=width)
            assert await screen.inside.evaluate("document.documentElement.scrollWidth") == width
            height = await screen.inside.evaluate("Math.ceil(document.documentElement.getBoundingClientRect().height)")
            while _sizes(screen)[-1:] != [{"width": width, "height": height}]:
                await checkpoint()


def _sizes(screen: GalleryHost) -> list[Json]:
    return [said["params"] for said in screen.heard if said["method"] == "ui/notifications/size-changed"]
