"""What is wrong with a value, said so that a model can put it right: path, rule, near-miss names."""

import difflib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from fal_mcp.errors import Fault
from fal_mcp.json_values import is_list, is_object, object_of
from fal_mcp.openapi import validate
from fal_mcp.openapi.sayable import unsayable
from fal_mcp.openapi.schema import Schema, branches
from fal_mcp.text import one_line

if TYPE_CHECKING:
    from fal_mcp.openapi.json_schema import Problem

MOST_FAULTS = 20
_MOST_VALUES = 40
_MOST_LOOKED_AT = 200
"""Of a list of a million wrong items a few tell what is wrong."""


def find(schema: Schema, value: object) -> tuple[Fault, ...]:
    """Every fault of `value`, in the order of its paths, at most 20.

    Unknown names are faults even where the schema allows them: fal ignores them silently, and the call is paid.
    """
    # First and alone: the validator is not made for what JSON cannot say, and what it said would be about something
    # else.
    faults = [Fault(path, f"{what}.") for path, what in _first(unsayable(value))]
    if not faults:
        faults = [fault for problem in _first(validate.problems(schema, value)) for fault in _from(problem, schema)]
        faults += _first(_unknown(schema, value))
    # Each once: every branch of a union complains of the same missing name.
    return tuple(sorted(dict.fromkeys(faults), key=lambda fault: fault.path)[:MOST_FAULTS])


def _first(things: Iterator[Any]) -> list[Any]:
    return [thing for _, thing in zip(range(_MOST_LOOKED_AT), things, strict=False)]


def _from(problem: "Problem", root: Schema) -> Iterator[Fault]:
    closest = _closest(problem)
    if closest is not problem:
        yield from _from(closest, root)
        return
    yield Fault(one_line(problem.json_path, 200), _sentence(problem, root))


def _closest(problem: "Problem") -> "Problem":
    """The fault inside a union that the caller most likely meant: the one of the branch of the right type."""
    if problem.validator not in {"anyOf", "oneOf"} or not problem.context:
        return problem
    # "It fits none of four forms" helps nobody. Where the value has the type of one form only, what is wrong is what
    # is wrong with that one.
    by_branch: dict[int, list[Problem]] = {}
    for inner in problem.context:
        by_branch.setdefault(cast(int, inner.relative_schema_path[0]), []).append(inner)
    likely = [problems for problems in by_branch.values() if not any(_is_of_another_type(p) for p in problems)]
    return likely[0][0] if len(likely) == 1 else problem


def _is_of_another_type(problem: "Problem") -> bool:
    return problem.validator == "type" and not problem.relative_path


def _sentence(problem: "Problem", root: Schema) -> str:
    rule, value, got = problem.validator, cast(Any, problem.validator_value), _show(cast(Any, problem.instance))
    match rule:
        case "required":
            missing = [name for name in value if name not in object_of(problem.instance)]
            return f"required and missing: {', '.join(map(_show, missing))}."
        case "enum":
            return f"{got} is not one of {_values(value)}.{_near(problem.instance, value)}"
        case "const":
            return f"{got} is not {_show(value)}, the only value allowed."
        case "type":
            return f"{got} is not {_article(value)}."
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            return f"{got} is outside the range: {_range(object_of(problem.schema))}."
        case "multipleOf":
            return f"{got} is not a multiple of {value}."
        case "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties":
            return _length(rule, value, cast(Any, problem.instance))
        case "anyOf" | "oneOf":
            return _of_no_form(got, _forms(object_of(problem.schema), root))
        case "pattern":
            return f"{got} does not match {_show(value)}."
        case "uniqueItems":
            return f"{got} has the same item more than once."
        case "dependentRequired":
            return f"{got} lacks what has to be given together: {one_line(_json(value), 200)}."
        case _:
            return _rarely(str(rule), got, problem)


def _rarely(rule: str, got: str, problem: "Problem") -> str:
    match rule:
        case "additionalProperties" | "unevaluatedProperties":
            known = object_of(object_of(problem.schema).get("properties"))
            more = [name for name in object_of(problem.instance) if name not in known]
            return f"has names it does not take: {', '.join(map(_show, more[:10]))}."
        case "None" | "not" | "$ref":
            return f"{got} is not allowed here."
        case "contains" | "minContains" | "maxContains":
            return f"{got} does not hold the items it has to."
        case _:
            return f"{got} does not keep the rule {_show(rule)}: {one_line(_json(problem.validator_value), 120)}."


def _unknown(schema: Schema, value: object, path: str = "$", root: Schema | None = None) -> Iterator[Fault]:
    root = schema if root is None else root
    options = [b for b in branches(schema, root) if b.get("type") in {"object", "array"} or "properties" in b]
    if is_object(value):
        yield from _unknown_in_object(options, value, path, root)
    elif is_list(value):
        inner = [b["items"] for b in options if isinstance(b.get("items"), dict)]
        for index, item in enumerate(value if inner else []):
            yield from _unknown({"anyOf": inner}, item, f"{path}[{index}]", root)


def _unknown_in_object(options: list[Schema], value: Schema, path: str, root: Schema) -> Iterator[Fault]:
    objects = [b for b in options if b.get("type", "object") == "object"]
    # A name that any branch knows is known: which branch was meant is not decided here.
    known: Schema = {name: part for b in objects for name, part in b.get("properties", {}).items()}
    required = {name for b in objects for name in b.get("required", ())}
    # fal's schemas mostly leave `additionalProperties` out, which lets everything through by the letter; only a map
    # without names of its own means it.
    is_open = any(not b.get("properties") or _takes_more(b) for b in objects)
    for name, item in value.items():
        if name in known:
            yield from _unknown(known[name], item, f"{path}.{name}", root)
        elif objects and not is_open and name not in required:
            yield Fault(f"{path}.{one_line(name, 80)}", f"there is no such argument.{_near(name, list(known))}")


def _takes_more(schema: Schema) -> bool:
    return schema.get("additionalProperties") not in (None, False)


def _near(value: object, allowed: list[Any]) -> str:
    # Likeness takes time with the square of the length, and both sides come from elsewhere: hence the cuts.
    words = {str(option)[:200].casefold(): option for option in allowed if isinstance(option, str | int | float)}
    close = difflib.get_close_matches(str(value)[:100].casefold(), words, n=2, cutoff=0.6)
    return f" Did you mean {' or '.join(_show(words[word]) for word in close)}?" if close else ""


def _values(allowed: list[Any]) -> str:
    shown = ", ".join(_show(value) for value in allowed[:_MOST_VALUES])
    return shown if len(allowed) <= _MOST_VALUES else f"{shown} and {len(allowed) - _MOST_VALUES} more"


def _of_no_form(got: str, forms: list[str]) -> str:
    if len(forms) == 1:
        return f"{got} is not {forms[0]}."
    return f"{got} fits none of the forms allowed: {'; '.join(forms)}."


def _forms(schema: Schema, root: Schema) -> list[str]:
    return list(dict.fromkeys(_form(branch) for branch in branches(schema, root)))


def _form(schema: Schema) -> str:
    if "enum" in schema:
        return f"one of {_values(schema['enum'])}"
    if schema.get("properties"):
        return f"an object with {', '.join(map(_show, list(schema['properties'])[:12]))}"
    numeric = _range(schema)
    return _article(schema.get("type", "any value")) + (f" ({numeric})" if numeric else "")


def _range(schema: Schema) -> str:
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "more than",
        "maximum": "at most",
        "exclusiveMaximum": "less than",
    }
    return ", ".join(f"{words[key]} {schema[key]}" for key in words if key in schema)


def _length(rule: str, bound: int, value: Any) -> str:
    unit = "characters" if rule.endswith("Length") else "items" if rule.endswith("Items") else "names"
    return f"has {len(value)} {unit}; {'at least' if rule.startswith('min') else 'at most'} {bound} are allowed."


def _article(kind: object) -> str:
    if is_list(kind):
        return " or ".join(_article(one) for one in kind)
    return f"an {kind}" if str(kind)[:1] in "aeio" else f"a {kind}"


def _show(value: object) -> str:
    """A value in JSON's words, texts in single quotes."""
    return one_line(repr(value[:200]) if isinstance(value, str) else _json(value), 80)


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        return "this value"
