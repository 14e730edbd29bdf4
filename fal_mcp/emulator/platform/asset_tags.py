"""The tags of the account's assets. Fact F10.5."""

import uuid
from datetime import UTC, datetime

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.platform import assets
from fal_mcp.emulator.platform.refusal import Refused
from fal_mcp.emulator.platform.request import Answer, Request
from fal_mcp.json_values import JsonObject


def _list(fal: Emulator, request: Request) -> object:
    return {"tags": list(fal.tags.values())}


def _of_asset(fal: Emulator, request: Request) -> object:
    return {"tags": assets.of_path(fal, request)["tags"]}


def _create(fal: Emulator, request: Request) -> object:
    tag = {"id": uuid.uuid4().hex[:20], "name": request.body["name"], "created_at": datetime.now(UTC).isoformat()}
    fal.tags[tag["id"]] = tag
    return {"tag": tag}


def _set(fal: Emulator, request: Request) -> object:
    asset = assets.named(fal, request)
    asset["tags"] = [_tag(fal, tag_id) for tag_id in request.body["tag_ids"]]
    return {"tags": asset["tags"]}


def _update(fal: Emulator, request: Request) -> object:
    tag = _tag(fal, request.path["tag_id"])
    tag |= request.body
    return {"tag": tag}


def _delete(fal: Emulator, request: Request) -> None:
    tag = _tag(fal, request.path["tag_id"])
    del fal.tags[tag["id"]]
    for asset in fal.assets.values():
        _take(asset, tag)


def _assign(fal: Emulator, request: Request) -> object:
    tag, asset = _tag(fal, request.path["tag_id"]), assets.named(fal, request)
    _take(asset, tag)
    asset["tags"].append(tag)
    return {"success": True}


def _unassign(fal: Emulator, request: Request) -> None:
    _take(assets.named(fal, request), _tag(fal, request.path["tag_id"]))


def _take(asset: JsonObject, tag: JsonObject) -> None:
    asset["tags"] = [one for one in asset["tags"] if one["id"] != tag["id"]]


def _tag(fal: Emulator, tag_id: str) -> JsonObject:
    if tag_id not in fal.tags:
        raise Refused(404)
    return fal.tags[tag_id]


ANSWERS: dict[str, Answer] = {
    "listAssetTags": _list,
    "listAssetTagsForAsset": _of_asset,
    "createAssetTag": _create,
    "setAssetTagsForAsset": _set,
    "updateAssetTag": _update,
    "deleteAssetTag": _delete,
    "assignAssetTag": _assign,
    "unassignAssetTag": _unassign,
}
