"""The tools as a host reads them: a page of the list, and each tool in it."""

import base64
import binascii
import hashlib

from mcp.shared.exceptions import MCPError

from fal_mcp.json_values import JsonObject
from fal_mcp.server import gallery
from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets.selection import Selection
from fal_mcp.toolsets.toolbox import Toolbox

_INVALID_PARAMS = -32602


def list_tools(
    tools: Toolbox, cursor: str | None, selection: Selection | None = None, page_size: int = 0
) -> JsonObject:
    """One page of the list, in an order that only a change of the catalog changes; a size of 0 is all of it.

    A hundred tools are some ten milliseconds of work, so that running jobs go on being reported.

    Raises:
        MCPError: the cursor is not one of this list's.
    """
    names = tools.names(selection)
    size = page_size or len(names)
    # The cursor knows the list that it was made for: after a change, its place would leave tools out or repeat them.
    revision = hashlib.sha256("\n".join([tools.catalog.revision, *names]).encode()).hexdigest()[:12]
    start = _start(cursor, revision)
    page = tools.page(names[start : start + size], listed)
    answer: JsonObject = {"resultType": "complete", "tools": page}
    if start + size < len(names):
        answer["nextCursor"] = base64.urlsafe_b64encode(f"{revision}:{start + size}".encode()).decode()
    return answer


def _start(cursor: str | None, revision: str) -> int:
    if not cursor:
        return 0
    try:
        known, _, start = base64.urlsafe_b64decode(cursor).decode().partition(":")
        if known == revision:
            return max(int(start), 0)
    except (ValueError, binascii.Error):
        pass
    raise MCPError(_INVALID_PARAMS, "The cursor is not one of this list's; the list may have changed. Start again.")


def listed(tool: Tool) -> JsonObject:
    """A tool as a host reads it."""
    meta = {**tool.metadata, **(gallery.TOOL_META if tool.shows_media else {})}
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": tool.listed_schema,
        "annotations": _annotations(tool),
        **({"_meta": meta} if meta else {}),
    }


def _annotations(tool: Tool) -> dict[str, bool]:
    """What is not the protocol's default; whether something destroys is asked only of what does not just read."""
    if tool.effect == "reads":
        return {"readOnlyHint": True}
    # Said although it is the default: a host may well take silence for harmless.
    return {"readOnlyHint": False, "destructiveHint": tool.effect == "destroys"}
