"""Rebinding, foreign pages, proxies that are none."""

from fal_mcp.emulator import Emulator
from tests.server.stdio_host import initialize
from tests.team.attacks.table import attack
from tests.team.bench import ORIGIN, Team

NAMES = "Names: rebinding, foreign pages, forwarded addresses"


def head(team: Team, *lines: str, path: str = "/mcp", method: str = "POST") -> bytes:
    """The head of a request whose body is never sent."""
    usual = ["content-type: application/json", "content-length: 100000"]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, *usual, "", ""]).encode()


@attack(NAMES, "A page's own name leads to this server (DNS rebinding)", "421, before the body is sent")
async def foreign_host(team: Team, fal: Emulator) -> None:
    assert (await team.raw(head(team, "Host: evil.example"))).startswith(b"HTTP/1.1 421")


@attack(NAMES, "A name that begins or ends like an allowed one", "421")
async def similar_hosts(team: Team, fal: Emulator) -> None:
    for host in (
        "fal.example.com.evil.example",
        "evil-fal.example.com",
        "fal.example.com@evil.example",
        "x.fal.example.com",
    ):
        assert (await team.post({"host": host, **team.headers("alice")})).status_code == 421, host


@attack(NAMES, "A port that is a name: localhost:80@evil.example", "421")
async def host_with_user(team: Team, fal: Emulator) -> None:
    for host in ("localhost:80@evil.example", "127.0.0.1:evil.example", "localhost:", "[::1", "127.0.0.1:80#x"):
        assert (await team.post({"host": host, **team.headers("alice")})).status_code == 421, host


@attack(NAMES, "Two Host headers", "400")
async def two_hosts(team: Team, fal: Emulator) -> None:
    assert (await team.raw(head(team, "Host: localhost", "Host: evil.example"))).startswith(b"HTTP/1.1 400")


@attack(NAMES, "No Host header, also by way of HTTP/1.0", "400")
async def no_host(team: Team, fal: Emulator) -> None:
    for version in (b"1.0", b"1.1"):
        answer = await team.raw(b"GET /health HTTP/%s\r\n\r\n" % version, quiet=1)
        assert answer.startswith(b"HTTP/1.1 400"), version


@attack(NAMES, "The whole address of another server as the target, or one as a proxy gets it, with a good token", "400")
async def absolute_target(team: Team, fal: Emulator) -> None:
    about = f"Host: localhost\r\nAuthorization: {team.headers('alice')['authorization']}\r\n\r\n".encode()
    for target in (b"http://evil.example/mcp", b"http://localhost/mcp", b"evil.example:443", b"*", b"mcp"):
        for method in (b"GET", b"CONNECT", b"OPTIONS"):
            answer = await team.raw(b"%s %s HTTP/1.1\r\n%s" % (method, target, about), quiet=0.5)
            assert answer.startswith(b"HTTP/1.1 400"), (method, target)


@attack(NAMES, "A foreign page posts, with a good token", "403, before the body is sent")
async def foreign_origin(team: Team, fal: Emulator) -> None:
    token = f"Authorization: {team.headers('alice')['authorization']}"
    for origin in ("https://evil.example", "null", f"{ORIGIN}.evil.example", "http://localhost:3000", "file://"):
        answer = await team.raw(head(team, "Host: localhost", f"Origin: {origin}", token), quiet=1)
        assert answer.startswith(b"HTTP/1.1 403"), origin


@attack(NAMES, "Two Origin headers, one of them allowed", "403")
async def two_origins(team: Team, fal: Emulator) -> None:
    lines = ("Host: localhost", f"Origin: {ORIGIN}", "Origin: https://evil.example")
    assert (await team.raw(head(team, *lines), quiet=1)).startswith(b"HTTP/1.1 403")


@attack(NAMES, "A foreign page asks whether it may call (CORS preflight)", "403, and no header that allows it")
async def foreign_preflight(team: Team, fal: Emulator) -> None:
    asks = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    answer = await team.client().options(team.url, headers=asks)
    assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers


@attack(
    NAMES,
    "An allowed page asks for a method or header that means nothing here",
    "Only what is listed is allowed, never credentials",
)
async def named_preflight(team: Team, fal: Emulator) -> None:
    asks = {"origin": ORIGIN, "access-control-request-method": "PUT", "access-control-request-headers": "cookie"}
    answer = await team.client().options(team.url, headers=asks)
    assert answer.status_code == 204 and answer.headers["access-control-allow-origin"] == ORIGIN
    assert "PUT" not in answer.headers["access-control-allow-methods"]
    assert "cookie" not in answer.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in answer.headers


@attack(NAMES, "A refusal is read by a foreign page", "No CORS header on any answer but to pages that were named")
async def refusals_are_not_shared(team: Team, fal: Emulator) -> None:
    named = await team.client().post(team.url, json=initialize(), headers={"origin": ORIGIN})
    foreign = await team.client().post(team.url, json=initialize(), headers={"origin": "https://evil.example"})
    assert named.status_code == 401 and named.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-origin" not in foreign.headers


@attack(NAMES, "Own routes by a foreign name or page", "421 and 403, on every one of them")
async def own_routes(team: Team, fal: Emulator) -> None:
    for path in ("/health", "/ready", "/webhooks/fal", "/metrics", "/.well-known/oauth-protected-resource/mcp", "/x"):
        for headers, status in (({"host": "evil.example"}, 421), ({"origin": "https://evil.example"}, 403)):
            answer = await team.client().get(f"{team.root}{path}", headers=headers)
            assert (path, answer.status_code) == (path, status)


@attack(
    NAMES, "X-Forwarded-For: 127.0.0.1, to read the metrics without a token", "401: what forwards is not this machine"
)
async def forwarded(team: Team, fal: Emulator) -> None:
    for name in ("x-forwarded-for", "forwarded", "x-real-ip", "via"):
        answer = await team.client().get(f"{team.root}/metrics", headers={name: "127.0.0.1"})
        assert answer.status_code == 401, name


@attack(NAMES, "X-Forwarded-Host with an allowed name beside a foreign Host", "421: only Host counts")
async def forwarded_host(team: Team, fal: Emulator) -> None:
    headers = {"host": "evil.example", "x-forwarded-host": "fal.example.com", **team.headers("alice")}
    assert (await team.post(headers)).status_code == 421
