"""Collections of assets, one in another. Fact F10.5."""

import uuid
from datetime import UTC, datetime

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.platform import assets, pages
from fal_mcp.emulator.platform.refusal import Refused
from fal_mcp.emulator.platform.request import Answer, Request
from fal_mcp.json_values import JsonObject


def _list(fal: Emulator, request: Request) -> object:
    return pages.by_offset(request, "collections", list(fal.collections.values()))


def _create(fal: Emulator, request: Request) -> object:
    parent = request.body.get("parent_collection_id")
    if parent is not None and parent not in fal.collections:
        raise Refused(404)
    collection: JsonObject = made("manual", request.body) | {"parent_collection_id": parent, "asset_count": 0}
    collection["filters"] = request.body.get("filters")
    fal.collections[collection["id"]] = collection
    return {"collection": collection}


def made(kind: str, given: JsonObject) -> JsonObject:
    """A new collection, or a character, which fal takes for a kind of collection."""
    now = datetime.now(UTC).isoformat()
    return {
        "id": uuid.uuid4().hex[:20],
        "type": kind,
        "name": given["name"],
        "character_identifier": None,
        "parent_collection_id": None,
        "is_favorited": False,
        "created_at": now,
        "updated_at": now,
        **{name: given.get(name) for name in ("description", "icon", "color", "cover_image_url")},
    }


def _get(fal: Emulator, request: Request) -> object:
    return {"collection": _collection(fal, request)}


def _update(fal: Emulator, request: Request) -> object:
    return {"collection": changed(_collection(fal, request), request.body)}


def changed(collection: JsonObject, given: JsonObject) -> JsonObject:
    """The collection with what was given of it in place of what was."""
    known = {name: value for name, value in given.items() if name in collection}
    collection |= {**known, "updated_at": datetime.now(UTC).isoformat()}
    return collection


def _delete(fal: Emulator, request: Request) -> None:
    gone = _collection(fal, request)["id"]
    del fal.collections[gone]
    for asset in fal.assets.values():
        asset["collection_ids"] = [one for one in asset["collection_ids"] if one != gone]


def _hierarchy(fal: Emulator, request: Request) -> object:
    collection = _collection(fal, request)
    ancestors, above = list[JsonObject](), fal.collections.get(collection["parent_collection_id"])
    while above is not None:
        ancestors.insert(0, _node(above))
        above = fal.collections.get(above["parent_collection_id"])
    return {"hierarchy": _tree(fal, collection), "ancestors": ancestors}


def _tree(fal: Emulator, collection: JsonObject) -> JsonObject:
    below = [one for one in fal.collections.values() if one["parent_collection_id"] == collection["id"]]
    return {**_node(collection), "children": [_tree(fal, one) for one in below]}


def _node(collection: JsonObject) -> JsonObject:
    return {name: collection[name] for name in ("id", "name", "type")}


def _favorite(fal: Emulator, request: Request) -> object:
    collection = _collection(fal, request)
    collection["is_favorited"] = request.operation.operation_id == "favoriteAssetCollection"
    return {"collection": collection}


def _move(fal: Emulator, request: Request) -> object:
    collection, parent = _collection(fal, request), request.body["parent_collection_id"]
    above = parent
    while above is not None:
        if above not in fal.collections:
            raise Refused(404)
        if above == collection["id"]:
            raise Refused(400, "A collection cannot be moved into itself")
        above = fal.collections[above]["parent_collection_id"]
    collection["parent_collection_id"] = parent
    return {"collection": collection}


def _assets(fal: Emulator, request: Request) -> object:
    return assets.listed(fal, request, _collection(fal, request)["id"])


def _add(fal: Emulator, request: Request) -> object:
    collection, asset = _collection(fal, request), assets.named(fal, request)
    if collection["id"] not in asset["collection_ids"]:
        asset["collection_ids"].append(collection["id"])
    return {"success": True}


def _remove(fal: Emulator, request: Request) -> None:
    collection, asset = _collection(fal, request), assets.named(fal, request)
    asset["collection_ids"] = [one for one in asset["collection_ids"] if one != collection["id"]]


def _collection(fal: Emulator, request: Request) -> JsonObject:
    found = fal.collections.get(request.path["collection_id"])
    if found is None:
        raise Refused(404)
    return found


ANSWERS: dict[str, Answer] = {
    "listAssetCollections": _list,
    "createAssetCollection": _create,
    "getAssetCollection": _get,
    "updateAssetCollection": _update,
    "deleteAssetCollection": _delete,
    "getAssetCollectionHierarchy": _hierarchy,
    "favoriteAssetCollection": _favorite,
    "unfavoriteAssetCollection": _favorite,
    "moveAssetCollection": _move,
    "listAssetCollectionAssets": _assets,
    "addAssetToCollection": _add,
    "removeAssetFromCollection": _remove,
}
