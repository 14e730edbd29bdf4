"""fal's Platform over MCP, in both eras: every operation is a tool, and every argument lands once where it belongs."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

import anyio
import httpx
import mcp_types as types
import pytest
from mcp.client import Client

from fal_mcp.config import MORE_TOOLSETS, TOOLSETS, Settings
from fal_mcp.emulator import Emulator, Reply
from fal_mcp.emulator.platform.instance import Instance
from fal_mcp.openapi.operation import Argument, Operation
from fal_mcp.server import app
from fal_mcp.toolsets import platform

ADMIN = "99999999-2222-4333-8444-555555555555:0123456789abcdef0123456789abcdef"
SETS = (*TOOLSETS, *MORE_TOOLSETS)
ENDPOINT = "fal-ai/flux/dev"
BOUND = 60
LINES = [(operation_id, name, effect) for lines in platform.TABLE.values() for operation_id, name, effect in lines]
Host = Callable[..., Client]


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, fal: Emulator, settings: Settings, tmp_path: Path) -> Host:
    fal.admin_keys.add(ADMIN)

    def client(asked: Any = None, transport: httpx.AsyncBaseTransport | None = None, **changes: Any) -> Client:
        chosen = {"admin_key": ADMIN, "toolsets": SETS, "listed": ("search",), "data": tmp_path / "data", **changes}
        server = app.build(replace(settings, **chosen), transport)
        return Client(server, mode=request.param, elicitation_callback=asked)

    return client


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


def platform_calls(fal: Emulator) -> list[Any]:
    return [call for call in fal.calls if call.host_role == "api"]


def value(argument: Argument) -> Any:
    """A value that the argument takes, and that is told from every other argument's."""
    schema = argument.schema
    if argument.only_with or argument.name == "cursor":
        return None
    return of_schema(argument.name, next(one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"))


def of_schema(name: str, schema: Mapping[str, Any]) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "integer":
            return max(schema.get("minimum", 1), min(3, schema.get("maximum", 3)))
        case "number":
            return 0.5
        case "boolean":
            return True
        case "array" if name == "labels":
            return [{"key": "fal_source", "value": "gateway"}]
        case "array":
            return [of_schema(name, schema["items"])]
        case "object" if name == "contents":
            nodes: dict[str, Any] = {
                "a": {"id": "a", "type": "run", "app": "fal-ai/flux/dev", "depends": [], "input": {}}
            }
            return {
                **{"name": "pier", "version": "0.1", "nodes": nodes, "output": {"image": "$a.images.0.url"}},
                "schema": {"input": {}, "output": {}},
            }
        case "object" | None:
            return {}
        case _:
            return of_name(name, schema)


def of_name(name: str, schema: Mapping[str, Any]) -> str:
    fixed = {
        **{"start": "2026-11-01", "end": "2026-11-20", "timezone": "Europe/Berlin"},
        **{"billing_month": "2026-10", "charge_month": "2026-10", "cover_image_url": "https://example.com/c.png"},
        **{"url": "https://example.com/file.png", "search_image_url": "https://example.com/s.png"},
        **{"search_video_url": "https://example.com/s.mp4", "image_url": "https://example.com/i.png"},
        **{"file": "weights/new folder/a.bin", "video_url": "https://example.com/v.mp4"},
    }
    if schema.get("format") == "uuid":
        return "0f0e0d0c-0b0a-4908-8706-050403020100"
    return fixed.get(name, f"of-{name.replace('_', '-')}")


def arguments_of(operation: Operation, known: Mapping[str, Any]) -> dict[str, Any]:
    """Every argument at once, but one of those that exclude each other."""
    found = {one.name: known.get(one.name, value(one)) for one in operation.arguments}
    for group in operation.groups:
        kept = next((name for name in group.names if name in known), group.names[0])
        found = {name: given for name, given in found.items() if name not in group.names or name == kept}
    return {name: given for name, given in found.items() if given is not None or name in known}


def landed(operation: Operation, call: Any) -> dict[str, Any]:
    """What a request says, by argument; whatever is in two places shows as a list of both."""
    found: dict[str, list[Any]] = {}
    template, path = operation.path.split("/"), call.path.removeprefix("/v1").split("/")
    for place, step in enumerate(template):
        if step.startswith("{"):
            rest = (
                path[place:] if operation.path.endswith("}") and place == len(template) - 1 else path[place : place + 1]
            )
            found.setdefault(step[1:-1], []).append(unquote("/".join(rest)))
    for name, text_ in parse_qsl(call.query, keep_blank_values=True):
        found.setdefault(name, []).append(text_)
    body: Any = json.loads(call.body) if call.body else {}
    named = cast(dict[str, Any], body) if isinstance(body, dict) else {"labels": body}
    for name, item in named.items():
        found.setdefault(name, []).append(item)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def sent(operation: Operation, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The same as the wire has it: what goes into a path or a query is text."""
    places = {one.name: one.place for one in operation.arguments}
    found: dict[str, Any] = {}
    for name, given in arguments.items():
        is_list = isinstance(given, list) and places[name] == "query"
        one = cast(Any, given[0] if is_list else given)
        found[name] = given if places[name] == "body" else json.dumps(one) if isinstance(one, bool) else str(one)
    return found


def known(fal: Emulator, request_id: str) -> dict[str, Any]:
    """What there is, so that every operation has something to find."""
    return {
        **{"owner": "emulator", "name": "sketch", "endpoint_id": [ENDPOINT], "app_id": ["emulator/sketch"]},
        **{"username": "emulator", "workflow_name": "lighthouse", "request_id": request_id},
        **{"asset_id": next(iter(fal.assets)), "collection_id": next(iter(fal.collections))},
        **{"character_id": next(iter(fal.characters)), "tag_id": next(iter(fal.tags)), "tag_ids": list(fal.tags)},
        **{"parent_collection_id": None, "id": "inst_1"},
    }


def test_every_operation_is_a_tool_or_says_why_not():
    """Held both ways."""
    known = set(platform.operations())
    named = [*(line[0] for line in LINES), *platform.HAND_MADE, *platform.NOT_TOOLS]
    assert len(known) == 82 and sorted(named) == sorted(known)
    assert all(len(reason) > 20 for reason in platform.NOT_TOOLS.values())


@pytest.mark.parametrize(("operation_id", "tool", "effect"), LINES, ids=[line[1] for line in LINES])
async def test_every_argument_lands_once_and_the_answer_is_understood(
    fal: Emulator, settings: Settings, tmp_path: Path, operation_id: str, tool: str, effect: str
):
    fal.admin_keys.add(ADMIN)
    fal.prices[ENDPOINT] = (0.025, "megapixels")
    fal.instances["inst_1"] = Instance("inst_1", "gpu_1x_h100_sxm5", None, "ssh-ed25519 AAAA", 1)
    operation = platform.operations()[operation_id]
    server = app.build(replace(settings, admin_key=ADMIN, toolsets=SETS, listed=("search",), data=tmp_path))
    with anyio.fail_after(BOUND):
        async with Client(server) as client:
            run = await client.call_tool("fal-ai_flux_dev", {"prompt": "x"})
            there = known(fal, run.structured_content["request_id"])
            arguments = arguments_of(operation, there)
            confirm = {"confirm": "/".join(arguments[one.name] for one in operation.arguments if one.place == "path")}
            before = len(platform_calls(fal))
            result = await client.call_tool(tool, {**arguments, **(confirm if effect == "destroys" else {})})
    calls = platform_calls(fal)[before:]
    assert not result.is_error, text(result)
    assert len(calls) == 1 and calls[0].method == operation.method
    assert landed(operation, calls[0]) == sent(operation, arguments)
    assert ("idempotency-key" in calls[0].headers) is operation.takes_idempotency_key
    assert calls[0].headers["authorization"] == f"Key {ADMIN if operation.needs_admin else settings.key}"
    assert text(result) and result.structured_content


async def test_without_an_admin_key_a_tool_says_so_before_it_is_called(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host(admin_key=None) as client:
            listed = {tool.name: tool for tool in (await client.list_tools()).tools}
            result = await client.call_tool("list_keys", {})
    assert (listed["list_keys"].description or "").endswith("Needs an admin key. None is set here.")
    assert result.is_error and "FAL_ADMIN_KEY" in text(result) and "https://fal.ai/dashboard/keys" in text(result)
    assert platform_calls(fal) == []


async def test_a_key_that_is_too_small_is_told_which_scope_it_takes(fal: Emulator, host: Host, settings: Settings):
    with anyio.fail_after(BOUND):
        async with host(admin_key=settings.key) as client:
            result = await client.call_tool("list_keys", {})
    assert result.is_error and "Access denied" in text(result) and "scope ADMIN" in text(result)


async def test_read_only_leaves_out_and_refuses_everything_that_does_more(fal: Emulator, host: Host):
    refused = {"fal-ai_flux_dev": {"prompt": "x"}, "run_model": {"endpoint_id": ENDPOINT, "arguments": {"prompt": "x"}}}
    refused |= {"delete_key": {"key_id": "k", "confirm": "k"}, "upload_file": {"text": "x"}}
    with anyio.fail_after(BOUND):
        async with host(read_only=True, listed=("all",)) as client:
            listed = (await client.list_tools()).tools
            answers = [await client.call_tool(name, given) for name, given in refused.items()]
            reads = await client.call_tool("list_apps", {})
    assert listed and all(tool.annotations and tool.annotations.read_only_hint for tool in listed)
    assert all(answer.is_error and "--read-only" in text(answer) for answer in answers)
    assert not reads.is_error and {call.method for call in fal.calls} == {"GET"}


async def test_what_cannot_be_undone_is_asked_of_the_user(fal: Emulator, host: Host):
    asked: list[str] = []
    answers = iter([False, True])

    async def ask(_: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action="accept", content={"agree": next(answers)})

    name = {"owner": "emulator", "name": "sketch"}
    with anyio.fail_after(BOUND):
        async with host(ask) as client:
            refused = await client.call_tool("flush_app_queue", {**name, "confirm": "emulator/sketch"})
            still = fal.queues["emulator/sketch"]
            done = await client.call_tool("flush_app_queue", name)
    assert refused.is_error and "did not agree" in text(refused) and still == 3
    assert not done.is_error and fal.queues["emulator/sketch"] == 0
    assert all("emulator/sketch" in question for question in asked) and len(asked) == 2


@pytest.mark.parametrize("confirm", [{}, {"confirm": "yes"}, {"confirm": "emulator/sketc"}])
async def test_where_nobody_can_be_asked_the_name_must_be_repeated(fal: Emulator, host: Host, confirm: dict[str, str]):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("flush_app_queue", {"owner": "emulator", "name": "sketch", **confirm})
    assert result.is_error and "confirm: 'emulator/sketch'" in text(result) and fal.queues["emulator/sketch"] == 3


@pytest.mark.parametrize(
    ("tool", "arguments", "rule"),
    [
        ("get_billing_events", {"start": "2026-11-10", "end": "2026-11-01"}, "not before"),
        ("get_billing_events", {"start": "2026-01-01", "end": "2026-11-01"}, "longer than 90 days"),
        ("get_billing_events", {"start": "last week"}, "no date"),
        ("get_prices", {"endpoint_id": [f"a/{n}" for n in range(51)]}, "at most 50"),
        ("get_billing_events", {"limit": 0}, "at least 1"),
        ("search_requests", {"query": "a", "image_url": "https://example.com/a.png"}, "at most one of"),
        ("favorite_asset", {}, "exactly one of"),
        ("upload_app_file_from_url", {"file": "../etc/passwd", "url": "https://example.com/a"}, "no '..'"),
        ("upload_app_file_from_url", {"file": "a/%2e%2e/b\x00", "url": "https://example.com/a"}, "not a name or path"),
        ("get_app_queue", {"owner": "emulator", "name": ".."}, "not a name or path"),
        ("create_instance", {"instance_type": "gpu_1x_a100", "ssh_key": "ssh-ed25519 AAAA"}, "not one of"),
    ],
)
async def test_what_breaks_fals_rules_is_refused_here(
    fal: Emulator, host: Host, tool: str, arguments: dict[str, Any], rule: str
):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool(tool, arguments)
    assert result.is_error and rule in text(result) and platform_calls(fal) == []


async def test_pages_are_followed_to_the_number_of_rows_asked_for(fal: Emulator, host: Host):
    fal.endless.add("serverlessLogsHistory")
    with anyio.fail_after(BOUND):
        async with host() as client:
            some = await client.call_tool("search_app_logs", {"limit": 7})
            many = await client.call_tool("search_app_logs", {"limit": 1000})
            rest = await client.call_tool("list_collections", {"limit": 1})
    assert len(some.structured_content["items"]) == 7 and "there are more, with cursor" in text(some)
    assert len(many.structured_content["items"]) <= 1000 and len(platform_calls(fal)) <= 45
    assert len(rest.structured_content["collections"]) == 1


async def test_a_busy_fal_is_waited_for_as_it_asks_and_told_when_it_stays_so(fal: Emulator, host: Host):
    busy = {"error": {"type": "rate_limited", "message": "Rate limit exceeded"}}
    fal.platform_replies["serverlessListApps"] = Reply(429, busy, {"retry-after": "0"})
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("list_apps", {})
    assert result.is_error and "Rate limit exceeded" in text(result)
    assert result.structured_content["error"]["retryable"] is True and len(platform_calls(fal)) > 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'"x"'])
async def test_an_answer_that_is_none_is_an_error_and_never_a_crash(fal: Emulator, host: Host, body: bytes):
    fal.platform_replies["serverlessListApps"] = Reply(200, body)
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("list_apps", {})
    assert result.is_error and "Own serverless apps" in text(result)


async def test_one_number_that_python_does_not_read_costs_no_answer(fal: Emulator, host: Host):
    body = b'{"keys": [{"key_id": "k1", "alias": "laptop", "uses": %s}]}' % (b"7" * 5000)
    fal.platform_replies["listApiKeys"] = Reply(200, body)
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("list_keys", {})
    assert not result.is_error and "laptop" in text(result)
    assert result.structured_content["keys"] == [{"key_id": "k1", "alias": "laptop", "uses": None}]


async def test_a_new_key_is_in_a_file_of_its_owners_and_nowhere_else(fal: Emulator, host: Host, tmp_path: Path):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("create_key", {"alias": "../My laptop"})
            listed = await client.call_tool("list_keys", {})
    file = anyio.Path(result.structured_content["path"])
    key = (await file.read_text("utf-8")).strip()
    assert file.is_relative_to(tmp_path / "data" / "keys") and (await file.stat()).st_mode & 0o777 == 0o600
    assert ":" in key and key in fal.keys
    secret = key.split(":")[1]
    assert secret not in result.model_dump_json() + listed.model_dump_json() and "../My laptop" in text(listed)


async def test_a_key_that_could_not_be_written_is_not_made(fal: Emulator, host: Host, tmp_path: Path):
    (tmp_path / "keys").write_text("a file where the folder would be")
    with anyio.fail_after(BOUND):
        async with host(data=tmp_path) as client:
            result = await client.call_tool("create_key", {"alias": "x"})
    assert result.is_error and "No key was made" in text(result)
    assert not any(call.method == "POST" for call in platform_calls(fal))


async def test_a_call_that_is_given_up_does_not_hold_the_server_for_a_silent_fal(host: Host, tmp_path: Path):
    """A key that fal may have made is waited for, for five seconds and not until fal answers."""

    async def silent(_: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError("never")

    with anyio.fail_after(BOUND):
        async with host(transport=httpx.MockTransport(silent)) as client:
            with anyio.move_on_after(0.2):
                await client.call_tool("create_key", {"alias": "x"})
            began = anyio.current_time()
            # What is still shielded holds up the server's end.
        assert anyio.current_time() - began < 8
    assert not [file async for file in anyio.Path(tmp_path / "data" / "keys").iterdir()]


async def test_a_machine_is_started_after_a_yes_counted_and_waited_for(fal: Emulator, host: Host):
    asked: list[str] = []
    said: list[str] = []

    async def yes(_: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action="accept", content={"approve": True})

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        said.append(message or "")

    machine = {"instance_type": "gpu_8x_h100_sxm5", "ssh_key": "ssh-ed25519 AAAA me@here"}
    fal.instance_reads = 0
    with anyio.fail_after(BOUND):
        async with host(yes, daily_budget=20.0) as client:
            result = await client.call_tool("create_instance", machine, progress_callback=hear)
            again = await client.call_tool("create_instance", machine)
            jobs = await client.call_tool("list_jobs", {})
    assert "from 15.12 USD an hour" in asked[0] and "ssh ubuntu@" in text(result) and "delete_instance" in text(result)
    assert again.is_error and "--daily-budget" in text(again) and len(fal.instances) == 1
    assert jobs.structured_content["spent_today_usd"] == pytest.approx(15.12)


async def test_no_machine_is_started_where_nobody_can_say_yes(fal: Emulator, host: Host):
    machine = {"instance_type": "gpu_1x_h100_sxm5", "ssh_key": "ssh-ed25519 AAAA"}
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("create_instance", machine)
    assert result.is_error and "from 1.89 USD an hour" in text(result) and fal.instances == {}


async def test_waiting_for_a_machine_ends_when_the_time_is_up(fal: Emulator, host: Host):
    fal.instances["inst_1"] = Instance("inst_1", "gpu_1x_h100_sxm5", None, "ssh-ed25519 AAAA", 50)
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("wait_for_instance", {"id": "inst_1", "seconds": 0.2})
    assert not result.is_error and "pending; call wait_for_instance" in text(result)


async def test_a_workflow_runs_like_a_model(fal: Emulator, host: Host):
    name = {"username": "emulator", "workflow_name": "lighthouse"}
    with anyio.fail_after(BOUND):
        async with host() as client:
            read = await client.call_tool("get_workflow", name)
            result = await client.call_tool("run_workflow", {**name, "arguments": {"prompt": "a pier"}})
            wrong = await client.call_tool("run_workflow", {**name, "arguments": {"prompt": 7}})
    assert not read.is_error and not result.is_error, text(result)
    assert result.structured_content["endpoint_id"] == "workflows/emulator/lighthouse"
    assert wrong.is_error and "$.prompt" in text(wrong)


async def test_a_lost_answer_to_what_is_not_repeatable_is_never_sent_again(fal: Emulator, host: Host):
    """Fact F6.1: a workflow has no idempotency key."""
    operation = platform.operations()["createWorkflow"]
    assert not operation.takes_idempotency_key
    fal.platform_replies["createWorkflow"] = Reply(502, b"<html>bad gateway</html>")
    contents = of_schema("contents", {"type": "object"})
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("create_workflow", {"name": "a", "title": "A", "contents": contents})
    assert result.is_error and len([call for call in platform_calls(fal) if call.method == "POST"]) == 1


async def test_what_has_an_idempotency_key_is_sent_again_with_the_same(fal: Emulator, host: Host):
    fal.platform_replies["createAssetTag"] = Reply(503, b"<html>busy</html>", {"retry-after": "0"})
    with anyio.fail_after(BOUND):
        async with host() as client:
            await client.call_tool("create_tag", {"name": "night"})
    keys = [call.headers["idempotency-key"] for call in platform_calls(fal)]
    assert len(keys) > 1 and len(set(keys)) == 1


async def test_a_machine_that_was_started_is_named_whatever_becomes_of_looking_at_it(fal: Emulator, host: Host):
    gone = {"error": {"type": "not_found", "message": "Instance not found"}}
    fal.platform_replies["getComputeInstance"] = Reply(404, gone)
    machine = {"instance_type": "gpu_1x_h100_sxm5", "ssh_key": "ssh-ed25519 AAAA"}
    with anyio.fail_after(BOUND):
        async with host(_agreed) as client:
            result = await client.call_tool("create_instance", machine)
    (name,) = fal.instances
    assert not result.is_error and name in text(result) and "delete_instance" in text(result)


async def test_a_machine_whose_start_was_not_answered_is_counted_and_looked_for(fal: Emulator, host: Host):
    fal.platform_replies["createComputeInstance"] = Reply(500, b"<html>")
    machine = {"instance_type": "gpu_1x_h100_sxm5", "ssh_key": "ssh-ed25519 AAAA"}
    with anyio.fail_after(BOUND):
        async with host(_agreed) as client:
            result = await client.call_tool("create_instance", machine)
            jobs = await client.call_tool("list_jobs", {})
    assert result.is_error and "list_instances" in text(result)
    assert result.structured_content["error"]["retryable"] is False
    assert jobs.structured_content["spent_today_usd"] == pytest.approx(1.89)


async def _agreed(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"approve": True, "agree": True})


async def test_an_answer_that_is_too_much_or_hides_something_is_cut_and_cleaned(fal: Emulator, host: Host):
    hidden = "a\u202eb\U000e0041c"
    body = {"workflow": {"name": "w", "title": hidden, "contents": {"notes": "x" * 3_000_000}}}
    fal.platform_replies["getWorkflow"] = Reply(200, body)
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("get_workflow", {"username": "a", "workflow_name": "b"})
    assert len(result.model_dump_json()) < 400_000 and "Not all of it is told" in text(result)
    assert result.structured_content["workflow"]["title"] == "abc"


async def test_a_workflow_that_may_not_be_run_is_not(fal: Emulator, host: Host):
    name = {"username": "emulator", "workflow_name": "lighthouse"}
    with anyio.fail_after(BOUND):
        async with host(only=("fal-ai/*",)) as client:
            result = await client.call_tool("run_workflow", {**name, "arguments": {"prompt": "a pier"}})
    assert result.is_error and "--only" in text(result) and fal.jobs == {}
