"""What a host is told before the SDK is imported is what the SDK would have told it, in both eras."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from fal_mcp import bundled
from fal_mcp.config import Settings
from fal_mcp.server import answer_file, app, rehearsal
from fal_mcp.server.answer_file import Kept
from fal_mcp.server.first_answers import HANDSHAKE, LISTS, MODERN, Door
from fal_mcp.server.wire import Wire
from tests.server.stdio_host import ENVELOPE, INITIALIZED, Host, Start, call, initialize, request

BOUND = 45
CHOICES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "default": ((), {}),
    "all": (("--list", "all", "--toolsets", "all"), {"listed": ("all",), "toolsets": ("all",)}),
    "read only": (("--read-only",), {"read_only": True}),
    "search": (("--list", "search", "--toolsets", "models"), {"listed": ("search",), "toolsets": ("models",)}),
}


def questions(version: str) -> list[dict[str, Any]]:
    """What a host asks first in one revision."""
    if version == MODERN:
        return [request(method, method, {"_meta": ENVELOPE}) for method in ("server/discover", *LISTS)]
    asked = [request(method, method) for method in ("ping", *LISTS)]
    return [initialize("initialize", version), INITIALIZED, *asked]


async def told(host: Host, asked: list[dict[str, Any]]) -> dict[str, Any]:
    await host.send(*asked)
    answers = [await host.message() for message in asked if "id" in message]
    return {answer["id"]: answer for answer in answers}


@pytest.mark.parametrize("choice", CHOICES)
async def test_a_later_start_answers_what_the_first_one_did(settings: Settings, tmp_path: Path, choice: str):
    more, chosen = CHOICES[choice]
    if chosen.get("toolsets") == ("all",):
        chosen = {**chosen, "toolsets": Settings.from_env({}, toolsets="all").toolsets}
    start = Start(replace(settings, **chosen), tmp_path, *more)
    with anyio.fail_after(2 * BOUND):
        for version in (HANDSHAKE[0], HANDSHAKE[-1], MODERN):
            asked = questions(version)
            start.kept.write()  # without an answer in it, the SDK answers
            async with start.host() as host:
                first = await told(host, asked)
            await start.warm()
            async with start.host() as host:
                later = await told(host, asked)
            assert later == first and "error" not in json.dumps(first["tools/list"])[:40]


async def test_every_first_question_of_every_revision_is_kept(settings: Settings):
    server = app.build(settings)
    async with server.lifespan(server) as state:
        answers = await rehearsal.answers(server, state)
    legacy = [f"{method} {version}" for version in HANDSHAKE for method in ("initialize", "ping", *LISTS)]
    assert set(answers) == {*legacy, *(f"{method} {MODERN}" for method in ("server/discover", *LISTS))}


@pytest.mark.parametrize("is_warm", [False, True], ids=["first start", "later start"])
@pytest.mark.parametrize("probes", [1, 2])
async def test_who_asked_only_what_there_is_may_still_shake_hands(
    settings: Settings, tmp_path: Path, is_warm: bool, probes: int
):
    """Clients of both eras probe with `server/discover`, give up after 0.6 to 5 s, and go on on the same pipe."""
    start = Start(settings, tmp_path)
    if is_warm:
        await start.warm()
    discover = [request(f"d{number}", "server/discover", {"_meta": ENVELOPE}) for number in range(probes)]
    with anyio.fail_after(BOUND):
        async with start.host() as host:
            await host.send(*discover, initialize(1), INITIALIZED, request(2, "tools/list"))
            answers = {answer["id"]: answer for answer in [await host.message() for _ in range(probes + 2)]}
            assert answers[1]["result"]["protocolVersion"] == "2025-11-25" and answers[2]["result"]["tools"]
            await host.send(call(3, "search_models", {"query": "speech"}))
            assert (await host.answer(3))["result"]["content"]


async def test_who_went_on_in_2026_may_not_shake_hands_any_more(settings: Settings, tmp_path: Path):
    start = await Start(settings, tmp_path).warm()
    with anyio.fail_after(BOUND):
        async with start.host() as host:
            await host.send(call(1, "search_models", {"query": "speech"}, _meta=ENVELOPE), initialize(2))
            answers = {answer["id"]: answer for answer in (await host.message(), await host.message())}
    assert answers[1]["result"]["content"] and answers[2]["error"]["code"] == -32022


async def test_a_host_that_goes_before_the_server_is_there_leaves_no_process_behind(settings: Settings, tmp_path: Path):
    start = await Start(settings, tmp_path).warm()
    with anyio.fail_after(BOUND):
        async with start.host() as host:
            await host.send(initialize(1))
            assert (await host.message())["id"] == 1
            assert await host.end() == (b"", b"")
    assert host.process.returncode == 0


@pytest.mark.parametrize("is_modern", [False, True], ids=["2025", "2026"])
async def test_a_host_that_was_given_a_list_that_holds_no_more_is_told(
    settings: Settings, tmp_path: Path, is_modern: bool
):
    start = await Start(settings, tmp_path).warm()
    kept = start.kept.read()
    stale = {question: b'{"tools":[]}' if "tools/list" in question else each for question, each in kept.answers.items()}
    replace(kept, answers=stale).write()
    with anyio.fail_after(BOUND):
        async with start.host() as host:
            if is_modern:
                listen = {"_meta": ENVELOPE, "notifications": {"toolsListChanged": True}}
                await host.send(request("l", "subscriptions/listen", listen))
                await host.send(request(2, "tools/list", {"_meta": ENVELOPE}))
            else:
                await host.send(initialize(1), INITIALIZED, request(2, "tools/list"))
            assert (await host.answer(2))["result"] == {"tools": []}
            while (await host.message()).get("method") != "notifications/tools/list_changed":
                continue
            await host.send(request(3, "tools/list", {"_meta": ENVELOPE} if is_modern else {}))
            assert (await host.answer(3))["result"]["tools"]
            await host.end()
    assert start.kept.read().answers == kept.answers


def test_what_changes_an_answer_makes_another_file_or_leaves_the_list_out(tmp_path: Path):
    models = tmp_path / "models"
    models.mkdir()
    environment = {"XDG_CACHE_HOME": str(tmp_path), "FAL_MCP_MODELS": str(models), "FAL_KEY": "a:b"}
    kept = replace(
        answer_file.kept_for([], environment), answers={"tools/list 2026-07-28": b"{}", "ping 2025-11-25": b"{}"}
    )
    kept.write()
    assert answer_file.kept_for([], environment).read().answers == kept.answers
    assert answer_file.kept_for([], environment | {"FAL_KEY": "c:d"}).read().answers == kept.answers
    assert not answer_file.kept_for(["--read-only"], environment).read().answers
    assert not answer_file.kept_for([], environment | {"FAL_MCP_LIST": "all"}).read().answers
    assert not replace(kept, made_by="another version", answers={}).read().answers
    (models / "a__b.json").write_text("{}")
    assert set(answer_file.kept_for([], environment).read().answers) == {"ping 2025-11-25"}
    assert b"a:b" not in Path(kept.file).read_bytes()


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff" * 100, b"a\nb\nc", b"\n\n\n\t\n"])
def test_a_damaged_file_answers_nothing(tmp_path: Path, content: bytes):
    kept = answer_file.kept_for([], {"XDG_CACHE_HOME": str(tmp_path)})
    kept.write()
    Path(kept.file).write_bytes(content)
    assert not kept.read().answers


async def test_where_nothing_can_be_written_it_serves_all_the_same(settings: Settings, tmp_path: Path):
    (tmp_path / "file").write_text("")
    start = Start(settings, tmp_path / "file")
    start.environment["FAL_MCP_DATA_DIR"] = str(tmp_path)
    with anyio.fail_after(BOUND):
        async with start.host() as host:
            await host.send(initialize(1), INITIALIZED, request(2, "tools/list"))
            assert (await host.answer(2))["result"]["tools"]
            _, log = await host.end()
    assert b"Traceback" not in log


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="their folders are the system's")
@pytest.mark.parametrize("environment", [{}, {"XDG_CACHE_HOME": "/x/y"}, {"XDG_CACHE_HOME": "  "}])
def test_the_folder_is_the_one_that_platformdirs_names(environment: dict[str, str]):
    script = "import platformdirs; print(platformdirs.user_cache_path('fal-mcp', appauthor=False))"
    more = {"HOME": str(Path.home()), **environment}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=more, check=True, timeout=BOUND)
    assert done.stdout.decode().strip() == answer_file.cache_folder(environment)


def test_what_is_imported_before_an_answer_is_the_standard_library_alone(tmp_path: Path):
    """The reason for it all; measured in `benchmarks`."""
    script = "import sys; sys.argv = ['fal-mcp', '--version']; from fal_mcp import entry; " + (
        "from fal_mcp.server import first_answers; print([m for m in sys.modules if m.split('.')[0] in "
        "('mcp', 'pydantic', 'anyio', 'typer', 'platformdirs', 'asyncio', 'logging', 'hashlib', 'typing_extensions')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, env={**os.environ}, check=True, timeout=BOUND
    )
    assert done.stdout.strip() == b"[]"


Anything = st.SearchStrategy[Any]
EMPTY: Anything = st.just({})
OBJECTS: Anything = st.dictionaries(
    st.sampled_from(["", "form", "listChanged", "a/b"]), EMPTY | st.booleans() | st.none()
)
CAPABILITIES: Anything = st.dictionaries(
    st.sampled_from(["roots", "sampling", "elicitation", "experimental", "extensions", "tasks", "odd"]),
    OBJECTS | st.none() | st.integers(),
)
NAMES: Anything = (
    st.fixed_dictionaries(
        {"name": st.text(max_size=3), "version": st.text(max_size=3)},
        optional={"title": st.text(max_size=3) | st.none(), "icons": st.just([]), "websiteUrl": st.text(max_size=3)},
    )
    | st.none()
)
TOKENS: Anything = st.one_of(st.integers(), st.text(max_size=3), st.none(), st.booleans(), st.floats(allow_nan=False))
METAS: Anything = st.fixed_dictionaries(
    {},
    optional={
        "io.modelcontextprotocol/protocolVersion": st.sampled_from([MODERN, "2025-11-25", "x", 3]),
        "io.modelcontextprotocol/clientCapabilities": CAPABILITIES,
        "io.modelcontextprotocol/clientInfo": NAMES,
        "io.modelcontextprotocol/logLevel": st.just("debug"),
        "progressToken": TOKENS,
        "other": st.integers(),
    },
)
PLAIN: Anything = TOKENS.map(lambda token: {"progressToken": token})
# What is right but for one thing finds more than what is wrong throughout.
NEARLY: Anything = METAS.map(lambda odd: {**ENVELOPE, **dict(list(odd.items())[:1])})
PARAMS: Anything = st.fixed_dictionaries(
    {}, optional={"_meta": NEARLY | PLAIN | METAS | st.none(), "cursor": st.none() | st.just("")}
) | (NEARLY | PLAIN).map(lambda meta: {"_meta": meta})
HANDSHAKES: Anything = st.fixed_dictionaries(
    {
        "protocolVersion": st.sampled_from([*HANDSHAKE, MODERN, "x", 3]),
        "capabilities": CAPABILITIES,
        "clientInfo": NAMES,
    },
    optional={"_meta": METAS},
)
IDS: Anything = st.integers(-5, 5) | st.text(max_size=3)
REQUESTS: Anything = st.builds(request, IDS, st.sampled_from(["server/discover", "ping", *LISTS]), PARAMS) | st.builds(
    request, IDS, st.just("initialize"), HANDSHAKES
)


class Sink(Wire):
    """A wire that keeps what is written."""

    def __init__(self) -> None:
        super().__init__(-1, -1)
        self.written: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.written.append(line)


def at_the_door(answers: Mapping[str, bytes], line: bytes, hello: str) -> Any:
    """What the door says to a line, after this handshake if there was one."""
    wire = Sink()
    door = Door(wire, Kept("", "", "", "", "", answers), is_served=True)
    if hello:
        door.take(json.dumps(initialize("hello", hello)).encode())
        wire.written.clear()
    door.take(line)
    return json.loads(wire.written[0]) if wire.written else None


@given(asked=REQUESTS, hello=st.sampled_from(["", "2024-11-05", "2025-11-25"]))
@effort(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_asked_the_door_says_what_the_sdk_says_or_nothing(asked: dict[str, Any], hello: str):
    line = json.dumps(asked).encode()
    server = SERVER

    async def by_the_sdk() -> tuple[dict[str, bytes], Any]:
        async with server.lifespan(server) as state:
            first = [types.JSONRPCRequest.model_validate(initialize("hello", hello))] if hello else []
            answers = await rehearsal.asked(server, state, [*first, types.JSONRPCRequest.model_validate(asked)])
            if not ANSWERS:
                ANSWERS.update(await rehearsal.answers(server, state))
            return ANSWERS, answers[-1].model_dump(mode="json", by_alias=True, exclude_unset=True)

    answers, expected = anyio.run(by_the_sdk)
    if (answer := at_the_door(answers, line, hello)) is not None:
        assert answer == expected


SERVER = app.build(Settings(models=bundled.schemas() / "models"))
ANSWERS: dict[str, bytes] = {}
