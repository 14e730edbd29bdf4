"""Money: what an attempt may cost, what it is booked at in every state, the day it counts on, and the limits. Pure.

Sums are whole millionths of a dollar: they add up exactly in any database, and a price is rounded up to one, so that
nothing that costs is free.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal

from fal_mcp.errors import BudgetExceeded
from fal_mcp.json_values import number_of

State = Literal["waiting", "intent", "queued", "running", "completed", "failed", "cancelled", "unknown", "lost"]
"""`waiting`: nothing of it was sent yet.
`unknown`: fal may have it, and it is looked for. `lost`: fal does not know it (any more), and it is over."""
DAY = 86_400.0
_MILLION = 1_000_000
_MOST = 10**15
"""A thousand million dollars: more is no price, and sums of such must fit SQLite's whole numbers."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be spent, in USD; None is no limit. `approve_over`: what a person is asked about first."""

    call: float | None = None
    session: float | None = None
    day: float | None = None
    own_day: float | None = None
    """Of whoever calls, beside what all together may spend."""
    approve_over: float | None = None
    allow_unpriced: bool = False

    @property
    def are_set(self) -> bool:
        return any(limit is not None for limit in (self.call, self.session, self.day, self.own_day))


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent before, in millionths."""

    session: int = 0
    day: int = 0
    own_day: int = 0


def micro(amount: float | None) -> int | None:
    """Dollars as millionths, rounded up. None for what is no price: negative, not finite, or not known."""
    # fal's prices and bills come as numbers of JSON: true, NaN and text are no prices, and must not count as nothing.
    number = number_of(amount)
    if number is None or number < 0:
        return None
    # By way of the text: 0.1 as a double is a little more than a tenth, and would be rounded up to one more.
    return min(int((Decimal(str(number)) * _MILLION).to_integral_value(ROUND_CEILING)), _MOST)


def dollars(amount: int | None) -> float | None:
    """Millionths as dollars."""
    return None if amount is None else amount / _MILLION


def booked(state: State, price: int | None, billed: int | None, has_run: bool) -> int:
    """What a job counts for, in millionths.

    What fal's bill says, where it is known. fal bills neither what it refused nor what failed on its side, nor what was
    cancelled in the queue. Everything else may have been billed, and counts as estimated: what was cancelled while it
    ran, what the model refused after it had begun, what broke off, what fal does not know any more.
    """
    if billed is not None:
        return billed
    # What failed before it ran is not billed; a bill that says otherwise was taken above.
    if state in ("failed", "cancelled") and not has_run:
        return 0
    return price or 0


def is_on_fals_side(status: int | None) -> bool:
    """Whether a job that failed with this status of the model's failed on fal's side, as one without any did."""
    return status is None or status >= 500


def midnight(now: float) -> float:
    """When the day in UTC began on which something counts."""
    return now // DAY * DAY


def check(name: str, price: int | None, note: str, limits: Limits, spent: Spent) -> None:
    """Refuse what would go over a limit.

    Raises:
        BudgetExceeded: it would, or its price is not known and a limit is set.
    """
    if not limits.are_set:
        return
    if price is None:
        # A limit that lets through whatever has no price is none.
        if not limits.allow_unpriced:
            raise BudgetExceeded(
                f"The price of {name!r} is not known ({note or 'no reason given'}), and a limit is set.",
                hint="Nothing was sent. The server's --allow-unpriced lets such calls through.",
            )
        return
    for setting, limit, before in _bounds(limits, spent):
        if limit is not None and before + price > _floor(limit):
            raise BudgetExceeded(
                f"This would cost about {_text(price)} ({note}); {_text(before)} are spent, and {setting} is "
                f"{limit:g} USD.",
                hint="Nothing was sent. Choose a cheaper model or smaller arguments, or ask the user to raise "
                f"{setting}.",
            )


def check_together(prices: list[int | None], limits: Limits, spent: Spent) -> None:
    """Refuse runs whose prices together would go over a limit, before any of them is begun.

    Raises:
        BudgetExceeded: they would.
    """
    total = sum(price or 0 for price in prices)
    # Without the first: the limit of a call is each run's own.
    for setting, limit, before in _bounds(limits, spent)[1:]:
        if limit is not None and before + total > _floor(limit):
            raise BudgetExceeded(
                f"All of it would cost about {_text(total)}; {_text(before)} are spent, and {setting} is {limit:g} USD."
            )


def left(limit: float | None, spent: int) -> float | None:
    """What is left of a limit, in USD; None where there is none."""
    return None if limit is None else dollars(_floor(limit) - spent)


def _bounds(limits: Limits, spent: Spent) -> list[tuple[str, float | None, int]]:
    return [
        ("--max-cost", limits.call, 0),
        ("--session-budget", limits.session, spent.session),
        ("--daily-budget", limits.day, spent.day),
        ("your own daily budget", limits.own_day, spent.own_day),
    ]


def _floor(limit: float) -> int:
    number = number_of(limit)
    if number is None:
        # An infinite limit is none; its sum must still be a whole number that others are compared with.
        return _MOST * 1000 if limit > 0 else 0
    return int((Decimal(str(number)) * _MILLION).to_integral_value(ROUND_FLOOR))


def _text(amount: int) -> str:
    return f"{amount / _MILLION:.4g} USD"
