"""The Platform API's document: corrected where fal says a fact in words only, and compared with a newer one.

Reads no file and asks nobody; what a tool is made of from it is decided elsewhere.
"""

import copy
import json
from collections.abc import Iterable, Iterator
from typing import Any

from fal_mcp.json_values import JsonMapping, JsonObject, is_list, is_object
from fal_mcp.text import one_line

Facts = JsonObject

_METHODS = ("get", "post", "put", "patch", "delete")
_PROSE = frozenset({"description", "summary", "title", "example", "examples"})
_FORMS = frozenset({"anyOf", "oneOf", "allOf"})
_DEEPEST = 60
"""Schemas nested deeper than this are not compared. fal's own stay below half of it."""
_LONGEST = 300


def corrected(document: JsonMapping, corrections: Iterable[JsonMapping]) -> Facts:
    """A copy of `document` in which each correction's `set` is laid over what it names.

    It names an operation and in it an argument, whose schema is meant, or a JSON pointer. A parameter that
    operations share is changed for the one operation only.

    Raises:
        ValueError: a correction hits nothing.
    """
    # A correction changes parts in their place, and whoever handed the document in goes on using it.
    result = copy.deepcopy(dict(document))
    operations = {name: operation for name, (_, operation) in _operations(result).items()}
    for correction in corrections:
        operation = operations.get(correction["operation"])
        place = None if operation is None else _place(result, operation, correction)
        if place is None:
            what = correction.get("argument") or correction.get("pointer")
            # fal has changed its document: the correction is either not needed any more or belongs elsewhere, and
            # somebody has to look.
            raise ValueError(f"The correction of {what!r} in {correction['operation']!r} hits nothing.")
        place.update(copy.deepcopy(correction["set"]))
    return result


def differences(ours: JsonMapping, theirs: JsonMapping) -> list[str]:
    """What `theirs` states otherwise than `ours`, a sentence each; empty where all facts agree.

    References are followed; neither sentences nor any order counts. `theirs` may lack anything.
    """
    before, after = _facts_of(ours), _facts_of(theirs)
    return [one_line(sentence, _LONGEST) for sentence in _differing((), before, after)]


def _place(document: Facts, operation: Facts, correction: JsonMapping) -> Facts | None:
    if "argument" in correction:
        return _argument(document, operation, correction["argument"])
    return _at(operation, correction["pointer"])


def _argument(document: Facts, operation: Facts, name: str) -> Facts | None:
    parameters: list[Facts] = operation.get("parameters", [])
    for index, parameter in enumerate(parameters):
        # Parameters are shared by reference; the copy is what keeps the change to this operation.
        own = copy.deepcopy(_opened(document, parameter))
        if own["name"] == name:
            parameters[index] = own
            return own["schema"]
    for content in _object(_object(operation.get("requestBody")).get("content")).values():
        properties = _object(_object(_object(content).get("schema")).get("properties"))
        if name in properties:
            return properties[name]
    return None


def _at(value: object, pointer: str) -> Facts | None:
    for part in pointer.split("/")[1:]:
        # The order is JSON Pointer's: the other way round `~01` would become a slash.
        value = _object(value).get(part.replace("~1", "/").replace("~0", "~"))
    return value if is_object(value) else None


def _operations(document: JsonMapping) -> dict[str, tuple[str, Facts]]:
    """Each operation under its id, with its method and path before it."""
    operations: dict[str, tuple[str, Facts]] = {}
    for path, item in _object(document.get("paths")).items():
        for method, operation in _object(item).items():
            if method in _METHODS and is_object(operation):
                route, known = f"{method.upper()} {path}", operation
                operations[str(known.get("operationId", route))] = route, known
    return operations


def _facts_of(document: JsonMapping) -> Facts:
    return {
        f"Operation {name!r}": {
            "route": route,
            "key": _key(operation.get("security", document.get("security"))),
            "deprecated": bool(operation.get("deprecated")),
            **_parameters(document, operation),
            **_body(document, operation),
            **_answers(document, operation),
        }
        for name, (route, operation) in _operations(document).items()
    }


def _key(security: object) -> str:
    options = [_object(option) for option in _list(security)]
    # Sorted twice, as neither the order of the ways in nor of their parts means anything.
    return " or ".join(sorted("+".join(sorted(option)) or "none" for option in options)) or "none"


def _parameters(document: JsonMapping, operation: Facts) -> Facts:
    facts: Facts = {}
    for entry in _list(operation.get("parameters")):
        parameter = _opened(document, entry)
        rest = {key: value for key, value in parameter.items() if key not in ("name", "in")}
        label = f"parameter {parameter.get('name')!r} in {parameter.get('in')}"
        facts[label] = {"required": False, **_facts(document, rest)}
    return facts


def _body(document: JsonMapping, operation: Facts) -> Facts:
    body = _opened(document, operation.get("requestBody"))
    return {"body": {"required": bool(body.get("required")), **_content(document, body)}} if body else {}


def _answers(document: JsonMapping, operation: Facts) -> Facts:
    answers = _object(operation.get("responses"))
    return {f"answer {status}": _content(document, _opened(document, one)) for status, one in answers.items()}


def _content(document: JsonMapping, holder: Facts) -> Facts:
    content = _object(holder.get("content"))
    return {kind: _facts(document, _object(part).get("schema", {})) for kind, part in content.items()}


def _facts(document: JsonMapping, value: object, above: tuple[str, ...] = ()) -> Any:
    """What a schema states, under labels that read in a sentence; a list becomes the set of what it holds.

    `above` is what was gone through to get here, so that a schema that holds itself comes to an end.
    """
    if is_list(value):
        # Enums and lists of required names have no order that counts: as sets they compare without one.
        return {repr(one): True for one in value}
    if not is_object(value):
        return value
    schema = value
    reference = str(schema.get("$ref", ""))
    if len(above) > _DEEPEST or (reference and reference in above):
        return {"as above": reference}
    here, found = (*above, reference), Facts()
    for keyword, part in _opened(document, schema).items():
        if keyword == "properties":
            named = _object(part).items()
            found |= {f"property {name!r}": _facts(document, inner, here) for name, inner in named}
        elif keyword in _FORMS:
            found[keyword] = _forms([_facts(document, form, here) for form in _list(part)])
        elif keyword == "type":
            found[keyword] = _facts(document, part if is_list(part) else [part])
        elif keyword not in _PROSE and not keyword.startswith("x-"):
            found[keyword] = _facts(document, part, here)
    return found


def _forms(schemas: list[Any]) -> Facts:
    """The branches of a union by their types; those of one type are numbered."""
    found: Facts = {}
    for schema in sorted(schemas, key=_canonical):
        label = f"form {' or '.join(sorted(_object(_object(schema).get('type')))) or 'any'}"
        found[label if label not in found else f"{label} {len(found) + 1}"] = schema
    return found


def _differing(place: tuple[str, ...], before: object, after: object) -> Iterator[str]:
    if not is_object(before) or not is_object(after):
        if before != after:
            yield f"{', '.join(place)} was {_canonical(before)} and is {_canonical(after)}."
        return
    old, new = before, after
    yield from (f"{', '.join((*place, label))} is new{_said(new[label])}." for label in new if label not in old)
    yield from (f"{', '.join((*place, label))} is gone." for label in old if label not in new)
    for label in old:
        if label in new:
            yield from _differing((*place, label), old[label], new[label])


def _said(value: object) -> str:
    return "" if is_object(value) or value is True else f": {_canonical(value)}"


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _opened(document: JsonMapping, value: object) -> Facts:
    """`value` as an object, its reference into `document` followed, however often."""
    found = _object(value)
    for _ in range(_DEEPEST):
        reference = found.get("$ref")
        if not isinstance(reference, str):
            break
        rest = {key: part for key, part in found.items() if key != "$ref"}
        found = {**(_at(document, reference.removeprefix("#")) or {}), **rest}
    return found


def _object(value: object) -> Facts:
    return value if is_object(value) else {}


def _list(value: object) -> list[Any]:
    return value if is_list(value) else []
