"""What single requests were billed, and the reports that an accountant downloads. Fact F6.7, F10.2 and F10.3."""

import csv
import io
from datetime import datetime, timedelta

from starlette.responses import Response

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.platform import pages
from fal_mcp.emulator.platform.answers import text
from fal_mcp.emulator.platform.buckets import span
from fal_mcp.emulator.platform.refusal import Refused
from fal_mcp.emulator.platform.request import Answer, Request, moment
from fal_mcp.emulator.platform.usage import PRODUCTION, STAGING, Key
from fal_mcp.json_values import JsonObject

_PAST_EVENTS = 40
_APART = timedelta(minutes=33)
_LONGEST = timedelta(days=90)
_PAST = (("fal-ai/flux/dev", 0.025, 20.0, PRODUCTION), ("fal-ai/nano-banana", 0.039, 0.0, STAGING))
_COST_COLUMNS = ("BillingAccountId", "ServiceName", "ChargePeriodStart", "BilledCost", "BillingCurrency")
_TEAMS = ("emulator", "emulator-film")


def _events(fal: Emulator, request: Request) -> object:
    return pages.by_cursor(fal, request, "billing_events", [event for event, _ in _found(fal, request)])


def _organization_events(fal: Emulator, request: Request) -> object:
    teams = request.listed("team_username")
    events = [{"username": _team(key), **event} for event, key in _found(fal, request)]
    events = [event for event in events if not teams or event["username"] in teams]
    return pages.by_cursor(fal, request, "billing_events", events)


def _team(key: Key) -> str:
    return _TEAMS[key is STAGING]


def _found(fal: Emulator, request: Request) -> list[tuple[JsonObject, Key]]:
    """The events asked for with their keys, newest first: those of this emulator's bill, then some of before."""
    start, end = span(request)
    if end - start > _LONGEST:
        raise Refused(400, "At most 90 days may be asked for")
    wanted = {name: request.listed(name) for name in ("endpoint_id", "request_id", "api_key_id", "login_username")}
    return [
        (event | key.columns(request.listed("expand")), key)
        for event, key in [*_of_bill(fal), *_of_before(fal)]
        if start <= moment(event["timestamp"]) < end
        and all(
            not wanted[name] or value in wanted[name]
            for name, value in {**event, "api_key_id": key.key_id, "login_username": key.login}.items()
            if name in wanted
        )
    ]


def _of_bill(fal: Emulator) -> list[tuple[JsonObject, Key]]:
    """What is free has no event, and what cannot be priced here has none yet."""
    return [
        (_event(charge.request_id, charge.endpoint_id, charge.sent, charge.amount, 0), PRODUCTION)
        for charge in reversed(fal.bill)
        if charge.amount
    ]


def _of_before(fal: Emulator) -> list[tuple[JsonObject, Key]]:
    found: list[tuple[JsonObject, Key]] = []
    for number in range(_PAST_EVENTS):
        endpoint_id, price, discount, key = _PAST[number % len(_PAST)]
        at = (fal.born - (number + 1) * _APART).isoformat()
        found.append((_event(text("request_id", number), endpoint_id, at, price, discount), key))
    return found


def _event(request_id: str, endpoint_id: str, at: str, price: float, percent: float) -> JsonObject:
    discount = round(price * percent / 100, 9)
    total = round(price - discount, 9)
    return {
        "request_id": request_id,
        "endpoint_id": endpoint_id,
        "timestamp": at,
        "output_units": 1,
        "unit_price": price,
        "percent_discount": percent or None,
        "cost_subtotal": price,
        "cost_discount": discount,
        "cost_total": total,
        # Billionths of a dollar, beside the same in dollars.
        "cost_estimate_nano_usd": round(total * 1e9),
    }


def _focus(fal: Emulator, request: Request) -> object:
    teams = _TEAMS if request.query.get("expand") == "organization" else _TEAMS[:1]
    return _report(fal, request, teams)


def _organization_focus(fal: Emulator, request: Request) -> object:
    wanted = request.query.get("team_username")
    return _report(fal, request, tuple(one for one in _TEAMS if wanted in (None, one)))


def _report(fal: Emulator, request: Request, teams: tuple[str, ...]) -> Response:
    """The events in some columns of the FOCUS specification; an invoice is of a month that is over."""
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(_COST_COLUMNS)
    for event, key in _of_before(fal):
        if (team := _team(key)) in teams:
            writer.writerow(
                (team, event["endpoint_id"], _period(event["timestamp"], request), event["cost_total"], "USD")
            )
    return Response(target.getvalue(), media_type="text/csv")


def _period(at: str, request: Request) -> str:
    month = request.query.get("billing_month") or request.query.get("charge_month")
    return f"{month}-01T00:00:00Z" if month else datetime.fromisoformat(at).isoformat()


ANSWERS: dict[str, Answer] = {
    "getBillingEvents": _events,
    "getOrganizationBillingEvents": _organization_events,
    "getFocusReport": _focus,
    "getOrganizationFocusReport": _organization_focus,
}
