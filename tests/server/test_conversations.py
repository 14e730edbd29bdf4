"""fal's nine workflows and what operators ask, each played as a whole conversation over MCP in both eras.

Every call uses only what the user said or an earlier answer did, as an assistant would.
"""

import io
import re
import ssl
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.abc
import httpx
import mcp_types as types
import pytest
import trustme
from anyio.streams.tls import TLSListener
from mcp.client import Client
from PIL import Image

from fal_mcp.client.webhooks import Delivery, keys_of, verify
from fal_mcp.config import MORE_TOOLSETS, TOOLSETS, Settings
from fal_mcp.emulator import Emulator, Script
from fal_mcp.server import app

FLUX, KONTEXT, LLM = "fal-ai/flux/dev", "fal-ai/flux-pro/kontext", "nvidia/nemotron-3-nano-omni"
ADMIN = "99999999-2222-4333-8444-555555555555:0123456789abcdef0123456789abcdef"
VALUE = "hush-4711"
BOUND = 40
Host = Callable[..., Client]


@dataclass(slots=True)
class Talk:
    """One conversation: which tools there are, what the user asked first, and what was heard."""

    client: Client
    tools: set[str]
    asked: str = ""
    progress: list[str] = field(default_factory=list[str])
    heard: list[str] = field(default_factory=list[str])
    """Every answer, whole."""

    async def call(self, tool: str, **arguments: Any) -> tuple[str, Any]:
        """What a tool says: its text and its structured content."""
        result = await self.answer(tool, **arguments)
        assert not result.is_error, text(result)
        return text(result), result.structured_content

    async def answer(self, tool: str, **arguments: Any) -> types.CallToolResult:
        assert tool in self.tools
        result = await self.client.call_tool(tool, arguments, progress_callback=self._hear)
        self.heard.append(result.model_dump_json())
        return result

    async def _hear(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append(message or "")


@asynccontextmanager
async def talk(client: Client, prompt: str | None = None, /, **arguments: str) -> AsyncGenerator[Talk]:
    """A conversation that begins with a prompt, whose every word that looks like a tool is one."""
    with anyio.fail_after(BOUND):
        async with client:
            one = Talk(client, {tool.name for tool in await all_tools(client)})
            if prompt:
                one.asked = said = text(await client.get_prompt(prompt, arguments))
                assert all(value in said for value in arguments.values())
                assert tools_named(said, arguments) <= one.tools
            yield one


async def all_tools(client: Client) -> list[types.Tool]:
    page = await client.list_tools()
    found = page.tools
    while page.next_cursor:
        page = await client.list_tools(cursor=page.next_cursor)
        found += page.tools
    return found


def tools_named(said: str, arguments: dict[str, str]) -> set[str]:
    for value in arguments.values():
        said = said.replace(value, "")
    return set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", said))


def text(answer: types.CallToolResult | types.GetPromptResult) -> str:
    blocks = answer.content if isinstance(answer, types.CallToolResult) else [one.content for one in answer.messages]
    return "\n".join(block.text for block in blocks if isinstance(block, types.TextContent))


def whole(said: dict[str, Any]) -> dict[str, Any]:
    """An answer's output with its files, each of which it tells once, where fal had them."""
    told = ("url", "content_type", "width", "height")
    files = [{name: file[name] for name in told if name in file} for file in said["files"]]
    pictures = [
        {**picture, **files[int(picture["url"].removeprefix("file ")) - 1]} for picture in said["output"]["images"]
    ]
    return {**said["output"], "images": pictures}


def records(data: dict[str, Any], rows: str) -> list[dict[str, Any]]:
    """The objects that a table in an answer stands for."""
    return [{**data.get("every_row", {}), **dict(zip(data["columns"], row, strict=True))} for row in data[rows]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    made.mkdir()
    Image.new("RGB", (640, 480), "teal").save(made / "pier.png")
    return made


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, fal: Emulator, settings: Settings, tmp_path: Path, folder: Path) -> Host:
    fal.admin_keys.add(ADMIN)

    def client(user: Any = None, **changes: Any) -> Client:
        chosen = {
            "admin_key": ADMIN,
            "toolsets": (*TOOLSETS, *MORE_TOOLSETS),
            "listed": ("search",),
            "data": tmp_path / "data",
            "allow_dirs": (folder,),
            "variable": {"HF_READ": VALUE}.get,
            "secret_env": ("HF_READ",),
            **changes,
        }
        return Client(app.build(replace(settings, **chosen)), mode=request.param, elicitation_callback=user)

    return client


async def opened(url: str) -> tuple[str | None, tuple[int, int]]:
    """Format and size of a picture, as whoever follows its link gets it."""
    async with httpx.AsyncClient() as client:
        response = (await client.get(url)).raise_for_status()
    with Image.open(io.BytesIO(response.content)) as picture:
        picture.load()
        return picture.format, picture.size


class Receiver:
    """The user's own address, which fal calls."""

    def __init__(self, fal: Emulator, port: int) -> None:
        self.url = f"https://localhost:{port}/hook?order=7"
        self.visits: list[tuple[str, dict[str, str], bytes]] = []
        self._fal = fal

    async def take(self, visitor: anyio.abc.ByteStream) -> None:
        async with visitor:
            said = b""
            while b"\r\n\r\n" not in said:
                said += await visitor.receive()
            head, _, body = said.partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            while len(body) < int(headers["content-length"]):
                body += await visitor.receive()
            self.visits.append((first, headers, body))
            await visitor.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self._fal.changed()

    async def delivered(self) -> Delivery:
        """The one delivery, proven to be fal's."""
        await self._fal.until(lambda: bool(self.visits))
        ((first, headers, body),) = self.visits
        assert first == "POST /hook?order=7 HTTP/1.1"
        return verify(headers, body, keys_of(self._fal.signer.jwks()["keys"]), time.time())


@asynccontextmanager
async def receiver(fal: Emulator) -> AsyncGenerator[Receiver]:
    authority, own = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(own)  # pyright: ignore[reportUnknownMemberType]
    fal.trusted = ssl.create_default_context()
    authority.configure_trust(fal.trusted)  # pyright: ignore[reportUnknownMemberType]
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with TLSListener(listener, own, standard_compatible=False) as secure, anyio.create_task_group() as tasks:
        made = Receiver(fal, port)
        tasks.start_soon(secure.serve, made.take)
        yield made
        tasks.cancel_scope.cancel()


async def test_queue_inference(fal: Emulator, host: Host):
    """What it costs is said before, and is what it cost; the picture opens; one job at fal."""
    given = {"endpoint_id": FLUX, "prompt": "a pier at dusk"}
    async with talk(host(), "queue_inference", **given) as it:
        _, model = await it.call("get_model", endpoint_id=FLUX)
        chosen = {"endpoint_id": model["endpoint_id"], "arguments": {**model["example"], "prompt": given["prompt"]}}
        _, estimate = await it.call("estimate_cost", **chosen)
        said, ran = await it.call("run_model", **chosen)
        picture = ran["files"][0]
        assert await opened(picture["url"]) == ("PNG", (picture["width"], picture["height"]))
    assert picture["url"] in said and f"seed: {ran['output']['seed']}" in said
    assert ran["cost"]["usd"] == estimate["usd"] > 0 and f"{estimate['usd']:.4g} USD" in said
    (job,) = fal.jobs.values()
    assert job.input["prompt"] == given["prompt"] and ran["request_id"] == job.request_id


async def test_upload_then_inference(fal: Emulator, host: Host, folder: Path):
    """The model gets the very bytes of the user's file."""
    given = {"endpoint_id": KONTEXT, "file": str(folder / "pier.png"), "prompt": "at night"}
    async with talk(host(), "upload_then_infer", **given) as it:
        about, model = await it.call("get_model", endpoint_id=KONTEXT)
        takes = re.search(r"^File arguments: (\w+)", about, re.MULTILINE)
        _, uploaded = await it.call("upload_file", path=given["file"])
        assert takes and uploaded["content_type"] == "image/png"
        arguments = {"prompt": given["prompt"], takes[1]: uploaded["url"]}
        said, ran = await it.call("run_model", endpoint_id=model["endpoint_id"], arguments=arguments)
        assert (await opened(ran["files"][0]["url"]))[0]
    (job,) = fal.jobs.values()
    url: str = job.input["image_url"]
    assert fal.files[urlsplit(url).path.removeprefix("/cdn")].content == (folder / "pier.png").read_bytes()
    assert ran["files"][0]["url"] in said and "about 0.04 USD" in said


async def test_upload_image_to_image_with_webhook(fal: Emulator, host: Host, folder: Path):
    """fal calls back once with its signature; what it brings is what the job is later said to have made."""
    fal.script(KONTEXT, Script(hold_running=True))
    async with receiver(fal) as hook:
        given = {"file": str(folder / "pier.png"), "prompt": "in the rain", "webhook_url": hook.url}
        async with talk(host(), "image_to_image_with_webhook", **given) as it:
            _, uploaded = await it.call("upload_file", path=given["file"])
            found, _ = await it.call("search_models", query="edit a picture as told in words")
            lines = [line.split(" | ") for line in found.splitlines()]
            endpoint_id = next(line[0] for line in lines if "$" in line[3] and "image_url" in line[4])
            chosen = {
                "endpoint_id": endpoint_id,
                "arguments": {"prompt": given["prompt"], "image_url": uploaded["url"]},
            }
            _, estimate = await it.call("estimate_cost", **chosen)
            said, submitted = await it.call("run_model", **chosen, webhook_url=hook.url)
            assert submitted["status"] == "in_progress" and submitted["request_id"] in said
            (job,) = fal.jobs.values()
            await fal.until(lambda: job.state == "IN_PROGRESS")
            job.release()
            delivery = await hook.delivered()
            _, made = await it.call("wait_for_job", job_id=submitted["job_id"])
            assert (await opened(made["files"][0]["url"]))[0]
    assert delivery.is_ok and delivery.request_id == submitted["request_id"] == made["request_id"]
    assert whole(made) == delivery.payload and made["cost"]["usd"] == estimate["usd"] == 0.04
    assert len(fal.jobs) == len(hook.visits) == 1


async def test_webhook_submission(fal: Emulator, host: Host):
    """Nobody waits: the answer comes while the job runs, and says how to look at it later."""
    fal.script(FLUX, Script(hold_running=True))
    async with receiver(fal) as hook:
        given = {"endpoint_id": FLUX, "prompt": "a pier", "webhook_url": hook.url}
        async with talk(host(), "webhook_submission", **given) as it:
            run = {"endpoint_id": FLUX, "arguments": {"prompt": "a pier"}, "webhook_url": hook.url}
            said, submitted = await it.call("run_model", **run)
            (job,) = fal.jobs.values()
            await fal.until(lambda: job.state == "IN_PROGRESS")
            assert submitted["request_id"] == job.request_id and job.request_id in said and submitted["job_id"] in said
            _, meanwhile = await it.call("get_job", job_id=submitted["job_id"])
            job.release()
            delivery = await hook.delivered()
            _, later = await it.call("wait_for_job", job_id=submitted["job_id"])
    assert meanwhile["status"] == "in_progress" and later["status"] == "completed"
    assert delivery.is_ok and whole(later) == delivery.payload and len(fal.jobs) == len(hook.visits) == 1


async def test_submit_and_cancel_in_the_queue(fal: Emulator, host: Host):
    """What waits is cancelled, is told as cancelled, and cost nothing."""
    fal.script(FLUX, Script(hold_in_queue=True))
    async with talk(host(), "submit_and_cancel", endpoint_id=FLUX, prompt="a pier") as it:
        _, submitted = await it.call("run_model", endpoint_id=FLUX, arguments={"prompt": "a pier"}, seconds=0)
        assert submitted["state"] == "queued"
        said, cancelled = await it.call("cancel_job", job_id=submitted["job_id"])
        ended = await it.answer("wait_for_job", job_id=submitted["job_id"])
        listed, jobs = await it.call("list_jobs")
    assert cancelled["fal_said"] == "requested" and "costs nothing" in said
    assert ended.is_error and ended.structured_content["error"]["error_type"] == "client_cancelled"
    assert [row["state"] for row in jobs["jobs"]] == ["cancelled"] and "| cancelled" in listed
    assert jobs["jobs"][0]["usd"] == jobs["spent_today_usd"] == 0 and "only if it is wanted" in text(ended)
    assert [job.cancelled for job in fal.jobs.values()] == [True]


async def test_submit_and_cancel_too_late(fal: Emulator, host: Host):
    """What is over is not cancelled at fal, and its result is kept."""
    async with talk(host(), "submit_and_cancel", endpoint_id=FLUX, prompt="a pier") as it:
        _, submitted = await it.call("run_model", endpoint_id=FLUX, arguments={"prompt": "a pier"}, seconds=0)
        await it.call("wait_for_job", job_id=submitted["job_id"])
        said, cancelled = await it.call("cancel_job", job_id=submitted["job_id"])
        _, ended = await it.call("get_job", job_id=submitted["job_id"])
        assert (await opened(ended["files"][0]["url"]))[0]
    assert cancelled["fal_said"] == "already completed" and "nothing to cancel" in said
    assert [job.cancelled for job in fal.jobs.values()] == [False]


async def test_stream_inference(fal: Emulator, host: Host):
    """Words are told as they come, and the last event is the answer."""
    fal.script(LLM, Script(step_seconds=0.01))
    async with talk(host(), "streaming", endpoint_id=LLM, prompt="what is a pier?") as it:
        asked = {"endpoint_id": LLM, "arguments": {"prompt": "what is a pier?"}, "mode": "stream"}
        said, ran = await it.call("run_model", **asked)
    answer = ran["output"]["output"]
    told = [one for one in it.progress if one and answer.startswith(one)]
    assert len(told) > 1 and sorted(told, key=len) == told and answer in said
    assert fal.jobs == {} and sum(call.host_role == "run" for call in fal.calls) == 1


async def test_serverless_app_discovery(fal: Emulator, host: Host):
    """The first app's settings and scaling, and of each what waits, who works on it and what went wrong."""
    table: dict[str, tuple[int, float, str]] = {}
    async with talk(host(), "serverless_discovery") as it:
        _, found = await it.call("list_apps", expand=["endpoints"])
        for one in found["apps"]:
            _, queue = await it.call("get_app_queue", owner=one["owner"], name=one["name"])
            _, gauges = await it.call("get_app_metrics", app_id=one["endpoint_id"])
            runners = sum(row["count"] for row in gauges["apps"][0]["runners"])
            _, logs = await it.call("search_app_logs", app_id=[one["endpoint_id"]], level="error", limit=1)
            table[one["endpoint_id"]] = queue["queue_size"], runners, records(logs, "items")[0]["message"]
    first = found["apps"][0]
    assert {name: first[name] for name in ("machine_type", "min_concurrency", "max_concurrency", "keep_alive")} == {
        **{"machine_type": "GPU-H100", "min_concurrency": 0, "max_concurrency": 2, "keep_alive": 300}
    }
    assert first["endpoints"] == ["emulator/sketch"] and first["valid_regions"] == ["us"]
    assert (first["startup_timeout"], first["request_timeout"], first["auth_mode"]) == (300, 600, "private")
    wrong = "CUDA error: out of memory"
    assert table == {"emulator/sketch": (3, 1, wrong), "emulator/upscaler": (3, 3, wrong)}


async def test_serverless_app_files(fal: Emulator, host: Host):
    """Every file below the top is found, with its size."""
    sizes: dict[str, int] = {}
    async with talk(host(), "serverless_files", app="sketch") as it:
        assert "from the top" in it.asked
        _, apps = await it.call("list_apps", search="sketch")
        folders: list[str | None] = [None]
        while folders:
            where = folders.pop()
            said, found = await it.call("list_app_files", **({"dir": where} if where else {}))
            folders += [one["path"] for one in found["files"] if not one["is_file"]]
            sizes |= {one["path"]: one["size"] for one in found["files"] if one["is_file"]}
            assert all(one["path"] in said for one in found["files"])
    assert [one["name"] for one in apps["apps"]] == ["sketch"]
    assert sizes == {path: len(content) for path, content in fal.app_files.items()}
    assert max(sizes, key=lambda path: sizes[path]) == "weights/base.safetensors"


@pytest.mark.parametrize("before", [{}, {"HF_TOKEN": "an older one"}], ids=["new", "replaced"])
async def test_set_and_verify_secret(fal: Emulator, host: Host, tmp_path: Path, before: dict[str, str]):
    """The value is at fal and in no word of the conversation, nor on this disk."""
    fal.secrets |= before
    async with talk(host(), "set_and_verify_secret", name="HF_TOKEN", variable="HF_READ") as it:
        await it.call("set_secret", name="HF_TOKEN", from_env="HF_READ")
        said, listed = await it.call("list_secrets")
    assert [one["name"] for one in listed["secrets"]] == ["HF_TOKEN"] and "HF_TOKEN" in said
    assert fal.secrets == {"HF_TOKEN": VALUE}
    assert VALUE not in "".join([it.asked, *it.heard, *it.progress])
    written = [file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file()]
    assert VALUE.encode() not in b"".join(written)
    assert [call.method for call in fal.calls if VALUE.encode() in call.body] == ["PUT"]


async def test_what_did_we_spend_on_video_last_week_by_key(settings: Settings, host: Host):
    """fal's own sum of what makes videos, key by key."""
    today = datetime.now(UTC).date()
    monday = today - timedelta(days=today.weekday() + 7)
    week = {"start": f"{monday}", "end": f"{monday + timedelta(days=7)}"}
    async with talk(host()) as it:
        said, spent = await it.call("get_usage", **week, category="video", by="key")
    async with httpx.AsyncClient(headers={"authorization": f"Key {ADMIN}"}) as client:
        asked = {**week, "endpoint_id": "fal-ai/veo3", "expand": "summary,auth_method"}
        rows = (await client.get(f"{settings.hosts.api}/v1/models/usage", params=asked)).json()["summary"]
    cost = sum(row["cost"] for row in rows)
    assert {row["auth_method"] for row in rows} == {"Production key"} and cost > 0
    (key,) = spent["by_key"]
    assert key["name"] == "Production key (key_production)" and key["cost"] == pytest.approx(cost)
    assert said.startswith(f"{cost:,.2f} USD from {monday} 00:00") and f"{key['name']}: {cost:,.2f} USD" in said


async def test_start_an_h100_and_tell_me_when_it_is_up(fal: Emulator, host: Host):
    """The user is asked about the price and about the end; in between the machine is waited for."""
    questions: list[str] = []

    async def yes(context: Any, params: Any) -> types.ElicitResult:
        questions.append(params.message)
        return types.ElicitResult(action="accept", content=dict.fromkeys(params.requested_schema["properties"], True))

    fal.instance_reads = 1
    async with talk(host(yes)) as it:
        asked = {"instance_type": "gpu_1x_h100_sxm5", "ssh_key": "ssh-ed25519 AAAA me@here"}
        coming, started = await it.call("create_instance", **asked, seconds=0)
        assert "wait_for_instance" in coming and started["status"] == "provisioning"
        up, ready = await it.call("wait_for_instance", id=started["id"])
        assert ready["ip"] in ready["ssh"] and ready["ssh"] in up and list(fal.instances) == [ready["id"]]
        await it.call("delete_instance", id=ready["id"])
        _, left = await it.call("list_instances")
    assert left["instances"] == [] and fal.instances == {}
    assert len(questions) == 2 and "1.89 USD an hour" in questions[0] and started["id"] in questions[1]


async def test_why_is_my_app_slow(settings: Settings, host: Host):
    """Where the time goes by fal's own figures, how many runners there were, and what they logged."""
    async with talk(host()) as it:
        _, apps = await it.call("list_apps", search="sketch")
        (own,) = apps["apps"]
        said, speed = await it.call("get_app_analytics", endpoint_id=[own["endpoint_id"]])
        _, runners = await it.call("get_runner_history", owner=own["owner"], name=own["name"])
        logged, logs = await it.call("search_app_logs", app_id=[own["endpoint_id"]], level="warning")
    seconds, (row,) = speed["seconds"], speed["rows"]
    slowest = max(seconds, key=lambda part: seconds[part])
    assert slowest == "running" and f"Most time goes to {slowest}" in said
    assert f"running p50 {row['p50_duration']:.3g} s" in said and row["request_count"] > 0
    history, lines = records(runners, "history"), records(logs, "items")
    assert history and all(moment["running"] <= own["max_concurrency"] for moment in history)
    assert {line["level"] for line in lines} == {"warning", "error"}
    assert {line["app"] for line in lines} == {own["endpoint_id"]} and "CUDA error: out of memory" in logged


async def test_every_tool_that_a_prompt_names_is_there(host: Host):
    """With all toolsets, and with nothing said that is optional."""
    async with talk(host()) as it:
        for prompt in (await it.client.list_prompts()).prompts:
            given = {one.name: "x" * 8 for one in prompt.arguments or () if one.required}
            said = text(await it.client.get_prompt(prompt.name, given))
            assert tools_named(said, given) <= it.tools, prompt.name
            assert "{" not in said, prompt.name
