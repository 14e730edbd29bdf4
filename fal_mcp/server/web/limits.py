"""How much, and how long, anybody on the network may take of this server."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WebLimits:
    """Bytes, seconds and numbers; the defaults are those of a server that others reach."""

    head_seconds: float = 10.0
    """From the first byte of a request, or the start of a connection, to the end of the headers."""
    body_seconds: float = 30.0
    """From there to the end of the body."""
    write_seconds: float = 60.0
    """How long an answer may wait for a client that takes nothing, or less than half a megabyte."""
    keep_alive_seconds: int = 75
    """Longer than proxies keep a connection, so that they never write into one that closes."""
    connections: int = 1000
    head_bytes: int = 32 * 1024
    body_bytes: int = 4 * 1024 * 1024
    sessions: int = 1000
    """Of 2025-era clients, some 0.1 MB each."""
    session_idle_seconds: float = 300.0
    """One that is being answered or listened on is used."""
    streams_each: int = 64
    """Requests of one principal that are being answered at once, open streams among them."""
    goodbye_seconds: int = 3
    """For what is being answered when the server ends."""


ON_THIS_MACHINE = WebLimits(sessions=2000, session_idle_seconds=1800.0)
"""For one person's own hosts, some of which take a session that ended for an error."""
