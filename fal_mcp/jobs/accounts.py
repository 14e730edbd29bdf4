"""Which keys the ledger knows to be of one account."""

from fal_mcp.jobs import notes
from fal_mcp.jobs.database import Database, Store
from fal_mcp.jobs.job import NOBODY
from fal_mcp.jobs.notes import Notes

_SHOWN = 2
_OF_FAL = "fal-ai/%"
"""The owner of an app may be shown what others ask of it: only requests of fal's own models say whose they are."""


class Accounts:
    """The accounts of one ledger, each by the id of its first key here."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def known(self, key_id: str) -> str | None:
        """The name of this key's account, where it was found out before."""
        return await Notes(self._store).get(_note(key_id))

    async def others(self, key_id: str, most: int) -> list[str]:
        """The accounts that this key's may be, the one with the newest job first."""
        statement = (
            "SELECT account FROM job WHERE account NOT IN (?, ?, '') AND account NOT LIKE ? "
            "AND NOT EXISTS (SELECT 1 FROM mark WHERE key = ? || account AND until > ?) "
            "GROUP BY account ORDER BY MAX(created) DESC LIMIT ?"
        )

        def look(database: Database) -> list[str]:
            values = (key_id, NOBODY, f"{NOBODY}/%", _mark(key_id), database.now(), most)
            return [row[0] for row in database.execute(statement, values).fetchall()]

        return await self._store.run(look)

    async def requests_of(self, name: str) -> list[tuple[str, str]]:
        """Some requests that are known to be this account's: each its endpoint and its id."""
        statement = (
            "SELECT endpoint_id, request_id FROM job WHERE account = ? AND state = 'completed' AND way = 'queue' "
            "AND request_id IS NOT NULL AND endpoint_id LIKE ? ORDER BY created DESC LIMIT ?"
        )
        values = (name, _OF_FAL, _SHOWN)
        return await self._store.run(lambda database: database.execute(statement, values).fetchall())

    async def unite(self, key_id: str, name: str) -> None:
        """This key is of this account: what stands under the key's own name stands under the account's from here on."""

        def write(database: Database) -> None:
            with database.transaction():
                notes.put(database, _note(key_id), name)
                renamed = "UPDATE job SET owner = ? || substr(owner, ?), account = ? WHERE account = ?"
                database.execute(renamed, (name, len(key_id) + 1, name, key_id))

        await self._store.run(write)

    async def part(self, key_id: str, name: str, seconds: float) -> None:
        """This key is not of this account, for so long as that is not to be asked again."""

        def write(database: Database) -> None:
            statement = "INSERT INTO mark (key, until) VALUES (?, ?) ON CONFLICT (key) DO NOTHING"
            database.execute(statement, (_mark(key_id) + name, database.now() + seconds))

        await self._store.run(write)


def _note(key_id: str) -> str:
    return f"account of {key_id}"


def _mark(key_id: str) -> str:
    return f"not of {key_id}: "
