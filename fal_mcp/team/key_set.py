"""An issuer's public keys, by their ids: fetched when one is needed, kept for an hour, and never fetched on demand of
strangers more often than a floor allows.
"""

import logging
import time
from collections.abc import Awaitable, Callable

import anyio
import jwt

from fal_mcp.errors import FalError, ServiceFailed
from fal_mcp.json_values import JsonObject, list_of, object_of, text_of

Fetch = Callable[[str], Awaitable[JsonObject]]
_KEPT = 3600.0
_FLOOR = 60.0
"""Seconds from one fetch to the next, whatever became of the first: a token of an unknown key is quickly made."""
_MOST_KEYS = 100
_KINDS = {"RSA", "EC", "OKP"}
"""Of key pairs alone: what is public must never be taken for a shared secret."""

logger = logging.getLogger("fal_mcp")


class KeySet:
    """The keys of `issuer`. `fetch` gives the JSON at an address; `clock` is in seconds."""

    def __init__(
        self, issuer: str, fetch: Fetch, floor: float = _FLOOR, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._floor = floor
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] | None = None
        self._asked = float("-inf")
        self._fetched = float("-inf")
        self._one_at_a_time = anyio.Lock()

    async def get(self, key_id: str | None) -> jwt.PyJWK | None:
        """The key of this id, or the only one where a token names none; None where there is none.

        Raises:
            ServiceFailed: no keys could ever be had.
        """
        if self._known(key_id) is None or self._is_old:
            await self._refresh(key_id)
        if self._keys is None:
            raise ServiceFailed(f"The keys of {self._issuer!r} cannot be had now.", retryable=True)
        return self._known(key_id)

    @property
    def _is_old(self) -> bool:
        return self._clock() - self._fetched >= _KEPT

    def _known(self, key_id: str | None) -> jwt.PyJWK | None:
        keys = self._keys or {}
        if key_id is None:
            return next(iter(keys.values())) if len(keys) == 1 else None
        return keys.get(key_id)

    async def _refresh(self, key_id: str | None) -> None:
        async with self._one_at_a_time:
            is_needed = self._known(key_id) is None or self._is_old
            if not is_needed or self._clock() - self._asked < self._floor:
                return
            self._asked = self._clock()
            try:
                self._keys = _usable(await self._fetch(await self._address()))
                self._fetched = self._clock()
            except FalError as error:
                # What was fetched before serves on: an issuer that is away for a minute locks nobody out.
                logger.warning("The keys of %r could not be fetched: %s", self._issuer, error.message)

    async def _address(self) -> str:
        """Where the issuer says that its keys are (RFC 8414, else OpenID Connect Discovery)."""
        failure: FalError | None = None
        for address in _metadata_addresses(self._issuer):
            try:
                metadata = await self._fetch(address)
            except FalError as error:
                failure = error
                continue
            where = text_of(metadata.get("jwks_uri"))
            if metadata.get("issuer") == self._issuer and where and _is_as_safe(where, self._issuer):
                return where
            failure = ServiceFailed(f"What {address!r} says is not {self._issuer!r}'s own.")
        assert failure is not None
        raise failure


def _metadata_addresses(issuer: str) -> list[str]:
    scheme, _, rest = issuer.partition("://")
    host, slash, path = rest.rstrip("/").partition("/")
    below = f"{slash}{path}"
    return [
        f"{scheme}://{host}/.well-known/oauth-authorization-server{below}",
        f"{scheme}://{host}{below}/.well-known/openid-configuration",
    ]


def _is_as_safe(address: str, issuer: str) -> bool:
    return address.startswith("https://") or issuer.startswith("http://")


def _usable(document: JsonObject) -> dict[str, jwt.PyJWK]:
    keys: dict[str, jwt.PyJWK] = {}
    for number, item in enumerate(map(object_of, list_of(document.get("keys"))[:_MOST_KEYS])):
        if item.get("kty") not in _KINDS or item.get("use", "sig") != "sig":
            continue
        try:
            keys[text_of(item.get("kid")) or f" {number}"] = jwt.PyJWK(item)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            # One key of a kind that is not known here is no reason to do without the others.
            continue
    return keys
