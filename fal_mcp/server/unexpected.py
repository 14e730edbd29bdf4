"""What nobody expected, told without a word of what is inside: to connections of 2025 the SDK would send the text of an
exception, which may hold a path, an address with a token, or arguments. A tool's call tells it in `calls`."""

import logging
from typing import Any

from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from fal_mcp.errors import FalError

_INTERNAL = -32603

logger = logging.getLogger("fal_mcp")


async def told(ctx: Any, call_next: Any) -> Any:
    """Middleware: whatever a request raises, but for what the SDK has words for, is logged and told as our fault.

    Raises:
        MCPError: -32603, with the request's name and nothing else.
    """
    try:
        return await call_next(ctx)
    except (MCPError, ValidationError):
        raise
    except FalError as error:
        raise MCPError(_INTERNAL, f"{error.message} {error.hint}".strip()) from error
    except Exception as error:
        logger.exception("The request %r failed.", ctx.method)
        message = f"The request {ctx.method!r} failed here; whoever runs the server can find the reason in its log."
        raise MCPError(_INTERNAL, message) from error
