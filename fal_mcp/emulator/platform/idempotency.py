"""An answer that is given again to whoever sends the same idempotency key. Fact F6.1."""

import time
from dataclasses import dataclass, field

from starlette.responses import Response

MEMORY_SECONDS = 600.0


@dataclass(slots=True)
class Remembered:
    """The answer, and how often it was repeated since. `at` is on the monotonic clock."""

    operation_id: str
    response: Response
    at: float = field(default_factory=time.monotonic)
    repeats: int = 0
