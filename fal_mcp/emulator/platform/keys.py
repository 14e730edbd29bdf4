"""The account's API keys: a key's secret is shown once, when it is made. Fact F10.1."""

import uuid
from datetime import UTC, datetime

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.platform import pages
from fal_mcp.emulator.platform.request import Answer, Request

_CREATOR = {"creator_nickname": "emulator", "creator_email": "emulator@example.com"}


def _list(fal: Emulator, request: Request) -> object:
    creator = _CREATOR if "creator_info" in request.listed("expand") else {}
    keys = [{"key_id": key_id, "scope": "API", **about, **creator} for key_id, about in fal.api_keys.items()]
    return pages.by_cursor(fal, request, "keys", keys)


def _create(fal: Emulator, request: Request) -> object:
    key_id, secret = str(uuid.uuid4()), uuid.uuid4().hex
    fal.api_keys[key_id] = {"alias": request.body["alias"], "created_at": datetime.now(UTC).isoformat()}
    fal.keys.add(f"{key_id}:{secret}")
    return {"key_id": key_id, "key_secret": secret, "key": f"{key_id}:{secret}"}


def _delete(fal: Emulator, request: Request) -> None:
    """An unknown id is answered like any other."""
    key_id = request.path["key_id"]
    fal.api_keys.pop(key_id, None)
    # It stops working at once, which a client that goes on using it notices.
    fal.keys -= {key for key in fal.keys if key.startswith(f"{key_id}:")}


ANSWERS: dict[str, Answer] = {"listApiKeys": _list, "createApiKey": _create, "deleteApiKey": _delete}
