"""A host that answers a question of the server's with what is no answer: that is no yes, and nothing else comes of it.
And what nobody expected reaches no host in its own words."""

from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator
from fal_mcp.errors import NotRecorded
from fal_mcp.json_values import object_of
from fal_mcp.server import app
from tests.server.stdio_host import INITIALIZED, Host, Start, call, initialize

BOUND = 60
TOOL = "fal-ai_flux_dev"
ASKS: dict[str, Any] = {"capabilities": {"elicitation": {"form": {}, "url": {}}}}
NO_ANSWERS: dict[str, dict[str, Any]] = {
    "of another form": {"result": {"foo": 1}},
    "nothing": {"result": {}},
    "another word": {"result": {"action": "maybe", "content": {"approve": True}}},
    "a list": {"result": {"action": "accept", "content": [True]}},
    "an object in it": {"result": {"action": "accept", "content": {"approve": True, "more": {"a": [1]}}}},
    "a word for it": {"result": {"action": "accept", "content": {"approve": "true"}}},
    "a number for it": {"result": {"action": "accept", "content": {"approve": 1}}},
    "an error": {"error": {"code": -1, "message": "secret: /home/me"}},
    "an error of its own": {"error": {"code": -32603, "message": "secret: /home/me"}},
    "null": {"result": None},
    "a text": {"result": "yes"},
    "an error that is a text": {"error": "no"},
    "an error without anything": {"error": {}},
    "both": {"result": {"action": "accept", "content": {"approve": True}}, "error": {"code": 1, "message": "x"}},
    "no such question": {"error": {"code": -32601, "message": "Method not found"}},
}


async def asked(host: Host, number: int, *arguments: Any, reply: dict[str, Any]) -> dict[str, Any]:
    """What a call comes to whose question is answered so."""
    await host.send(call(number, *arguments))
    while (question := await host.message()).get("method") != "elicitation/create":
        assert "method" in question, question
    await host.send({"jsonrpc": "2.0", "id": question["id"], **reply})
    return await host.answer(number)


async def test_what_is_no_answer_to_a_question_is_no_yes(fal: Emulator, settings: Settings, tmp_path: Path):
    """Forms and pages: nothing is sent, the model is told so, and the host's own words go nowhere."""
    start = Start(settings, tmp_path, "--approve-over", "0", "--toolsets", "models,serverless")
    hello = initialize("hello")
    hello["params"] |= ASKS
    with anyio.fail_after(BOUND):
        async with start.host() as host:
            await host.send(hello, INITIALIZED)
            await host.answer("hello")
            for number, (name, reply) in enumerate(NO_ANSWERS.items()):
                # Whoever accepts to go to a page says nothing with it, whatever else is there.
                accepts = object_of(reply.get("result")).get("action") == "accept"
                for tool, arguments in ((TOOL, {"prompt": name}), ("set_secret", {"name": "TOKEN"}))[: 2 - accepts]:
                    answer = await asked(host, number, tool, arguments, reply=reply)
                    said = answer["result"]["content"][0]["text"]
                    assert answer["result"]["isError"] and "inside this server" not in said, (name, said)
                    assert "/home/me" not in said, (name, said)
                    assert ("this client cannot ask" in said) == (name == "no such question"), (name, said)
    assert fal.jobs == {} and fal.secrets == {}


@pytest.mark.parametrize("name", ["an error", "a list"])
async def test_what_cannot_be_undone_is_not_done_on_it(fal: Emulator, settings: Settings, tmp_path: Path, name: str):
    """Nor on the name repeated, which is for clients that nobody can be asked through."""
    start = Start(settings, tmp_path, "--toolsets", "keys")
    hello = initialize("hello")
    hello["params"] |= ASKS
    (key_id, *_) = fal.api_keys
    start.environment["FAL_ADMIN_KEY"] = settings.key or ""
    with anyio.fail_after(BOUND):
        async with start.host() as host:
            await host.send(hello, INITIALIZED)
            await host.answer("hello")
            arguments = {"key_id": key_id, "confirm": key_id}
            answer = await asked(host, 5, "delete_key", arguments, reply=NO_ANSWERS[name])
    assert answer["result"]["isError"] and key_id in fal.api_keys


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize(
    ("raised", "told"),
    [(ValueError("/home/me/secret"), "whoever runs"), (KeyError("/home/me/secret"), "whoever runs"), (None, "disk")],
)
async def test_what_nobody_expected_is_told_without_its_text(settings: Settings, mode: Any, raised: Any, told: str):
    """A tool's call has its own words; this is any other request. Of our own errors the words are ours to tell."""

    async def fails(ctx: object, params: object) -> types.ListPromptsResult:
        raise raised or NotRecorded("The ledger is away.")

    server = app.build(settings)
    server.add_request_handler("prompts/list", types.PaginatedRequestParams, fails)
    with anyio.fail_after(BOUND):
        async with Client(server, mode=mode) as client:
            with pytest.raises(MCPError) as caught:
                await client.list_prompts()
    error = caught.value.error
    assert error.code == -32603 and told in error.message and "/home/me" not in str(error)
