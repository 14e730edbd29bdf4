"""That an account has other apps, told among the servers of one ledger."""

import logging
from collections.abc import Callable

from fal_mcp.errors import NotRecorded
from fal_mcp.jobs.job import NOBODY
from fal_mcp.jobs.jobs import Jobs

_TOPIC = "apps:"

logger = logging.getLogger("fal_mcp")


class AppNews:
    """The news of the account of this name; `look` reads its apps anew. What is heard is told to nobody again, or it
    would go round for ever."""

    def __init__(self, jobs: Jobs, account: Callable[[], str], look: Callable[[], None]) -> None:
        self._notes = jobs.ledger.notes
        self._account = account
        self._look = look
        self._hearing = jobs.hearing

    def listen(self) -> None:
        """Look whenever another server has told."""
        self._hearing.on(_TOPIC, self._hear)

    async def tell(self) -> None:
        """Tell every server. Never raises: who does not hear of it finds it in minutes."""
        try:
            await self._notes.tell(f"{_TOPIC}{self._account()}")
        except NotRecorded as error:
            logger.info("The other servers could not be told of an app: %s", error.message)

    def _hear(self, topic: str) -> None:
        account = self._account()
        # Where each caller pays, each has apps of its own, and none is listed.
        if account != NOBODY and topic in ("", f"{_TOPIC}{account}"):
            self._look()
