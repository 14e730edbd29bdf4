"""An operation of fal's Platform API as a tool: its text, its arguments, and its answer in words."""

import re
from types import MappingProxyType
from typing import Any

from fal_mcp.errors import InvalidInput
from fal_mcp.json_values import JsonMapping, JsonObject, is_list, is_object, text_of
from fal_mcp.openapi.listed_schema import brief, lean
from fal_mcp.openapi.operation import Operation
from fal_mcp.openapi.schema import Schema
from fal_mcp.outputs import shortening
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs.call import Call
from fal_mcp.text import clean, cut, one_line
from fal_mcp.tools import pages, rules, table
from fal_mcp.tools.tool import Effect, Tool

_LONGEST_TEXT = 12_000
_LARGEST_ANSWER = 240_000
"""Characters of JSON: a thousand rows of common length."""
_LONGEST_CELL = 2000
_PAGING = frozenset({"next_cursor", "has_more"})
_TABLES = {
    "getBillingEvents": "billing_events",
    "getOrganizationBillingEvents": "billing_events",
    "serverlessLogsHistory": "items",
    "serverlessGetRunnerHistory": "history",
}
"""Operations that answer with many rows of the same few members, whose names would be most of what is told; and where
the rows are."""
_KNOWN = frozenset({"cursor", "limit", "offset"})
_UNSAID = re.compile(
    r" Not together with [^.]+\.| Left out: (?:all|everyone's|all keys|now|neither|not there|none|the first page)\.$"
)
_CONFIRM: Schema = {"type": "string", "description": "The same name again, where the user cannot be asked."}


def tool(operation: Operation, name: str, effect: Effect, unless_told: JsonMapping = MappingProxyType({})) -> Tool:
    """The tool of one operation; `unless_told` is sent for what the caller leaves out."""

    async def run(given: JsonMapping, call: Call) -> Outcome:
        arguments = {**unless_told, **given}
        # Before the user is asked: nobody should agree to what is then refused.
        rules.check(operation, arguments)
        if effect == "destroys":
            await confirmed(operation.summary, _target(operation, arguments), arguments, call)
        # Some that only read are asked with POST.
        return said(operation, await pages.fetch(operation, arguments, call, changes=effect != "reads"))

    schema = schema_of(operation, effect)
    for argument, value in unless_told.items():
        schema["properties"][argument]["default"] = value
    return Tool(
        name=name,
        title=operation.summary,
        description=operation.description,
        input_schema=schema,
        effect=effect,
        key="admin" if operation.needs_admin else "user",
        run=run,
        listed_as=listed(schema),
    )


def schema_of(operation: Operation, effect: Effect) -> Schema:
    """The operation's arguments as the tool takes them: `limit` counts rows, not a page of them."""
    schema = operation.input_schema()
    if operation.rows and "limit" in schema["properties"]:
        rows = {"type": "integer", "minimum": 1, "maximum": pages.MOST_ROWS, "default": pages.DEFAULT_ROWS}
        schema["properties"]["limit"] = {**rows, "description": "Rows at most."}
    if effect == "destroys":
        schema["properties"]["confirm"] = _CONFIRM
    return schema


def listed(schema: Schema) -> Schema:
    """The arguments as a model reads them: those that every list has need no words, nor does it that a filter left out
    filters nothing."""
    short = brief(lean(schema))
    short["properties"] = {name: _terse(name, part) for name, part in short["properties"].items()}
    return short


def _terse(name: str, part: Schema) -> Schema:
    if name in _KNOWN:
        return {key: part[key] for key in ("type", "default") if key in part}
    words = _UNSAID.sub("", part.get("description", ""))
    # How many is in the words, and refused with the number.
    rest = {key: value for key, value in part.items() if key not in ("description", "maxItems")}
    return {**rest, **({"description": words} if words else {})}


async def confirmed(what: str, name: str, arguments: JsonMapping, call: Call) -> None:
    """Have the user agree to what cannot be undone; where nobody can be asked, the argument `confirm` repeats the name.

    Raises:
        InvalidInput: nobody agreed; nothing was sent.
    """
    agreed = await call.agree(f"{what}: {name}? This cannot be undone.")
    # A yes of the user always; the repeated name only where nobody can be asked, or a model could confirm what its
    # user would not.
    if agreed or (agreed is None and arguments.get("confirm") == name):
        return
    if agreed is None:
        hint = f"If the user wants it, call again with confirm: {name!r}."
        raise InvalidInput(f"{what}: {name}. This cannot be undone, and this client cannot ask the user.", hint=hint)
    raise InvalidInput(
        f"{what}: {name}. The user did not agree.", hint="Nothing was sent. Do not ask again unless told."
    )


def said(operation: Operation, answer: Any) -> Outcome:
    """The answer as text a model can use, and whole in the structured content."""
    if answer is None:
        return Outcome(data={"done": True}, note=f"Done: {operation.summary}.", is_plain=True)
    whole: JsonObject = answer if is_object(answer) else {"answer": answer}
    member = _TABLES.get(operation.operation_id, "")
    told = table.of(whole.get(member))
    rest = {name: value for name, value in whole.items() if name != member}
    data, is_cut = shortening.shortened(
        {**rest, **told.data(member)} if told else whole, _LARGEST_ANSWER, pages.MOST_ROWS
    )
    # From the whole and not from `data`: the head counts what came, even where not all of it is told.
    rows: Any = whole.get(member or operation.rows or "answer")
    cuts = " Not all of it is told." if is_cut else ""
    if not is_list(rows):
        text = cut(clean(table.compact(data), _LONGEST_TEXT), _LONGEST_TEXT) + cuts
        return Outcome(data=data, note=text, is_plain=True)
    head = f"{len(rows)} {(member or operation.rows or 'entries').replace('_', ' ')}{_more(whole)}.{cuts}"
    lines = told.lines() if told else [table.compact(row) for row in rows]
    takes_limit = any(one.name == "limit" for one in operation.arguments)
    how = "; a smaller limit tells them page by page" if takes_limit else ""
    return Outcome(data=data, note=_listed(_with_the_rest(head, rest if told else {}), lines, how), is_plain=True)


def _more(whole: JsonMapping) -> str:
    # What is no text is no cursor that could be given back; and cut, it would be another one.
    cursor = text_of(whole.get("next_cursor"))
    if not cursor:
        return ""
    is_short = len(cursor) <= _LONGEST_CELL and cursor.isprintable()
    return f"; there are more, with {f'cursor {cursor!r}' if is_short else 'next_cursor as cursor'}"


def _with_the_rest(head: str, rest: JsonMapping) -> str:
    """The head, and behind it what stands beside a table and is not in the head already."""
    besides = {name: value for name, value in rest.items() if name not in _PAGING}
    return f"{head} {one_line(table.compact(besides), _LONGEST_CELL)}" if besides else head


def _listed(head: str, rows: list[str], how: str) -> str:
    """The head and as many rows as fit; `how` says to whom reads no structured content how to have the others."""
    lines = [head]
    room = _LONGEST_TEXT - len(head) - 120
    for number, row in enumerate(rows):
        line = cut(one_line(row, _LONGEST_CELL), _LONGEST_CELL)
        room -= len(line) + 1
        if room < 0:
            return "\n".join([*lines, f"… and {len(rows) - number} more, in the structured content{how}."])
        lines.append(line)
    return "\n".join(lines)


def _target(operation: Operation, arguments: JsonMapping) -> str:
    names = [one.name for one in operation.arguments if one.place == "path"]
    return "/".join(one_line(str(arguments[name]), 120) for name in names)
