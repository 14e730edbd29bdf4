"""A workflow's nodes: what each of them runs, in which order, and what its references lead to. Pure. Fact F10.4."""

import re
from collections.abc import Callable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from fal_mcp.catalog.endpoint import Endpoint, Step
from fal_mcp.json_values import JsonMapping, JsonObject, is_list, is_object, list_of, object_of, text_of
from fal_mcp.openapi.document import UnusableDocument
from fal_mcp.text import one_line

Known = Callable[[str], Endpoint | None]
"""The endpoint of an id, where the catalog has it."""
INPUT = "input"
"""What a reference calls the workflow's own input."""
_REFERENCE = re.compile(r"\$([A-Za-z0-9_-]{1,128})((?:\.[A-Za-z0-9_-]+|\[\d+\])*)")
_PART = re.compile(r"[A-Za-z0-9_-]+")
_DEEPEST = 20
_MOST_NAMED = 5


def steps(nodes: object, known: Known) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """The steps of a workflow in an order in which they can be run, and a sentence on each node that is none.

    Raises:
        UnusableDocument: nodes wait for each other in a circle.
    """
    named = {name: object_of(node) for name, node in object_of(nodes).items()}
    order = _ordered(named)
    odd = [one for name in order if (one := _oddity(name, named[name]))]
    more = (f"{len(odd) - _MOST_NAMED:,} more nodes are of no known kind.",) if len(odd) > _MOST_NAMED else ()
    return tuple(_step(name, named[name], known) for name in order if _app(named[name])), (*odd[:_MOST_NAMED], *more)


def reference_in(value: object) -> tuple[str, tuple[str, ...]] | None:
    """The node that a value refers to, and the way from there; None where it is no reference as a whole."""
    match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return (match[1], tuple(_PART.findall(match[2]))) if match else None


def references_in(value: object, depth: int = 0) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every reference in a node's input, those within a text included."""
    if isinstance(value, str):
        for match in _REFERENCE.finditer(value):
            yield match[1], tuple(_PART.findall(match[2]))
    elif depth < _DEEPEST:
        inner = list(object_of(value).values()) if is_object(value) else list_of(value)
        for part in inner:
            yield from references_in(part, depth + 1)


def with_input(value: object, given: JsonMapping, depth: int = 0) -> object:
    """A step's arguments with what the workflow was given in the place of its references to it; those to other steps
    stay as they are."""
    if depth > _DEEPEST:
        return value
    if is_object(value):
        return {name: with_input(part, given, depth + 1) for name, part in object_of(value).items()}
    if is_list(value):
        return [with_input(part, given, depth + 1) for part in list_of(value)]
    reference = reference_in(value)
    if reference is None or reference[0] != INPUT or not reference[1]:
        return value
    return _led(given, reference[1])


def _led(value: object, way: tuple[str, ...]) -> object:
    for part in way:
        values = list_of(value)
        inside = part.isdecimal() and len(part) < 6 and int(part) < len(values)
        value = values[int(part)] if inside else object_of(value).get(part)
    return value


def _ordered(nodes: Mapping[str, JsonObject]) -> list[str]:
    try:
        return list(TopologicalSorter({name: _before(node, nodes) for name, node in nodes.items()}).static_order())
    except CycleError as error:
        circle = list(dict.fromkeys(one_line(str(name), 40) for name in list(error.args[1])[:_MOST_NAMED]))
        raise UnusableDocument(f"Its nodes wait for each other in a circle: {', '.join(circle)}.") from error


def _before(node: JsonMapping, nodes: Mapping[str, JsonObject]) -> set[str]:
    """What has to have run before a node: what it says, and what its input refers to."""
    named = {name for name in list_of(node.get("depends")) if isinstance(name, str)}
    return (named | {name for name, _ in references_in(node.get("input"))}) & nodes.keys()


def _app(node: JsonMapping) -> str | None:
    """The endpoint that a node runs; None where it runs nothing."""
    app = text_of(node.get("app"))
    return one_line(app, 200) if app and node.get("type") in ("run", "model", None) else None


def _oddity(name: str, node: JsonMapping) -> str | None:
    kind, shown = node.get("type"), repr(one_line(name, 60))
    if kind in ("display", "input", "output") or _app(node):
        return None
    if kind in ("run", "model"):
        return f"The node {shown} does not say which model it runs."
    return f"The node {shown} is of a kind that is not known here: {one_line(str(kind), 40)!r}."


def _step(name: str, node: JsonMapping, known: Known) -> Step:
    app = _app(node) or ""
    return Step(name, app, object_of(node.get("input")), known(app))
