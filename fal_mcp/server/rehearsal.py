"""Asks this server, inside the process, what hosts ask first, so that the next start has the answers.

The SDK's own loop answers, once for each revision of the protocol: what is kept is what a host would have got.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import anyio
import mcp_types as types
from mcp.server.runner import serve_dual_era_loop
from mcp.shared.message import SessionMessage

from fal_mcp.json_values import JsonObject
from fal_mcp.server.answer_file import Kept
from fal_mcp.server.app import FalServer
from fal_mcp.server.first_answers import DISCOVER, HANDSHAKE, INITIALIZE, LISTS, MODERN, PING
from fal_mcp.server.messages import written

_Questions = list[tuple[str, JsonObject | None]]
_NOBODY = {"name": "rehearsal", "version": "1"}
_ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": _NOBODY,
}

logger = logging.getLogger("fal_mcp")


async def asked(server: FalServer, state: Any, requests: Iterable[types.JSONRPCRequest]) -> list[types.JSONRPCMessage]:
    """The answers to these requests, in order, on a connection of their own."""
    # Of size 0 and 1: one question at a time, so that answers come in the order of their questions.
    to_server, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, from_server = anyio.create_memory_object_stream[SessionMessage](1)
    answers: list[types.JSONRPCMessage] = []
    async with to_server, from_server, anyio.create_task_group() as tasks:
        options = server.create_initialization_options()

        async def serve() -> None:
            await serve_dual_era_loop(server, incoming, outgoing, lifespan_state=state, init_options=options)

        tasks.start_soon(serve)
        for request in requests:
            await to_server.send(SessionMessage(request))
            answers.append((await from_server.receive()).message)
        to_server.close()
    return answers


async def answers(server: FalServer, state: object) -> dict[str, bytes]:
    """Every first question of every revision, and its answer's JSON."""
    modern: _Questions = [(method, {"_meta": _ENVELOPE}) for method in (DISCOVER, *LISTS)]
    given = await _given(server, state, MODERN, modern)
    for version in HANDSHAKE:
        handshake = {"protocolVersion": version, "capabilities": {}, "clientInfo": _NOBODY}
        given |= await _given(
            server, state, version, [(INITIALIZE, handshake), *((one, None) for one in (PING, *LISTS))]
        )
    return given


async def _given(server: FalServer, state: object, version: str, questions: _Questions) -> dict[str, bytes]:
    requests = [_request(number, method, params) for number, (method, params) in enumerate(questions)]
    answered = await asked(server, state, requests)
    given: dict[str, bytes] = {}
    for number, ((method, _), answer) in enumerate(zip(questions, answered, strict=True)):
        start = f'{{"jsonrpc":"2.0","id":{number},"result":'.encode()
        # An error begins otherwise, and is not kept: it may be of this moment only.
        if (text := written(answer)).startswith(start):
            given[f"{method} {version}"] = text[len(start) : -1]
    return given


def _request(number: int, method: str, params: JsonObject | None) -> types.JSONRPCRequest:
    if params is None:
        return types.JSONRPCRequest(jsonrpc="2.0", id=number, method=method)
    return types.JSONRPCRequest(jsonrpc="2.0", id=number, method=method, params=params)


async def keep(kept: Kept, given: Mapping[str, bytes]) -> Kept:
    """Keep these answers, on the disk too where that can be written and has others."""
    now = replace(kept, answers=given)
    try:
        # Written only where it differs: a server is started many times a day.
        if kept.read().answers != now.answers:
            await anyio.to_thread.run_sync(now.write)
    except OSError as error:
        logger.debug("What hosts ask first could not be kept for the next start: %s", error)
    return now
