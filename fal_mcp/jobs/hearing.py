"""What other servers tell of a shared ledger, for whoever waits for it here."""

from collections.abc import Callable

import anyio


class Hearing:
    """Topics that somebody waits for, or wants to hear of each time: `job:` with an id, `catalog:` and `apps:` with an
    account, `task:` with an id. What it does not know is a newer server's, or nobody's, and does nothing."""

    def __init__(self) -> None:
        self._waiting: dict[str, anyio.Event] = {}
        self._hearers: list[tuple[str, Callable[[str], None]]] = []

    def on(self, prefix: str, hear: Callable[[str], None]) -> None:
        """Call this with every topic that begins so, and with an empty one where some may have been missed."""
        self._hearers.append((prefix, hear))

    def hear(self, topic: str) -> None:
        """Something was told; an empty topic is that anything may have been. It is a word to look, and no more: what
        is so is read from the ledger or from fal, so that whoever may write there can tell nobody a lie."""
        for name in [name for name in self._waiting if not topic or name == topic]:
            self._waiting.pop(name).set()
        for prefix, hear in self._hearers:
            if not topic or topic.startswith(prefix):
                hear(topic)

    async def heard(self, topic: str, seconds: float) -> None:
        """Wait until this is told, or for so long: what was missed is found by looking."""
        event = self._waiting.setdefault(topic, anyio.Event())
        with anyio.move_on_after(seconds):
            await event.wait()
