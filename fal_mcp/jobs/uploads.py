"""Where files are on fal's CDN already, and how far a broken upload came: kept in the ledger's file, by owner."""

from typing import Any

from fal_mcp.client.storage import Parts
from fal_mcp.errors import NotRecorded
from fal_mcp.jobs.cost import DAY
from fal_mcp.jobs.database import Database, Store
from fal_mcp.json_values import NotJson, dumped, object_of, parsed

# fal's guide promises seven days; an address that is given out must outlive the run that reads it.
_UPLOAD_DAYS = 6.0
# How long fal keeps one open is not documented; sending into a closed one takes its time and then fails.
_PARTS_HOURS = 20.0
_ABOUT_TO_EXPIRE = 3600.0


class Uploads:
    """The uploads of one ledger. To forget one costs an upload and nothing else: a disk that is full stops nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def address_of(self, owner: str, identity: str) -> str | None:
        """Where this very file is on fal's CDN already; None where it is not, or may be gone."""
        now = self._store.now()
        row = await self._row(
            "SELECT url FROM upload WHERE identity = ? AND url IS NOT NULL AND created > ? "
            "AND (expires IS NULL OR expires > ?)",
            *(_key(owner, identity), now - _UPLOAD_DAYS * DAY, now + _ABOUT_TO_EXPIRE),
        )
        return row[0] if row else None

    async def remember(self, owner: str, identity: str, url: str, expires: float | None) -> None:
        """Remember where a file is."""
        await self._remember(_key(owner, identity), url, expires, None, None, None)

    async def parts_of(self, owner: str, identity: str) -> Parts | None:
        """How far the upload of this file came before it was broken off."""
        statement = "SELECT upload_url, file_url, etags FROM upload WHERE identity = ? AND url IS NULL AND created > ?"
        row = await self._row(statement, _key(owner, identity), self._store.now() - _PARTS_HOURS * 3600)
        return Parts(row[0], row[1], _etags(row[2])) if row else None

    async def remember_parts(self, owner: str, identity: str, parts: Parts) -> None:
        """Remember how far the upload of this file has come."""
        etags = dumped({str(number): tag for number, tag in parts.etags.items()})
        await self._remember(_key(owner, identity), None, None, parts.upload_url, parts.file_url, etags)

    async def forget_parts(self, owner: str, identity: str) -> None:
        """fal does not go on with this upload: the next one begins anew."""
        await self._write("DELETE FROM upload WHERE identity = ? AND url IS NULL", _key(owner, identity))

    async def prune(self) -> None:
        """Forget what fal may have forgotten."""
        await self._write("DELETE FROM upload WHERE created < ?", self._store.now() - _UPLOAD_DAYS * DAY)

    async def _remember(self, identity: str, *values: Any) -> None:
        statement = (
            "INSERT INTO upload (identity, url, expires, upload_url, file_url, etags, created) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (identity) DO UPDATE SET url = excluded.url, "
            "expires = excluded.expires, upload_url = excluded.upload_url, file_url = excluded.file_url, "
            "etags = excluded.etags, created = excluded.created"
        )
        await self._write(statement, identity, *values, self._store.now())

    async def _row(self, statement: str, *values: object) -> Any:
        try:
            return await self._store.run(lambda database: database.execute(statement, values).fetchone())
        except NotRecorded:
            return None

    async def _write(self, statement: str, *values: Any) -> None:
        def write(database: Database) -> None:
            database.execute(statement, values)

        try:
            await self._store.run(write)
        except NotRecorded:
            return


def _key(owner: str, identity: str) -> str:
    # A file of one account may be for its eyes only.
    return f"{owner}:{identity}"


def _etags(text: str) -> dict[int, str]:
    try:
        return {int(number): str(tag) for number, tag in object_of(parsed(text)).items() if number.isdecimal()}
    except NotJson:
        return {}
