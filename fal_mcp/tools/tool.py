"""What a tool is. Knows nothing of MCP."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from fal_mcp.errors import Fault
from fal_mcp.json_values import JsonMapping, JsonObject
from fal_mcp.openapi import faults, left_out
from fal_mcp.openapi.listed_schema import brief, lean, plain
from fal_mcp.openapi.repair import repair
from fal_mcp.openapi.sayable import is_sayable
from fal_mcp.openapi.schema import Schema
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs.call import Call

Effect = Literal["reads", "writes", "destroys", "spends"]
KeyKind = Literal["none", "user", "admin"]


@dataclass(frozen=True, slots=True)
class Tool:
    """One thing an assistant can do. `effect` and `key` decide its annotations and when it is offered."""

    name: str
    title: str
    description: str
    input_schema: Schema
    """What arguments are checked against."""
    effect: Effect
    key: KeyKind
    run: Callable[[JsonMapping, Call], Awaitable[Outcome]]
    metadata: JsonMapping = field(default_factory=JsonObject)
    needs_task: bool = False
    """Whether it can only be answered with an MCP task."""
    is_lean: bool = True
    """Whether it is listed with a short form of its input schema; else only what stops nonsense is left out."""
    listed_as: Schema | None = None
    """The input schema as it is listed, where that is neither."""
    shows_media: bool = False
    """Whether it answers with a run: what came out, or how the run stands."""
    toolset: str = ""
    """The toolset that it is of; a model's tool is of none."""

    @property
    def listed_schema(self) -> Schema:
        """The input schema as a model reads it."""
        if self.listed_as is not None:
            return self.listed_as
        return lean(self.input_schema) if self.is_lean else plain(brief(self.input_schema))

    def prepare(self, arguments: JsonMapping) -> "Prepared":
        """`arguments` put right where that is certain, and everything still wrong with them. Asks nobody."""
        return prepare(self.input_schema, arguments)


def prepare(schema: Schema, arguments: JsonMapping) -> "Prepared":
    """`arguments` as `schema` wants them: without what was left out, and put right where that is certain."""
    sent = dict(arguments)
    # Values that cannot be gone through are refused before anything goes through them.
    if not is_sayable(sent):
        return Prepared(sent, (), faults.find(schema, sent))
    # The order: what means nothing goes first, so that it is neither a fault nor repaired; then what is right as it
    # is stays untouched; only what is wrong is repaired, and judged again.
    given = left_out.without(schema, sent)
    if not faults.find(schema, given):
        return Prepared(given, (), ())
    repaired, notes = repair(schema, given)
    wrong = faults.find(schema, repaired)
    # Who is refused hears of all that has to change, what alone would have been put right included.
    besides = [Fault("$", f"this alone would have been put right: {note}.") for note in notes] if wrong else []
    return Prepared(repaired, () if wrong else notes, (*wrong, *besides))


@dataclass(frozen=True, slots=True)
class Prepared:
    """Arguments as they will be sent, what was put right, and what is wrong with them."""

    arguments: JsonObject
    notes: tuple[str, ...]
    faults: tuple[Fault, ...]
