"""A long run as an MCP task, over HTTP, for a client that declares tasks; found again after the server was killed."""

import base64
from pathlib import Path

import anyio

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from tests.server.http_host import BOUND, served

TOOL, ENDPOINT = "fal-ai_flux_dev", "fal-ai/flux/dev"


async def test_a_long_run_is_a_task_that_outlives_the_server(fal: Emulator, settings: Settings, tmp_path: Path):
    fal.script(ENDPOINT, Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with served(settings, tmp_path, grace="2") as (host, process):
            made = (await host.ask("tools/call", name=TOOL, arguments={"prompt": "x", "seed": 7}))["result"]
            working = await host.until(made["taskId"], "working")
            process.kill()
            await process.wait()
        (job,) = fal.jobs.values()
        job.release()
        async with served(settings, tmp_path) as (host, _):
            done = await host.until(made["taskId"], "completed")
    assert made["resultType"] == "task" and made["taskId"].startswith("job_")
    assert "result" not in working and working["pollIntervalMs"] > 0
    assert done["result"]["structuredContent"]["output"]["seed"] == 7
    assert len(fal.jobs) == 1


async def test_a_task_that_was_told_before_its_job_began_outlives_the_server_too(
    fal: Emulator, settings: Settings, tmp_path: Path
):
    fal.script(ENDPOINT, Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with served(settings, tmp_path, grace="0") as (host, process):
            made = (await host.ask("tools/call", name=TOOL, arguments={"prompt": "x", "seed": 7}))["result"]
            await fal.until(lambda: any(job.state == "IN_PROGRESS" for job in fal.jobs.values()))
            process.kill()
            await process.wait()
        (job,) = fal.jobs.values()
        async with served(settings, tmp_path) as (host, _):
            working = await host.until(made["taskId"], "working")
            job.release()
            done = await host.until(made["taskId"], "completed")
    assert not made["taskId"].startswith("job_") and working["taskId"] == done["taskId"] == made["taskId"]
    assert done["result"]["structuredContent"]["output"]["seed"] == 7
    assert len(fal.jobs) == 1


async def test_bytes_of_a_task_read_after_a_restart_land_where_the_settings_say(
    fal: Emulator, settings: Settings, tmp_path: Path
):
    picture = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()
    fal.script(ENDPOINT, Script(hold_running=True, output={"images": [{"url": picture, "content_type": "image/png"}]}))
    with anyio.fail_after(BOUND):
        async with served(settings, tmp_path / "data", grace="1") as (host, process):
            made = (await host.ask("tools/call", name=TOOL, arguments={"prompt": "x"}))["result"]
            process.kill()
            await process.wait()
        (job,) = fal.jobs.values()
        job.release()
        async with served(settings, tmp_path / "data") as (host, _):
            done = await host.until(made["taskId"], "completed")
    (file,) = done["result"]["structuredContent"]["files"]
    assert Path(file["path"]).is_relative_to(tmp_path / "data" / "files")
    assert not list((tmp_path / "data").glob("**/fal-mcp/**"))


async def test_cancelling_a_task_cancels_at_fal(fal: Emulator, settings: Settings, tmp_path: Path):
    fal.script(ENDPOINT, Script(hold_in_queue=True))
    with anyio.fail_after(BOUND):
        async with served(settings, tmp_path) as (host, _):
            made = (await host.ask("tools/call", name=TOOL, arguments={"prompt": "x"}))["result"]
            acknowledged = (await host.ask("tasks/cancel", taskId=made["taskId"]))["result"]
            task = await host.until(made["taskId"], "cancelled")
            await fal.until(lambda: all(job.cancelled for job in fal.jobs.values()))
    assert acknowledged["resultType"] == "complete" and "result" not in task


async def test_a_client_without_tasks_gets_none(fal: Emulator, settings: Settings, tmp_path: Path):
    with anyio.fail_after(BOUND):
        async with served(settings, tmp_path) as (host, _):
            plain = await host.ask("tools/call", {}, name=TOOL, arguments={"prompt": "x"})
            refused = await host.ask("tasks/get", {}, taskId="anything")
            unknown = await host.ask("tasks/get", taskId="job_unknown")
    assert plain["result"]["resultType"] == "complete" and "taskId" not in plain["result"]
    assert refused["error"]["code"] == -32021
    assert unknown["error"]["code"] == -32602
