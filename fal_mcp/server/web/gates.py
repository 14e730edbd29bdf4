"""The gate that the settings describe."""

from typing import TYPE_CHECKING

from fal_mcp.config import Settings
from fal_mcp.json_values import JsonObject
from fal_mcp.team.gate import BearerGate, Gate, OwnKeyGate

if TYPE_CHECKING:
    from fal_mcp.server.shared import Shared


def gate_of(settings: Settings, shared: "Shared") -> Gate | None:
    """What lets requests in; None where the server is one person's."""
    if settings.own_keys:
        from fal_mcp.team.own_keys import OwnKeys

        return OwnKeyGate(OwnKeys(shared.payers.ask_about))
    if not settings.is_shared:
        return None
    from fal_mcp.team.token_file import TokenFile

    tokens = TokenFile(settings.tokens) if settings.tokens is not None else None
    if settings.issuer is None or settings.public_url is None:
        return BearerGate(tokens, None)
    from fal_mcp.team.issuer import Issuer
    from fal_mcp.team.key_set import KeySet

    async def fetch(url: str) -> JsonObject:
        from fal_mcp.client.json_document import json_document

        return await json_document(url)

    return BearerGate(tokens, Issuer(settings.issuer, settings.public_url, KeySet(settings.issuer, fetch)))
