"""The account's own apps are found, listed, described and announced."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import anyio
import mcp_types as types
import pytest
from anyio.abc import TaskStatus
from mcp.client import Client

from fal_mcp.config import MORE_TOOLSETS, TOOLSETS, Settings
from fal_mcp.emulator import Emulator, Script
from fal_mcp.json_values import JsonObject
from fal_mcp.server import app
from tests.apps import made
from tests.apps.test_resolution import asked, called
from tests.conftest import Connect

Mode = Literal["auto", "legacy"]
ADMIN = "99999999-2222-4333-8444-555555555555:0123456789abcdef0123456789abcdef"
MINE = ("emulator_drawing", "emulator_drawing_turbo", "emulator_drawing_v2_describe")


@pytest.fixture
def drawing(fal: Emulator) -> str:
    fal.apps.clear()
    fal.deploy("emulator/drawing", made.document("Routes"))
    return "emulator/drawing"


async def names(client: Client) -> list[str]:
    with anyio.fail_after(20):
        listed, cursor = list[str](), None
        while True:
            page = await client.list_tools(cursor=cursor)
            listed += [tool.name for tool in page.tools]
            if (cursor := page.next_cursor) is None:
                return listed


async def test_a_search_finds_own_apps_first_and_says_whose_they_are(drawing: str, connect: Connect):
    async with connect() as client:
        text, data = await called(client, "search_models", query="my drawing app")
    first = data["models"][0]
    assert first["endpoint_id"] == drawing and first["tool"] == "emulator_drawing"
    assert first["own"] == {
        "environment": "main",
        "auth": "private",
        "machine": "GPU-H100",
        "updated": "2026-07-01T12:00:00Z",
    }
    assert "your own app (main, private, GPU-H100)" in text.splitlines()[1]


async def test_a_search_for_something_else_finds_no_app(drawing: str, connect: Connect):
    async with connect() as client:
        _, data = await called(client, "search_models", query="text to image")
    assert data["models"] and not any("own" in row for row in data["models"])


async def test_a_search_goes_on_without_apps_where_they_cannot_be_listed(fal: Emulator, connect: Connect):
    async with connect(key=None) as client:
        _, data = await called(client, "search_models", query="text to image")
    assert data["models"]


async def test_what_is_told_of_an_own_app(drawing: str, connect: Connect, fal: Emulator):
    fal.queues[drawing] = 3
    async with connect() as client:
        text, data = await called(client, "get_model", endpoint_id=drawing)
    own: JsonObject = data["own"]
    assert own["revision"] == "rev_0001" and own["queue"] == 3 and own["machine"] == "GPU-H100"
    assert own["deployed"] and set(own["runners"]) == {"running", "idle", "pending"}
    assert "revision rev_0001" in text and "3 wait in its queue" in text and "your own app" in text


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_mine_lists_a_typed_tool_for_each_route(drawing: str, settings: Settings, mode: Mode, fal: Emulator):
    fal.deploy("emulator/live", made.document("Realtime"))
    fal.deploy("emulator/well", made.document("Health"))
    async with Client(app.build(replace(settings, listed=("mine",))), mode=mode) as client:
        listed = await names(client)
    own = [name for name in listed if name.startswith("emulator")]
    # A connection is no call, and a health route is no model.
    assert own == [*MINE, "emulator_well"]
    assert "search_models" in listed and "fal-ai_flux_dev" not in listed


async def test_a_pin_takes_the_id_of_an_own_app(drawing: str, settings: Settings):
    pins = ("emulator/drawing/turbo", "fal-ai/flux/dev")
    async with Client(app.build(replace(settings, pins=pins))) as client:
        listed = await names(client)
    assert "emulator_drawing_turbo" in listed and "emulator_drawing" not in listed
    assert listed.index("emulator_drawing_turbo") < listed.index("fal-ai_flux_dev")


async def test_only_bounds_which_own_apps_are_listed(drawing: str, settings: Settings):
    chosen = replace(settings, listed=("mine",), only=("emulator/drawing/*",))
    async with Client(app.build(chosen)) as client:
        listed = await names(client)
    assert [name for name in listed if name.startswith("emulator")] == list(MINE[1:])


COLLIDING = {
    "routes that differ in a mark": ("emulator/odd", ["/", "/a/b", "/a_b", "/a.b", "/a/b/"]),
    "an app named like one of this server's tools": ("list/jobs", ["/"]),
    "an app named like the tool that runs any model": ("run/model", ["/"]),
    "an app named like a model of fal's": ("fal-ai/flux_dev", ["/"]),
}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("case", COLLIDING)
async def test_no_two_tools_have_one_name_and_a_name_that_is_told_leads_there(
    case: str, settings: Settings, mode: Mode, fal: Emulator
):
    """Hosts refuse a whole list for two tools of one name; and what is called by it must be what was looked at."""
    owner, routes = COLLIDING[case]
    whole = made.document("Simple")
    fal.apps.clear()
    fal.deploy(owner, {**whole, "paths": dict.fromkeys(routes, whole["paths"]["/"])})
    chosen = replace(settings, listed=("all", "mine"), toolsets=(*TOOLSETS, *MORE_TOOLSETS))
    async with Client(app.build(chosen), mode=mode) as client:
        listed = await names(client)
        told: dict[str, str] = {}
        for route in routes:
            endpoint_id = f"{owner}{route}".rstrip("/")
            _, data = await called(client, "get_model", endpoint_id=endpoint_id)
            told[endpoint_id] = data["tool"]
        _, found = await called(client, "search_models", query=f"my {owner.replace('/', ' ')} app")
    assert len(listed) == len(set(listed))
    told |= {row["endpoint_id"]: row["tool"] for row in found["models"] if "own" in row}
    own = [tool for tool in told.values() if tool != "run_model"]
    assert len(own) == len(set(own)) and set(own) <= set(listed)
    assert "list_jobs" not in own and "fal-ai_flux_dev" not in own


async def test_a_server_that_only_reads_lists_no_app(drawing: str, settings: Settings, fal: Emulator):
    async with Client(app.build(replace(settings, listed=("mine",), read_only=True))) as client:
        assert not [name for name in await names(client) if name.startswith("emulator")]
    assert fal.calls == []


async def test_the_usual_list_asks_fal_nothing(drawing: str, connect: Connect, fal: Emulator):
    async with connect() as client:
        assert not [name for name in await names(client) if name.startswith("emulator")]
    assert fal.calls == []


class Announced:
    """What a client heard."""

    def __init__(self) -> None:
        self.heard = anyio.Event()
        self.progress: list[str] = []

    async def __call__(self, message: Any) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self.heard.set()

    async def tell(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append(message or "")

    @asynccontextmanager
    async def listening(self, client: Client, mode: Mode) -> AsyncGenerator[None]:
        """Ask for what is announced, as the newer era has to."""
        async with anyio.create_task_group() as tasks:
            if mode == "auto":
                await tasks.start(self._listen, client)
            yield
            tasks.cancel_scope.cancel()

    async def _listen(self, client: Client, *, task_status: TaskStatus[None]) -> None:
        async with client.listen(tools_list_changed=True) as events:
            task_status.started()
            async for _ in events:
                continue


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_deployed_it_is_announced_called_logged_and_costed(
    fal: Emulator, settings: Settings, tmp_path: Path, mode: Mode
):
    """The conversation: deploy, the tool is announced, a typed call with progress, the logs of that call, its cost."""
    fal.apps.clear()
    fal.admin_keys.add(ADMIN)
    fal.script("emulator/drawing", Script(steps=4, step_seconds=0.1))
    (tmp_path / "drawing.py").write_text("class Drawing: ...\n")
    heard = Announced()

    async def user(context: Any, params: Any) -> types.ElicitResult:
        # fal has it from here on.
        fal.deploy("emulator/drawing", made.document("Routes"))
        return types.ElicitResult(action="accept", content={"approve": True})

    chosen = replace(
        settings,
        listed=("mine",),
        toolsets=(*settings.toolsets, "serverless"),
        allow_dirs=(tmp_path,),
        admin_key=ADMIN,
        fal_cli=(sys.executable, "-c", "print('deployed')"),
    )
    client = Client(app.build(chosen), mode=mode, message_handler=heard, elicitation_callback=user)
    async with client, heard.listening(client, mode):
        assert not [name for name in await names(client) if name.startswith("emulator")]
        _, data = await called(client, "deploy_app", path=str(tmp_path / "drawing.py"))
        assert data["done"]
        with anyio.fail_after(20):
            await heard.heard.wait()
        assert [name for name in await names(client) if name.startswith("emulator")] == list(MINE)
        with anyio.fail_after(20):
            answer = await client.call_tool("emulator_drawing", {"prompt": "x"}, progress_callback=heard.tell)
        assert answer.structured_content and answer.structured_content["status"] == "completed"
        assert heard.progress
        job_id, request_id = (answer.structured_content[name] for name in ("job_id", "request_id"))
        # Nobody was asked what the account pays, so that the answer goes by the list, and says who tells better.
        said = answer.content[0]
        assert isinstance(said, types.TextContent)
        assert "estimated: it ran 0.4 s; GPU-H100 at from $0.000525 a second" in said.text
        assert "get_job tells it by the account's own bill" in said.text
        fal.log("drew x", app="emulator/drawing", request_id=request_id)
        fal.log("drew y", app="emulator/drawing", request_id="another")
        fal.logs[:0] = fal.live_logs
        text, data = await called(client, "search_app_logs", app_id=["emulator/drawing"], request_id=request_id)
        assert "drew x" in text and "drew y" not in text
        text, data = await called(client, "get_job", job_id=job_id)
        _, jobs = await called(client, "list_jobs")
    assert data["cost"]["usd"] == pytest.approx(0.4 * 0.0008) and data["cost"]["is_estimate"]
    assert "estimated: it ran 0.4 s; GPU-H100 at $0.0008 a second of running (as billed to this account)" in text
    assert jobs["spent_today_usd"] == pytest.approx(0.4 * 0.0008)
    assert asked(fal).count("GET rest/applications/emulator/drawing/metadata") == 1


async def test_a_new_revision_with_other_arguments_is_announced(drawing: str, fal: Emulator, settings: Settings):
    heard = Announced()
    server = app.build(replace(settings, listed=("mine",)))
    async with Client(server, mode="legacy", message_handler=heard) as client:
        await names(client)
        fal.deploy(drawing, {**made.document("Routes"), "paths": made.document("NestedModels")["paths"]})
        server.shared.deployed()
        with anyio.fail_after(10):
            await heard.heard.wait()
        (tool,) = [one for one in (await client.list_tools()).tools if one.name == "emulator_drawing"]
    assert "style" in tool.input_schema["properties"]
