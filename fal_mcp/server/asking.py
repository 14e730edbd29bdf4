"""Asks the user something, in both protocol eras and in tasks. No answer within five minutes is none."""

import hashlib
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import anyio
import mcp_types as types

from fal_mcp.server.tasks import Run
from fal_mcp.tools.tool import CannotAsk

_KEY = "input"
_LONGEST_ANSWER = 300.0
Ask = Callable[[str, Mapping[str, Any]], Coroutine[Any, Any, Mapping[str, Any] | None]]


class InputNeeded(Exception):
    """Revision 2026-07-28 has no questions from the server: the call is answered with the question, and repeated."""

    def __init__(self, result: types.InputRequiredResult) -> None:
        super().__init__()
        self.result = result


def asker(ctx: Any, params: types.CallToolRequestParams, run: Run | None) -> Ask:
    """What asks the user of this call; None is what they answer by declining, or by not answering.

    The question goes into the sealed state with the arguments it is about: a yes to one thing is none to another.
    """

    async def ask(question: str, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
        capabilities = ctx.session.client_capabilities
        if capabilities is None or capabilities.elicitation is None:
            raise CannotAsk
        if run is not None and run.is_task:
            return await _in_task(run, question, schema)
        if str(ctx.protocol_version) >= "2026":
            return _in_retry(params, question, schema)
        with anyio.move_on_after(_LONGEST_ANSWER):
            return _content(await ctx.session.elicit_form(question, dict(schema), ctx.request_id))
        return None

    return ask


async def _in_task(run: Run, question: str, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    request = _request(question, schema).model_dump(mode="json", by_alias=True, exclude_none=True)
    with anyio.move_on_after(_LONGEST_ANSWER):
        try:
            return _content(types.ElicitResult.model_validate(await run.ask(request)))
        except ValueError:
            return None
    return None


def _in_retry(
    params: types.CallToolRequestParams, question: str, schema: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    text = json.dumps([params.name, params.arguments, question], sort_keys=True, ensure_ascii=False)
    about = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    responses = params.input_responses or {}
    if _KEY not in responses or params.request_state != about:
        asked: types.InputRequests = {_KEY: _request(question, schema)}
        raise InputNeeded(types.InputRequiredResult(input_requests=asked, request_state=about))
    return _content(responses[_KEY])


def _request(question: str, schema: Mapping[str, Any]) -> types.ElicitRequest:
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=question, requested_schema=dict(schema)))


def _content(answer: Any) -> Mapping[str, Any] | None:
    if isinstance(answer, types.ElicitResult) and answer.action == "accept":
        return answer.content or {}
    return None
