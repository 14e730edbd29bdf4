"""What a trace shows of a run: the steps below the SDK's span, fal told which trace it belongs to, and no prompt."""

import json
import sys
from pathlib import Path

import anyio
from mcp.client import Client

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator
from fal_mcp.server import app

BOUND = 60
PROMPT = "a red bicycle that nobody must read of"
_TRACED = """
import json, sys
from pathlib import Path
import anyio
from mcp.client import Client
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from fal_mcp.config import Hosts, Settings
from fal_mcp.server import app

root, models, folder, prompt = sys.argv[1:]
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)

async def main():
    settings = Settings(
        key="emulator:emulator", hosts=Hosts.at(root), models=Path(models), data=Path(folder), output_dir=Path(folder)
    )
    async with Client(app.build(settings)) as client:
        result = await client.call_tool("fal-ai_flux_dev", {"prompt": prompt})
        assert not result.is_error, result
    print(json.dumps([json.loads(span.to_json()) for span in exporter.get_finished_spans()]))

anyio.run(main)
"""


async def test_a_run_is_four_steps_below_its_calls_span(fal: Emulator, settings: Settings, tmp_path: Path):
    root = settings.hosts.queue.removesuffix("/queue")
    fal.keys = {"emulator:emulator"}
    command = [sys.executable, "-c", _TRACED, root, str(settings.models), str(tmp_path), PROMPT]
    with anyio.fail_after(BOUND):
        done = await anyio.run_process(command, stderr=None)
    spans = json.loads(done.stdout)
    by_name = {span["name"]: span for span in spans}
    call = next(
        span for span in spans if span["name"] == "tools/call fal-ai_flux_dev" and span["kind"].endswith("SERVER")
    )
    for name in ("decide", "submit", "follow", "save"):
        assert by_name[name]["parent_id"] == call["context"]["span_id"], name
        assert by_name[name]["attributes"]["fal.endpoint_id"] == "fal-ai/flux/dev"
    assert PROMPT not in done.stdout.decode()
    submits = [each.headers for each in fal.calls if each.method == "POST"]
    trace_id, span_id = (by_name["submit"]["context"][key].removeprefix("0x") for key in ("trace_id", "span_id"))
    assert [headers["traceparent"][:-2] for headers in submits] == [f"00-{trace_id}-{span_id}-"]


async def test_nothing_is_told_where_nothing_is_traced(fal: Emulator, settings: Settings):
    with anyio.fail_after(BOUND):
        async with Client(app.build(settings)) as client:
            assert not (await client.call_tool("fal-ai_flux_dev", {"prompt": PROMPT})).is_error
    assert fal.calls and not any("traceparent" in each.headers for each in fal.calls)
