"""Uploads to fal's CDN: a signed PUT, parts of a large file, or a CDN token. Fact sheet §4.

Files are read from disk as they are sent and never held whole. The signed address never gets the key.
"""

import json
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO
from urllib.parse import urlsplit, urlunsplit

import anyio
import anyio.to_thread
import httpx

from fal_mcp.client import answers
from fal_mcp.client.http import Http
from fal_mcp.config import Hosts
from fal_mcp.errors import FalError, NotFound, ServiceFailed, Unreachable

PART = 10 * 1024 * 1024
LARGE = 90 * 1024 * 1024
"""From here on a file goes in parts."""
_AT_ONCE = 6
_PART_TRIES = 4
_CHUNK = 256 * 1024
_FRESH_SECONDS = 60.0

Tell = Callable[[int, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to be put on fal's CDN. `stream` can be read from any place; `lifetime` is in seconds."""

    stream: BinaryIO
    size: int
    name: str
    content_type: str
    lifetime: int | None = None
    access: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while the stream is read: several parts share its place."""


@dataclass(slots=True)
class Parts:
    """How far an upload in parts has come; kept, it can be gone on with after anything."""

    upload_url: str
    file_url: str
    etags: dict[int, str]


class Storage:
    """fal's storage for one account."""

    def __init__(self, http: Http, hosts: Hosts) -> None:
        self._http = http
        self._hosts = hosts
        self._token: tuple[str, str, float] | None = None

    async def put(self, upload: Upload, tell: Tell) -> str:
        """Put a file that fits one request on the CDN; its URL. `tell` hears bytes sent and bytes in all.

        Raises:
            NotAuthorised: there is no key, or fal does not take it.
            FalError: it could not be put there, after retries.
        """
        self._http.need_key()
        try:
            signed, url = await self._initiate("initiate", upload)
        except NotFound:
            return await self._put_with_token(upload, tell)
        await self._send(signed, upload, 0, upload.size, tell)
        return url

    async def ticket(self, name: str, content_type: str) -> tuple[str, str]:
        """A signed address that anybody may PUT one file to, and the URL the file then has.

        Raises:
            FalError: fal gave none.
        """
        self._http.need_key()
        body = {"file_name": name, "content_type": content_type}
        return _addresses(await self._http.ask(self._address("initiate"), body))

    async def begin_parts(self, upload: Upload) -> Parts:
        """Begin an upload in parts.

        Raises:
            FalError: fal did not take it.
        """
        self._http.need_key()
        signed, url = await self._initiate("initiate-multipart", upload)
        return Parts(signed, url, {})

    async def put_parts(
        self, upload: Upload, parts: Parts, tell: Tell, keep: Callable[[Parts], Awaitable[None]]
    ) -> str:
        """Send the parts that are missing, several at once, and put them together; the file's URL.

        `keep` is told after every part.

        Raises:
            FalError: a part could not be sent, after retries; what was sent is in `parts`.
        """
        count = -(-upload.size // PART)
        sent = sum(_length(number, upload.size) for number in parts.etags)
        await tell(sent, upload.size)
        limiter = anyio.CapacityLimiter(_AT_ONCE)
        failed: list[FalError] = []

        async def one(number: int) -> None:
            nonlocal sent
            async with limiter:
                if failed:
                    return
                try:
                    parts.etags[number] = await self._part(upload, parts, number)
                except FalError as error:
                    failed.append(error)
                    return
                sent += _length(number, upload.size)
                await keep(parts)
                await tell(sent, upload.size)

        async with anyio.create_task_group() as tasks:
            for number in range(1, count + 1):
                if number not in parts.etags:
                    tasks.start_soon(one, number)
        if failed:
            raise failed[0]
        body = {"parts": [{"partNumber": number, "etag": parts.etags[number]} for number in range(1, count + 1)]}
        await self._http.send_bare("POST", _below(parts.upload_url, "complete"), json.dumps(body).encode(), _JSON)
        return parts.file_url

    async def _initiate(self, what: str, upload: Upload) -> tuple[str, str]:
        body = {"file_name": upload.name, "content_type": upload.content_type}
        return _addresses(await self._http.ask(self._address(what), body, _lifecycle(upload)))

    def _address(self, what: str) -> str:
        return f"{self._hosts.rest}/storage/upload/{what}?storage_type=fal-cdn-v3"

    async def _part(self, upload: Upload, parts: Parts, number: int) -> str:
        start, size = (number - 1) * PART, _length(number, upload.size)
        headers = {"content-type": upload.content_type, "content-length": str(size)}
        url = _below(parts.upload_url, str(number))
        for attempt in range(_PART_TRIES):
            try:
                answer = await self._http.send_bare("PUT", url, chunks(upload, start, size, _nobody), headers)
            except (Unreachable, ServiceFailed):
                if attempt == _PART_TRIES - 1:
                    raise
                await anyio.sleep(0.25 * 2**attempt)
                continue
            # Both are given (fact sheet §4.3); either will do.
            told = answer.headers.get("etag") or (answers.json_object(answer.content) or {}).get("etag")
            if isinstance(told, str) and told:
                return told
            raise ServiceFailed("fal took a part of the file and did not say what it made of it.")
        raise AssertionError("unreachable")

    async def _send(self, url: str, upload: Upload, start: int, size: int, tell: Tell) -> None:
        headers = {"content-type": upload.content_type, "content-length": str(size)}
        for attempt in range(_PART_TRIES):
            try:
                await self._http.send_bare("PUT", url, chunks(upload, start, size, tell), headers)
                return
            except (Unreachable, ServiceFailed):
                if attempt == _PART_TRIES - 1:
                    raise
                await anyio.sleep(0.25 * 2**attempt)

    async def _put_with_token(self, upload: Upload, tell: Tell) -> str:
        """The way fal's Python client takes, for accounts without the other."""
        kind, token = await self._cdn_token()
        headers = {
            "authorization": f"{kind} {token}",
            "content-type": upload.content_type,
            "content-length": str(upload.size),
            "x-fal-file-name": upload.name.encode("ascii", "replace").decode(),
            **_lifecycle(upload),
        }
        content = chunks(upload, 0, upload.size, tell)
        answer = await self._http.send_bare("POST", f"{self._hosts.cdn}/files/upload", content, headers)
        url = (answers.json_object(answer.content) or {}).get("access_url")
        if not isinstance(url, str):
            raise ServiceFailed("fal took the file and did not say where it is.")
        return url

    async def _cdn_token(self) -> tuple[str, str]:
        if self._token is None or self._token[2] < time.time() + _FRESH_SECONDS:
            url = f"{self._hosts.rest}/storage/auth/token?storage_type=fal-cdn-v3"
            found = answers.json_object((await self._http.ask(url, {})).content) or {}
            try:
                until = datetime.fromisoformat(str(found["expires_at"])).timestamp()
                self._token = (str(found["token_type"]), str(found["token"]), until)
            except (KeyError, ValueError) as error:
                raise ServiceFailed("fal's CDN token is not what one is.") from error
        return self._token[0], self._token[1]


_JSON = {"content-type": "application/json"}


async def _nobody(sent: int, size: int) -> None:
    return


def _addresses(response: httpx.Response) -> tuple[str, str]:
    found = answers.json_object(response.content) or {}
    signed, url = found.get("upload_url"), found.get("file_url")
    if not isinstance(signed, str) or not isinstance(url, str):
        raise ServiceFailed("fal gave no address to upload to.")
    return signed, url


def _lifecycle(upload: Upload) -> dict[str, str]:
    """Fact sheet §4.6."""
    about: dict[str, Any] = {}
    if upload.lifetime is not None:
        about["expiration_duration_seconds"] = upload.lifetime
    if upload.access is not None:
        about["initial_acl"] = {"default": upload.access, "rules": []}
    text = json.dumps(about)
    names = ("x-fal-object-lifecycle", "x-fal-object-lifecycle-preference")
    return dict.fromkeys(names, text) if about else {}


def _length(number: int, size: int) -> int:
    return min(PART, size - (number - 1) * PART)


def _below(url: str, name: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path}/{name}"))


async def _read(upload: Upload, start: int, size: int) -> bytes:
    def read() -> bytes:
        with upload.lock:
            upload.stream.seek(start)
            return upload.stream.read(size)

    content = await anyio.to_thread.run_sync(read)
    if len(content) != size:
        raise ServiceFailed("The file changed while it was sent.", retryable=True, hint="Send it again.")
    return content


async def chunks(upload: Upload, start: int, size: int, tell: Tell) -> AsyncGenerator[bytes]:
    """A part of a file, read as it is sent.

    Raises:
        ServiceFailed: the file became shorter meanwhile.
    """
    sent = 0
    while sent < size:
        chunk = await _read(upload, start + sent, min(_CHUNK, size - sent))
        yield chunk
        sent += len(chunk)
        await tell(sent, size)
