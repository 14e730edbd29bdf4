"""What a run of a workflow is thought to cost: its steps' prices together, named step by step. Pure."""

import math
from collections.abc import Sequence

from fal_mcp.catalog.endpoint import Endpoint, Step
from fal_mcp.catalog.price import Quote
from fal_mcp.catalog.workflow_steps import reference_in, with_input
from fal_mcp.json_values import JsonMapping, JsonObject, list_of, object_of
from fal_mcp.text import money, one_line

MOST_STEPS = 100
"""Steps of one workflow that are priced; each may be a question to fal."""
_MOST_NAMED = 10
_TEXTS = ("character", "char", "token", "word")


def given_to(step: Step, workflow: Endpoint, arguments: JsonMapping) -> JsonObject:
    """What a step is given, as far as that is known before the run. A reference to another step stays as it is, so
    that no number is read out of it."""
    properties = object_of(workflow.input_schema.get("properties"))
    defaults = {name: part["default"] for name, part in properties.items() if "default" in object_of(part)}
    return object_of(with_input(step.arguments, {**defaults, **arguments}))


def of_step(step: Step, given: JsonMapping, quoted: Quote) -> Quote:
    """The quote of a step's model, unless what it goes by is made by another step."""
    unit = step.endpoint.price.unit.casefold() if step.endpoint and step.endpoint.price else ""
    fed = [name for name, value in given.items() if any(map(reference_in, [value, *list_of(value)]))]
    # The length of the reference would be taken for the length of the text that will stand there.
    if fed and quoted.amount is not None and any(word in unit for word in _TEXTS):
        return Quote(None, f"how long its {one_line(fed[0], 40)!r} will be cannot be told beforehand")
    return quoted


def total(steps: Sequence[Step], quotes: Sequence[Quote]) -> Quote:
    """The sum of the steps' prices; none where one is not known, and then the note says of which and why."""
    known = [(step, quote.amount) for step, quote in zip(steps, quotes, strict=True) if quote.amount is not None]
    missing = [(step, quote) for step, quote in zip(steps, quotes, strict=True) if quote.amount is None]
    # Whole millionths, as each of them is.
    amount = round(math.fsum(price for _, price in known), 6)
    named = _named([f"{_name(step)} {money(price)}" for step, price in known])
    if not missing:
        return Quote(amount, f"its {len(known)} steps: {named}" if len(known) > 1 else f"its one step: {named}")
    unknown = _named([f"{_name(step)}: {quote.note}" for step, quote in missing])
    rest = f"; the others come to {money(amount)}: {named}" if known else ""
    return Quote(None, f"the price of {len(missing)} of its {len(steps)} steps is not known ({unknown}){rest}")


def unpriced(workflow: Endpoint) -> Quote | None:
    """Why a workflow is not priced at all; None where its steps are to be priced."""
    count = len(workflow.steps)
    if not count:
        return Quote(None, "the workflow does not say which models it runs")
    if count > MOST_STEPS:
        return Quote(None, f"it has {count:,} steps, and no more than {MOST_STEPS} are priced")
    return None


def not_known(step: Step) -> Quote:
    """The quote of a step whose model the catalog does not have."""
    return Quote(None, f"{step.endpoint_id!r} is not in the catalog")


def _name(step: Step) -> str:
    return f"{one_line(step.node_id, 40)} ({step.endpoint_id})"


def _named(sentences: list[str]) -> str:
    more = len(sentences) - _MOST_NAMED
    return "; ".join(sentences[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
