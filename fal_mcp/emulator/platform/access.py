"""Who may fetch the account's files, and for how long they are kept. Fact F4.8."""

from urllib.parse import urlsplit

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.platform.refusal import Refused
from fal_mcp.emulator.platform.request import Answer, Request
from fal_mcp.json_values import JsonObject

_OPEN: JsonObject = {"default": "allow", "rules": []}


def _settings(fal: Emulator, request: Request) -> object:
    return fal.storage_settings


def _set_settings(fal: Emulator, request: Request) -> object:
    # A setting left out goes back to none: the document replaces them all.
    fal.storage_settings = {key: request.body.get(key) for key in fal.storage_settings}
    return fal.storage_settings


def _access(fal: Emulator, request: Request) -> object:
    return fal.access.get(_place(fal, request), _OPEN)


def _set_access(fal: Emulator, request: Request) -> object:
    access = {"default": request.body["default"], "rules": request.body.get("rules", [])}
    fal.access[_place(fal, request)] = access
    return access


def _sign(fal: Emulator, request: Request) -> object:
    _place(fal, request)
    return {"signed_url": f"{request.query['url']}?identity=emulated-{request.body['expiration_seconds']}"}


def _place(fal: Emulator, request: Request) -> str:
    url: str = request.query["url"]
    place = urlsplit(url).path.removeprefix("/cdn")
    if place not in fal.files:
        raise Refused(404)
    return place


ANSWERS: dict[str, Answer] = {
    "getStorageSettings": _settings,
    "updateStorageSettings": _set_settings,
    "getStorageFileAcl": _access,
    "setStorageFileAcl": _set_access,
    "signStorageFileUrl": _sign,
}
