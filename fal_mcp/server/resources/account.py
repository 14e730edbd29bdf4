"""The account as resources: what was spent today, what is left, and how each of its apps stands."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import mcp_types as types

from fal_mcp.errors import FalError, InvalidInput, NotFound
from fal_mcp.json_values import JsonMapping, JsonObject, dumped
from fal_mcp.outputs import shortening
from fal_mcp.runs.call import Call
from fal_mcp.server.resources import contents
from fal_mcp.team.principal import caller
from fal_mcp.team.scopes import ADMIN
from fal_mcp.text import one_line
from fal_mcp.tools import pages, rules
from fal_mcp.toolsets import platform
from fal_mcp.toolsets.reports import costs, period_report

if TYPE_CHECKING:
    from fal_mcp.server.shared import Shared

_TODAY = "fal://usage/today"
_BALANCE = "fal://account/balance"
_APPS = "fal://apps/"
PREFIXES = ("fal://usage/", "fal://account/", _APPS)
_EVENTS = 10


def resources() -> list[types.Resource]:
    """What there is of the account itself."""
    return [
        types.Resource(
            uri=_TODAY,
            name="today",
            title="Spent today",
            description="What was spent since midnight in UTC, and who says so.",
            mime_type=contents.JSON,
        ),
        types.Resource(
            uri=_BALANCE,
            name="balance",
            title="Balance",
            description="The account's balance. Needs an admin key.",
            mime_type=contents.JSON,
        ),
    ]


def templates() -> list[types.ResourceTemplate]:
    """What there is for each app."""
    return [
        types.ResourceTemplate(
            uri_template="fal://apps/{owner}/{name}",
            name="app",
            title="An app of one's own",
            description="An app's settings, the length of its queue, and what last happened to it.",
            mime_type=contents.JSON,
        )
    ]


async def read(shared: "Shared", uri: str) -> types.ReadResourceResult:
    """The resource of the account at `uri`.

    Raises:
        MCPError: there is none, or fal does not give it; with the reason and what to do.
    """
    call = shared.unheard()
    try:
        if uri == _TODAY:
            return _told(uri, await _today(call, sees_account=_sees_account(shared)))
        if uri == _BALANCE:
            return _told(uri, await _asked("getAccountBilling", {"expand": ["credits"]}, call))
        match uri.removeprefix(_APPS).split("/"):
            case [owner, name] if uri.startswith(_APPS):
                return _told(uri, await _app(owner, name, call))
            case _:
                raise contents.missing(uri)
    except (NotFound, InvalidInput) as error:
        raise contents.missing(uri) from error
    except FalError as error:
        raise contents.failed(uri, error) from error


def _sees_account(shared: "Shared") -> bool:
    principal = caller()
    return shared.settings.admin_key is not None and (principal is None or ADMIN in principal.scopes)


async def _today(call: Call, *, sees_account: bool) -> JsonObject:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    about = {"since": midnight.isoformat(), "currency": costs.CURRENCY}
    if not sees_account:
        source = "This server's own runs, by fal's bill or else by list price. With FAL_ADMIN_KEY it is the account's."
        return {**about, "spent": await call.jobs.ledger.spent(call.owner, midnight.timestamp()), "source": source}
    answer = await _asked("getUsage", {"start": midnight.isoformat(), "expand": ["summary"]}, call)
    totals = costs.sums(period_report.rows(answer.get("summary")))
    spent = float(totals.pop(costs.CURRENCY))
    others = {code: float(amount) for code, amount in totals.items()}
    source = "fal's usage of models by the whole account."
    return {**about, "spent": spent, **({"other_currencies": others} if others else {}), "source": source}


async def _app(owner: str, name: str, call: Call) -> JsonObject:
    path = {"owner": owner, "name": name}
    rules.check(platform.operations()["serverlessGetAppQueueInfo"], path)
    listed = await _asked("serverlessListApps", {"search": name}, call)
    app = next(
        (one for one in period_report.rows(listed.get("apps")) if all(one.get(k) == path[k] for k in path)), None
    )
    if app is None:
        raise NotFound(f"There is no app {one_line(f'{owner}/{name}', 120)!r}.")
    queue = await _asked("serverlessGetAppQueueInfo", path, call)
    events = await _asked("serverlessListAppEvents", {**path, "limit": _EVENTS}, call)
    return {"settings": dict(app), "queue_size": queue.get("queue_size"), "events": events.get("events")}


async def _asked(operation_id: str, arguments: JsonMapping, call: Call) -> JsonObject:
    return cast(JsonObject, await pages.send(platform.operations()[operation_id], arguments, call))


def _told(uri: str, content: JsonMapping) -> types.ReadResourceResult:
    return contents.text(uri, dumped(shortening.shortened(dict(content))[0]))
