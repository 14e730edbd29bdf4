"""A host's first questions, answered from the last start while the SDK is still being imported.

Codex gives a server about a second, Vercel's and Copilot's clients 0.6 to 1 s; the SDK alone takes most of that to be
imported, and more on a busy machine. So `server/discover`, `initialize`, `ping` and the first lists are answered here,
with the standard library alone, by what the SDK answered to the same question at an earlier start (`answer_file`);
`stdio` compares that with what it would answer now, and says when a list has become another. Whatever is not one of
these questions, in just the form that is known here, goes to the SDK untouched, and so does everything where there is
no earlier start, and everything once the SDK is there.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Full, Queue
from typing import Any

from fal_mcp.json_values import JsonMapping, JsonObject, is_object
from fal_mcp.server import answer_file
from fal_mcp.server.answer_file import Kept
from fal_mcp.server.wire import TooLong, Wire, taken_over

MODERN = "2026-07-28"
HANDSHAKE = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
DISCOVER, INITIALIZE, PING = "server/discover", "initialize", "ping"
LISTS = (answer_file.LISTS, "prompts/list", "resources/list", "resources/templates/list")
_IN_META = "io.modelcontextprotocol/"
_ENVELOPE = b"io.modelcontextprotocol/protocolVersion"
_ASKED_IN_A_ROW = 0.15
"""Seconds without a question after which the SDK is imported although no list was asked for yet."""
_MOST_WAITING = 16


class Door:
    """Stands between the host and the server: answers what it can, and keeps the rest for the server in order."""

    def __init__(self, wire: Wire, kept: Kept | None, *, is_served: bool) -> None:
        self.wire = wire
        self.kept = kept
        self.answered: set[str] = set()
        """Requests whose answer went out and that go to the SDK all the same, so that it is in the same state."""
        self.gave: dict[str, bytes] = {}
        """The answers that went out, by question."""
        self.has_moved = threading.Event()
        """Set at each line, and once there is no reason to wait for more."""
        self._answers: Mapping[str, bytes] = kept.answers if kept else {}
        self.came = 0.0
        """When the line that was last taken had come, by `time.monotonic`: it may have waited for an import since."""
        self._waiting: Queue[tuple[bytes | TooLong | None, float]] = Queue(_MOST_WAITING)
        self._is_served = is_served
        self._version = ""
        self._takes_a_handshake = True
        """False once anything was asked but `server/discover`, which a client of both eras asks to choose by."""
        self._is_listed = False

    def open(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    def serve(self) -> None:
        """The SDK is there, and takes what waits here."""
        self._is_served = True

    def next(self) -> bytes | TooLong | None:
        """The next line for the server; blocks; None at the end of the input."""
        line, self.came = self._waiting.get()
        return line

    def hand_over(self) -> None:
        """The server is there: everything is its own from here."""
        self._answers = {}

    def close(self) -> None:
        """Write nothing more, and let go whoever waits for a line."""
        self.wire.has_ended = True
        with suppress(Full):
            self._waiting.put_nowait((None, 0.0))

    def let_the_first_questions_pass(self) -> None:
        """Wait while the host is asking what is answered here: an import beside it would take its time."""
        while self._answers and not self._is_listed and not self.wire.has_ended:
            if not self.has_moved.wait(_ASKED_IN_A_ROW):
                return
            self.has_moved.clear()

    def _read(self) -> None:
        for line in self.wire.lines():
            came = time.monotonic()
            if isinstance(line, TooLong) or not self._answers or not self.take(line):
                self._waiting.put((line, came))
            self.has_moved.set()
        if not self._is_served:
            # The host has gone, and nothing was begun yet: there is no sense in loading the rest of it.
            os._exit(0)
        self._waiting.put((None, 0.0))
        self.has_moved.set()

    def take(self, line: bytes) -> bool:
        """Answer this line if it is a question that is known here; whether the SDK need not have it."""
        request = _request(line)
        question = self._question(request["method"], request.get("params", {})) if request else None
        # Each is answered once: asked again, the answer may have become another.
        answer = self._answers.get(question) if question and question not in self.gave else None
        if request is None or question is None or answer is None:
            self._pass_on(line)
            return False
        identity = json.dumps(request["id"], ensure_ascii=False)
        self.wire.write(b'{"jsonrpc":"2.0","id":' + identity.encode() + b',"result":' + answer + b"}")
        self.gave[question] = answer
        self._takes_a_handshake = self._takes_a_handshake and request["method"] == DISCOVER
        self._is_listed = self._is_listed or request["method"] == answer_file.LISTS
        if request["method"] != INITIALIZE:
            return True
        self._version = request["params"]["protocolVersion"]
        self.answered.add(identity)
        return False

    def _pass_on(self, line: bytes) -> None:
        if self._version or b'"id"' not in line or b'"method"' not in line:
            return
        self._takes_a_handshake = False
        if _ENVELOPE not in line:
            # The SDK will take the connection's era from it, and what it then answers is not known here.
            self.hand_over()

    def _question(self, method: str, params: JsonMapping) -> str | None:
        """What is asked, as the file has it; None where it is for the SDK."""
        if method == INITIALIZE:
            is_known = self._takes_a_handshake and _is_a_handshake(params)
            return f"{method} {params['protocolVersion']}" if is_known else None
        if self._version:
            return f"{method} {self._version}" if method in (PING, *LISTS) and _is_plain(params) else None
        return f"{method} {MODERN}" if method in (DISCOVER, *LISTS) and _is_enveloped(params) else None


@dataclass(slots=True)
class _Begun:
    """What `begin` found for this process, and the door if it opened it."""

    kept: Kept | None = None
    door: Door | None = None


_begun = _Begun()


def begin(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Open the door at once, where a server was started with these settings before; else leave that to `stdio`.

    That such a file is there also shows that these arguments serve on standard input, so none is read here.
    """
    _begun.kept = answer_file.kept_for(arguments, environment).read()
    if _begun.kept.answers and can_be_reached():
        _begun.door = _opened(_begun.kept, is_served=False)
        _begun.door.let_the_first_questions_pass()


def can_be_reached() -> bool:
    """Whether a host can talk to this process: where a descriptor is closed, the next file that is opened has its
    number, and the conversation would go there."""
    return _begun.door is not None or all((sys.stdin, sys.stdout))


def door() -> Door:
    """The door of this process, opened now if it was not."""
    opened, _begun.door = _begun.door or _opened(_begun.kept, is_served=True), None
    opened.serve()
    return opened


def _opened(kept: Kept | None, *, is_served: bool) -> Door:
    opened = Door(taken_over(), kept, is_served=is_served)
    # The wire has a descriptor of its own; a stray print must not wait in a buffer for what is no longer there.
    sys.stdout = sys.stderr
    opened.open()
    return opened


def _request(line: bytes) -> JsonObject | None:
    """The request that a line is, if it has nothing but what a request has."""
    try:
        request: Any = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    match request:
        case {"jsonrpc": "2.0", "id": int() | str() as identity, "method": str(), **rest} if (
            not isinstance(identity, bool)
            and rest.keys() <= {"params"}
            and isinstance(rest.get("params", {}), dict)
            and b"\\ud" not in line.lower()
        ):
            return request
        case _:
            return None


def _is_a_handshake(params: JsonMapping) -> bool:
    return (
        set(params) == {"protocolVersion", "capabilities", "clientInfo"}
        and params["protocolVersion"] in HANDSHAKE
        and _are_capabilities(params["capabilities"])
        and _is_a_name(params["clientInfo"])
    )


def _is_enveloped(params: JsonMapping) -> bool:
    """Whether a request of 2026 has its envelope and nothing else."""
    meta = params.get("_meta")
    if set(params) != {"_meta"} or not is_object(meta):
        return False
    given: JsonObject = {key.removeprefix(_IN_META): value for key, value in meta.items()}
    return (
        given.keys() <= {"protocolVersion", "clientCapabilities", "clientInfo", "progressToken"}
        and given.get("protocolVersion") == MODERN
        and _are_capabilities(given.get("clientCapabilities"))
        and _is_a_name(given.get("clientInfo", {"name": "", "version": ""}))
        and _is_a_token(given.get("progressToken", 0))
    )


def _is_plain(params: JsonMapping) -> bool:
    """Whether a request of 2025 asks for the first page, and no more than that."""
    meta: object = params.get("_meta", {})
    return (
        params.keys() <= {"_meta"}
        and is_object(meta)
        and meta.keys() <= {"progressToken"}
        and _is_a_token(meta.get("progressToken", 0))
    )


def _are_capabilities(value: object) -> bool:
    """Whether each is an object of objects; what the SDK would refuse is not let through by this."""
    if not is_object(value):
        return False
    return all(_is_a_capability(name, each) for name, each in value.items())


def _is_a_capability(name: str, value: object) -> bool:
    if not is_object(value):
        return False
    settings = value
    if name == "roots":
        return settings.keys() <= {"listChanged"} and all(isinstance(each, bool) for each in settings.values())
    return name in ("elicitation", "sampling", "extensions", "experimental") and all(
        is_object(each) for each in settings.values()
    )


def _is_a_name(value: object) -> bool:
    return (
        is_object(value)
        and {"name", "version"} <= value.keys() <= {"name", "version", "title", "websiteUrl"}
        and all(isinstance(each, str) for each in value.values())
    )


def _is_a_token(value: object) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)
