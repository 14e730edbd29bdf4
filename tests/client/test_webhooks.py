"""A callback is fal's or it is refused; a verified one completes its job without a poll."""

import json
import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx
import pytest

from fal_mcp.client.queue import Request
from fal_mcp.client.webhooks import keys_of, verify
from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator
from fal_mcp.emulator.webhooks import Signer
from fal_mcp.errors import NotAuthentic
from fal_mcp.jobs.job import Order, owner_of
from fal_mcp.jobs.ledger import Ledger, Limits

ENDPOINT = "fal-ai/flux/dev"
BODY = json.dumps({"request_id": "R", "status": "OK", "payload": {"seed": 7}}).encode()
NOW = 1_800_000_000.0
BOUND = 40


def lowered(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def test_what_fal_signed_is_taken():
    signer = Signer()
    keys = [bytes(32), *keys_of(signer.jwks()["keys"])]
    delivery = verify(lowered(signer.headers("R", BODY, NOW)), BODY, keys, NOW + 299)
    assert delivery.is_ok and delivery.payload == {"seed": 7} and delivery.request_id == "R"


@pytest.mark.parametrize("missing", ["request-id", "user-id", "timestamp", "signature"])
def test_a_header_that_is_missing_is_a_refusal(missing: str):
    signer = Signer()
    headers = lowered(signer.headers("R", BODY, NOW))
    del headers[f"x-fal-webhook-{missing}"]
    with pytest.raises(NotAuthentic):
        verify(headers, BODY, keys_of(signer.jwks()["keys"]), NOW)


@pytest.mark.parametrize(
    ("change", "now"),
    [
        ({}, NOW + 301),
        ({}, NOW - 301),
        ({"x-fal-webhook-timestamp": "soon"}, NOW),
        ({"x-fal-webhook-signature": "zz"}, NOW),
        ({"x-fal-webhook-signature": "00" * 64}, NOW),
        ({"x-fal-webhook-request-id": "S"}, NOW),
        ({"x-fal-webhook-user-id": "somebody"}, NOW),
    ],
)
def test_what_is_late_or_changed_is_refused(change: dict[str, str], now: float):
    signer = Signer()
    headers = {**lowered(signer.headers("R", BODY, NOW)), **change}
    with pytest.raises(NotAuthentic):
        verify(headers, BODY, keys_of(signer.jwks()["keys"]), now)


def test_another_body_or_another_key_is_refused():
    signer, other = Signer(), Signer()
    headers = lowered(signer.headers("R", BODY, NOW))
    with pytest.raises(NotAuthentic):
        verify(headers, BODY + b" ", keys_of(signer.jwks()["keys"]), NOW)
    with pytest.raises(NotAuthentic):
        verify(headers, BODY, keys_of(other.jwks()["keys"]), NOW)


async def test_a_callback_completes_the_job_and_a_replay_is_refused(fal: Emulator, settings: Settings, tmp_path: Path):
    """Over HTTP, signed by the emulator, verified with its published keys."""
    root = settings.hosts.queue.removesuffix("/queue")
    command = [sys.executable, "-m", "fal_mcp", "serve", "--http", "0", "--fal-url", root, "--data-dir", str(tmp_path)]
    environment = {**os.environ, "FAL_KEY": settings.key or "", "FAL_MCP_REFRESH_HOURS": "0"}
    with anyio.fail_after(BOUND):
        async with await anyio.open_process(command, env=environment) as process:
            assert process.stderr
            said = b""
            while not (found := re.search(rb"http://[^\s]+", said)):
                said += await process.stderr.receive()
            hook = found[0].decode().replace("/mcp", "/webhooks/fal")
            try:
                async with httpx.AsyncClient() as client:
                    other, job = await _written_down(settings, tmp_path)
                    body = json.dumps({"request_id": job, "status": "OK", "payload": {"seed": 7}}).encode()
                    headers = fal.signer.headers(job, body, time.time() - 1)
                    answers = [(await client.post(hook, content=body, headers=headers)).status_code for _ in range(2)]
                    forged = await client.post(hook, content=body, headers={**headers, "X-Fal-Webhook-User-Id": "x"})
            finally:
                process.terminate()
                await process.wait()
    assert answers == [200, 409] and forged.status_code == 401
    found_job = await other.by_request(job, owner_of(settings.key))
    await other.aclose()
    assert found_job is not None and found_job.state == "completed" and found_job.output == {"seed": 7}
    assert not any("/status" in call.path for call in fal.calls), "nothing was polled"


async def _written_down(settings: Settings, data: Path) -> tuple[Ledger, str]:
    """A job that another server of this ledger, which lives, began with a webhook."""
    ledger = Ledger(replace(settings, data=data).ledger_file)
    job = await ledger.begin(Order(ENDPOINT, {"prompt": "x"}, owner_of(settings.key)), Limits())
    here = f"{settings.hosts.queue}/fal-ai/flux/requests/R-1"
    await ledger.accepted(job.job_id, Request(ENDPOINT, "R-1", f"{here}/status", here, f"{here}/cancel"))
    return ledger, "R-1"


async def test_the_emulator_calls_back_as_fal_does(fal: Emulator, settings: Settings):
    taken: list[tuple[dict[str, str], bytes]] = []
    arrived = anyio.Event()

    async def take(visitor: Any) -> None:
        async with visitor:
            said = b""
            while b"payload" not in said:
                said += await visitor.receive()
            head, _, body = said.partition(b"\r\n\r\n")
            lines = [line.split(": ", 1) for line in head.decode().split("\r\n")[1:]]
            taken.append(({name.lower(): value for name, value in lines}, body))
            await visitor.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            arrived.set()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    with anyio.fail_after(BOUND):
        async with listener, anyio.create_task_group() as tasks, httpx.AsyncClient() as client:
            tasks.start_soon(listener.serve, take)
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
            await client.post(
                f"{settings.hosts.queue}/{ENDPOINT}",
                json={"prompt": "x", "seed": 7},
                headers={"authorization": f"Key {settings.key}"},
                params={"fal_webhook": f"http://127.0.0.1:{port}/hook"},
            )
            await arrived.wait()
            tasks.cancel_scope.cancel()
    delivery = verify(*taken[0], keys_of(fal.signer.jwks()["keys"]), time.time())
    assert delivery.is_ok and delivery.payload is not None and delivery.payload["seed"] == 7


async def test_a_saved_delivery_can_be_checked_at_the_command_line(fal: Emulator, settings: Settings, tmp_path: Path):
    headers, body = tmp_path / "headers.json", tmp_path / "body.json"
    await anyio.Path(body).write_bytes(BODY)
    await anyio.Path(headers).write_text(json.dumps(fal.signer.headers("R", BODY, time.time())), "utf-8")
    root = settings.hosts.queue.removesuffix("/queue")
    command = [sys.executable, "-m", "fal_mcp", "webhook", "verify", str(headers), str(body), "--fal-url", root]
    good = await anyio.run_process(command, check=False)
    await anyio.Path(body).write_bytes(BODY + b" ")
    bad = await anyio.run_process(command, check=False)
    assert (good.returncode, bad.returncode) == (0, 1) and b"signature" in bad.stderr
