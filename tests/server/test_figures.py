"""Figures for Prometheus: each request counted by its tool and how it ended, and nothing that a caller chose."""

from pathlib import Path

import anyio
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Failure, Script
from fal_mcp.server import app
from tests.server.http_host import served

BOUND = 20
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
    lines = metrics.text().decode().splitlines()
    counts = [line for line in lines if line.startswith(COUNT) and 'mcp_method_name="tools/call"' in line]
    ends = sorted((_label(line, "gen_ai_tool_name"), _label(line, "error_type"), line[-3:]) for line in counts)
    assert ends == [
        ("", "-32602", "1.0"),
        ("fal-ai_flux_dev", "", "1.0"),
        ("fal-ai_flux_dev", "tool_error", "1.0"),
    ]
    assert "whatever-a-caller-chose" not in "".join(lines) and "SECRET" not in "".join(lines)
    assert "fal_jobs_followed 0.0" in lines and "mcp_server_open_requests 0.0" in lines


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
