"""What a tool is, what one call of it may use, and what comes of it. Knows nothing of MCP."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fal_mcp.catalog.catalog import Catalog
from fal_mcp.client.fal import Fal
from fal_mcp.errors import Fault
from fal_mcp.jobs.progress import Report
from fal_mcp.openapi import faults
from fal_mcp.openapi.schema import Schema

Effect = Literal["reads", "writes", "destroys", "spends"]
KeyKind = Literal["none", "user", "admin"]
Kind = Literal["image", "video", "audio", "3d", "text", "archive", "file"]


@dataclass(frozen=True, slots=True)
class Media:
    """One file that came out. `url` may be a `data:` URI where the model was asked for one."""

    url: str
    kind: Kind
    content_type: str | None = None
    width: int | None = None
    height: int | None = None
    size: int | None = None
    """Bytes, where fal says."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call, before anyone decides how MCP should say it."""

    data: Mapping[str, Any]
    media: tuple[Media, ...] = ()
    note: str = ""
    """A short text that a model can use as it stands."""


@dataclass(frozen=True, slots=True)
class Call:
    """What one call may use, and where its progress goes."""

    fal: Fal
    catalog: Catalog
    tell: Callable[[Report], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Tool:
    """One thing an assistant can do. `effect` and `key` decide its annotations and when it is offered."""

    name: str
    title: str
    description: str
    input_schema: Schema
    effect: Effect
    key: KeyKind
    run: Callable[[Mapping[str, Any], Call], Awaitable[Outcome]]
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def check(self, arguments: Mapping[str, Any]) -> tuple[Fault, ...]:
        """Everything wrong with `arguments`, found without asking anyone."""
        return faults.find(self.input_schema, dict(arguments))
