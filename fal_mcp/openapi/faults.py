"""What is wrong with a value, said so that a model can put it right: path, rule, near-miss names."""

import difflib
from collections.abc import Iterator
from typing import Any, cast

import jsonschema.exceptions

from fal_mcp.errors import Fault
from fal_mcp.openapi.schema import Schema, branches, validator
from fal_mcp.text import one_line

MOST_FAULTS = 20
_MOST_VALUES = 40


def find(schema: Schema, value: Any) -> tuple[Fault, ...]:
    """Every fault of `value`, in the order of its paths, at most 20.

    Unknown names are faults even where the schema allows them: fal ignores them silently, and the call is paid.
    """
    errors: Iterator[jsonschema.exceptions.ValidationError] = cast(Any, validator(schema)).iter_errors(value)
    faults = [fault for error in errors for fault in _from(error, schema)]
    faults += _unknown(schema, value)
    return tuple(sorted(dict.fromkeys(faults), key=lambda fault: fault.path)[:MOST_FAULTS])


def _from(error: jsonschema.exceptions.ValidationError, root: Schema) -> Iterator[Fault]:
    closest = _closest(error)
    if closest is not error:
        yield from _from(closest, root)
        return
    yield Fault(error.json_path, _sentence(error, root))


def _closest(error: jsonschema.exceptions.ValidationError) -> jsonschema.exceptions.ValidationError:
    """The fault inside a union that the caller most likely meant: the one of the branch of the right type."""
    if error.validator not in {"anyOf", "oneOf"} or not error.context:
        return error
    by_branch: dict[int, list[jsonschema.exceptions.ValidationError]] = {}
    for inner in error.context:
        by_branch.setdefault(cast(int, inner.relative_schema_path[0]), []).append(inner)
    likely = [found for found in by_branch.values() if not any(_is_of_another_type(e) for e in found)]
    return likely[0][0] if len(likely) == 1 else error


def _is_of_another_type(error: jsonschema.exceptions.ValidationError) -> bool:
    return error.validator == "type" and not error.relative_path


def _sentence(error: jsonschema.exceptions.ValidationError, root: Schema) -> str:
    rule, value, got = error.validator, cast(Any, error.validator_value), _show(cast(Any, error.instance))
    match rule:
        case "required":
            missing = [name for name in value if name not in cast(Schema, error.instance)]
            return f"required and missing: {', '.join(map(repr, missing))}."
        case "enum":
            return f"{got} is not one of {_values(value)}.{_near(error.instance, value)}"
        case "const":
            return f"{got} is not {_show(value)}, the only value allowed."
        case "type":
            return f"{got} is not {_article(value)}."
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            return f"{got} is outside the range: {_range(cast(Schema, error.schema))}."
        case "multipleOf":
            return f"{got} is not a multiple of {value}."
        case "minLength" | "maxLength" | "minItems" | "maxItems":
            return _length(rule, value, cast(Any, error.instance))
        case "anyOf" | "oneOf":
            return f"{got} fits none of the forms allowed: {_forms(cast(Schema, error.schema), root)}."
        case "additionalProperties" | "unevaluatedProperties":
            return f"has names it does not take: {one_line(error.message, 200)}."
        case _:
            return f"{one_line(error.message, 300)}."


def _unknown(schema: Schema, value: Any, path: str = "$", root: Schema | None = None) -> Iterator[Fault]:
    root = schema if root is None else root
    options = [b for b in branches(schema, root) if b.get("type") in {"object", "array"} or "properties" in b]
    if isinstance(value, dict):
        yield from _unknown_in_object(options, cast(Schema, value), path, root)
    elif isinstance(value, list):
        inner = [b["items"] for b in options if isinstance(b.get("items"), dict)]
        for index, item in enumerate(cast(list[Any], value) if inner else []):
            yield from _unknown({"anyOf": inner}, item, f"{path}[{index}]", root)


def _unknown_in_object(options: list[Schema], value: Schema, path: str, root: Schema) -> Iterator[Fault]:
    objects = [b for b in options if b.get("type", "object") == "object"]
    known: Schema = {name: part for b in objects for name, part in b.get("properties", {}).items()}
    is_open = any(not b.get("properties") or _takes_more(b) for b in objects)
    for name, item in value.items():
        if name in known:
            yield from _unknown(known[name], item, f"{path}.{name}", root)
        elif objects and not is_open:
            yield Fault(f"{path}.{one_line(name, 80)}", f"there is no such argument.{_near(name, list(known))}")


def _takes_more(schema: Schema) -> bool:
    return schema.get("additionalProperties") not in (None, False) or "patternProperties" in schema


def _near(value: Any, allowed: list[Any]) -> str:
    words = {str(option).casefold(): option for option in allowed if option is not None}
    close = difflib.get_close_matches(str(value)[:100].casefold(), words, n=2, cutoff=0.6)
    return f" Did you mean {' or '.join(_show(words[word]) for word in close)}?" if close else ""


def _values(allowed: list[Any]) -> str:
    shown = ", ".join(_show(value) for value in allowed[:_MOST_VALUES])
    return shown if len(allowed) <= _MOST_VALUES else f"{shown} and {len(allowed) - _MOST_VALUES} more"


def _forms(schema: Schema, root: Schema) -> str:
    return "; ".join(dict.fromkeys(_form(branch) for branch in branches(schema, root)))


def _form(schema: Schema) -> str:
    if "enum" in schema:
        return f"one of {_values(schema['enum'])}"
    if schema.get("properties"):
        return f"an object with {', '.join(map(repr, list(schema['properties'])[:12]))}"
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
    unit = "characters" if rule.endswith("Length") else "items"
    return f"has {len(value)} {unit}; {'at least' if rule.startswith('min') else 'at most'} {bound} are allowed."


def _article(kind: Any) -> str:
    if isinstance(kind, list):
        return " or ".join(_article(one) for one in cast(list[Any], kind))
    return f"an {kind}" if str(kind)[:1] in "aeio" else f"a {kind}"


def _show(value: Any) -> str:
    return one_line(repr(value), 80)
