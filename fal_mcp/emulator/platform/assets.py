"""The account's assets: found, uploaded, favoured, traced to what they were made of. Fact F10.5."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.platform import answers, pages
from fal_mcp.emulator.platform.operations import operations
from fal_mcp.emulator.platform.refusal import Refused
from fal_mcp.emulator.platform.request import Answer, Request
from fal_mcp.json_values import JsonObject

NAMES = ("asset_id", "request_id", "vector_id")
_CONTENT_TYPES = {"image": "image/png", "video": "video/mp4", "audio": "audio/wav", "3d": "model/gltf-binary"}
_COLUMNS = {"media_type": "type", "source": "source"}
_SECTIONS: dict[str, Callable[[JsonObject], bool]] = {
    "all-media": lambda asset: True,
    "uploads": lambda asset: asset["source"] == "upload",
    "favorites": lambda asset: asset["is_favorited"],
    "generated": lambda asset: asset["source"] == "response",
}


def listed(fal: Emulator, request: Request, collection_id: str | None) -> JsonObject:
    """The page of the assets asked for, of one collection or of all."""
    found = [one for one in fal.assets.values() if _fits(one, request, collection_id)]
    page = pages.by_cursor(fal, request, "assets", found)
    return {**page, "total_count": len(found), "scope_truncated": False}


def named(fal: Emulator, request: Request) -> JsonObject:
    """The asset that the body names in one of three ways.

    Raises:
        Refused: it names none, or several, or one that is not there.
    """
    given = {name: request.body[name] for name in NAMES if name in (request.body or {})}
    if len(given) != 1:
        raise Refused(400, "Exactly one of asset_id, request_id and vector_id is needed")
    [(name, value)] = given.items()
    found = next((one for one in fal.assets.values() if one[name] == value), None)
    if found is None:
        raise Refused(404)
    return found


def of_path(fal: Emulator, request: Request) -> JsonObject:
    """The asset of the address."""
    found = fal.assets.get(request.path["asset_id"])
    if found is None:
        raise Refused(404)
    return found


def _fits(asset: JsonObject, request: Request, collection_id: str | None) -> bool:
    query, tags = request.query, {tag["id"] for tag in asset["tags"]}
    wanted = set(request.listed("tag_id"))
    return (
        _SECTIONS[query["section"]](asset)
        and query.get("q", "").casefold() in f"{asset['title']} {asset['prompt']}".casefold()
        and (collection_id is None or collection_id in asset["collection_ids"])
        and all(not (values := request.listed(one)) or asset[column] in values for one, column in _COLUMNS.items())
        and (not wanted or (wanted <= tags if query["tag_mode"] == "all" else bool(wanted & tags)))
    )


def _list(fal: Emulator, request: Request) -> object:
    return listed(fal, request, request.query.get("collection_id"))


def _get(fal: Emulator, request: Request) -> object:
    return {"asset": of_path(fal, request)}


def _upload(fal: Emulator, request: Request) -> object:
    given = request.body
    asset: JsonObject = {
        **answers.value(operations().item("listAssets", "assets"), seed=len(fal.assets)),
        "asset_id": uuid.uuid4().hex[:20],
        "vector_id": str(uuid.uuid4()),
        "request_id": None,
        "url": given["url"],
        "type": given["type"],
        "title": given["url"].rsplit("/", 1)[-1] or "Upload",
        "endpoint": None,
        "created_at": datetime.now(UTC).isoformat(),
        "source": "upload",
        "prompt": given.get("prompt"),
        "content_type": _CONTENT_TYPES[given["type"]],
        "is_favorited": given.get("favorite", False),
        "collection_ids": [given["collection_id"]] if given.get("collection_id") else [],
        "tags": [fal.tags[one] for one in given.get("tag_ids", []) if one in fal.tags],
        "similarity": None,
    }
    fal.assets[asset["asset_id"]] = asset
    return {"asset": asset}


def _favorite(fal: Emulator, request: Request) -> object:
    liked = request.operation.operation_id == "favoriteAsset"
    named(fal, request)["is_favorited"] = liked
    return {"is_favorited": liked}


def _lineage(fal: Emulator, request: Request) -> object:
    """The asset and, where it was generated, the request that made it."""
    asset = of_path(fal, request)
    me, maker = f"asset:{asset['vector_id']}", f"request:{asset['request_id']}"
    node = {name: asset[name] for name in ("url", "type", "asset_id")}
    node |= {"kind": "asset", "id": me, "output_key": asset["vector_id"], "tombstone": False}
    nodes, edges = [node | {"request_id": asset["request_id"] or ""}], list[JsonObject]()
    if asset["request_id"]:
        about = {name: asset[name] for name in ("request_id", "endpoint", "prompt", "created_at")}
        nodes.append({"kind": "request", "id": maker, **about})
        edges.append({"from": maker, "to": me, "kind": "generated_by", "role": None})
    return {"lineage": {"focus": me, "nodes": nodes, "edges": edges}}


ANSWERS: dict[str, Answer] = {
    "listAssets": _list,
    "getAsset": _get,
    "uploadAsset": _upload,
    "favoriteAsset": _favorite,
    "unfavoriteAsset": _favorite,
    "getAssetLineage": _lineage,
}
