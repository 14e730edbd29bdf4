"""What the account and its organization used and what that cost, by time and key. Fact F6.5, F8 and F10.3."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.platform import pages
from fal_mcp.emulator.platform.buckets import period
from fal_mcp.emulator.platform.figures import between
from fal_mcp.emulator.platform.refusal import Refused
from fal_mcp.emulator.platform.request import Answer, Request
from fal_mcp.json_values import JsonObject


@dataclass(frozen=True, slots=True)
class Key:
    """With what a request was paid for."""

    detail: str
    key_id: str = ""
    login: str = ""

    def columns(self, expand: Iterable[str]) -> JsonObject:
        """What of it a row shows."""
        structured = {"detail": self.detail, "api_key_id": self.key_id, "login_username": self.login}
        shown: JsonObject = {
            "auth_method": self.detail,
            "auth_method_structured": {name: value for name, value in structured.items() if value},
        }
        return {name: value for name, value in shown.items() if name in expand}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing used with one key; `price` is in USD a unit, `discount` in percent."""

    what: str
    unit: str
    price: float
    discount: float
    most_a_day: int
    key: Key
    about: JsonObject
    """The columns that only some reports have."""

    def quantity(self, start: datetime, end: datetime) -> int:
        return between(f"{self.what} {self.key} {self.about}", self.most_a_day, start, end)


PRODUCTION = Key("Production key", "key_production", "ada")
STAGING = Key("Staging key", "key_staging", "grace")
PERSON = Key("User token", login="ada")
_MODELS = [
    Line("fal-ai/flux/dev", "megapixels", 0.025, 20, 400, PRODUCTION, {}),
    Line("fal-ai/flux/dev", "megapixels", 0.025, 20, 90, PERSON, {}),
    Line("fal-ai/nano-banana", "images", 0.039, 0, 240, PRODUCTION, {}),
    Line("fal-ai/nano-banana", "images", 0.039, 0, 60, STAGING, {}),
    Line("fal-ai/veo3", "seconds", 0.4, 10, 48, PRODUCTION, {}),
]
_APPS = [
    Line("sketch", "second", 0.0008, 0, 9000, PRODUCTION, {"machine_type": "GPU-H100", "is_surge": False}),
    Line("sketch", "second", 0.0012, 0, 900, PRODUCTION, {"machine_type": "GPU-H100", "is_surge": True}),
    Line("upscaler", "second", 0.0005, 5, 4000, PRODUCTION, {"machine_type": "GPU-A100", "is_surge": False}),
]
_MACHINES = {"GPU-H100": 0.0008, "GPU-A100": 0.0005}
"""USD for a second of each GPU."""
_TEAMS = [
    Line("fal-ai/flux/dev", "megapixels", 0.025, 0, 700, PRODUCTION, {"username": "emulator", "product": "model_apis"}),
    Line("emulator/sketch", "seconds", 0.0008, 0, 9000, PRODUCTION, {"username": "emulator", "product": "serverless"}),
    Line("fal-ai/veo3", "seconds", 0.4, 0, 60, STAGING, {"username": "emulator-film", "product": "model_apis"}),
    Line("gpu_1x_h100_sxm5", "hours", 2.1, 0, 24, STAGING, {"username": "emulator-film", "product": "compute"}),
]
_SHAPES = frozenset({"time_series", "summary"})
_METHODS = frozenset({"auth_method", "auth_method_structured"})


def shaped(fal: Emulator, request: Request, rows: Callable[[datetime, datetime], list[JsonObject]]) -> JsonObject:
    """A report as a time series, as a summary, or as both; `rows` gives those of one stretch of time."""
    shapes = _SHAPES.intersection(request.listed("expand"))
    if not shapes:
        raise Refused(400, "expand needs time_series or summary")
    when = period(request)
    report = pages.by_cursor(fal, request, "time_series", list(when.buckets()))
    if "time_series" in shapes:
        series = [{"bucket": one.isoformat(), "results": rows(one, end)} for one, end in report["time_series"]]
        report["time_series"] = series
    else:
        report = {"next_cursor": None, "has_more": False}
    return report | ({"summary": rows(when.start, when.end)} if "summary" in shapes else {})


def _usage(fal: Emulator, request: Request) -> object:
    lines = [one for one in _MODELS if _passes(request, endpoint_id=one.what) and _is_of(request, one.key)]
    return _report(fal, request, lines, _METHODS, lambda line: {"endpoint_id": line.what})


def _serverless(fal: Emulator, request: Request) -> object:
    search = request.query.get("search", "").casefold()
    lines = [one for one in _APPS if _passes(request, app=one.what) and search in one.what]
    report = _report(fal, request, lines, frozenset(), lambda line: {"app": line.what, "environment": "main"})
    if "summary" in report:
        rows = map(partial(_of_app, fal), fal.own_apps.documents)
        report["summary"] += [row for row in rows if row["quantity"] and search in row["app"]]
    return report


def _of_app(fal: Emulator, app: str) -> JsonObject:
    """What the runners of an app with a document were billed: each second of each GPU."""
    listed, apps = fal.apps[app], fal.own_apps
    alive = sum(sum(fal.runs(one)) for one in apps.endpoints(app)) + apps.idle.get(app, 0.0)
    machine = listed["machine_type"]
    about = {"app": listed["name"], "environment": listed["environment"], "machine_type": machine, "is_surge": False}
    price = {"unit": "second", "unit_price": _MACHINES[machine], "percent_discount": None, "currency": "USD"}
    return _costed({**about, **price, "quantity": round(alive * apps.gpus.get(app, 1), 3)})


def _organization(fal: Emulator, request: Request) -> object:
    lines = [
        one
        for one in _TEAMS
        if _passes(request, endpoint_id=one.what, team_username=one.about["username"], product=one.about["product"])
        and _is_of(request, one.key)
    ]
    report = _report(fal, request, lines, _METHODS, lambda line: {"endpoint_id": line.what})
    for row in _rows(report):
        # The organization's report has one column of costs, and none of discounts.
        for column in ("percent_discount", "cost_subtotal", "cost_discount", "cost_total"):
            del row[column]
    return report


def _rows(report: JsonObject) -> list[JsonObject]:
    return report.get("summary", []) + [row for bucket in report.get("time_series", []) for row in bucket["results"]]


def _report(
    fal: Emulator, request: Request, lines: list[Line], more: frozenset[str], names: Callable[[Line], JsonObject]
) -> JsonObject:
    expand = request.listed("expand")
    if unknown := set(expand) - _SHAPES - more:
        raise Refused(400, f"Unknown expand value {min(unknown)!r}")

    def rows(start: datetime, end: datetime) -> list[JsonObject]:
        merged: dict[str, JsonObject] = {}
        for line in lines:
            columns = {**names(line), **line.about, **line.key.columns(expand)}
            row = merged.setdefault(str(columns), {**columns, "quantity": 0, **_price(line)})
            row["quantity"] += line.quantity(start, end)
        return [_costed(row) for row in merged.values() if row["quantity"]]

    return shaped(fal, request, rows)


def _price(line: Line) -> JsonObject:
    return {"unit": line.unit, "unit_price": line.price, "percent_discount": line.discount or None, "currency": "USD"}


def _costed(row: JsonObject) -> JsonObject:
    subtotal = round(row["quantity"] * row["unit_price"], 6)
    discount = round(subtotal * (row["percent_discount"] or 0) / 100, 6)
    total = round(subtotal - discount, 6)
    return row | {"cost_subtotal": subtotal, "cost_discount": discount, "cost_total": total, "cost": total}


def _passes(request: Request, **values: str) -> bool:
    """Whether each of these is among the values that its filter names, where it is given."""
    return all(not (wanted := request.listed(name)) or value in wanted for name, value in values.items())


def _is_of(request: Request, key: Key) -> bool:
    return _passes(request, api_key_id=key.key_id, login_username=key.login)


ANSWERS: dict[str, Answer] = {
    "getUsage": _usage,
    "serverlessGetUsage": _serverless,
    "getOrganizationUsage": _organization,
}
