"""The account's workflows: list, read, create. Fact F10.4."""

from datetime import UTC, datetime

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.platform import pages
from fal_mcp.emulator.platform.refusal import Refused
from fal_mcp.emulator.platform.request import Answer, Request
from fal_mcp.json_values import JsonObject


def _list(fal: Emulator, request: Request) -> object:
    search, used = request.query.get("search", "").casefold(), set(request.listed("used_endpoint_ids"))
    found = [
        item
        for one in fal.workflows.values()
        if search in f"{one['name']} {one['title']}".casefold()
        and ((item := _item(one)) and (not used or used & set(item["endpoint_ids"])))
    ]
    return {**pages.by_cursor(fal, request, "workflows", found), "total": len(found)}


def _item(workflow: JsonObject) -> JsonObject:
    """A workflow as the list shows it: without its contents, with the endpoints they use."""
    nodes: list[JsonObject] = list(workflow["contents"]["nodes"].values())
    apps = sorted({node["app"] for node in nodes if "app" in node})
    shown = {name: workflow[name] for name in ("name", "title", "user_nickname", "created_at")}
    return {**shown, "tags": [], "endpoint_ids": apps}


def _create(fal: Emulator, request: Request) -> object:
    name = request.body["name"]
    if name in fal.workflows:
        raise Refused(400, f"There is a workflow {name!r} already")
    about = {name: request.body[name] for name in ("name", "title", "contents")}
    made = {"user_nickname": "emulator", "created_at": datetime.now(UTC).isoformat()}
    fal.workflows[name] = {**about, **made, "is_public": request.body.get("is_public", False)}
    return {"workflow": fal.workflows[name]}


def _get(fal: Emulator, request: Request) -> object:
    workflow = fal.workflows.get(request.path["workflow_name"])
    if workflow is None or workflow["user_nickname"] != request.path["username"]:
        raise Refused(404)
    return {"workflow": workflow}


ANSWERS: dict[str, Answer] = {"listWorkflows": _list, "createWorkflow": _create, "getWorkflow": _get}
