"""Asks the user whether something may be paid for, in both protocol eras. No answer means no."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import mcp_types as types

from fal_mcp.errors import BudgetExceeded

_KEY = "approval"
_LONGEST_ANSWER = 300.0
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"approve": {"type": "boolean", "title": "Approve", "description": "Whether it may be paid for."}},
    "required": ["approve"],
}
Approve = Callable[[str], Awaitable[None]]


class InputNeeded(Exception):
    """Revision 2026-07-28 has no questions from the server: the call is answered with the question, and repeated."""

    def __init__(self, result: types.InputRequiredResult) -> None:
        super().__init__()
        self.result = result


def approver(ctx: Any, params: types.CallToolRequestParams) -> Approve:
    """What asks the user of this call.

    The question goes into the sealed state with the arguments it is about: a yes to one thing is none to another.
    """

    async def approve(question: str) -> None:
        capabilities = ctx.session.client_capabilities
        if capabilities is None or capabilities.elicitation is None:
            raise BudgetExceeded(
                f"{question} This needs the user's approval, and this client cannot ask.",
                hint="Nothing was sent. Ask the user to raise the server's --approve-over, or choose a cheaper one.",
            )
        if _is_modern(ctx):
            answer = _answered(params, question)
        else:
            with anyio.move_on_after(_LONGEST_ANSWER):
                answer = await ctx.session.elicit_form(question, _SCHEMA, ctx.request_id)
                _need_yes(answer, question)
                return
            answer = None
        _need_yes(answer, question)

    return approve


def _answered(params: types.CallToolRequestParams, question: str) -> Any:
    about = _about(params, question)
    responses = params.input_responses or {}
    if _KEY not in responses or params.request_state != about:
        form = types.ElicitRequestFormParams(message=question, requested_schema=_SCHEMA)
        asked = types.ElicitRequest(params=form)
        raise InputNeeded(types.InputRequiredResult(input_requests={_KEY: asked}, request_state=about))
    return responses[_KEY]


def _need_yes(answer: Any, question: str) -> None:
    if isinstance(answer, types.ElicitResult):
        accepted = answer.action == "accept" and (answer.content or {}).get("approve") is True
    else:
        accepted = False
    if not accepted:
        raise BudgetExceeded(
            f"{question} The user did not approve it.", hint="Nothing was sent. Do not ask again unless told to."
        )


def _about(params: types.CallToolRequestParams, question: str) -> str:
    text = json.dumps([params.name, params.arguments, question], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _is_modern(ctx: Any) -> bool:
    return str(ctx.protocol_version) >= "2026"
