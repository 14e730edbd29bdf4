"""The ways to fal: with the key of the settings, and, where each caller pays, one for each key, in memory only."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import httpx

from fal_mcp.client.fal import Fal
from fal_mcp.client.fal_cli import FalCli
from fal_mcp.config import Settings
from fal_mcp.errors import RateLimited
from fal_mcp.runs.pricing import Prices
from fal_mcp.runs.resolution import Resolution

_MOST = 500
_IN_USE_FOR = 900.0
"""Seconds; a request to fal takes 600 at most."""


def fal_of(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> Fal:
    """The way to fal that the settings describe."""
    return Fal(
        settings.key,
        hosts=settings.hosts,
        admin_key=settings.admin_key,
        transport=transport,
        patience=settings.wait,
        cli=FalCli(settings.fal_cli, settings.key, settings.variable),
    )


@dataclass(slots=True)
class Payer:
    """One caller, and what its key was told: what may be run beside the catalog, and prices. `used` is by
    `time.monotonic`."""

    fal: Fal
    used: float
    resolution: Resolution
    prices: Prices = field(default_factory=Prices)


class Payers:
    """A bounded number of callers; one that was not heard of for longer than any request takes makes room."""

    def __init__(
        self,
        settings: Settings,
        transport: httpx.AsyncBaseTransport | None = None,
        resolution: Callable[[], Resolution] = Resolution,
        most: int = _MOST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._resolution = resolution
        self._most = most
        self._clock = clock
        self._payers: dict[str, Payer] = {}
        self._left: list[Fal] = []

    def of(self, key: str) -> Payer:
        """What there is for this key.

        Raises:
            RateLimited: too many pay at once.
        """
        now, digest = self._clock(), hashlib.sha256(key.encode()).hexdigest()
        # The last that was used stands last, so that the first has waited longest.
        payer = self._payers.pop(digest, None)
        if payer is None:
            self._make_room(now)
            payer = Payer(self._fal(key), now, self._resolution())
        payer.used = now
        self._payers[digest] = payer
        return payer

    async def ask_about(self, key: str) -> None:
        """Ask fal whether it knows a key.

        Raises:
            NotAuthorised: it does not.
            FalError: it could not be asked.
        """
        async with self._fal(key) as fal:
            # What a model costs is told to any key, and to nobody without one.
            await fal.models.prices(["fal-ai/flux/dev"])

    async def aclose(self) -> None:
        """Close every way to fal."""
        for fal in (*(payer.fal for payer in self._payers.values()), *self._left):
            await fal.__aexit__(None, None, None)

    def _fal(self, key: str) -> Fal:
        # What the server has of its own, an admin key or fal's command line, is for no caller.
        return fal_of(replace(self._settings, key=key, admin_key=None, fal_cli=None), self._transport)

    def _make_room(self, now: float) -> None:
        if len(self._payers) < self._most:
            return
        digest, oldest = next(iter(self._payers.items()))
        if now - oldest.used < _IN_USE_FOR:
            hint = "Nothing was sent. Call again in some minutes."
            raise RateLimited(f"{self._most} callers use this server already.", retry_after=60.0, hint=hint)
        del self._payers[digest]
        # Not closed here: a job that it follows may still be on its way.
        self._left.append(oldest.fal)
