"""Addresses from elsewhere, taken apart without surprises. The one door of `urllib.parse`'s errors."""

from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

_LONGEST = 16_384
"""Characters. No server takes a longer one, and what is taken apart here is remembered for a while: by `urlsplit` too,
which keeps the last 128 texts it was given, of any length."""


def parts_of(address: str) -> SplitResult | None:
    """The parts of an address; None where it is none: a broken host, a port that is no number or out of range, or more
    than 16,384 characters."""
    return _parts_of(address) if len(address) <= _LONGEST else None


def host_of(address: str) -> str:
    """The host of an address in small letters; empty where there is none."""
    parts = parts_of(address)
    return (parts.hostname or "") if parts else ""


# fal's own few hosts, at every request.
@lru_cache(maxsize=256)
def _parts_of(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(address)
        _ = (parts.port, parts.hostname)
    except ValueError:
        return None
    return parts
