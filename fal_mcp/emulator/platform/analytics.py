"""How an endpoint's requests went: counts, errors, and seconds of waiting and running. Fact F6.6."""

import random
import re
from datetime import datetime

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.platform.figures import between
from fal_mcp.emulator.platform.refusal import Refused
from fal_mcp.emulator.platform.request import Answer, Request
from fal_mcp.emulator.platform.usage import shaped
from fal_mcp.json_values import JsonObject

_MOST_A_DAY = 2000
_SECONDS = {"duration": 4.0, "prepare_duration": 1.2, "cold_boot_duration": 14.0}
_ERRORS = ("startup", "connection", "timeout", "runtime")
_PERCENTILE = re.compile(r"p(?P<percent>\d\d)_(?P<what>\w+)")


def _analytics(fal: Emulator, request: Request) -> object:
    asked = [one for one in request.listed("endpoint_id") if fal.documents.get(one) or one in fal.apps]
    if not asked:
        raise Refused(404)
    metrics = [one for one in request.listed("expand") if one not in ("time_series", "summary")]
    if not metrics or not set(metrics) <= _known(request):
        raise Refused(400, "expand needs one metric at least, and only metrics there are")

    def rows(start: datetime, end: datetime) -> list[JsonObject]:
        made_up = [one for one in asked if one not in fal.own_apps.documents]
        figures = [
            {"endpoint_id": one, **{name: _metric(name, one, start, end) for name in metrics}} for one in made_up
        ]
        return figures + [row for one in asked if one not in made_up for row in _of_app(fal, one, metrics)]

    return shaped(fal, request, rows)


def _of_app(fal: Emulator, app: str, metrics: list[str]) -> list[JsonObject]:
    """A row for each route of an app that ever ran."""
    runs = {one: sorted(fal.runs(one)) for one in fal.own_apps.endpoints(app)}
    start = fal.own_apps.starts.get(app)
    return [
        {"endpoint_id": one, **{name: _of_runs(name, seconds, start) for name in metrics}}
        for one, seconds in runs.items()
        if seconds
    ]


def _of_runs(name: str, seconds: list[float], start: float | None) -> float:
    match _PERCENTILE.fullmatch(name):
        case re.Match() as percentile if percentile["what"] == "duration":
            return seconds[min(len(seconds) * int(percentile["percent"]) // 100, len(seconds) - 1)]
        case re.Match() as percentile if percentile["what"] == "cold_boot_duration":
            return start or 0.0
        case _ if name == "total_billable_duration":
            return round(sum(seconds), 3)
        case _ if name in ("request_count", "success_count"):
            return len(seconds)
        case _:
            return 0


def _known(request: Request) -> set[str]:
    """The metrics that the document has a column for."""
    answer = request.operation.answer or {}
    row = answer["properties"]["summary"]["items"]["properties"]
    return set(row) - {"endpoint_id"}


def _metric(name: str, endpoint_id: str, start: datetime, end: datetime) -> float:
    if percentile := _PERCENTILE.fullmatch(name):
        pace = random.Random(f"{endpoint_id} {start.date()}").uniform(0.7, 1.4)
        # Grows with the percentile, so that p95 is never below p50.
        return round(_SECONDS[percentile["what"]] * pace * (0.5 + int(percentile["percent"]) / 50), 3)
    return _counts(endpoint_id, start, end)[name]


def _counts(endpoint_id: str, start: datetime, end: datetime) -> dict[str, float]:
    """The counts, which add up: requests are successes and errors, errors are of four kinds."""

    def happened(what: str, share: float) -> int:
        return between(f"{endpoint_id} {what}", int(_MOST_A_DAY * share), start, end)

    kinds = {f"{kind}_error_count": happened(kind, 0.01) for kind in _ERRORS}
    well, wrong, failed = happened("success", 1), happened("user error", 0.05), sum(kinds.values())
    return {
        "request_count": well + wrong + failed,
        "success_count": well,
        "user_error_count": wrong,
        "error_count": failed,
        **kinds,
        "cold_boot_count": happened("cold boot", 0.02),
        "total_billable_duration": round(well * _SECONDS["duration"], 3),
    }


ANSWERS: dict[str, Answer] = {"getAnalytics": _analytics, "serverlessGetAnalytics": _analytics}
