"""Other people's jobs, tasks, sessions, files, questions and budgets; and what no caller may do at all."""

import base64
import json
from collections.abc import Callable
from typing import Any

import anyio

from fal_mcp.emulator import Emulator, Script
from tests.apps import made
from tests.server.http_host import TASKS
from tests.team.attacks.table import attack
from tests.team.bench import Team

TENANTS = "Other principals"
SCOPES = "Scopes, and this machine"
TOOL, ENDPOINT = "fal-ai_flux_dev", "fal-ai/flux/dev"
OfJob = Callable[[str], dict[str, Any]]
UNKNOWN = f"job_{'0' * 32}"


async def job_of(team: Team, who: str) -> str:
    """A job of somebody's, which has ended."""
    result = await team.call(who, TOOL, {"prompt": f"for {who}"})
    assert not result.get("isError"), result
    return result["structuredContent"]["job_id"]


async def alike(team: Team, tool: str, job_id: str, arguments: OfJob) -> None:
    """Bob hears of Alice's job what he hears of one that there never was. `arguments` are made of an id."""
    of_hers = json.dumps(await team.call("bob", tool, arguments(job_id)))
    of_none = json.dumps(await team.call("bob", tool, arguments(UNKNOWN)))
    assert of_hers.replace(job_id, UNKNOWN) == of_none and "There is no job" in of_none, of_hers


def crossing(tool: str, what: str, arguments: OfJob) -> None:
    """A row for a tool that takes a job's id."""

    @attack(TENANTS, what, "The words for an id that there never was")
    async def cross(team: Team, fal: Emulator) -> None:
        await alike(team, tool, await job_of(team, "alice"), arguments)


crossing("get_job", "Another's job by get_job", lambda job: {"job_id": job})
crossing("get_job", "A part of another's output by get_job", lambda job: {"job_id": job, "part": 1})
crossing("wait_for_job", "Another's job by wait_for_job", lambda job: {"job_id": job})
crossing("cancel_job", "Another's job by cancel_job", lambda job: {"job_id": job})
crossing(
    "fal-ai_birefnet_v2",
    "Another's file as an argument of a model",
    lambda job: {"image_url": f"fal://jobs/{job}/files/1"},
)
crossing(
    "run_model",
    "Another's file as an argument of run_model",
    lambda job: {"endpoint_id": "fal-ai/birefnet/v2", "arguments": {"image_url": f"fal://jobs/{job}/files/1"}},
)


@attack(TENANTS, "Another's jobs by list_jobs", "One's own alone, and the sum of one's own")
async def listing(team: Team, fal: Emulator) -> None:
    job_id = await job_of(team, "alice")
    assert job_id in json.dumps(await team.call("alice", "list_jobs"))
    assert job_id not in json.dumps(await team.call("bob", "list_jobs"))


@attack(TENANTS, "Another's result by giving the same arguments a moment later", "A run of one's own")
async def joining(team: Team, fal: Emulator) -> None:
    fal.script(ENDPOINT, Script(hold_running=True))
    arguments = {"prompt": "the same", "seed": 7}
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(team.call, "alice", TOOL, arguments)
        await fal.until(lambda: len(fal.jobs) == 1)
        fal.script(ENDPOINT, Script())
        result = await team.call("bob", TOOL, arguments)
        assert not result.get("isError") and len(fal.jobs) == 2
        tasks.cancel_scope.cancel()


@attack(
    TENANTS, "Another's job, its output or its files as a resource", "The words for an address that there never was"
)
async def resources(team: Team, fal: Emulator) -> None:
    job_id = await job_of(team, "alice")
    for uri in ("fal://jobs/%s", "fal://jobs/%s/output/1", "fal://jobs/%s/files/1"):
        assert "result" in await team.host("alice").ask("resources/read", {}, name=uri % job_id, uri=uri % job_id)
        of_hers = await team.host("bob").ask("resources/read", {}, name=uri % job_id, uri=uri % job_id)
        of_none = await team.host("bob").ask("resources/read", {}, name=uri % UNKNOWN, uri=uri % UNKNOWN)
        assert json.dumps(of_hers).replace(job_id, UNKNOWN) == json.dumps(of_none) and "error" in of_none


@attack(TENANTS, "Another's task: read, answered, cancelled", "The words for a task that there never was; it goes on")
async def tasks(team: Team, fal: Emulator) -> None:
    fal.script(ENDPOINT, Script(hold_running=True))
    task = await team.host("alice").ask("tools/call", TASKS, name=TOOL, arguments={"prompt": "x"})
    task_id = task["result"]["taskId"]
    for method in ("tasks/get", "tasks/update", "tasks/cancel"):
        of_hers = await team.host("bob").ask(method, TASKS, taskId=task_id)
        of_none = await team.host("bob").ask(method, TASKS, taskId=UNKNOWN)
        assert json.dumps(of_hers).replace(task_id, UNKNOWN) == json.dumps(of_none) and "error" in of_none
    still = await team.host("alice").ask("tasks/get", TASKS, taskId=task_id)
    assert still["result"]["status"] == "working"


@attack(
    TENANTS,
    "Another's session, or none, by a guessed id: called, listened on, ended",
    "404 for both, in the same words",
)
async def sessions(team: Team, fal: Emulator) -> None:
    named = await team.session("alice")
    guessed = {"mcp-session-id": "0" * 32}
    for who in ("bob", "admin", "reader"):
        client = team.of(who)
        for method in ("POST", "GET", "DELETE"):
            body = {"jsonrpc": "2.0", "id": 5, "method": "ping"} if method == "POST" else None
            hers = await client.request(method, team.url, json=body, headers=named)
            none = await client.request(method, team.url, json=body, headers=guessed)
            assert (hers.status_code, hers.text) == (404, none.text) and none.status_code == 404
    ping = {"jsonrpc": "2.0", "id": 5, "method": "ping"}
    assert (await team.of("alice").post(team.url, json=ping, headers=named)).status_code == 200


@attack(
    TENANTS, "The same user by another client of the issuer, or the same name at another issuer", "Another principal"
)
async def same_subject(team: Team, fal: Emulator) -> None:
    carol = team.issuer.token()
    job_id = await job_of(team, carol)
    for other in (team.issuer.token(client_id="other"), team.issuer.token(sub="carol2"), "alice"):
        assert "There is no job" in json.dumps(await team.call(other, "get_job", {"job_id": job_id}))
    # The next token of the same user by the same client.
    again = await team.call(team.issuer.token(exp=int(2e9)), "get_job", {"job_id": job_id})
    assert not again.get("isError")


@attack(TENANTS, "A subject that is written to look like another principal", "Another principal")
async def composed_subject(team: Team, fal: Emulator) -> None:
    job_id = await job_of(team, team.issuer.token(sub="a", client_id="b"))
    for subject, client in (('a","b', ""), ("a/b", ""), ("ab", ""), ("", "ab"), ("a\x00b", "")):
        answer = await team.with_token(team.issuer.token(sub=subject, client_id=client))
        if answer.status_code == 200:
            other = team.issuer.token(sub=subject, client_id=client)
            assert "There is no job" in json.dumps(await team.call(other, "get_job", {"job_id": job_id}))


ASKS: dict[str, Any] = {"elicitation": {"form": {}}}


async def question(team: Team, who: str, arguments: Any) -> Any:
    """The question that a dear call is answered with."""
    asked = await team.host(who).ask("tools/call", ASKS, name=TOOL, arguments=arguments)
    assert asked["result"]["resultType"] == "input_required", asked
    return asked["result"]


async def answered(team: Team, who: str, arguments: Any, state: str) -> Any:
    """The call again, with a yes."""
    yes = {"input": {"action": "accept", "content": {"approve": True}}}
    more = {"arguments": arguments, "inputResponses": yes, "requestState": state}
    return await team.host(who).ask("tools/call", ASKS, name=TOOL, **more)


@attack(TENANTS, "A yes to a question of another's (requestState)", "Refused, and nothing is run", asks=True)
async def foreign_state(team: Team, fal: Emulator) -> None:
    arguments = {"prompt": "dear"}
    state = (await question(team, "alice", arguments))["requestState"]
    assert "error" in await answered(team, "bob", arguments, state) and fal.jobs == {}
    assert not (await answered(team, "alice", arguments, state))["result"].get("isError")


@attack(
    TENANTS,
    "A yes that is sent twice, or with other arguments, or changed",
    "One run at most, for what was asked",
    asks=True,
)
async def replayed_state(team: Team, fal: Emulator) -> None:
    arguments = {"prompt": "dear"}
    state = (await question(team, "alice", arguments))["requestState"]
    assert "error" in await answered(team, "alice", {"prompt": "dearer"}, state)
    assert "error" in await answered(team, "alice", arguments, state[:-4] + "AAAA")
    assert not (await answered(team, "alice", arguments, state))["result"].get("isError")
    again = await answered(team, "alice", {**arguments}, state)
    assert len(fal.jobs) == 1 or again["result"].get("resultType") == "input_required"
    assert len(fal.jobs) == 1


@attack(TENANTS, "fal's callback that was forged, without a signature", "401, whether its job is known or not")
async def forged_callback(team: Team, fal: Emulator) -> None:
    await job_of(team, "alice")
    request_id = next(iter(fal.jobs))
    for known in (request_id, "00000000-0000-4000-8000-000000000000"):
        body = json.dumps({"request_id": known, "status": "OK", "payload": {"images": []}})
        answer = await team.client().post(f"{team.root}/webhooks/fal", content=body)
        assert answer.status_code == 401


@attack(TENANTS, "A callback of megabytes", "413, before its signature is looked at")
async def large_callback(team: Team, fal: Emulator) -> None:
    answer = await team.client().post(f"{team.root}/webhooks/fal", content=b"x" * 300_000)
    assert answer.status_code == 413


@attack(TENANTS, "A realtime session of another's, by its id", "The words for one that there never was")
async def realtime(team: Team, fal: Emulator) -> None:
    for tool, more in (("realtime_send", {"arguments": {"prompt": "x"}}), ("realtime_close", {})):
        answer = json.dumps(await team.call("bob", tool, {"session_id": "rt_0000000000000000", **more}))
        assert "There is no" in answer or "no session" in answer, answer


@attack(TENANTS, "A budget of one's own is spent again by another token of the same name's jobs", "Refused beyond it")
async def budget(team: Team, fal: Emulator) -> None:
    from fal_mcp.team.token_file import TokenFile

    assert team.settings.tokens is not None
    team.tokens["poor"] = TokenFile(team.settings.tokens).create("poor", ("fal:run",), daily_budget=0.0001)
    refused = await team.call("poor", TOOL, {"prompt": "x"})
    assert refused["isError"] and "daily budget" in json.dumps(refused) and fal.jobs == {}
    assert not (await team.call("alice", TOOL, {"prompt": "x"})).get("isError")


async def needs(team: Team, who: str, scope: str, method: str, **params: Any) -> None:
    """It is refused with this scope, in both eras."""
    named = await team.session(who)
    body = {"jsonrpc": "2.0", "id": 3, "method": method, "params": params}
    modern = {
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
        "mcp-name": str(params.get("name") or params.get("uri")),
    }
    for headers in (named, modern):
        answer = await team.of(who).post(team.url, json=body, headers=headers)
        challenge = answer.headers.get("www-authenticate", "")
        assert answer.status_code == 403 and 'error="insufficient_scope"' in challenge, (
            answer.status_code,
            answer.text,
        )
        assert f'scope="{scope}"' in challenge


@attack(SCOPES, "A model run with a token that may only read", "403, with the scope that it needs; nothing is sent")
async def reader_runs(team: Team, fal: Emulator) -> None:
    await needs(team, "reader", "fal:run", "tools/call", name=TOOL, arguments={"prompt": "x"})
    run = {"endpoint_id": ENDPOINT, "arguments": {"prompt": "x"}}
    await needs(team, "reader", "fal:run", "tools/call", name="run_model", arguments=run)
    assert fal.jobs == {}


@attack(SCOPES, "An app or a workflow of the account's, by its own tool, with a token that may only read", "403")
async def own_app_as_reader(team: Team, fal: Emulator) -> None:
    fal.deploy("emulator/drawing", made.document("Routes"))
    for warm in (False, True):
        for name, arguments in (("emulator_drawing", {"prompt": "x"}), ("workflows_emulator_portrait", {})):
            if warm:
                await team.call("admin", "search_models", {"query": "my drawing app"})
            result = await team.call("reader", name, arguments)
            assert "insufficient_scope" in json.dumps(result) or "needs the scope fal:run" in json.dumps(result), result
    assert fal.jobs == {} and not [call for call in fal.calls if call.host_role in ("queue", "run")]


@attack(SCOPES, "A job cancelled with a token that may only read", "403")
async def reader_cancels(team: Team, fal: Emulator) -> None:
    await needs(team, "reader", "fal:write", "tools/call", name="cancel_job", arguments={"job_id": UNKNOWN})


@attack(SCOPES, "What is the whole account's: its requests, usage, files, apps, keys", "403 without fal:admin")
async def account_tools(team: Team, fal: Emulator) -> None:
    for name in (
        "get_usage",
        "list_requests",
        "delete_key",
        "list_apps",
        "sign_file_url",
        "list_assets",
        "get_balance",
    ):
        await needs(team, "alice", "fal:admin", "tools/call", name=name, arguments={})
        # Each opens a session.
        named = await team.session("bob")
        await team.of("bob").delete(team.url, headers=named)
        break
    for name in ("list_requests", "delete_key", "list_apps", "sign_file_url", "list_assets", "get_balance"):
        answer = await team.of("alice").post(
            team.url,
            json={"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": name, "arguments": {}}},
            headers={"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": name},
        )
        assert answer.status_code == 403, name


@attack(SCOPES, "The account's balance and apps as resources", "403 without fal:admin")
async def account_resources(team: Team, fal: Emulator) -> None:
    await needs(team, "alice", "fal:admin", "resources/read", uri="fal://account/balance")
    await needs(team, "alice", "fal:admin", "resources/read", uri="fal://apps/me/app")


@attack(SCOPES, "What was spent today by all, as a resource", "What the caller spent itself")
async def spent_today(team: Team, fal: Emulator) -> None:
    await job_of(team, "alice")
    uri = "fal://usage/today"
    hers, his = [await team.host(who).ask("resources/read", {}, name=uri, uri=uri) for who in ("alice", "bob")]
    spent = [json.loads(each["result"]["contents"][0]["text"])["spent"] for each in (hers, his)]
    assert spent[0] > 0 and spent[1] == 0


@attack(SCOPES, "A token without any scope", "403 for everything, its listing included")
async def no_scope(team: Team, fal: Emulator) -> None:
    answer = await team.with_token(team.tokens["nothing"])
    assert answer.status_code == 403 and 'scope="fal:read"' in answer.headers["www-authenticate"]


@attack(SCOPES, "The header names one tool and the body another", "403 by the body, or refused for the difference")
async def other_name(team: Team, fal: Emulator) -> None:
    headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "list_jobs"}
    params = {"name": TOOL, "arguments": {"prompt": "x"}}
    body = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": params}
    answer = await team.of("reader").post(team.url, json=body, headers=headers)
    assert answer.status_code == 403 and fal.jobs == {}


@attack(SCOPES, "The body names a method or tool twice, so that two readers differ", "Refused by whoever runs it, too")
async def named_twice(team: Team, fal: Emulator) -> None:
    named = await team.session("reader")
    for first, second in (("list_jobs", TOOL), (TOOL, "list_jobs")):
        body = (
            f'{{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{{"name":"{first}","name":"{second}",'
            f'"arguments":{{"prompt":"x"}}}}}}'
        )
        await team.of("reader").post(team.url, content=body, headers=named)
    assert fal.jobs == {}


@attack(SCOPES, "A file of the server's machine as an argument", "Refused: only addresses are read")
async def local_file(team: Team, fal: Emulator) -> None:
    for path in ("/etc/passwd", "~/.ssh/id_rsa", "file:///etc/passwd", "../../../etc/passwd"):
        result = await team.call("admin", "fal-ai_birefnet_v2", {"image_url": path})
        assert result["isError"] and "root:" not in json.dumps(result), path
    assert fal.jobs == {}


@attack(
    TENANTS, "A file that was kept of another's result, by its path on the server's machine", "Refused as any path is"
)
async def kept_file(team: Team, fal: Emulator) -> None:
    wish = {"endpoint_id": ENDPOINT, "arguments": {"prompt": "hers"}}
    content = base64.b64encode(json.dumps(wish).encode()).decode()
    fal.script(ENDPOINT, Script(output={"file": {"url": f"data:application/json;base64,{content}"}}))
    hers = await team.call("alice", TOOL, {"prompt": "x"})
    (file,) = hers["structuredContent"]["files"]
    for path in (file["path"], "/etc/passwd"):
        result = await team.call("bob", "run_again", {"file": path, "arguments": {"seed": 1}})
        assert result["isError"] and "may not be read by this server" in json.dumps(result), result
    assert len(fal.jobs) == 1


@attack(SCOPES, "Tools that work on the server's machine, even with every scope", "Refused: they are its user's")
async def machine_tools(team: Team, fal: Emulator) -> None:
    for name in ("download_file", "create_key", "set_secret", "deploy_app", "upload_app_file", "download_app_file"):
        result = await team.call("admin", name, {})
        assert result["isError"] and "machine" in json.dumps(result), (name, result)


@attack(SCOPES, "The metrics without a token, by way of a proxy; with one that is no administrator's", "401, 403")
async def metrics(team: Team, fal: Emulator) -> None:
    assert (await team.client().get(f"{team.root}/metrics", headers={"via": "1.1 x"})).status_code == 401
    assert (await team.of("alice").get(f"{team.root}/metrics")).status_code == 403


@attack(
    SCOPES,
    "Methods and paths that there are not, with encoded and doubled slashes",
    "401 or 404; never without a token",
)
async def odd_paths(team: Team, fal: Emulator) -> None:
    for path in (
        "//mcp",
        "/mcp/",
        "/MCP",
        "/%6dcp",
        "/mcp/..",
        "/health/../mcp",
        "/health/x",
        "/webhooks/fal/../../mcp",
    ):
        answer = await team.raw(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{}}".encode(), quiet=0.5
        )
        assert answer.startswith((b"HTTP/1.1 401", b"HTTP/1.1 404", b"HTTP/1.1 405", b"HTTP/1.1 307")), (
            path,
            answer[:40],
        )
