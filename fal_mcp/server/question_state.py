"""The keys that the state of a question is sealed with, so that whichever server is sent an answer can open it."""

import hashlib
import hmac
from typing import Any

from mcp.server.request_state import RequestStateSecurity

from fal_mcp.config import Settings

_PURPOSE = b"fal-mcp: the state of questions"


def security(settings: Settings, **more: Any) -> RequestStateSecurity:
    """With the keys of the settings, the first of which seals and all of which open; where servers share a ledger
    without any, with one that follows from fal's key, which they share too; else with one that ends with the process.
    """
    if settings.state_keys:
        return RequestStateSecurity(keys=list(settings.state_keys), **more)
    if settings.store is not None and settings.key is not None:
        # One way: whoever has this knows nothing of fal's key.
        return RequestStateSecurity(keys=[hmac.digest(settings.key.encode(), _PURPOSE, hashlib.sha256)], **more)
    return RequestStateSecurity.ephemeral(**more)
