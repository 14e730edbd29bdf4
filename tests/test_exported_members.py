"""What `fal_mcp` offers to others' programs: these names, each typed and documented, and nothing heavy with them."""

import inspect
import subprocess
import sys

import pytest

import fal_mcp
from fal_mcp import Completed, Fal, FalError, Hosts, InProgress, Queued, Request, errors

NAMES = [
    *("Completed", "Fal", "FalError", "GenerationFailed", "Hosts", "InProgress", "MaybeReceived", "Queued"),
    *("Request", "RequestRejected", "ServiceFailed", "Unreachable", "__version__", "errors"),
]
METHODS = {
    *("submit", "request", "status", "statuses", "follow", "result", "cancel", "subscribe", "run", "stream"),
    *("realtime", "upload", "download", "need_key"),
}
# httpx brings `rich` where that is installed; what httpx has is none of ours.
IMPORTED = """
import sys
import httpx
before = set(sys.modules)
{statement}
print(*sorted({{name.partition(".")[0] for name in set(sys.modules) - before}}))
"""


def imported_by(statement: str) -> set[str]:
    """The packages that a statement imports, in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED.format(statement=statement)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stdout.split())


def test_these_names_are_exported_and_no_others():
    assert fal_mcp.__all__ == NAMES == sorted(NAMES)
    namespace: dict[str, object] = {}
    exec("from fal_mcp import *", namespace)
    assert {*namespace} - {"__builtins__"} == {*NAMES}
    assert {*NAMES} <= {*dir(fal_mcp)}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "__version__"])
def test_each_says_what_it_is(name: str):
    assert (inspect.getdoc(getattr(fal_mcp, name)) or "").strip()


def test_the_methods_of_fal_are_these_and_each_says_what_it_does():
    methods = {name for name, _ in inspect.getmembers(Fal, inspect.isfunction) if not name.startswith("_")}
    assert methods == METHODS
    assert [name for name in methods if not getattr(Fal, name).__doc__] == []


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"module 'fal_mcp' has no attribute 'Client'"):
        _ = fal_mcp.Client  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def test_the_package_by_itself_imports_nothing():
    """The server's start imports it first, and start-up time is a promise."""
    assert imported_by("import fal_mcp") == {"fal_mcp"}


def test_the_client_brings_no_part_of_the_server_along():
    theirs = {"mcp", "mcp_types", "typer", "starlette", "uvicorn", "rich", "pydantic", "sqlite3", "jsonschema"}
    imported = imported_by("from fal_mcp import *; from fal_mcp import Fal; Fal(key='a:b')")
    assert "fal_mcp" in imported and imported & {*theirs, "websockets", "PIL"} == set()


def test_the_kinds_of_error_can_be_caught_by_either_name():
    assert errors.FalError is FalError
    kinds = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(kinds) > 15 and all(issubclass(kind, FalError) for kind in kinds)


async def typed(fal: Fal, request: Request) -> str | float | None:
    """Never run: that pyright agrees with each line is the test."""
    async for status in fal.statuses(request):
        match status:
            case Queued():
                return status.position
            case InProgress():
                return status.logs[0].message
            case Completed():
                return status.seconds and status.error and status.error.hint
    result: dict[str, object] = await fal.subscribe("fal-ai/flux/dev", {}, on_queue_update=print)
    url: str = await Fal("a:b", hosts=Hosts.at("http://127.0.0.1")).upload(b"")
    return url or str(result)
