"""`fal-mcp webhook verify`: whether a saved delivery is fal's."""

from pathlib import Path

import anyio
from rich.console import Console

from fal_mcp.config import Settings
from fal_mcp.errors import FalError
from fal_mcp.json_values import NotJson, object_of, parsed
from fal_mcp.ways_to_fal import fal_of


async def verify(settings: Settings, headers: Path, body: Path) -> int:
    """Say whether it is. Returns the exit code."""
    console = Console(highlight=False, soft_wrap=True)
    errors = Console(highlight=False, soft_wrap=True, stderr=True)
    try:
        given = object_of(parsed(await anyio.Path(headers).read_text("utf-8")))
        if not given:
            raise ValueError(f"{str(headers)!r} holds no JSON object of headers.")
        content = await anyio.Path(body).read_bytes()
        async with fal_of(settings) as fal:
            delivery = await fal.webhooks.verified({name.lower(): str(one) for name, one in given.items()}, content)
    except NotJson as error:
        errors.print(f"{str(headers)!r} holds no JSON: {error}", markup=False)
        return 2
    except (OSError, ValueError, AttributeError) as error:
        errors.print(f"The delivery cannot be read: {error}", markup=False)
        return 2
    except FalError as error:
        errors.print(error.message, markup=False)
        return 1
    said = "completed" if delivery.is_ok else f"failed: {delivery.error}"
    console.print(f"It is fal's: request {delivery.request_id} {said}.", markup=False)
    return 0
