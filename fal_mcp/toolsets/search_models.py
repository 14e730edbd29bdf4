"""`search_models`: rows of models for a request, the ways to narrow them, and what is said where nothing fits."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.catalog.search import Hit, Matches
from fal_mcp.errors import InvalidInput
from fal_mcp.json_values import JsonObject
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.text import cut, one_line
from fal_mcp.tools.from_function import Arguments
from fal_mcp.toolsets import own_apps
from fal_mcp.toolsets.models import Models

_LONGEST_LINE = 280
_LONGEST_ROW = 320
_LEAST_ABOUT = 24
_MOST_NEEDS = 70
_MOST_NEAR = 3
_PAGE = 10

Kind = Literal["text", "image", "video", "audio", "3d"]
Test = Callable[[Endpoint], bool]
_SOUND = re.compile(r"\b(audio|sound|dialogue|lip-?sync)", re.IGNORECASE)
_SOUND_ARGUMENT = re.compile(r"(generate|with|enable|include)_?(audio|sound)")


class SearchArguments(Arguments):
    query: str = Field(
        "",
        max_length=300,
        description="In English: medium in and out ('image to video'), or the task ('remove video background'), and a "
        "family if wanted.",
    )
    category: str | None = Field(None, max_length=60, description="Such as image-to-video.")
    inputs: list[Kind] | None = Field(None, description="It takes all of these.")
    outputs: list[Kind] | None = Field(None, description="It makes one of these.")
    max_price: float | None = Field(None, ge=0, description="USD a unit, at most.")
    max_seconds: float | None = Field(None, gt=0, description="It usually takes, at most.")
    licence: Literal["commercial", "research"] | None = None
    with_audio: bool | None = Field(None, description="Video with sound.")
    newest: bool | None = Field(None, description="No older versions.")
    limit: int = Field(_PAGE, ge=1, le=50)
    cursor: str | None = Field(None, max_length=200, description="The last page's next_cursor.")


def search(models: Models, arguments: SearchArguments, own: Sequence[Endpoint] = ()) -> Outcome:
    """A page of rows, in text and in data alike; the account's `own` that fit come first."""
    start = _start(arguments.cursor)
    matches = models.search.match(arguments.query, _category(arguments.category))
    tests = _tests(models, arguments)
    # Filters read documents, so they come after the ranking and only where one is given.
    hits = [hit for hit in matches.hits if _passes(models, hit, tests)] if tests else matches.hits
    fitting = [one for one in own if _is_wanted(one, arguments, tests)]
    if (not matches.is_sure or not hits) and not fitting:
        return _nothing(models, arguments, matches, list(tests))
    return _page(models, arguments, matches, _Hits(fitting, hits if matches.is_sure else []), start)


@dataclass(frozen=True, slots=True)
class _Hits:
    """What was found: the account's own, and fal's models."""

    own: list[Endpoint]
    models: list[Hit]

    def __len__(self) -> int:
        return len(self.own) + len(self.models)

    def page(self, models: Models, start: int, end: int) -> list[Endpoint]:
        """The endpoints from one place to another."""
        rest = self.models[max(start - len(self.own), 0) : max(end - len(self.own), 0)]
        return [*self.own[start:end], *(one for hit in rest if (one := models.catalog.get(hit.endpoint_id)))]


def _is_wanted(endpoint: Endpoint, arguments: SearchArguments, tests: Mapping[str, Test]) -> bool:
    # An app has no category of fal's.
    return arguments.category is None and all(test(endpoint) for test in tests.values())


def _page(models: Models, arguments: SearchArguments, matches: Matches, hits: _Hits, start: int) -> Outcome:
    end = start + arguments.limit
    endpoints = hits.page(models, start, end)
    data: JsonObject = {"total": len(hits), "models": [_row(models, one) for one in endpoints]}
    summary = f"{start + 1} to {start + len(endpoints)} of {len(hits)}."
    if end < len(hits):
        data["next_cursor"] = base64.urlsafe_b64encode(str(end).encode()).decode()
        summary += f" More with cursor {data['next_cursor']}."
    if near := _near(matches) if start == 0 else []:
        data["related_tasks"] = near
        summary += f" Related tasks to ask by: {', '.join(near)}."
    lines = [
        "id | tool | what it does | price | required arguments",
        *(_line(models, one) for one in endpoints),
        summary,
    ]
    return Outcome(data=data, note="\n".join(lines), is_plain=True)


def _row(models: Models, endpoint: Endpoint) -> JsonObject:
    row: JsonObject = {
        "endpoint_id": endpoint.endpoint_id,
        "tool": models.name_of(endpoint.endpoint_id),
        "about": "",
        "price": price_of(endpoint),
        "needs": _needs(endpoint),
    }
    if (told := own_apps.about(endpoint)) is not None:
        row["own"] = told
    if is_deprecated(endpoint):
        row["deprecated"] = f"gone soon{instead(models, endpoint.endpoint_id)}"
    room = _LONGEST_ROW - len(json.dumps(row, ensure_ascii=False))
    # Last, in the room that is left: the id, the price and what is required are what a run cannot do without.
    row["about"] = cut(_about(endpoint), max(room, _LEAST_ABOUT))
    return row


def _line(models: Models, endpoint: Endpoint) -> str:
    gone = f" Deprecated{instead(models, endpoint.endpoint_id)}." if is_deprecated(endpoint) else ""
    head = f"{endpoint.endpoint_id} | {models.name_of(endpoint.endpoint_id)} | "
    tail = f" | {price_of(endpoint)} | needs {', '.join(_needs(endpoint)) or 'nothing'}{gone}"
    return head + cut(_about(endpoint), max(_LONGEST_LINE - len(head) - len(tail), _LEAST_ABOUT)) + tail


def _about(endpoint: Endpoint) -> str:
    own = own_apps.sentence(endpoint)
    about = endpoint.description or ("" if own else endpoint.title)
    return one_line(": ".join(part for part in (own, about) if part), 400)


def _needs(endpoint: Endpoint) -> list[str]:
    """The names of what is required, as many as fit."""
    names: list[str] = []
    for name in endpoint.input_schema.get("required", ()):
        if sum(map(len, names)) + len(name) > _MOST_NEEDS:
            return [*names, "…"]
        names.append(name)
    return names


def price_of(endpoint: Endpoint) -> str:
    """The price in words; 0 is a price that fal does not tell, and no gift, unless its unit says so."""
    price = endpoint.price
    if price is not None and price.amount == 0 and price.unit.casefold() == "free":
        return "free"
    if own_apps.about(endpoint) is not None:
        return "machine time"
    return str(price) if price and price.amount > 0 else "price on fal.ai"


def is_deprecated(endpoint: Endpoint) -> bool:
    """Whether fal is about to take it away."""
    return endpoint.metadata.get("status") == "deprecated"


def instead(models: Models, endpoint_id: str) -> str:
    """What to use in place of a deprecated model, to stand after a word."""
    successor = models.search.successor(endpoint_id)
    return f", use {successor}" if successor else ""


def _near(matches: Matches) -> list[str]:
    """The other tasks that the words may mean, and those that the likeliest is mistaken for."""
    others = dict.fromkeys((*matches.tasks[1:], *matches.near))
    return [name for name in others if name not in matches.tasks[:1]][:_MOST_NEAR]


def _nothing(models: Models, arguments: SearchArguments, matches: Matches, tests: list[str]) -> Outcome:
    counts = models.search.categories()
    category = _category(arguments.category)
    if category is not None and category not in counts:
        shown = ", ".join(f"{name} ({count})" for name, count in list(counts.items())[:20])
        answer = f"There is no category {one_line(arguments.category or '', 60)!r}. Categories: {shown}."
        return Outcome(data=_none(categories=list(counts)[:20]), note=answer, is_plain=True)
    if matches.is_sure and matches.hits:
        answer = f"{len(matches.hits)} models fit the words, and none of them {' and '.join(tests)}. Ask for less."
        return Outcome(data=_none(without_limits=len(matches.hits), limits=tests), note=answer, is_plain=True)
    names = list(models.search.task_names)
    answer = f"Nothing matched: no model here is for {one_line(arguments.query, 100)!r}."
    answer += f" If one of these tasks is meant, ask for it by its name: {', '.join(names)}."
    guesses = [hit.endpoint_id for hit in matches.hits[:_MOST_NEAR]]
    if guesses:
        answer += f" The nearest models, which may not fit: {', '.join(guesses)}."
    return Outcome(data=_none(tasks=names, nearest=guesses), note=answer, is_plain=True)


def _none(**more: object) -> JsonObject:
    return {"total": 0, "models": [], **more}


def _category(name: str | None) -> str | None:
    return None if name is None else "-".join(name.casefold().replace("_", " ").split())


def _tests(models: Models, arguments: SearchArguments) -> Mapping[str, Test]:
    """What each model must pass, under the words for those that do not."""
    tests: dict[str, Test] = {}
    if arguments.inputs:
        # Each once: how often a kind is named is told nowhere.
        wanted = dict.fromkeys(arguments.inputs).keys()
        tests[f"takes {' and '.join(wanted)}"] = lambda one: wanted <= _inputs(one)
    if arguments.outputs:
        made = dict.fromkeys(arguments.outputs).keys()
        tests[f"makes {' or '.join(made)}"] = lambda one: bool(made & _outputs(one))
    if (most := arguments.max_price) is not None:
        tests[f"is known to cost at most {most:g} USD a unit"] = lambda one: _costs_at_most(one, most)
    if (longest := arguments.max_seconds) is not None:
        tests[f"is known to take at most {longest:g} s"] = lambda one: 0 < (one.typical_seconds or 0) <= longest
    if licence := arguments.licence:
        tests[f"has a {licence} licence"] = lambda one: one.metadata.get("license_type") == licence
    if arguments.with_audio:
        tests["makes video with sound"] = _has_sound
    if arguments.newest:
        tests["is the newest of its family"] = lambda one: models.search.successor(one.endpoint_id) is None
    return tests


def _passes(models: Models, hit: Hit, tests: Mapping[str, Test]) -> bool:
    endpoint = models.catalog.get(hit.endpoint_id)
    return endpoint is not None and all(test(endpoint) for test in tests.values())


def _costs_at_most(endpoint: Endpoint, amount: float) -> bool:
    # 0 is a price that fal does not tell: a model of unknown price is not a cheap one.
    return endpoint.price is not None and 0 < endpoint.price.amount <= amount


_KINDS = {"speech": "audio", "music": "audio", "json": "text"}
_BY_NAME = {"vision": ({"image"}, {"text"}), "llm": ({"text"}, {"text"}), "training": ({"archive"}, {"file"})}


def _inputs(endpoint: Endpoint) -> set[str]:
    given, _ = _by_category(endpoint)
    words = (
        {"text"} if {"prompt", "text", "script", "input"} & endpoint.input_schema["properties"].keys() else set[str]()
    )
    return given | {file.kind for file in endpoint.files} | words


def _outputs(endpoint: Endpoint) -> set[str]:
    return _by_category(endpoint)[1]


def _by_category(endpoint: Endpoint) -> tuple[set[str], set[str]]:
    if endpoint.category in _BY_NAME:
        return _BY_NAME[endpoint.category]
    given, _, made = endpoint.category.partition("-to-")
    return {_KINDS.get(given, given)}, {_KINDS.get(made, made)}


def _has_sound(endpoint: Endpoint) -> bool:
    names = " ".join(endpoint.input_schema["properties"])
    says = bool(_SOUND.search(endpoint.description)) and not re.search(
        "no audio|without audio|silent", endpoint.description
    )
    return "video" in _outputs(endpoint) and (bool(_SOUND_ARGUMENT.search(names)) or says)


def _start(cursor: str | None) -> int:
    try:
        # Encoded only so that nobody reckons with it: it is a place in the list.
        return max(int(base64.urlsafe_b64decode(cursor)), 0) if cursor else 0
    except (ValueError, binascii.Error) as error:
        raise InvalidInput("The cursor is not one that search_models gave.", hint="Leave it out to start.") from error
