"""Smuggling, slowness and floods: what is wrong with the bytes themselves, or with how they come."""

import json
from typing import Any

import anyio
import httpx

from fal_mcp.emulator import Emulator, Script
from tests.server.stdio_host import initialize
from tests.team.attacks.names import head
from tests.team.attacks.table import attack
from tests.team.bench import LIMITS, Team

SMUGGLING = "Smuggling"
SLOWNESS = "Slowness and floods"
CLOSED = b"<closed>"
# Ten times as long as the limits, and much less than the bytes would take.
SOON, MANY = 4.0, 100


@attack(SMUGGLING, "Content-Length and Transfer-Encoding together", "400")
async def both_framings(team: Team, fal: Emulator) -> None:
    request = (
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    answer = await team.raw(request)
    assert answer.startswith(b"HTTP/1.1 400"), answer


@attack(SMUGGLING, "Two different Content-Lengths", "400")
async def two_lengths(team: Team, fal: Emulator) -> None:
    request = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\nabcd"
    assert (await team.raw(request)).startswith(b"HTTP/1.1 400")


@attack(SMUGGLING, "A Content-Length that is no number", "400")
async def odd_lengths(team: Team, fal: Emulator) -> None:
    for length in (b"-1", b"+4", b"0x4", b"4 4", b"4,5"):
        request = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: %s\r\n\r\nabcd" % length
        assert (await team.raw(request)).startswith(b"HTTP/1.1 400"), length


@attack(SMUGGLING, "A transfer coding that is not chunked, or is hidden", "400 or 501")
async def odd_codings(team: Team, fal: Emulator) -> None:
    for coding in (b"xchunked", b"chunked, identity", b"gzip, chunked", b"chunked\r\nTransfer-Encoding: chunked"):
        request = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: %s\r\n\r\n0\r\n\r\n" % coding
        assert (await team.raw(request)).startswith((b"HTTP/1.1 400", b"HTTP/1.1 501")), coding


@attack(SMUGGLING, "A folded header, a blank before the colon, a bare line feed within a value", "400")
async def odd_headers(team: Team, fal: Emulator) -> None:
    for line in (b"X : y", b"X\x00: y", b"Tr\xffansfer: y", b"X: a\x00b", b"X: a\nb: c", b"X: a\r\n b", b": y"):
        request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n" % line
        assert (await team.raw(request, quiet=1)).startswith(b"HTTP/1.1 400"), line


@attack(
    SMUGGLING,
    "A second request without a token behind one with a token, on one connection",
    "Each is asked anew who it is of",
)
async def pipelined(team: Team, fal: Emulator) -> None:
    body = json.dumps({**initialize(), "id": 9}).encode()
    usual = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: application/json, text/event-stream\r\n"
    usual += b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
    token = f"Authorization: {team.headers('alice')['authorization']}\r\n".encode()
    answer = await team.raw(usual + token + b"\r\n" + body + usual + b"\r\n" + body, quiet=2)
    assert answer.startswith(b"HTTP/1.1 200") and b"HTTP/1.1 401" in answer and answer.count(b"HTTP/1.1 200") == 1


@attack(SMUGGLING, "An upgrade to WebSocket or HTTP/2", "Not switched: answered as HTTP, or refused")
async def upgrades(team: Team, fal: Emulator) -> None:
    for name in (b"websocket", b"h2c"):
        request = b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n" % name
        assert (await team.raw(request, quiet=1)).startswith(b"HTTP/1.1 401")


@attack(SMUGGLING, "A version that is not 1.0 or 1.1, or none", "400")
async def odd_versions(team: Team, fal: Emulator) -> None:
    for version in (b"", b" HTTP/0.9", b" HTTP/1.2", b" HTTP/1.11", b" HTTP/2.0", b" HTTP/3"):
        request = b"GET /health%s\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n" % version
        assert (await team.raw(request, quiet=1)).startswith(b"HTTP/1.1 400"), version


@attack(SMUGGLING, "A token behind a chunked body, where a trailer may stand", "401: it is no header")
async def token_in_trailer(team: Team, fal: Emulator) -> None:
    body = json.dumps(initialize()).encode()
    usual = "POST /mcp HTTP/1.1", "Host: localhost", *ACCEPTS, "Transfer-Encoding: chunked", "Trailer: Authorization"
    request = "\r\n".join([*usual, "", ""]).encode() + b"%x\r\n%s\r\n0\r\n" % (len(body), body)
    request += f"Authorization: {team.headers('alice')['authorization']}\r\n\r\n".encode()
    answer = await team.raw(request, quiet=1)
    assert answer.startswith(b"HTTP/1.1 401") and answer.count(b"HTTP/1.1 ") == 1


@attack(
    SMUGGLING, "A request as the body of one that asks to upgrade", "It is a body: one answer, and the next is its own"
)
async def request_in_an_upgrade(team: Team, fal: Emulator) -> None:
    inner = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    usual = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    chunked = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner)
    for body in (b"Content-Length: %d\r\n\r\n%s" % (len(inner), inner), chunked):
        answer = await team.raw(usual + body + inner, quiet=1)
        assert answer.startswith(b"HTTP/1.1 401") and answer.count(b"HTTP/1.1 ") == 2, answer
        assert answer.count(b"HTTP/1.1 200") == 1, "the second request of the connection"
    assert (await team.raw(b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n")).startswith(b"HTTP/1.1 400")


@attack(SLOWNESS, "Headers that never end, a byte now and then", "Cut after the time for headers")
async def slow_headers(team: Team, fal: Emulator) -> None:
    with anyio.fail_after(SOON):
        answer = await team.raw(b"GET /", *[b"x"] * MANY, pause=0.1)
    assert answer.endswith(CLOSED)


@attack(SLOWNESS, "A connection that says nothing", "Cut after the time for headers")
async def silence(team: Team, fal: Emulator) -> None:
    assert await team.raw() == CLOSED


@attack(SLOWNESS, "A connection that goes on with empty lines", "Cut after the time for headers")
async def empty_lines(team: Team, fal: Emulator) -> None:
    with anyio.fail_after(SOON):
        assert (await team.raw(*[b"\r\n"] * MANY, pause=0.1)).endswith(CLOSED)


@attack(SLOWNESS, "A body that never ends, a byte now and then, with a good token", "Cut after the time for bodies")
async def slow_body(team: Team, fal: Emulator) -> None:
    token = f"Authorization: {team.headers('alice')['authorization']}"
    with anyio.fail_after(SOON):
        answer = await team.raw(head(team, "Host: localhost", token), *[b"x"] * MANY, pause=0.1)
    assert answer.endswith(CLOSED) and b"HTTP/1.1 2" not in answer


@attack(SLOWNESS, "A body that was refused and goes on all the same", "Cut after the time for bodies")
async def body_after_refusal(team: Team, fal: Emulator) -> None:
    with anyio.fail_after(SOON):
        answer = await team.raw(head(team, "Host: localhost"), *[b"x"] * MANY, pause=0.1)
    assert answer.startswith(b"HTTP/1.1 401") and answer.endswith(CLOSED)


@attack(SLOWNESS, "Headers of megabytes", "400 at 32 KiB")
async def large_headers(team: Team, fal: Emulator) -> None:
    request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (LIMITS.head_bytes + 70_000)
    answer = await team.raw(request)
    assert answer.startswith((b"HTTP/1.1 400", CLOSED)) and answer.endswith(CLOSED)
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{team.root}/health")).status_code == 200


@attack(SLOWNESS, "A thousand small headers", "400 at 32 KiB in all")
async def many_headers(team: Team, fal: Emulator) -> None:
    lines = b"".join(b"x-%d: %s\r\n" % (number, b"x" * 30) for number in range(1000))
    answer = await team.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 400") and answer.endswith(CLOSED)


@attack(SLOWNESS, "Thousands of requests before the first is answered", "Nine are answered, and the line is closed")
async def many_ahead(team: Team, fal: Emulator) -> None:
    answer = await team.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2000)
    assert answer.count(b"HTTP/1.1 ") == answer.count(b"HTTP/1.1 200") <= 9 and answer.endswith(CLOSED)
    few = await team.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 8, quiet=1)
    assert few.count(b"HTTP/1.1 200") == 8


@attack(SLOWNESS, "A chunk or a trailer without an end", "Cut once more came than a body may have")
async def endless_extension(team: Team, fal: Emulator) -> None:
    token = f"Authorization: {team.headers('alice')['authorization']}"
    begun = head(team, "Host: localhost", token, "Transfer-Encoding: chunked")
    much = [b"x" * 100_000] * (2 * LIMITS.body_bytes // 100_000 + 3)
    for opening in (b"1;", b"1\r\nx\r\n0\r\nx: "):
        answer = await team.raw(begun + opening, *much)
        assert answer.endswith(CLOSED) and b"HTTP/1.1 2" not in answer, opening


@attack(SLOWNESS, "A body that says it is too large", "413, before it is sent and before the token is looked at")
async def large_body(team: Team, fal: Emulator) -> None:
    request = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\n"
    assert (await team.raw(request, quiet=1)).startswith(b"HTTP/1.1 413")


@attack(SLOWNESS, "A chunked body that does not say how large it is", "413 once it is too large")
async def large_chunks(team: Team, fal: Emulator) -> None:
    async def chunks():
        for _ in range(LIMITS.body_bytes // 10_000 + 2):
            yield b"x" * 10_000

    for who in ("alice", "reader"):
        answer = await team.of(who).post(team.url, content=chunks())
        assert answer.status_code == 413, who


@attack(SLOWNESS, "More connections than there may be", "503, and those that are there go on")
async def many_connections(team: Team, fal: Emulator) -> None:
    client = team.client()
    assert (await client.get(f"{team.root}/health")).status_code == 200
    streams = [await anyio.connect_tcp("127.0.0.1", team.port) for _ in range(LIMITS.connections + 5)]
    try:
        with anyio.fail_after(3):
            assert b"503" in await streams[-1].receive()
        assert (await client.get(f"{team.root}/health")).status_code == 200
    finally:
        for stream in streams:
            await stream.aclose()


@attack(SLOWNESS, "More requests of one principal at once than it may have", "429 for it, and nothing for others")
async def many_streams(team: Team, fal: Emulator) -> None:
    named, bobs = await team.session("alice"), await team.session("bob")
    fal.script("fal-ai/flux/dev", Script(hold_running=True))
    ping = {"jsonrpc": "2.0", "id": 5, "method": "ping"}
    async with anyio.create_task_group() as tasks:
        for number in range(LIMITS.streams_each):
            tasks.start_soon(team.call, "alice", "fal-ai_flux_dev", {"prompt": str(number)})
        await fal.until(lambda: len(fal.jobs) == LIMITS.streams_each)
        answer = await team.of("alice").post(team.url, json=ping, headers=named)
        assert answer.status_code == 429 and answer.headers["retry-after"] == "1"
        assert (await team.of("bob").post(team.url, json=ping, headers=bobs)).status_code == 200
        tasks.cancel_scope.cancel()


@attack(SLOWNESS, "More sessions than there may be", "503, and those that are there go on")
async def many_sessions(team: Team, fal: Emulator) -> None:
    named = await team.session("bob")
    statuses = [(await team.of("alice").post(team.url, json=initialize())).status_code for _ in range(LIMITS.sessions)]
    assert statuses[-1] == 503 and statuses[0] == 200
    ping = {"jsonrpc": "2.0", "id": 5, "method": "ping"}
    assert (await team.of("bob").post(team.url, json=ping, headers=named)).status_code == 200


@attack(SLOWNESS, "An answer that nobody reads", "Cut after the time for writing")
async def nobody_reads(team: Team, fal: Emulator) -> None:
    token = f"Authorization: {team.headers('admin')['authorization']}"
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}).encode()
    lines = ["POST /mcp HTTP/1.1", "Host: localhost", token, "content-type: application/json", *MODERN]
    request = "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body
    # Answered one after the other, until the pipe back is full.
    async with await anyio.connect_tcp("127.0.0.1", team.port) as stream:
        with anyio.fail_after(30):
            try:
                while True:
                    await stream.send(request * 20)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass
    assert (await team.client().get(f"{team.root}/health")).status_code == 200


ACCEPTS = ("Content-Type: application/json", "Accept: application/json, text/event-stream")
META: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
MODERN = [
    "accept: application/json, text/event-stream",
    "mcp-protocol-version: 2026-07-28",
    "mcp-method: tools/list",
]
