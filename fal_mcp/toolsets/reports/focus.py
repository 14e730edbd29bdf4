"""A CSV report as it is told: its columns, its first rows, and what it bills by service. Pure."""

import csv
import io
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from fal_mcp.errors import ServiceFailed
from fal_mcp.text import one_line
from fal_mcp.toolsets.reports import costs

_SHOWN_ROWS = 5
_LONGEST_CELL = 60
_MOST_COLUMNS = 60
_BILLED, _CURRENCY, _SERVICE = "BilledCost", "BillingCurrency", "ServiceName"
"""Columns of FOCUS, the FinOps Open Cost and Usage Specification."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What is in a report; `billed` is by currency and service, and empty where the report has no such column."""

    columns: tuple[str, ...]
    count: int
    first: tuple[tuple[str, ...], ...]
    billed: Mapping[str, Mapping[str, Decimal]]


def read(text: str) -> Statement:
    """Read a report whole; names and cells come out cleaned.

    Raises:
        ServiceFailed: it is no CSV with a line of names.
    """
    try:
        lines = [line for line in csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True) if line]
    except csv.Error as error:
        raise ServiceFailed(f"fal's report is no CSV ({error}).", hint="Nothing was saved; try again later.") from error
    # A page of HTML has one "column" too, and no report has fewer than two.
    if not lines or len(lines[0]) < 2:
        raise ServiceFailed("fal's report has no line of column names.", hint="Nothing was saved; try again later.")
    head, *rows = lines
    return Statement(_cleaned(head), len(rows), tuple(_cleaned(row) for row in rows[:_SHOWN_ROWS]), _billed(head, rows))


def _cleaned(cells: list[str]) -> tuple[str, ...]:
    return tuple(one_line(cell, _LONGEST_CELL) for cell in cells[:_MOST_COLUMNS])


def _billed(head: list[str], rows: list[list[str]]) -> dict[str, dict[str, Decimal]]:
    found: defaultdict[str, defaultdict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    if _BILLED in head:
        for row in rows:
            cells = dict(zip(head, row, strict=False))
            currency = one_line(cells.get(_CURRENCY, ""), 3) or "USD"
            found[currency][one_line(cells.get(_SERVICE, ""), _LONGEST_CELL) or "no service"] += _amount(
                cells.get(_BILLED, "")
            )
    return {currency: dict(services) for currency, services in found.items()}


def _amount(cell: str) -> Decimal:
    try:
        amount = Decimal(cell or "0")
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite() or amount.adjusted() > costs.MOST_DIGITS:
        message = f"fal's report bills {one_line(cell, 40)!r}, which is no amount."
        raise ServiceFailed(message, hint="Nothing was saved; try again later.")
    return amount
