"""The attacks: what is tried, what it meets, and the function that tries it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fal_mcp.emulator import Emulator
from tests.team.bench import Team

Try = Callable[[Team, Emulator], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Attack:
    """One row. `own_keys`: on a server where each caller pays; `asks`: on one that asks before anything is paid."""

    area: str
    what: str
    meets: str
    attempt: Try
    own_keys: bool = False
    asks: bool = False


ATTACKS: list[Attack] = []


def attack(area: str, what: str, meets: str, *, own_keys: bool = False, asks: bool = False) -> Callable[[Try], Try]:
    """Adds a row."""

    def add(attempt: Try) -> Try:
        ATTACKS.append(Attack(area, what, meets, attempt, own_keys, asks))
        return attempt

    return add
