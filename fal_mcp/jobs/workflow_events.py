"""What a workflow's stream tells: which step was submitted, what it made, what came of the whole. Pure. Fact F10.4."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from fal_mcp.errors import GenerationFailed
from fal_mcp.json_values import (
    JsonMapping,
    JsonObject,
    is_list,
    is_object,
    list_of,
    object_of,
    text_of,
    whole_number_of,
)
from fal_mcp.text import one_line

_MOST_STEPS = 10_000
"""Steps that are kept of one run; what comes after them is a stream that never ends."""
_MOST_FILES = 4
_MOST_SAID = 6
_DEEPEST = 12


@dataclass(slots=True)
class Step:
    """One step as the stream told of it. `output` is None until it is done."""

    node_id: str
    endpoint_id: str = ""
    request_id: str = ""
    output: JsonObject | None = None

    @property
    def files(self) -> list[str]:
        """The addresses of what it made, at most a few."""
        return [url for _, url in zip(range(_MOST_FILES), _urls(self.output, 0), strict=False)]


@dataclass(slots=True)
class Steps:
    """A run of a workflow as far as its stream has told of it; `total` is how many steps it has, 0 where unknown."""

    total: int = 0
    done: dict[str, Step] = field(default_factory=dict[str, Step])
    output: JsonObject | None = None
    error: GenerationFailed | None = None
    """Why the workflow failed, where fal says that it did."""

    def taken(self, event: object) -> str | None:
        """Take an event, and say in a line what it tells; None for one that tells nothing."""
        about = object_of(event)
        match about.get("type"):
            case "submit":
                return self._submitted(about)
            case "completion":
                return self._completed(about)
            case "error":
                return self._failed(about)
            case "output":
                self.output = _as_object(about.get("output"))
                return None
            case _:
                return None

    @property
    def open(self) -> list[Step]:
        """The steps that were submitted and are not done."""
        return [step for step in self.done.values() if step.output is None and step.request_id]

    def kept(self) -> JsonObject:
        """The steps as they are written down."""
        return {"steps": [_row(step) for step in self.done.values()]}

    def lines(self) -> list[str]:
        """A line on each step that made something, the last few."""
        made = [step for step in self.done.values() if step.output is not None]
        more = [f"{len(made) - _MOST_SAID} more steps before"] if len(made) > _MOST_SAID else []
        return [*more, *(_made(step) for step in made[-_MOST_SAID:])]

    def _submitted(self, about: JsonMapping) -> str:
        step = self._step(about)
        step.endpoint_id = one_line(text_of(about.get("app_id")) or "", 200)
        step.request_id = one_line(text_of(about.get("request_id")) or "", 100)
        return self._named(step)

    def _completed(self, about: JsonMapping) -> str:
        step = self._step(about)
        step.output = _as_object(about.get("output"))
        files = ", ".join(step.files)
        return f"{self._named(step)} is done{f': {files}' if files else ''}"

    def _failed(self, about: JsonMapping) -> str:
        error = object_of(about.get("error"))
        step = self._step(about)
        status = whole_number_of(error.get("status"))
        said = one_line(text_of(about.get("message")) or "fal gives no reason", 300)
        detail = _detail(error.get("body"))
        made = "; ".join(self.lines())
        self.error = GenerationFailed(
            f"{self._named(step)} failed: {said}{f' ({detail})' if detail else ''}",
            status=status,
            request_id=step.request_id or None,
            hint=f"What the steps before it made is paid for and there: {made}." if made else None,
        )
        return f"{self._named(step)} failed"

    def _step(self, about: JsonMapping) -> Step:
        name = one_line(text_of(about.get("node_id")) or "a step", 60)
        if name in self.done or len(self.done) >= _MOST_STEPS:
            return self.done.get(name) or Step(name)
        return self.done.setdefault(name, Step(name))

    def _named(self, step: Step) -> str:
        place = list(self.done).index(step.node_id) + 1 if step.node_id in self.done else len(self.done)
        # A workflow that was changed since it was read may have more steps than were counted.
        return f"{place} of {max(self.total, len(self.done))}: {step.node_id}"


def read(kept: object, total: int = 0) -> Steps:
    """The steps as they were written down."""
    steps = Steps(total)
    for row in map(object_of, list_of(object_of(kept).get("steps"))):
        name = text_of(row.get("step"))
        if name:
            output = object_of(row["output"]) if is_object(row.get("output")) else None
            known = (text_of(row.get("endpoint_id")) or "", text_of(row.get("request_id")) or "")
            steps.done[name] = Step(name, *known, output)
    return steps


def _row(step: Step) -> JsonObject:
    row: JsonObject = {"step": step.node_id, "endpoint_id": step.endpoint_id, "request_id": step.request_id}
    return row if step.output is None else {**row, "output": step.output}


def _made(step: Step) -> str:
    return f"{step.node_id}: {', '.join(step.files) or 'done'}"


def _as_object(value: object) -> JsonObject:
    return object_of(value) if is_object(value) else {"output": value}


def _detail(body: object) -> str:
    detail = object_of(body).get("detail", body)
    parts = [object_of(one).get("msg") for one in list_of(detail)] if is_list(detail) else [detail]
    return one_line("; ".join(part for part in parts if isinstance(part, str)), 300)


def _urls(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        if value.startswith("https://") or value.startswith("http://"):
            yield one_line(value, 400)
    elif depth < _DEEPEST:
        inner = object_of(value).values() if is_object(value) else list_of(value)
        for part in inner:
            yield from _urls(part, depth + 1)
