"""What servers of one ledger leave each other beside the jobs: texts by name, and words that something changed."""

from fal_mcp.jobs.database import Database, Store, tell


class Notes:
    """The notes of one ledger."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, name: str) -> str | None:
        """What was noted under a name; None where nothing was."""
        statement = "SELECT text FROM note WHERE name = ?"
        row = await self._store.run(lambda database: database.execute(statement, (name,)).fetchone())
        return row[0] if row else None

    async def put(self, texts: dict[str, str], topic: str = "") -> None:
        """Note all of these in place of what was there, and tell every server the topic once they can be read."""

        def write(database: Database) -> None:
            with database.transaction():
                for name, text in texts.items():
                    put(database, name, text)
                if topic:
                    tell(database, topic)

        await self._store.run(write)

    async def tell(self, topic: str) -> None:
        """Tell every server that something changed."""
        await self.put({}, topic)


def put(database: Database, name: str, text: str) -> None:
    """Note this within a transaction."""
    statement = "INSERT INTO note (name, text) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET text = excluded.text"
    database.execute(statement, (name, text))
