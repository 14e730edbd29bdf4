"""What the account's own apps cost, asked of fal: how long their runs took, and what was billed for them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio

from fal_mcp.catalog import app_price
from fal_mcp.catalog.app_price import AppCost, Rows
from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.client.endpoint_id import app_of
from fal_mcp.client.fal import Fal
from fal_mcp.errors import FalError
from fal_mcp.json_values import JsonMapping, JsonObject, is_list, list_of, object_of, text_of
from fal_mcp.runs.own_apps import OWN
from fal_mcp.text import one_line

_LONGEST = 5.0
_FRESH_FOR = 600.0
_TROUBLE_FOR = 60.0
"""Seconds for which what could not be had is not asked for again."""
_MOST_KEPT = 500
_MOST_PAGES = 5
_NOT_ASKED = "its run times were not asked for"
_NO_ADMIN = "what the account pays is told to an admin key alone"
_NOT_LOOKED = "what the account pays was not asked for"


@dataclass(frozen=True, slots=True)
class _Answers:
    """What fal said of one app as it was deployed then, and until when that is good, by the clock."""

    deployed: object
    usage: Rows
    analytics: Rows
    until: float


class AppCosts:
    """What was asked about own apps, by their app; one for each key, as what an account pays is none of another's
    business."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, _Answers] = {}
        self._lock = anyio.Lock()

    def known(self, endpoint: Endpoint) -> AppCost | None:
        """What is known of an own app's cost; None of whatever is none. Asks nobody."""
        app = object_of(endpoint.metadata.get(OWN))
        if not app:
            return None
        kept = self._kept.get(app_of(endpoint.endpoint_id))
        if kept is None or kept.deployed != app.get("updated_at"):
            return app_price.told(_NOT_LOOKED, _NOT_ASKED, app, endpoint.endpoint_id)
        return app_price.told(kept.usage, kept.analytics, app, endpoint.endpoint_id)

    async def of(self, endpoint: Endpoint, fal: Fal) -> AppCost | None:
        """The same; asks fal where that was not asked of late. Within seconds; never raises a FalError."""
        app = object_of(endpoint.metadata.get(OWN))
        if app:
            # One after the other: of many runs at once, one asks.
            async with self._lock:
                await self._ask(app_of(endpoint.endpoint_id), app, fal)
        return self.known(endpoint)

    async def _ask(self, app_id: str, app: JsonMapping, fal: Fal) -> None:
        kept = self._kept.get(app_id)
        if kept is not None and kept.deployed == app.get("updated_at") and self._clock() < kept.until:
            return
        usage, analytics = await _reports(app_id, app, fal)
        # An app that has not run yet may do so in a moment.
        is_whole = bool(analytics) and not isinstance(analytics, str) and (usage == _NO_ADMIN or is_list(usage))
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        good_for = _FRESH_FOR if is_whole else _TROUBLE_FOR
        self._kept[app_id] = _Answers(app.get("updated_at"), usage, analytics, self._clock() + good_for)


async def _reports(app_id: str, app: JsonMapping, fal: Fal) -> tuple[Rows, Rows]:
    """What was billed for an app, and how its runs went; both are asked for at once."""
    late = f"did not come within {_LONGEST:g} seconds"
    found: dict[str, Rows] = {"usage": f"its bill {late}", "analytics": f"its run times {late}"}

    async def ask(name: str, what: str, query: JsonObject, *, as_admin: bool = False) -> None:
        try:
            found[name] = await _rows(fal, f"/serverless/{name}", query, as_admin=as_admin)
        except FalError as error:
            found[name] = f"{what} cannot be read ({one_line(error.message, 120).rstrip('.')})"

    start = app_price.since(app, datetime.now(UTC)).isoformat(timespec="seconds").replace("+00:00", "Z")
    # Whole days would have what was before a deploy in them.
    when: JsonObject = {"start": start, "bound_to_timeframe": "false"}
    metrics = ",".join(("summary", *app_price.METRICS))
    with anyio.move_on_after(_LONGEST):
        async with anyio.create_task_group() as tasks:
            about: JsonObject = {"endpoint_id": app_id, "expand": metrics, **when}
            tasks.start_soon(ask, "analytics", "its run times", about)
            if fal.requests.can_be_billed:
                bill: JsonObject = {"search": text_of(app.get("name")) or "", "expand": "summary", **when}
                tasks.start_soon(lambda: ask("usage", "its bill", bill, as_admin=True))
            else:
                found["usage"] = _NO_ADMIN
    return found["usage"], found["analytics"]


async def _rows(fal: Fal, path: str, query: JsonObject, *, as_admin: bool) -> list[object]:
    """The rows of a report, over all its pages.

    Raises:
        FalError: it could not be had, or does not end.
    """
    rows: list[object] = []
    for _ in range(_MOST_PAGES):
        answer = await fal.platform.call("GET", path, query, as_admin=as_admin)
        rows += list_of(answer.get("summary"))
        cursor = text_of(answer.get("next_cursor")) if answer.get("has_more") else None
        if not cursor:
            return rows
        query = {**query, "cursor": cursor}
    raise FalError("it has no end")
