"""The documentation host: a public MCP server with one tool, `search_fal`, over a handful of pages. Fact F0.1."""

import json

from starlette.responses import JSONResponse, Response

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.visit import Visit
from fal_mcp.json_values import JsonObject

_PAGES = {
    "Queue": "A request waits in the queue until a runner is free; its status says how many are before it.",
    "Concurrency": "How many requests of an account run at once; the others wait and none is refused.",
    "Webhooks": "fal calls an address of yours when a request is over, signed with ED25519.",
}
_METHOD_NOT_FOUND = -32601
_VERSION = "2025-06-18"


async def answer(fal: Emulator, visit: Visit) -> Response:
    """Whatever the documentation host is asked: JSON-RPC, of the protocol's revision of 2025."""
    if visit.path != "/mcp" or visit.method != "POST":
        return JSONResponse({"error": "Method Not Allowed"}, 405)
    message = json.loads(visit.body)
    # A notification, which has no answer.
    if "id" not in message:
        return Response(status_code=202)
    result = _result(message["method"], message.get("params") or {})
    error = {"code": _METHOD_NOT_FOUND, "message": "Method not found"}
    return JSONResponse({"jsonrpc": "2.0", "id": message["id"], **({"result": result} if result else {"error": error})})


def _result(method: str, params: JsonObject) -> JsonObject | None:
    match method:
        case "initialize":
            about = {"name": "fal docs", "version": "1"}
            return {"protocolVersion": _VERSION, "capabilities": {"tools": {}}, "serverInfo": about}
        case "tools/list":
            schema = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
            return {"tools": [{"name": "search_fal", "description": "Search.", "inputSchema": schema}]}
        case "tools/call":
            return {"content": [{"type": "text", "text": _found(params["arguments"]["query"])}]}
        case _:
            return None


def _found(query: str) -> str:
    words = query.casefold().split()
    pages = [f"# {title}\n{text}" for title, text in _PAGES.items()]
    return "\n\n".join(page for page in pages if any(word in page.casefold() for word in words))
