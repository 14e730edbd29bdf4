"""fal's callbacks, and the proof that they are fal's: ED25519 over four lines, by fal's published keys.

The seeds say HMAC; fal signs with ED25519.
"""

import base64
import binascii
import hashlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fal_mcp.client import answers
from fal_mcp.client.body import SMALL
from fal_mcp.client.http import Http
from fal_mcp.config import Hosts
from fal_mcp.errors import NotAuthentic, ServiceFailed
from fal_mcp.json_values import JsonObject, is_object, list_of

LARGEST = 10 * 1024 * 1024
_MOST_SKEW = 300
# More are no time, and Python is slow at reading numbers of thousands of digits.
_MOST_DIGITS = 15
_KEYS_FRESH_FOR = 12 * 3600.0
_FEWEST_BETWEEN = 60.0
_NAMES = ("request-id", "user-id", "timestamp", "signature")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One verified callback. `payload` is the model's output where `is_ok`, else its error body."""

    request_id: str
    timestamp: int
    is_ok: bool
    payload: JsonObject | None
    error: str | None


class Webhooks:
    """Verifies deliveries with fal's keys, which are fetched when needed and kept for half a day."""

    def __init__(self, http: Http, hosts: Hosts) -> None:
        self._http = http
        self._url = f"{hosts.rest}/.well-known/jwks.json"
        self._keys: list[bytes] = []
        self._fetched = float("-inf")

    async def verified(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """The delivery, if it is fal's and of these five minutes.

        Raises:
            NotAuthentic: it is not; the message says why.
            FalError: fal's keys could not be had.
        """
        age = time.monotonic() - self._fetched
        if age > _KEYS_FRESH_FOR:
            await self._fetch()
        try:
            return verify(headers, body, self._keys, time.time())
        except NotAuthentic:
            # fal may have changed its keys since; asked again at most once a minute, so that nobody can make us ask.
            if age < _FEWEST_BETWEEN or age > _KEYS_FRESH_FOR:
                raise
        await self._fetch()
        return verify(headers, body, self._keys, time.time())

    async def _fetch(self) -> None:
        response = await self._http.get(self._url, most=SMALL)
        self._keys = list(keys_of(list_of((answers.json_object(response.content) or {}).get("keys"))))
        if not self._keys:
            raise ServiceFailed("fal's published keys for callbacks could not be read.")
        self._fetched = time.monotonic()


def verify(headers: Mapping[str, str], body: bytes, keys: Iterable[bytes], now: float) -> Delivery:
    """The delivery that `headers` (names in lower case) and `body` are, checked with these public keys.

    Raises:
        NotAuthentic: a header is missing, the time is more than 300 s off, or no key fits.
    """
    request_id, user_id, stamp, signature = (headers.get(f"x-fal-webhook-{name}", "") for name in _NAMES)
    if not all((request_id, user_id, stamp, signature)):
        raise NotAuthentic("The delivery lacks one of fal's four headers.")
    # Before the signature: an old delivery that somebody recorded is signed just as well.
    if not _is_of_now(stamp, now):
        raise NotAuthentic("The delivery's time is more than five minutes off.")
    # The digest of the bytes as they came: read and written again, JSON would be other bytes.
    message = f"{request_id}\n{user_id}\n{stamp}\n{hashlib.sha256(body).hexdigest()}".encode("utf-8", "surrogateescape")
    try:
        signed = bytes.fromhex(signature)
    except ValueError as error:
        raise NotAuthentic("The delivery's signature is not hexadecimal.") from error
    if not any(_fits(key, signed, message) for key in keys):
        raise NotAuthentic("The delivery's signature is none of fal's.")
    content = answers.json_object(body)
    # The signature covers both, but what is looked up is the header's, and what is kept is the body's.
    if content is None or content.get("request_id") != request_id:
        raise NotAuthentic("The delivery's body is not the one of its request.")
    payload = content.get("payload")
    error = content.get("error") or content.get("payload_error")
    return Delivery(
        request_id=request_id,
        timestamp=int(stamp),
        is_ok=content.get("status") == "OK",
        payload=payload if is_object(payload) else None,
        error=answers.said(error) if error else None,
    )


def _is_of_now(stamp: str, now: float) -> bool:
    is_number = stamp.isascii() and stamp.isdecimal() and len(stamp) <= _MOST_DIGITS
    return is_number and abs(now - int(stamp)) <= _MOST_SKEW


def keys_of(entries: Iterable[Any]) -> Iterable[bytes]:
    """The public keys in a JSON Web Key Set; fal leaves out the padding."""
    for entry in entries:
        match entry:
            case {"x": str() as text}:
                try:
                    yield base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
                except (ValueError, binascii.Error):
                    continue
            case _:
                continue


def _fits(key: bytes, signature: bytes, message: bytes) -> bool:
    # A tenth of what this client takes to import, and most of its users take no callbacks.
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        # A key of another kind, or none at all, is not the one that signed.
        return False
    return True
