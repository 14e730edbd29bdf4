"""What a trace shows of a run: the steps below the SDK's span, fal told which trace it belongs to, and no prompt."""

import json
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client import Client

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from fal_mcp.server import app
from tests import postgres

BOUND = 60
PROMPT = "a red bicycle that nobody must read of"
_TRACED = """
import json, os, sys
from dataclasses import replace
from pathlib import Path
import anyio
from mcp.client import Client
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from fal_mcp.config import Hosts, Settings
from fal_mcp.server import app

root, models, folder, store, what, prompt = sys.argv[1:]
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
settings = Settings(
    key="emulator:emulator", hosts=Hosts.at(root), models=Path(models), data=Path(folder), output_dir=Path(folder)
)
settings = replace(settings, store=store or None, wait=0.2 if what == "begin" else 40.0)

async def main():
    server = app.build(settings)
    async with Client(server) as client:
        jobs = server.shared.jobs
        if what in ("run", "begin"):
            result = await client.call_tool("fal-ai_flux_dev", {"prompt": prompt})
            assert not result.is_error, result
        (job,) = await jobs.ledger.listed(server.shared.owner)
        if what == "begin":
            # Its row says by now that fal has it; and then this server is gone, without a word.
            assert job.request is not None, job
            print(json.dumps([job.trace]), flush=True)
            os._exit(0)
        if what == "wait":
            await client.call_tool("wait_for_job", {"job_id": job.job_id})
        while job.state != "completed":
            await anyio.sleep(0.05)
            (job,) = await jobs.ledger.listed(server.shared.owner)
    print(json.dumps([json.loads(span.to_json()) for span in exporter.get_finished_spans()]))

anyio.run(main)
"""


async def traced(settings: Settings, folder: Path, what: str = "run", store: str = "") -> Any:
    """What a server of its own process says of a run: its spans, or of one that it only begins, the row's trace."""
    root = settings.hosts.queue.removesuffix("/queue")
    command = [sys.executable, "-c", _TRACED, root, str(settings.models), str(folder), store, what, PROMPT]
    with anyio.fail_after(BOUND):
        done = await anyio.run_process(command, stderr=None)
    assert PROMPT not in done.stdout.decode()
    return json.loads(done.stdout)


async def test_a_run_is_four_steps_below_its_calls_span(fal: Emulator, settings: Settings, tmp_path: Path):
    fal.keys = {"emulator:emulator"}
    spans = await traced(settings, tmp_path)
    by_name = {span["name"]: span for span in spans}
    call = next(
        span for span in spans if span["name"] == "tools/call fal-ai_flux_dev" and span["kind"].endswith("SERVER")
    )
    for name in ("decide", "submit", "follow", "save"):
        assert by_name[name]["parent_id"] == call["context"]["span_id"], name
        assert by_name[name]["attributes"]["fal.endpoint_id"] == "fal-ai/flux/dev"
    submits = [each.headers for each in fal.calls if each.method == "POST"]
    trace_id, span_id = (by_name["submit"]["context"][key].removeprefix("0x") for key in ("trace_id", "span_id"))
    assert [headers["traceparent"][:-2] for headers in submits] == [f"00-{trace_id}-{span_id}-"]


@pytest.fixture(scope="module")
def cluster() -> Generator[postgres.Cluster]:
    with postgres.cluster() as made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> str:
    """The address of the ledger's store; empty for a file."""
    return "" if request.param == "sqlite" else request.getfixturevalue("cluster").database()


@pytest.mark.parametrize("what", ["pick up", "wait"])
async def test_who_takes_a_run_over_goes_on_in_its_trace(
    fal: Emulator, settings: Settings, tmp_path: Path, store: str, what: str
):
    """A server is gone in the middle; another one picks the job up by itself, or because somebody waits for it."""
    fal.keys = {"emulator:emulator"}
    fal.script("fal-ai/flux/dev", Script(hold_running=True))
    (began_in,) = await traced(settings, tmp_path, "begin", store)
    (submit,) = [each.headers["traceparent"] for each in fal.calls if each.method == "POST"]
    _, trace_id, call_id, _ = began_in.split("-")
    assert submit.split("-")[1] == trace_id
    before = len(fal.calls)
    for job in fal.jobs.values():
        job.release()
    spans = await traced(settings, tmp_path, what, store)
    # Two, where whoever waits looks while the lease of the one that is gone is not over.
    follows = [span for span in spans if span["name"] == "follow"]
    ids = {(span["context"]["trace_id"], span["parent_id"]) for span in follows}
    assert ids == {(f"0x{trace_id}", f"0x{call_id}")}
    asked = [each for each in fal.calls[before:] if "/requests/" in each.path]
    assert asked and {each.headers["traceparent"].split("-")[1] for each in asked} == {trace_id}
    linked = {link["context"]["trace_id"] for span in follows for link in span["links"]}
    waits = {span["context"]["trace_id"] for span in spans if span["name"] == "tools/call wait_for_job"}
    assert linked == waits and f"0x{trace_id}" not in linked
    assert len(fal.jobs) == 1


async def test_nothing_is_told_where_nothing_is_traced(fal: Emulator, settings: Settings):
    with anyio.fail_after(BOUND):
        async with Client(app.build(settings)) as client:
            assert not (await client.call_tool("fal-ai_flux_dev", {"prompt": PROMPT})).is_error
    assert fal.calls and not any("traceparent" in each.headers for each in fal.calls)
