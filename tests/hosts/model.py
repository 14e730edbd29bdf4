"""A scripted model on loopback, in the words of four vendors: it calls what the script says, whatever it is handed.

It keeps each request that has tools of ours in it: what a host hands its model is what these tests are about.
"""

import json
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

MARK = "search_models"
"""A tool of ours: a request that lists none is a host's own errand, such as a title."""
DONE = "That is all."


@dataclass(frozen=True, slots=True)
class Step:
    """One call of the script: the tool by our name of it, and its arguments."""

    tool: str
    arguments: dict[str, Any]


@dataclass(slots=True)
class Model:
    """The script, and what was handed to the model at each of its turns."""

    steps: list[Step]
    requests: list[Any] = field(default_factory=list[Any])
    listed: list[list[str]] = field(default_factory=list[list[str]])
    strange: list[str] = field(default_factory=list[str])

    def turn(self, body: Any, names: list[str]) -> tuple[str, Step] | None:
        """The call of this turn by the host's own name of the tool; None where there is nothing to call."""
        if not any(MARK in name for name in names):
            return None
        number = len(self.requests)
        self.requests.append(body)
        self.listed.append(names)
        if number >= len(self.steps):
            return None
        step = self.steps[number]
        fitting = [name for name in names if name.endswith(step.tool)]
        return min(fitting, key=len, default=step.tool), step

    def handed(self, step: int) -> str:
        """All that came with the answer to this step that was not there before it."""
        before, after = (list(_leaves(self.requests[number])) for number in (step, step + 1))
        for leaf in before:
            if leaf in after:
                after.remove(leaf)
        return "\n".join(after)


def _leaves(value: Any) -> Iterator[str]:
    """Every text in a request; JSON within a text is opened, for hosts hand on data as one."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in cast(dict[str, Any], value).items():
            yield from ([f"picture:{each}"] if key == "type" and each in ("image", "input_image", "image_url") else [])
            yield from _leaves(each)
        if "inlineData" in value:
            yield "picture:inlineData"
    elif isinstance(value, list):
        for each in cast(list[Any], value):
            yield from _leaves(each)


def _stream(events: list[tuple[str, Any]]) -> Response:
    def lines() -> Iterator[bytes]:
        for name, data in events:
            yield (f"event: {name}\n" if name else "").encode() + f"data: {json.dumps(data)}\n\n".encode()

    return StreamingResponse(lines(), media_type="text/event-stream")


class Server:
    """The four dialects as one application."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._calls = 0
        self.application = Starlette(
            routes=[
                Route("/v1/messages", self._anthropic, methods=["POST"]),
                Route("/v1/responses", self._responses, methods=["POST"]),
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/{version}/models/{model}:{method}", self._gemini, methods=["POST"]),
                Route("/{path:path}", self._other, methods=["GET", "POST", "HEAD"]),
            ]
        )

    async def _other(self, request: Request) -> Response:
        self._model.strange.append(f"{request.method} {request.url.path}")
        if request.url.path.endswith("count_tokens"):
            return JSONResponse({"input_tokens": 10})
        if request.url.path.endswith("/models"):
            return JSONResponse({"object": "list", "data": [{"id": "scripted", "object": "model"}], "models": []})
        return JSONResponse({"error": {"message": "There is nothing here."}}, 404)

    def _id(self) -> str:
        self._calls += 1
        return f"call_{self._calls}"

    async def _anthropic(self, request: Request) -> Response:
        body: Any = await request.json()
        turn = self._model.turn(body, [tool.get("name", "") for tool in body.get("tools", [])])
        usage = {"input_tokens": 10, "output_tokens": 5}
        message: dict[str, Any] = {"id": f"msg_{self._id()}", "type": "message", "role": "assistant"}
        message |= {
            "model": body.get("model"),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        if turn:
            name, step = turn
            block: dict[str, Any] = {"type": "tool_use", "id": self._id().replace("call", "toolu"), "name": name}
            content, reason = {**block, "input": step.arguments}, "tool_use"
            start, delta = (
                {**block, "input": dict[str, Any]()},
                {"type": "input_json_delta", "partial_json": json.dumps(step.arguments)},
            )
        else:
            content, reason = {"type": "text", "text": DONE}, "end_turn"
            start, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": DONE}
        if not body.get("stream"):
            return JSONResponse({**message, "content": [content], "stop_reason": reason})
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": start},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage},
            {"type": "message_stop"},
        ]
        return _stream([(event["type"], event) for event in events])

    async def _responses(self, request: Request) -> Response:
        body: Any = await request.json()
        spaces: dict[str, str] = {}
        names: list[str] = []
        for tool in body.get("tools", []):
            inner = [each.get("name", "") for each in tool.get("tools", [])]
            spaces |= dict.fromkeys(inner, tool.get("name", ""))
            names += inner or [tool.get("name", "")]
        turn = self._model.turn(body, names)
        item: dict[str, Any]
        if turn:
            name, step = turn
            item = {"type": "function_call", "id": f"fc_{self._id()}", "call_id": self._id(), "name": name}
            item |= {"arguments": json.dumps(step.arguments), "status": "completed"}
            item |= {"namespace": spaces[name]} if name in spaces else {}
        else:
            text: dict[str, Any] = {"type": "output_text", "text": DONE, "annotations": []}
            item = {"type": "message", "id": self._id(), "role": "assistant", "status": "completed", "content": [text]}
        usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
        usage |= {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        response: dict[str, Any] = {
            "id": f"resp_{self._id()}",
            "object": "response",
            "status": "completed",
            "output": [item],
        }
        response |= {"usage": usage, "model": "scripted", "created_at": 0}
        events: list[dict[str, Any]] = [
            {"type": "response.created", "response": {**response, "status": "in_progress", "output": []}},
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": response},
        ]
        return _stream([(event["type"], event) for event in events]) if body.get("stream") else JSONResponse(response)

    async def _chat(self, request: Request) -> Response:
        body: Any = await request.json()
        turn = self._model.turn(body, [tool.get("function", {}).get("name", "") for tool in body.get("tools", [])])
        message: dict[str, Any] = {"role": "assistant", "content": None if turn else DONE}
        if turn:
            name, step = turn
            function = {"name": name, "arguments": json.dumps(step.arguments)}
            message["tool_calls"] = [{"index": 0, "id": self._id(), "type": "function", "function": function}]
        reason = "tool_calls" if turn else "stop"
        answer: dict[str, Any] = {"id": self._id(), "created": 0, "model": "scripted"}
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": reason}
            return JSONResponse({**answer, "object": "chat.completion", "choices": [choice], "usage": usage})
        chunks: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": message, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": usage},
        ]
        return _stream([("", {**answer, "object": "chat.completion.chunk", **chunk}) for chunk in chunks])

    async def _gemini(self, request: Request) -> Response:
        body: Any = await request.json()
        declared = [each for tool in body.get("tools", []) for each in tool.get("functionDeclarations", [])]
        turn = self._model.turn(body, [each.get("name", "") for each in declared])
        part = {"functionCall": {"name": turn[0], "args": turn[1].arguments}} if turn else {"text": DONE}
        candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
        usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
        answer = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "scripted"}
        if request.path_params["method"] == "countTokens":
            return JSONResponse({"totalTokens": 10})
        return _stream([("", answer)]) if "stream" in request.path_params["method"] else JSONResponse(answer)


@asynccontextmanager
async def served(model: Model) -> AsyncGenerator[str]:
    """The URL that the scripted model is asked at."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(Server(model).application, log_level="warning", ws="none", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listening])
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
            server.should_exit = True
