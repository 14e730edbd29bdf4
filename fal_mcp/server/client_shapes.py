"""Answers in another shape for single hosts, where the usual one keeps something from their models.

Codex hands its model the data of an answer and nothing beside it, not even pictures; of an answer without data it hands
on the text and the pictures (run with 0.171, openai/codex#38287).
"""

from typing import Any

import mcp_types as types

from fal_mcp.json_values import JsonObject

DATA = "fal/data"
"""Where in `_meta` an answer's data is when it would hide pictures: for programs and pages, no model sees it there."""
_HIDE_PICTURES_BEHIND_DATA = frozenset({"codex-mcp-client"})
"""Clients by the name that they give themselves."""


def shaped(ctx: Any, answer: Any) -> Any:
    """The same answer as its client can use it: its text says all that the data does, so that nothing is lost."""
    if not isinstance(answer, types.CallToolResult) or _name(ctx) not in _HIDE_PICTURES_BEHIND_DATA:
        return answer
    if not any(isinstance(block, types.ImageContent) for block in answer.content):
        return answer
    meta: JsonObject = {**(answer.meta or {}), DATA: answer.structured_content}
    return answer.model_copy(update={"structured_content": None, "meta": meta})


def _name(ctx: Any) -> str:
    client: types.InitializeRequestParams | None = ctx.session.client_params
    return client.client_info.name if client else ""
