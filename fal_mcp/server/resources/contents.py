"""What every resource is answered with: its text, or the reason why there is none."""

import mcp_types as types
from mcp.shared.exceptions import MCPError

from fal_mcp.errors import FalError
from fal_mcp.json_values import sound
from fal_mcp.text import one_line

INVALID_PARAMS = -32602
_INTERNAL = -32603
JSON = "application/json"
_LONGEST_ADDRESS = 4096


def text(uri: str, content: str, kind: str = JSON) -> types.ReadResourceResult:
    """A resource of one text."""
    return types.ReadResourceResult(contents=[types.TextResourceContents(uri=uri, text=content, mime_type=kind)])


def check(uri: str) -> None:
    """Refuse an address that is none of ours, before fal or the ledger is asked for what is in it.

    Raises:
        MCPError: it is longer than any, or has half a character in it, which can be neither sent nor looked up.
    """
    if len(uri) > _LONGEST_ADDRESS or any("\ud800" <= character <= "\udfff" for character in uri):
        raise missing(sound(uri[:_LONGEST_ADDRESS]))


def missing(uri: str) -> MCPError:
    """There is none at `uri`: -32602 with the address, as revision 2026-07-28 wants."""
    return MCPError(INVALID_PARAMS, f"There is no resource {one_line(uri, 200)!r}.", {"uri": uri})


def failed(uri: str, error: FalError) -> MCPError:
    """It could not be had."""
    return MCPError(_INTERNAL, f"{error.message} {error.hint}".strip(), {"uri": uri})
