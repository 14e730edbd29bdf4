"""Characters, which are collections with a face and a name to mention them by. Fact F10.5."""

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.platform import pages
from fal_mcp.emulator.platform.asset_collections import changed, made
from fal_mcp.emulator.platform.refusal import Refused
from fal_mcp.emulator.platform.request import Answer, Request
from fal_mcp.json_values import JsonObject


def _list(fal: Emulator, request: Request) -> object:
    return pages.by_offset(request, "characters", list(fal.characters.values()))


def _create(fal: Emulator, request: Request) -> object:
    given = request.body
    identifier = given.get("identifier") or given["name"].casefold().replace(" ", "-")
    if any(one["character_identifier"] == identifier for one in fal.characters.values()):
        raise Refused(409)
    character = made("character", given) | {
        "character_identifier": identifier,
        "reference_images": given["reference_images"],
    }
    fal.characters[character["id"]] = character
    return {"character": character}


def _get(fal: Emulator, request: Request) -> object:
    return {"character": _character(fal, request)}


def _update(fal: Emulator, request: Request) -> object:
    return {"character": changed(_character(fal, request), request.body)}


def _delete(fal: Emulator, request: Request) -> None:
    del fal.characters[_character(fal, request)["id"]]


def _favorite(fal: Emulator, request: Request) -> object:
    character = _character(fal, request)
    character["is_favorited"] = request.operation.operation_id == "favoriteAssetCharacter"
    return {"character": character}


def _character(fal: Emulator, request: Request) -> JsonObject:
    found = fal.characters.get(request.path["character_id"])
    if found is None:
        raise Refused(404)
    return found


ANSWERS: dict[str, Answer] = {
    "listAssetCharacters": _list,
    "createAssetCharacter": _create,
    "getAssetCharacter": _get,
    "updateAssetCharacter": _update,
    "deleteAssetCharacter": _delete,
    "favoriteAssetCharacter": _favorite,
    "unfavoriteAssetCharacter": _favorite,
}
