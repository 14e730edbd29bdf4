"""Something fal can run: its id, what it is for, what goes in and what comes out."""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime

from fal_mcp.json_values import JsonObject
from fal_mcp.openapi.schema import Schema
from fal_mcp.text import money

MOST_NAME_CHARACTERS = 54
WORKFLOWS = "workflows/"
"""The namespace of fal's workflows: `workflows/{owner}/{name}`. Fact F2.1."""
_KEPT_OF_A_LONG_NAME = 45


@dataclass(frozen=True, slots=True)
class Price:
    """What one unit costs. `unit` is fal's free text, such as `images` or `seconds`."""

    amount: float
    unit: str
    currency: str = "USD"

    def __str__(self) -> str:
        """Such as `$0.025 per megapixel`; a unit that fal calls `1` is a run."""
        amount = money(self.amount) if self.currency == "USD" else f"{self.amount:g} {self.currency}"
        # fal writes units in the plural, singular and anything else; only plain words lose their s.
        one = re.sub(r"^([A-Za-z ]*[A-Za-z])s$", r"\1", self.unit)
        return f"{amount} per {'run' if one.strip() in ('', '1') else one}"


@dataclass(frozen=True, slots=True)
class FileArgument:
    """Where a file goes in: a path of property names from the input's root, `[]` for each item of a list."""

    path: tuple[str, ...]
    kind: str
    """`image`, `video`, `audio`, `archive`, `3d` or `file`: what its name makes one think."""
    accepts: tuple[str, ...] = ()
    """The beginnings of the media types it takes, as far as the document shows or states them; empty where nothing may
    be refused for being of another kind."""


@dataclass(frozen=True, slots=True)
class Step:
    """One model that a workflow runs. Its arguments may say `$input.prompt` or `$draw.images.0.url` in place of a
    value: what the workflow was given, or what another step made."""

    node_id: str
    endpoint_id: str
    arguments: JsonObject
    endpoint: "Endpoint | None" = None
    """The model, where the catalog has it."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One model, or one task of a model, by fal's `endpoint_id`."""

    endpoint_id: str
    title: str
    category: str
    description: str
    input_schema: Schema
    output_schema: Schema
    files: tuple[FileArgument, ...] = ()
    price: Price | None = None
    typical_seconds: float | None = None
    metadata: JsonObject = field(default_factory=JsonObject)
    """fal's catalog item, as it came."""
    oddities: tuple[str, ...] = ()
    """What in its document could not be taken as it is, a sentence each."""
    unchecked: str = ""
    """Why its arguments are not checked here; empty where they are."""
    way: str = "run"
    """How it is spoken to, where its app says so: `run`, `stream` or `realtime`."""
    steps: tuple[Step, ...] = ()
    """What a workflow runs, in an order in which it can be run; a model has none."""

    @property
    def is_workflow(self) -> bool:
        return self.endpoint_id.startswith(WORKFLOWS)

    @property
    def is_training(self) -> bool:
        return self.category == "training" or self.metadata.get("kind") == "training"

    @property
    def updated(self) -> datetime | None:
        stamp = self.metadata.get("updated_at")
        try:
            return datetime.fromisoformat(stamp) if isinstance(stamp, str) else None
        except ValueError:
            return None


def tool_name(endpoint_id: str) -> str:
    """The endpoint's name as a tool: letters, digits, `_` and `-`, at most 54 characters, the same for ever.

    Longer ones keep their first 45 and end in 8 hex digits of the id's SHA-256. 54 leaves room for a host's own
    prefix below the 64 that OpenAI and Gemini allow.
    """
    # Not the shortest form, but one that no two of fal's ids share. Left with small and capital letters as they are,
    # and with `fal-ai`: without it some names exist twice.
    name = endpoint_id.replace("/", "_").replace(".", "_")
    if len(name) <= MOST_NAME_CHARACTERS:
        return name
    # The digest is of the whole id: cut names alone would collide in families whose members differ at the end.
    return f"{name[:_KEPT_OF_A_LONG_NAME]}_{hashlib.sha256(endpoint_id.encode()).hexdigest()[:8]}"
