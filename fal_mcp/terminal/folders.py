"""Folders, tried before anything is paid."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def fault(folder: Path) -> str | None:
    """Why nothing can be written to a folder, which is made where it is missing; None where something can."""
    probe = folder / f".fal-mcp-{secrets.token_hex(6)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except (OSError, ValueError) as error:
        return f"Nothing can be written to {str(folder)!r}: {getattr(error, 'strerror', None) or error}."
    os.close(descriptor)
    with suppress(OSError):
        probe.unlink()
    return None
