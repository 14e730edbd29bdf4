"""What a period cost: sums in each currency, parts with their shares, and the change against before. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from fal_mcp.errors import ServiceFailed
from fal_mcp.json_values import JsonMapping
from fal_mcp.text import one_line

Row = JsonMapping
CURRENCY = "USD"
MOST_DIGITS = 15
"""Before the point. Nobody was ever billed more."""
_LONGEST_NAME = 120
_TENTH = Decimal("0.1")
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a total; `share` is in percent, rounded down, so that shares never sum to more than 100."""

    name: str
    cost: Decimal
    share: Decimal


def cost(row: Row) -> Decimal:
    """What a row says was charged. Fact F6.5: `cost` is the older name.

    Raises:
        ServiceFailed: it names no amount that can be one.
    """
    charged = row.get("cost_total", row.get("cost"))
    # By way of text: 0.1 as a float is a little more, and a sum over a thousand rows would show it.
    amount = (
        Decimal(str(charged)) if isinstance(charged, int | float) and not isinstance(charged, bool) else Decimal("nan")
    )
    # A report that adds up nonsense is worse than none: somebody budgets by it.
    if not amount.is_finite() or amount.adjusted() > MOST_DIGITS:
        raise ServiceFailed(f"A row of fal's report costs {one_line(str(charged), 40)!r}, which is no amount.")
    return amount


def currency(row: Row) -> str:
    """The code of the currency, in capitals."""
    return one_line(str(row.get("currency") or CURRENCY), 3).upper()


def sums(rows: Iterable[Row]) -> dict[str, Decimal]:
    """The sum of the rows in each currency; in USD always."""
    totals: dict[str, Decimal] = {CURRENCY: _NOTHING}
    for row in rows:
        totals[currency(row)] = totals.get(currency(row), _NOTHING) + cost(row)
    return totals


def parts(rows: Iterable[Row], name: Callable[[Row], str]) -> list[Part]:
    """What each name cost in USD, the most first; rows in other currencies are no part of it."""
    amounts: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if currency(row) == CURRENCY:
            amounts[one_line(name(row), _LONGEST_NAME) or "unnamed"] += cost(row)
    total = sum(amounts.values(), _NOTHING)
    ordered = sorted(amounts.items(), key=lambda item: (-item[1], item[0]))
    return [Part(one, amount, share(amount, total)) for one, amount in ordered]


def share(amount: Decimal, total: Decimal) -> Decimal:
    """`amount` in percent of `total`, to a tenth and rounded down; 0 of nothing."""
    return (
        (100 * min(max(amount, _NOTHING), total) / total).quantize(_TENTH, ROUND_FLOOR) if total > 0 else Decimal("0.0")
    )


def percent(now: Decimal, before: Decimal) -> float | None:
    """By how many percent it changed; None where it was nothing before."""
    return round(float(100 * (now - before) / before), 1) if before else None


def change(now: Decimal, before: Decimal) -> str:
    """The change against the period before, in words."""
    if now == before:
        return f"as much as in the equally long period before ({money(before)})" if now else "as in the period before"
    if not before:
        return "after nothing in the equally long period before"
    by = f"{money(abs(now - before))} {'more' if now > before else 'less'} ({percent(now, before):+,.1f} %)"
    return f"{by} than in the equally long period before ({money(before)})"


def money(amount: Decimal, code: str = CURRENCY) -> str:
    """An amount as people write it: two decimals, below a cent as many as it takes to be seen."""
    small = 0 < abs(amount) < Decimal("0.01")
    return f"{amount:.2g} {code}" if small else f"{amount:,.2f} {code}"
