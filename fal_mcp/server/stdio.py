"""The server on standard input and output.

In place of the SDK's own transport (`sdk_mends` says why): lines come through `first_answers`, which began to read
them before the SDK was there, and go out through `wire`, which writes nothing once the input has ended.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import mcp_types as types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.runner import serve_dual_era_loop
from mcp.shared.message import SessionMessage

from fal_mcp.config import Settings
from fal_mcp.json_values import dumped
from fal_mcp.server import app, first_answers, messages, rehearsal
from fal_mcp.server.first_answers import DISCOVER, HANDSHAKE, INITIALIZE, Door
from fal_mcp.server.messages import Batch, Refusal

_LONGEST_SILENCE = 5.0
"""Seconds until a host that asks nothing is no longer waited for."""
_KEEP_AFTER = 0.5
"""The host's own questions come first."""
_LOOK_EVERY = 60.0
CALL = "tools/call"
CANCELLED = "notifications/cancelled"


async def serve(settings: Settings) -> None:
    """Serve one host until it closes our standard input."""
    await serve_app(app.build(settings), first_answers.door())


async def serve_app(server: app.FalServer, door: Door) -> None:
    """The same for a server that was built already, at any door."""
    try:
        async with server.lifespan(server) as state:
            await _Host(server, state, door).serve()
    finally:
        door.close()


class _Host:
    """One host's connection."""

    def __init__(self, server: app.FalServer, state: Any, door: Door) -> None:
        self._server, self._state, self._door = server, state, door
        self._version = ""
        self._is_decided = False
        self._has_answered = anyio.Event()
        """Whether the SDK was handed a request, whose era it then takes for the connection's."""
        self._batches: dict[str, _Answers] = {}
        """The batch that a request came in, by the request's id."""
        # One thread each, so that lines keep their order, and full pools of other work never stop the conversation.
        self._reading, self._writing = anyio.CapacityLimiter(1), anyio.CapacityLimiter(1)

    async def serve(self) -> None:
        """Serve until the input ends."""
        async with self._streams() as (incoming, outgoing):
            await serve_dual_era_loop(
                self._server,
                incoming,
                outgoing,
                lifespan_state=self._state,
                init_options=self._server.create_initialization_options(),
            )

    @asynccontextmanager
    async def _streams(self) -> AsyncGenerator[Any]:
        to_server, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        outgoing, from_server = anyio.create_memory_object_stream[SessionMessage](0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._read, to_server)
            tasks.start_soon(self._write, from_server)
            tasks.start_soon(self._keep_first_answers)
            yield incoming, outgoing
            tasks.cancel_scope.cancel()

    async def _read(self, to_server: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
        async with to_server:
            while True:
                # Abandoned when the server ends: a thread that reads cannot be woken, and must not hold the exit.
                line = await anyio.to_thread.run_sync(self._door.next, abandon_on_cancel=True, limiter=self._reading)
                if line is None:
                    return
                match messages.read(line, self._version):
                    case SessionMessage() as message:
                        await self._pass_in(message, to_server)
                    case Batch() as batch:
                        await self._pass_in_batch(batch, to_server)
                    case Refusal(answer):
                        await self._say(answer)
                    case None:
                        pass

    async def _pass_in(
        self, message: SessionMessage, to_server: MemoryObjectSendStream[SessionMessage | Exception]
    ) -> None:
        request = message.message
        if isinstance(request, types.JSONRPCRequest):
            if request.method == DISCOVER and not self._is_decided:
                # A client that asks which eras there are has not chosen one: it may go on with `initialize`.
                (answer,) = await rehearsal.asked(self._server, self._state, [request])
                return await self._pass_out(answer)
            if request.method == CALL:
                self._state.has_come(request.id, self._door.came)
            # From here on the SDK takes the connection's era for settled, and cannot be asked on the side.
            self._is_decided = True
            if request.method == INITIALIZE:
                version = (request.params or {}).get("protocolVersion")
                self._version = version if version in HANDSHAKE else HANDSHAKE[-1]
        await to_server.send(message)
        if isinstance(request, types.JSONRPCNotification) and request.method == CANCELLED:
            await self._expect_no_more((request.params or {}).get("requestId"))

    async def _expect_no_more(self, cancelled: object) -> None:
        """The batch of a request that was cancelled is whole without its answer, which nobody sends."""
        batch = self._batches.pop(dumped(cancelled), None)
        if batch is not None:
            batch.expected -= 1
            if batch.are_complete and batch.given:
                await self._say(batch.written())

    async def _pass_in_batch(self, batch: Batch, to_server: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
        requests = [each.message for each in batch.messages if isinstance(each.message, types.JSONRPCRequest)]
        # By their ids: of two requests with one id, one answer can be told from no other.
        identities = {dumped(request.id) for request in requests}
        answers = _Answers(len(identities) + len(batch.refusals), list(batch.refusals))
        self._batches |= dict.fromkeys(identities, answers)
        if answers.are_complete and answers.given:
            await self._say(answers.written())
        for message in batch.messages:
            await self._pass_in(message, to_server)

    async def _write(self, from_server: MemoryObjectReceiveStream[SessionMessage]) -> None:
        async with from_server:
            async for item in from_server:
                await self._pass_out(item.message)

    async def _pass_out(self, message: types.JSONRPCMessage) -> None:
        answer = messages.written(message)
        if isinstance(message, types.JSONRPCResponse | types.JSONRPCError):
            identity = dumped(message.id)
            # The host had this answer at once; the SDK was only to be brought into the same state.
            if identity in self._door.answered:
                return self._door.answered.discard(identity)
            if batch := self._batches.pop(identity, None):
                batch.given.append(answer)
                if not batch.are_complete:
                    return
                answer = batch.written()
        await self._say(answer)

    async def _say(self, answer: bytes) -> None:
        await anyio.to_thread.run_sync(self._door.wire.write, answer, abandon_on_cancel=True, limiter=self._writing)
        self._has_answered.set()

    async def _keep_first_answers(self) -> None:
        """Keep what hosts ask first for the next start, and tell this host where it was given what holds no more."""
        kept = self._door.kept
        if kept is None:
            return self._door.hand_over()
        # Imports take the interpreter's one lock: at once, they would hold up the very answer that the host waits for.
        if not self._door.gave:
            with anyio.move_on_after(_LONGEST_SILENCE):
                await self._has_answered.wait()
        # While the host thinks: the first call then finds it there.
        await anyio.to_thread.run_sync(_import_what_calls_need)
        await anyio.sleep(_KEEP_AFTER)
        answers = await rehearsal.answers(self._server, self._state)
        self._door.hand_over()
        if any(answers.get(question) != answer for question, answer in self._door.gave.items()):
            await self._server.news.tools_changed()
        while True:
            newer = kept.now()
            # What another process fetched meanwhile is not what these answers were made from.
            if newer.catalog == kept.catalog or self._server.shared.tools.catalog.revision in newer.catalog:
                kept = await rehearsal.keep(newer, answers)
            await anyio.sleep(_LOOK_EVERY)
            if kept.now().catalog != kept.catalog:
                answers = await rehearsal.answers(self._server, self._state)


class _Answers:
    """The answers to one batch."""

    def __init__(self, expected: int, given: list[bytes]) -> None:
        self.expected, self.given = expected, given

    @property
    def are_complete(self) -> bool:
        return len(self.given) >= self.expected

    def written(self) -> bytes:
        """One array of them."""
        return b"[" + b",".join(self.given) + b"]"


def _import_what_calls_need() -> None:
    from fal_mcp.server import calls, tool_list

    assert calls and tool_list
