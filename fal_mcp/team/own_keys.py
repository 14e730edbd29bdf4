"""Each caller's own key of fal's: it pays with it, and it is who it is by it. Kept in memory only, as a digest where it
is only to be known again.
"""

import hashlib
import time
from collections.abc import Awaitable, Callable

import anyio

from fal_mcp.errors import FalError, NotAuthorised
from fal_mcp.key import checked
from fal_mcp.team.principal import Principal
from fal_mcp.team.refusal import NotLetIn, invalid

ISSUER = "fal"
_GOOD_FOR, _BAD_FOR = 600.0, 60.0
_MOST_KNOWN = 10_000
_AT_ONCE = 8


class OwnKeys:
    """`ask` asks fal whether it knows a key, and raises `NotAuthorised` where it does not."""

    def __init__(self, ask: Callable[[str], Awaitable[None]], clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._known: dict[str, tuple[bool, float]] = {}
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def principal_of(self, text: str) -> Principal:
        """Whose key it is: fal is asked once in a while, as anybody can write down a key.

        Raises:
            NotLetIn: it is no key, or fal does not know it; 503 where fal cannot be asked.
        """
        try:
            key = checked("X-Fal-Key", text.strip() or '""')
        except ValueError as error:
            raise invalid(str(error)) from error
        # By the whole key: its id alone is no secret, and whoever has read it somewhere must not become its owner.
        digest = hashlib.sha256(key.encode()).hexdigest()
        is_good, until = self._known.get(digest, (False, 0.0))
        if until <= self._clock():
            is_good = await self._asked(key, digest)
        if not is_good:
            raise invalid("fal does not know the key in X-Fal-Key.")
        return Principal(ISSUER, digest, "own key", f"key {digest[:8]}", key=key)

    async def _asked(self, key: str, digest: str) -> bool:
        async with self._limiter:
            try:
                await self._ask(key)
                is_good = True
            except NotAuthorised:
                is_good = False
            except FalError as error:
                raise NotLetIn(503, "fal could not be asked about the key.", retry_after=10) from error
        while len(self._known) >= _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[digest] = is_good, self._clock() + (_GOOD_FOR if is_good else _BAD_FOR)
        return is_good
