"""Reports that fal gives as CSV: saved whole to a file, and told by their columns, first rows and sums."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread

from fal_mcp.errors import NotWritable, ServiceFailed
from fal_mcp.json_values import JsonMapping
from fal_mcp.machine.output_folder import OutputFolder, slug
from fal_mcp.openapi.operation import Operation
from fal_mcp.openapi.schema import Schema
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs.call import Call
from fal_mcp.tools import from_operation, pages, rules
from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets import platform
from fal_mcp.toolsets.reports import costs, focus
from fal_mcp.toolsets.reports.focus import Statement

Toolset = Literal["account", "organization"]
_TOP = 5
_NOT_SAVED = "Nothing was saved. Point --output-dir at a folder that can be written."
_SAVED = "saved to a CSV file; sums and first rows are told."
_TABLE: tuple[tuple[Toolset, str, str, str], ...] = (
    (
        "account",
        "getFocusReport",
        "get_focus_report",
        f"The account's costs in FOCUS, an invoice or an estimate of up to 90 days, {_SAVED} Needs an admin key.",
    ),
    (
        "account",
        "getModelAccessControls",
        "get_model_access",
        f"Whether the organization allows each model on the website and over the API, {_SAVED}",
    ),
    (
        "organization",
        "getOrganizationFocusReport",
        "get_organization_focus_report",
        f"All teams' costs in FOCUS, an invoice or an estimate of up to 90 days, {_SAVED} Needs the root team's admin "
        "key.",
    ),
)
_IN_THE_NAME = ("source", "team_username", "billing_month", "charge_month", "start", "end")
_SAID: Mapping[str, str] = {"charge_month": "YYYY-MM of the costs, instead."}
"""Words of arguments; the others' names say enough, and what may not go together is refused."""


def tools(toolset: Toolset) -> list[Tool]:
    """The CSV reports of this toolset."""
    return [_tool(platform.operations()[one], *rest) for own, one, *rest in _TABLE if own == toolset]


def _tool(operation: Operation, name: str, description: str) -> Tool:
    async def run(arguments: JsonMapping, call: Call) -> Outcome:
        rules.check(operation, arguments)
        text = await pages.send(operation, arguments, call)
        if not isinstance(text, str):
            raise ServiceFailed(f"fal's answer to {operation.summary!r} is no text.", hint="Nothing was saved.")
        # Read before it is saved: a page that says "error" is not left behind as somebody's invoice.
        found = await anyio.to_thread.run_sync(focus.read, text)
        return _told(await _saved(text, _stem(name, arguments), call.output or call.kept), found)

    return Tool(
        name=name,
        title=operation.summary,
        description=description,
        input_schema=_schema(operation),
        effect="reads",
        key="admin" if operation.needs_admin else "user",
        run=run,
        is_lean=False,
    )


def _schema(operation: Operation) -> Schema:
    whole = from_operation.schema_of(operation, "reads")
    return {**whole, "properties": {name: _brief(name, part) for name, part in whole["properties"].items()}}


def _brief(name: str, part: Schema) -> Schema:
    rest = {keyword: value for keyword, value in part.items() if keyword not in ("description", "default")}
    return {**rest, "description": _SAID[name]} if name in _SAID else rest


async def _saved(text: str, stem: str, folder: OutputFolder) -> Path:
    """Where the whole of it is now.

    Raises:
        NotWritable: it cannot be written; nothing of it is left.
    """
    try:
        stream, unfinished = await anyio.to_thread.run_sync(folder.begin, folder.place(None))
        try:
            with stream:
                await anyio.to_thread.run_sync(stream.write, text.encode("utf-8", "surrogatepass"))
            return await anyio.to_thread.run_sync(folder.finish, unfinished, stem, ".csv")
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(folder.drop, unfinished)
    except OSError as error:
        raise NotWritable(f"The report could not be written: {error.strerror}.", hint=_NOT_SAVED) from error
    except NotWritable as error:
        error.hint = _NOT_SAVED
        raise


def _stem(name: str, arguments: JsonMapping) -> str:
    given = [slug(str(arguments[one]), 20) for one in _IN_THE_NAME if arguments.get(one) is not None]
    return "_".join(filter(None, [slug(name.removeprefix("get_")), *given]))


def _told(path: Path, found: Statement) -> Outcome:
    lines = [
        f"{found.count:,} rows in {len(found.columns)} columns, saved to {path}.",
        *_billed(found),
        " | ".join(found.columns),
        *(" | ".join(row) for row in found.first),
    ]
    left = found.count - len(found.first)
    data = {
        "path": str(path),
        "rows": found.count,
        "columns": list(found.columns),
        "first_rows": [dict(zip(found.columns, row, strict=False)) for row in found.first],
        "billed": {
            code: {name: float(amount) for name, amount in services.items()} for code, services in found.billed.items()
        },
    }
    return Outcome(data, note="\n".join([*lines, *([f"… and {left:,} more rows."] if left else [])]), is_plain=True)


def _billed(found: Statement) -> list[str]:
    lines: list[str] = []
    for code, services in sorted(found.billed.items()):
        ordered = sorted(services.items(), key=lambda item: (-item[1], item[0]))
        shown = ", ".join(f"{name} {costs.money(amount, code)}" for name, amount in ordered[:_TOP])
        more = f", and {len(ordered) - _TOP} more services" if len(ordered) > _TOP else ""
        lines.append(f"Billed {costs.money(sum(services.values(), Decimal(0)), code)}: {shown}{more}.")
    return lines
