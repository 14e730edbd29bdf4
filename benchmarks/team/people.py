"""Who calls: some by the revision of 2026, others by that of 2025 with a session, each with a token of its own."""

import json
from dataclasses import dataclass
from itertools import count
from typing import Any

from benchmarks.team.wire import Answer, Wire
from tests.server.stdio_host import INITIALIZED, initialize
from tests.team.proxy import NAME

MODERN = "2026-07-28"
_ABOUT: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
_NUMBERS = count(1)


@dataclass(slots=True)
class Person:
    """One caller; `session` is empty for one of the revision of 2026."""

    token: str
    is_modern: bool
    session: str = ""

    async def begin(self, wire: Wire) -> None:
        """Shake hands, where the revision wants that."""
        if self.is_modern:
            return
        answer = await wire.ask(self._request(initialize()))
        self.session = answer.header(b"mcp-session-id")
        assert answer.status == 200 and self.session, answer
        await wire.ask(self._request(INITIALIZED))

    def called(self, tool: str, arguments: dict[str, Any], *, hears: bool = False) -> bytes:
        """A call as it goes over the wire; with progress, where it `hears` of it."""
        number = next(_NUMBERS)
        about: dict[str, Any] = {**(_ABOUT if self.is_modern else {}), **({"progressToken": number} if hears else {})}
        params: dict[str, Any] = {"name": tool, "arguments": arguments, **({"_meta": about} if about else {})}
        return self._request({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}, tool)

    def listening(self) -> bytes:
        """What opens the session's own stream."""
        return self._head("GET", 0)

    def _request(self, message: dict[str, Any], name: str = "") -> bytes:
        body = json.dumps(message).encode()
        return self._head("POST", len(body), str(message["method"]), name) + body

    def _head(self, verb: str, length: int, method: str = "", name: str = "") -> bytes:
        lines = [
            f"{verb} /mcp HTTP/1.1",
            f"host: {NAME}",
            f"authorization: Bearer {self.token}",
            "content-type: application/json",
            "accept: application/json, text/event-stream",
            f"content-length: {length}",
        ]
        if self.is_modern:
            lines += [f"mcp-protocol-version: {MODERN}", f"mcp-method: {method}", f"mcp-name: {name}"]
        elif self.session:
            lines += [f"mcp-session-id: {self.session}", "mcp-protocol-version: 2025-11-25"]
        return "\r\n".join([*lines, "", ""]).encode()


def result(answer: Answer) -> dict[str, Any]:
    """The result in an answer to a call, or what stands there in its place."""
    # A stream's last event may have a sign of life behind it.
    lines = [line for line in answer.body.splitlines() if line.startswith(b"data: ")]
    last = lines[-1].removeprefix(b"data: ") if lines else answer.body
    try:
        message = json.loads(last)
    except ValueError:
        return {"isError": True, "unreadable": answer.body[-300:].decode(errors="replace"), "status": answer.status}
    found: dict[str, Any] = message.get("result") or {"isError": True, **message}
    return found


def is_good(answer: Answer) -> bool:
    """Whether a call was answered with what it asked for, without reading all of that."""
    return answer.status == 200 and b'"result"' in answer.body and b'"isError":true' not in answer.body
