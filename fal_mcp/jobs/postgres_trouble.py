"""PostgreSQL's door: what goes wrong with the ledger there, as one sentence that names it and what to do."""

from collections.abc import Generator
from contextlib import contextmanager

import psycopg
from psycopg import conninfo, errors

from fal_mcp.errors import NotRecorded

OLDEST = 14
_REASONS: tuple[tuple[type[psycopg.Error], str, str], ...] = (
    (errors.InvalidPassword, "does not take this password", "Correct --store or its password"),
    (errors.InvalidAuthorizationSpecification, "does not take this user", "Correct --store"),
    (errors.InvalidCatalogName, "has no such database", "Create it, or correct --store"),
    (errors.InsufficientPrivilege, "does not allow it", "Give its user the rights to the schema and its tables"),
    (errors.DiskFull, "has no disk space left", "Free some there"),
    (errors.TooManyConnections, "takes no more connections", "Raise its max_connections, or run fewer servers"),
    (errors.LockNotAvailable, "is busy", "Call again"),
    (errors.QueryCanceled, "took too long", "Call again"),
    (errors.ReadOnlySqlTransaction, "is read-only", "Point --store at the primary"),
    (errors.AdminShutdown, "is being shut down", "Call again in a moment"),
    (errors.CannotConnectNow, "is starting", "Call again in a moment"),
)


class Broken(NotRecorded):
    """The connection was lost, or could not be had."""


class InDoubt(Broken):
    """The connection was lost in a commit, and what became of the transaction of this number cannot be told yet."""

    def __init__(self, address: str, number: str) -> None:
        super().__init__(
            f"The ledger of paid work {name_of(address)} was lost while it took this down, and cannot be asked whether "
            "it did.",
            hint="Nothing was sent. If it did, it is taken back once it is there again. Call again in a moment.",
        )
        self.number = number


@contextmanager
def translated(address: str) -> Generator[None]:
    """Whatever the driver raises becomes ours.

    Raises:
        Broken: there is no connection.
        NotRecorded: anything else.
    """
    try:
        yield
    except (psycopg.Error, OSError, UnicodeError, OverflowError) as error:
        raise _ours(error, address) from error


def name_of(address: str) -> str:
    """The ledger's address without what is secret in it."""
    try:
        parts = conninfo.conninfo_to_dict(address)
    except psycopg.Error:
        return "in PostgreSQL"
    return f"at {str(parts.get('host') or 'the local socket')!r}, database {str(parts.get('dbname') or '')!r}"


def too_old(address: str, version: int) -> NotRecorded:
    """The server is older than what the ledger is written for."""
    return NotRecorded(
        f"The ledger of paid work {name_of(address)} is on PostgreSQL {version // 10_000}, and {OLDEST} is the oldest "
        "that will do.",
        hint=f"Nothing was sent. Point --store at a server of version {OLDEST} or newer.",
    )


def newer(address: str, version: int, known: int) -> NotRecorded:
    """The ledger is of a later version of this program."""
    return NotRecorded(
        f"The ledger of paid work {name_of(address)} was written by a newer fal-mcp (version {version} of the ledger, "
        f"and this one knows {known}).",
        hint="Nothing was sent. Update fal-mcp, or point --store at another database.",
    )


def _ours(error: Exception, address: str) -> NotRecorded:
    for kind, reason, remedy in _REASONS:
        if isinstance(error, kind):
            ours = Broken if isinstance(error, psycopg.OperationalError) else NotRecorded
            return ours(f"The ledger of paid work {name_of(address)} {reason}.", hint=f"Nothing was sent. {remedy}.")
    # What the driver says of a connection may quote the address, with the password in it: only its kind is told.
    if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError, OSError)):
        return Broken(
            f"The ledger of paid work {name_of(address)} cannot be reached.",
            hint="Nothing was sent. Call again in a moment; if it stays so, see whether PostgreSQL runs and --store is "
            "right.",
        )
    state = getattr(error, "sqlstate", None) or type(error).__name__
    return NotRecorded(
        f"The ledger of paid work {name_of(address)} cannot be used (PostgreSQL says {state}).",
        hint="Nothing was sent. Its own log has the details.",
    )
