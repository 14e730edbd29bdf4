"""What a call will cost, asked of fal where the catalog does not say: this account's price, or past calls'."""

import time
from collections.abc import Awaitable, Callable

from fal_mcp.catalog import price, workflow_price
from fal_mcp.catalog.app_price import AppCost
from fal_mcp.catalog.endpoint import Endpoint, Price
from fal_mcp.catalog.price import Quote
from fal_mcp.client.fal import Fal
from fal_mcp.errors import FalError
from fal_mcp.jobs import cost
from fal_mcp.json_values import JsonMapping
from fal_mcp.runs.app_costs import AppCosts

# Seconds; prices change seldom, and each question holds its call.
_FRESH_FOR = 600.0
_MOST_KEPT = 2000


class Prices:
    """Prices that were asked for, kept for ten minutes."""

    def __init__(self) -> None:
        self.apps = AppCosts()
        self._kept: dict[str, tuple[float, Price | None, float | None]] = {}

    async def quote(self, endpoint: Endpoint, arguments: JsonMapping, fal: Fal) -> Quote:
        """The best quote there is. Asks fal only where the catalog's price does not tell."""
        if (own := await self.apps.of(endpoint, fal)) is not None:
            return _of_app(endpoint, own)

        async def of_model(model: Endpoint, given: JsonMapping) -> Quote:
            return await self._of_model(model, given, fal)

        return await _quote(endpoint, arguments, of_model)

    async def known(self, endpoint: Endpoint, arguments: JsonMapping) -> Quote:
        """The quote by the catalog's prices, and by what was told of own apps before; nobody is asked."""
        own = self.apps.known(endpoint)
        return await listed(endpoint, arguments) if own is None else _of_app(endpoint, own)

    async def _of_model(self, endpoint: Endpoint, arguments: JsonMapping, fal: Fal) -> Quote:
        known = price.quote(endpoint, arguments)
        if known.amount is not None:
            return known
        unit, past = await self._asked(endpoint.endpoint_id, fal)
        quoted = price.quote(endpoint, arguments, unit) if unit else known
        # Last: an average says nothing of this call's length or size.
        if quoted.amount is None and past is not None:
            return Quote(past, "what a call of it cost on average so far")
        return quoted

    async def _asked(self, endpoint_id: str, fal: Fal) -> tuple[Price | None, float | None]:
        kept = self._kept.get(endpoint_id)
        if kept is None or kept[0] < time.monotonic() - _FRESH_FOR:
            if len(self._kept) >= _MOST_KEPT:
                # All at once: which are used again cannot be told, and asking anew costs nothing but a moment.
                self._kept.clear()
            try:
                priced = (await fal.models.prices([endpoint_id])).get(endpoint_id)
                past = await fal.models.past_price(endpoint_id)
            except FalError:
                # A price that cannot be had is unknown, and is said to be.
                return None, None
            unit = _price(priced) if priced else None
            kept = self._kept[endpoint_id] = (time.monotonic(), unit, past)
        return kept[1], kept[2]


async def listed(endpoint: Endpoint, arguments: JsonMapping) -> Quote:
    """The quote by the catalog's prices alone; nobody is asked."""

    async def of_model(model: Endpoint, given: JsonMapping) -> Quote:
        return price.quote(model, given)

    return await _quote(endpoint, arguments, of_model)


async def _quote(
    endpoint: Endpoint, arguments: JsonMapping, of_model: Callable[[Endpoint, JsonMapping], Awaitable[Quote]]
) -> Quote:
    """The quote of a model, or of all the models that a workflow runs."""
    if not endpoint.is_workflow:
        return await of_model(endpoint, arguments)
    if (unpriced := workflow_price.unpriced(endpoint)) is not None:
        return unpriced
    quotes: list[Quote] = []
    for step in endpoint.steps:
        given = workflow_price.given_to(step, endpoint, arguments)
        quoted = await of_model(step.endpoint, given) if step.endpoint else workflow_price.not_known(step)
        quotes.append(workflow_price.of_step(step, given, quoted))
    return workflow_price.total(endpoint.steps, quotes)


def _of_app(endpoint: Endpoint, known: AppCost) -> Quote:
    # How long a person leaves it open is in no figures of past calls.
    if endpoint.way == "realtime":
        return Quote(None, "billed for as long as its connection is open")
    return known.quote


def _price(item: JsonMapping) -> Price | None:
    if cost.micro(item["unit_price"]) is None:
        return None
    return Price(float(item["unit_price"]), str(item["unit"]), str(item.get("currency", "USD")))
