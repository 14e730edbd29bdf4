"""Figures for Prometheus: each request counted by its tool and how it ended, and nothing that a caller chose."""

from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Failure, Script
from fal_mcp.server import app
from tests.server.http_host import served

BOUND = 60
COUNT = "mcp_server_operation_duration_seconds_count"


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_each_call_is_counted_by_its_tool_and_its_end(fal: Emulator, settings: Settings, era: str):
    server = app.build(settings)
    metrics = app.measured(server)
    with anyio.fail_after(BOUND):
        async with Client(server, mode=era) as client:
            await client.call_tool("fal-ai_flux_dev", {"prompt": "SECRET"})
            fal.script("fal-ai/flux/dev", Script(failure=Failure()))
            await client.call_tool("fal-ai_flux_dev", {"prompt": "another"})
            with pytest.raises(MCPError):
                await client.call_tool("whatever-a-caller-chose", {})
            lines = (await metrics.text()).decode().splitlines()
    counts = [line for line in lines if line.startswith(COUNT) and 'mcp_method_name="tools/call"' in line]
    ends = sorted((_label(line, "gen_ai_tool_name"), _label(line, "error_type"), line[-3:]) for line in counts)
    assert ends == [
        ("", "-32602", "1.0"),
        ("fal-ai_flux_dev", "", "1.0"),
        ("fal-ai_flux_dev", "tool_error", "1.0"),
    ]
    assert "whatever-a-caller-chose" not in "".join(lines) and "SECRET" not in "".join(lines)
    assert "fal_jobs_followed 0.0" in lines and "mcp_server_open_requests 0.0" in lines


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_what_a_stranger_invents_makes_no_new_figure(settings: Settings, tmp_path: Path, era: str):
    """Names of tools, of methods, of prompts and of revisions: of a thousand there is no more than of one."""
    with anyio.fail_after(2 * BOUND):
        async with served(settings, tmp_path) as (host, _):

            async def invent(name: str) -> None:
                if era == "auto":
                    await host.ask("tools/call", {}, name=name, arguments={})
                    await host.ask(f"{name}/call", {})
                    await host.ask("prompts/get", {}, name=name)
                else:
                    await host.ask_after_handshake({}, "tools/call", name=name, arguments={})
                    await host.ask_after_handshake({}, f"{name}/call")
                await host.ask_as(f"2026-{name}", "ping")

            await invent("invented-0")
            once = _names((await host.get("/metrics")).text)
            for number in range(1, 12):
                await invent(f"invented-{number}")
            often = (await host.get("/metrics")).text
    assert _names(often) == once and "invented" not in often


def _names(text: str) -> list[str]:
    """The series that there are, without their values."""
    return [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]


async def test_the_ledger_is_told_with_money_waits_and_what_is_left_behind(
    fal: Emulator, settings: Settings, tmp_path: Path
):
    fal.script("fal-ai/flux/dev", Script(hold_running=True))
    options = ("--max-running", "1", "--wait", "1")
    with anyio.fail_after(2 * BOUND):
        async with served(settings, tmp_path, *options) as (host, _):
            for seed in (1, 2):
                arguments = {"prompt": "SECRET", "seed": seed}
                await host.ask("tools/call", {}, name="fal-ai_flux_dev", arguments=arguments)
            during = figures((await host.get("/metrics")).text)
            fal.script("fal-ai/flux/dev", Script())
            fal.release()
            for job in fal.jobs.values():
                job.release()
            while (after := figures((await host.get("/metrics")).text)).get(
                'fal_jobs_ended_total{state="completed"}'
            ) != 2:
                continue
    assert (during['fal_jobs{state="running"}'], during['fal_jobs{state="waiting"}']) == (1, 1)
    assert during["fal_jobs_longest_wait_seconds"] > 0 and during["fal_jobs_followed"] == 2
    assert (during["fal_ledger_up"], during["fal_servers"], during["fal_jobs_left"]) == (1, 1, 0)
    assert during['fal_money_today_usd{kind="estimated"}'] == during['fal_money_today_usd{kind="counted"}'] > 0
    assert during['fal_money_today_usd{kind="billed"}'] == 0
    assert (after['fal_jobs{state="running"}'], after['fal_jobs{state="waiting"}']) == (0, 0)
    assert after["fal_job_queue_seconds_count"] == 2 and after["fal_jobs_longest_wait_seconds"] == 0
    # A folder of documents is no catalog that was fetched.
    assert "fal_catalog_age_seconds" not in during


async def test_without_its_ledger_a_server_tells_its_own_figures(settings: Settings, tmp_path: Path):
    (tmp_path / "file").write_text("")
    server = app.build(replace(settings, data=tmp_path / "file"))
    metrics = app.measured(server)
    with anyio.fail_after(BOUND):
        async with Client(server) as client:
            await client.list_tools()
            known = figures((await metrics.text()).decode())
    assert known["fal_ledger_up"] == 0 and not any(name.startswith("fal_money") for name in known)
    assert known["mcp_server_open_requests"] == 0


async def test_how_old_the_catalog_is_is_told(settings: Settings, tmp_path: Path):
    server = app.build(replace(settings, models=None, cache=tmp_path, refresh_hours=0.0))
    metrics = app.measured(server)
    with anyio.fail_after(2 * BOUND):
        async with Client(server):
            assert "fal_catalog_age_seconds" not in figures((await metrics.text()).decode())
            await server.shared.refresh()
            assert 0 <= figures((await metrics.text()).decode())["fal_catalog_age_seconds"] < BOUND


def figures(text: str) -> dict[str, float]:
    pairs = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in pairs}


def _label(line: str, name: str) -> str:
    return line.split(f'{name}="', 1)[1].split('"', 1)[0]


async def test_a_server_over_http_tells_its_figures(settings: Settings, tmp_path: Path):
    with anyio.fail_after(2 * BOUND):
        async with served(settings, tmp_path) as (host, _):
            await host.ask("tools/call", {}, name="list_jobs", arguments={})
            answer = await host.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=")
    (line,) = [line for line in answer.text.splitlines() if line.startswith(COUNT) and 'name="list_jobs"' in line]
    assert _label(line, "network_transport") == "tcp" and line.endswith(" 1.0")
