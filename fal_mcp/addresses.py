"""Addresses from elsewhere, taken apart without surprises. The one door of `urllib.parse`'s errors."""

from urllib.parse import SplitResult, urlsplit


def parts_of(address: str) -> SplitResult | None:
    """The parts of an address; None where it is none: a broken host, a port that is no number or out of range."""
    try:
        parts = urlsplit(address)
        _ = (parts.port, parts.hostname)
    except ValueError:
        return None
    return parts


def host_of(address: str) -> str:
    """The host of an address in small letters; empty where there is none."""
    parts = parts_of(address)
    return (parts.hostname or "") if parts else ""
