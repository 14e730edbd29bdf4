"""Uploads to fal's CDN: a signed PUT, parts of a large file, or a CDN token.

Files are read from disk as they are sent and never held whole. They go to fal's hosts alone, whatever address an answer
names; the signed address never gets the key.
"""

import math
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

import anyio
import httpx

from fal_mcp.addresses import parts_of
from fal_mcp.client import answers
from fal_mcp.client.body import SMALL
from fal_mcp.client.file_stream import Tell, Upload, chunks
from fal_mcp.client.http import UPLOAD_TIMEOUT, Http
from fal_mcp.client.retry import Retry
from fal_mcp.config import Hosts
from fal_mcp.errors import (
    FalError,
    NotFound,
    RateLimited,
    RequestRejected,
    ServiceFailed,
    UploadClosed,
)
from fal_mcp.json_values import JsonMapping, JsonObject, dumped, text_of

PART = 10 * 1024 * 1024
# A little below the 100 MiB from which fal's own clients send parts.
LARGE = 90 * 1024 * 1024
"""From here on a file goes in parts."""
# More at once share one line, and where that is slow all of them run into their limits together.
_AT_ONCE = 6
# An address that was signed for one file may be written to again, so that a 500 is tried again here too. 409 is not: it
# says that the upload is over.
_SENDING = Retry("always", attempts=5, longest=120.0, statuses=frozenset({408, 425, 429, 500, 502, 503, 504}))
_FILE_HOSTS = ("fal.media", "fal.ai", "fal.run", "storage.googleapis.com")
# A token must outlive the request that it is used for: one that expires within a minute is asked for anew.
_FRESH_SECONDS = 60.0


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
        # Some accounts have no signed uploads; fal's own clients go the way of the CDN token there.
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
        return self._addresses(await self._http.ask(self._address("initiate"), body))

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
        try:
            if self._may_have_files(parts.upload_url):
                return await self._put_parts(upload, parts, tell, keep)
        except UploadClosed:
            pass
        # It may have been begun days ago. What was kept of it is overwritten, so that nobody tries it again.
        fresh = await self.begin_parts(upload)
        parts.upload_url, parts.file_url, parts.etags = fresh.upload_url, fresh.file_url, fresh.etags
        await keep(parts)
        return await self._put_parts(upload, parts, tell, keep)

    async def _put_parts(
        self, upload: Upload, parts: Parts, tell: Tell, keep: Callable[[Parts], Awaitable[None]]
    ) -> str:
        count = -(-upload.size // PART)
        sent = sum(_length(number, upload.size) for number in parts.etags)
        await tell(sent, upload.size)
        limiter = anyio.CapacityLimiter(_AT_ONCE)
        failed: list[FalError] = []

        async def send(number: int) -> None:
            nonlocal sent
            async with limiter:
                if failed:
                    return
                try:
                    parts.etags[number] = await self._part(upload, parts, number)
                    sent += _length(number, upload.size)
                    await keep(parts)
                except FalError as error:
                    # Not raised within the group: that would break off the parts beside it that are nearly through.
                    failed.append(error)
                    return
                await tell(sent, upload.size)

        async with anyio.create_task_group() as tasks:
            for number in range(1, count + 1):
                if number not in parts.etags:
                    tasks.start_soon(send, number)
        if failed:
            raise failed[0]
        await self._complete(upload, parts, count)
        return parts.file_url

    async def _complete(self, upload: Upload, parts: Parts, count: int) -> None:
        numbers = range(1, count + 1)
        body = dumped({"parts": [{"partNumber": number, "etag": parts.etags[number]} for number in numbers]}).encode()
        try:
            await self._bare("POST", _below(parts.upload_url, "complete"), lambda: body, _JSON)
        except FalError as error:
            # Its answer may have been lost, and what is complete cannot be completed again: the file itself knows.
            if not await self._is_there(parts.file_url, upload.size):
                raise _closed(error) from error

    async def _is_there(self, url: str, size: int) -> bool:
        headers = {"range": "bytes=0-0", "accept": "*/*", "accept-encoding": "identity"}
        try:
            async with self._http.stream("GET", url, key="none", headers=headers) as incoming:
                return incoming.headers.get("content-range", "").rpartition("/")[2] == str(size)
        except FalError:
            return False

    async def _initiate(self, what: str, upload: Upload) -> tuple[str, str]:
        body = {"file_name": upload.name, "content_type": upload.content_type}
        return self._addresses(await self._http.ask(self._address(what), body, _lifecycle(upload)))

    def _address(self, what: str) -> str:
        return f"{self._hosts.rest}/storage/upload/{what}?storage_type=fal-cdn-v3"

    def _addresses(self, response: httpx.Response) -> tuple[str, str]:
        answer = answers.json_object(response.content) or {}
        signed, url = text_of(answer.get("upload_url")), text_of(answer.get("file_url"))
        if not signed or not url:
            raise ServiceFailed("fal gave no address to upload to.")
        if not (self._may_have_files(signed) and self._may_have_files(url)):
            raise ServiceFailed(
                "fal's answer names an address to upload to that is not fal's.",
                retryable=False,
                hint="Nothing was sent to it. Check the address this server is pointed at.",
            )
        return signed, url

    def _may_have_files(self, url: str) -> bool:
        """Whether a file of the user's may be sent to `url`: a host of fal's, or of fal's storage at Google."""
        parts = parts_of(url)
        if parts is None or not url.isprintable() or parts.username or parts.password:
            return False
        # Pointed at a stand-in, only its own addresses will do: a real host there would be a leak of a test's file.
        if self._hosts != Hosts():
            return self._http.is_fals(url) or url.startswith(f"{self._hosts.cdn}/")
        host = (parts.hostname or "").casefold()
        is_fals = any(host == name or host.endswith(f".{name}") for name in _FILE_HOSTS)
        # fal hands out addresses of its storage at Google too, and no list of them: by name, and in TLS alone.
        return parts.scheme == "https" and parts.port in (None, 443) and is_fals

    async def _bare(
        self,
        method: str,
        url: str,
        content: Callable[[], bytes | AsyncIterable[bytes]],
        headers: Mapping[str, str],
    ) -> httpx.Response:
        """Send bytes to an address that is its own permission: never with the key."""
        return await self._http.request(
            method,
            url,
            retry=_SENDING,
            key="none",
            headers=headers,
            content=content,
            silence=UPLOAD_TIMEOUT,
            most=SMALL,
            # A film over a slow line takes as long as it takes; what ends it is the silence between two pieces.
            longest=math.inf,
        )

    async def _part(self, upload: Upload, parts: Parts, number: int) -> str:
        start, size = (number - 1) * PART, _length(number, upload.size)
        headers = {"content-type": upload.content_type, "content-length": str(size)}
        url = _below(parts.upload_url, str(number))
        try:
            answer = await self._bare("PUT", url, lambda: chunks(upload, start, size, _nobody), headers)
        except RequestRejected as error:
            raise _closed(error) from error
        # Both are given; either will do.
        etag = answer.headers.get("etag") or (answers.json_object(answer.content) or {}).get("etag")
        if isinstance(etag, str) and etag:
            return etag
        raise ServiceFailed("fal took a part of the file and did not say what it made of it.")

    async def _send(self, url: str, upload: Upload, start: int, size: int, tell: Tell) -> None:
        headers = {"content-type": upload.content_type, "content-length": str(size)}
        await self._bare("PUT", url, lambda: chunks(upload, start, size, tell), headers)

    async def _put_with_token(self, upload: Upload, tell: Tell) -> str:
        """The way fal's Python client takes, for accounts without the other."""
        kind, token = await self._cdn_token()
        headers = {
            "authorization": f"{kind} {token}",
            "content-type": upload.content_type,
            "content-length": str(upload.size),
            # A header takes ASCII alone; the name is only a label at fal.
            "x-fal-file-name": upload.name.encode("ascii", "replace").decode(),
            **_lifecycle(upload),
        }
        url = f"{self._hosts.cdn}/files/upload"
        answer = await self._bare("POST", url, lambda: chunks(upload, 0, upload.size, tell), headers)
        access_url = text_of((answers.json_object(answer.content) or {}).get("access_url"))
        if not access_url or not self._may_have_files(access_url):
            raise ServiceFailed("fal took the file and did not say where it is.")
        return access_url

    async def _cdn_token(self) -> tuple[str, str]:
        if self._token is None or self._token[2] < time.time() + _FRESH_SECONDS:
            url = f"{self._hosts.rest}/storage/auth/token?storage_type=fal-cdn-v3"
            self._token = _token_in(answers.json_object((await self._http.ask(url, {})).content) or {})
        return self._token[0], self._token[1]


_JSON = {"content-type": "application/json"}


async def _nobody(sent: int, size: int) -> None:
    return


def _closed(error: FalError) -> FalError:
    """What a refusal of a part, or of putting them together, says: that the upload is over. Others say nothing."""
    if not isinstance(error, RequestRejected) or isinstance(error, RateLimited):
        return error
    return UploadClosed(f"fal does not go on with this upload: {error.message}", status=error.status)


def _token_in(answer: JsonMapping) -> tuple[str, str, float]:
    kind, token, expires = (text_of(answer.get(name)) or "" for name in ("token_type", "token", "expires_at"))
    try:
        until = datetime.fromisoformat(expires).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise ServiceFailed("fal's CDN token is not what one is.") from error
    if not kind or not token or not f"{kind}{token}".isprintable() or not f"{kind}{token}".isascii():
        raise ServiceFailed("fal's CDN token is not what one is.")
    return kind, token, until


def _lifecycle(upload: Upload) -> dict[str, str]:
    about: JsonObject = {}
    if upload.lifetime is not None:
        about["expiration_duration_seconds"] = upload.lifetime
    if upload.access is not None:
        about["initial_acl"] = {"default": upload.access, "rules": []}
    text = dumped(about)
    # fal's Python clients send both names and its JavaScript client the first alone; under both, no file stays longer
    # than it was meant to.
    names = ("x-fal-object-lifecycle", "x-fal-object-lifecycle-preference")
    return dict.fromkeys(names, text) if about else {}


def _length(number: int, size: int) -> int:
    return min(PART, size - (number - 1) * PART)


def _below(url: str, name: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path}/{name}"))
