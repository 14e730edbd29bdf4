"""What several models made of one wish, told: a table in text and in data, and a contact sheet."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import anyio
import anyio.to_thread

from fal_mcp.catalog.wish import Mapped
from fal_mcp.errors import FalError, NotWritable
from fal_mcp.json_values import JsonMapping, JsonObject, number_of, object_of, text_of
from fal_mcp.machine.output_folder import slug
from fal_mcp.outputs import contact_sheet, previews, saving
from fal_mcp.outputs.contact_sheet import MOST_PICTURES, Tile
from fal_mcp.outputs.outcome import Media, Outcome, Preview
from fal_mcp.runs.call import Call
from fal_mcp.text import money, one_line
from fal_mcp.toolsets.many_runs import Run

_SHOWN = ("image", "video", "audio")
_SECONDS = 8.0
"""For all pictures of a sheet: hosts give a call a minute, and the runs had most of it."""
_FILE_FACTS = ("url", "path", "kind", "content_type")
_MOST_FILES = 4
_LONGEST_WORDS = 600
_TEXTS = ("output", "text", "transcript", "transcription", "caption", "result", "description", "response")
logger = logging.getLogger("fal_mcp")


@dataclass(frozen=True, slots=True)
class Compared:
    """One model's run: what it was given, how that was made of the wish, and what came of it."""

    endpoint_id: str
    job_id: str | None
    arguments: JsonMapping
    answer: Outcome | FalError
    given: JsonMapping = field(default_factory=JsonObject)
    left: JsonMapping = field(default_factory=JsonObject)
    seen: tuple[int, int] | None = None
    """The first picture's width and height, as its file has them."""

    @classmethod
    def of_run(cls, run: Run, mapped: Mapped) -> Self:
        """The run of a mapped wish."""
        answer = run.answer or FalError("It was not begun.")
        order = run.order
        return cls(order.endpoint_id, run.job_id, order.arguments, answer, mapped.given, mapped.left)

    @property
    def status(self) -> str:
        return str(self.answer.data["status"]) if isinstance(self.answer, Outcome) else "failed"

    @property
    def media(self) -> tuple[Media, ...]:
        return self.answer.media if isinstance(self.answer, Outcome) else ()

    @property
    def usd(self) -> float | None:
        """What it cost, or is thought to; nothing where it failed, as fal bills no failure."""
        if not isinstance(self.answer, Outcome):
            return None
        return number_of(object_of(self.answer.data.get("cost")).get("usd"))

    @property
    def seconds(self) -> float | None:
        timing = self.answer.data.get("timing") if isinstance(self.answer, Outcome) else None
        return number_of(object_of(timing).get("run_s"))

    @property
    def size(self) -> str | None:
        """The first file's, as fal says it or as it was seen."""
        told = ((item.width, item.height) for item in self.media if item.width and item.height)
        return next((f"{width}x{height}" for width, height in (*told, *filter(None, [self.seen]))), None)

    @property
    def seed(self) -> int | None:
        output = object_of(self.answer.data.get("output")) if isinstance(self.answer, Outcome) else {}
        seed = output.get("seed", self.arguments.get("seed"))
        return seed if isinstance(seed, int) and not isinstance(seed, bool) else None

    @property
    def facts(self) -> str:
        """What stands below its picture."""
        if isinstance(self.answer, FalError):
            return "failed"
        if self.status != "completed":
            return self.status.replace("_", " ")
        size = self.size or ("" if not self.media else self.media[0].kind)
        seconds = f"{self.seconds:.1f} s" if self.seconds is not None else ""
        usd = money(self.usd) if self.usd is not None else ""
        return " · ".join(filter(None, [seconds, usd, size, f"seed {self.seed}" if self.seed is not None else ""]))


async def told(rows: Sequence[Compared], title: str, about: str, call: Call) -> Outcome:
    """The answer: all that a choice between them needs, in the text alone and in the data alone."""
    done = sum(row.status == "completed" for row in rows)
    usd = round(sum(row.usd or 0 for row in rows), 6)
    shows = call.shows_previews or call.output is not None
    pictures = await _pictures(rows, call) if shows else {}
    rows = [replace(row, seen=_seen(row, pictures.get(number, ()))) for number, row in enumerate(rows)]
    tiles = [_tile(row, pictures.get(number, ())) for number, row in enumerate(rows)]
    subtitle = " · ".join(filter(None, [f"{len(rows)} models", about, f"about {money(usd)}" if usd else ""]))
    sheet, notes = await _sheet(tiles, title, subtitle, call) if shows else ((), list[str]())
    notes += _going_on(rows)
    unknown = sum(row.usd is None and row.status != "failed" for row in rows)
    more = f", and {unknown} whose price is not known" if unknown else ""
    head = f"{done} of {len(rows)} models are done; about {usd:.4g} USD{more}."
    data: JsonObject = {
        "status": "completed" if done == len(rows) else "partial",
        "items": [_item(row) for row in rows],
        "usd": usd,
        **({"notes": notes} if notes else {}),
    }
    lines = [head, *_table(rows), *_mapping(rows), *notes]
    media = tuple(item for row in rows for item in row.media)
    return Outcome(data=data, media=media, note="\n".join(lines), previews=sheet, is_plain=True)


def _item(row: Compared) -> JsonObject:
    facts: JsonObject = {
        "endpoint_id": row.endpoint_id,
        "status": row.status,
        "job_id": row.job_id,
        "seconds": row.seconds,
        "usd": row.usd,
        "size": row.size,
        "seed": row.seed,
        "files": _files(row),
        "text": None if row.media else _words_of(row) or None,
        "given_as": dict(row.given) or None,
        "not_given": dict(row.left) or None,
    }
    if isinstance(row.answer, FalError):
        error = row.answer
        facts |= {"error": error.message, "request_id": error.request_id, "retryable": error.retryable}
        facts |= {"hint": error.hint or None}
    return {name: value for name, value in facts.items() if value is not None and value != []}


def _files(row: Compared) -> list[JsonObject]:
    files = row.answer.data.get("files", ()) if isinstance(row.answer, Outcome) else ()
    return [{name: file[name] for name in _FILE_FACTS if name in file} for file in files][:_MOST_FILES]


def _table(rows: Sequence[Compared]) -> list[str]:
    lines = ["# | model | seconds | USD | size | seed | job_id"]
    for number, row in enumerate(rows, 1):
        seconds = None if row.seconds is None else f"{row.seconds:.1f}"
        cells = [row.endpoint_id, seconds, None if row.usd is None else f"{row.usd:.4g}", row.size, row.seed]
        if row.status != "completed":
            cells[1] = row.status
        lines.append(" | ".join(map(_cell, [number, *cells, row.job_id])))
        if isinstance(row.answer, FalError):
            lines.append(f"  {one_line(f'{row.answer.message} {row.answer.hint}', 400)}")
        elif row.media:
            more = [f"and {len(row.media) - _MOST_FILES} more"] if len(row.media) > _MOST_FILES else []
            lines.append(f"  {', '.join([*(item.url for item in row.media[:_MOST_FILES]), *more])}")
        elif words := _words_of(row):
            lines.append(f"  {words}")
    return lines


def _cell(value: object) -> str:
    return "-" if value is None else str(value)


def _mapping(rows: Sequence[Compared]) -> list[str]:
    """How the wish was put to each, what is the same told once: `size as aspect_ratio 16:9 (1, 3)`."""
    ways: dict[tuple[str, str, str], list[int]] = {}
    for number, row in enumerate(rows, 1):
        for verb, parts in (("given as", row.given), ("not given:", row.left)):
            for part, how in parts.items():
                ways.setdefault((part, verb, str(how).rstrip(".")), []).append(number)
    told = [f"{part} {verb} {how} ({', '.join(map(str, ids))})" for (part, verb, how), ids in ways.items()]
    return [f"The wish: {'; '.join(told)}."] if told else []


def _going_on(rows: Sequence[Compared]) -> list[str]:
    """What to do next where not all are over; nothing is to be begun again."""
    if all(row.status in ("completed", "failed") for row in rows):
        return []
    ids = [row.job_id for row in rows if row.job_id]
    return [f"Some go on by themselves: call compare_models with job_ids {ids} for all of them, which costs nothing."]


async def _sheet(tiles: list[Tile], title: str, about: str, call: Call) -> tuple[tuple[Preview, ...], list[str]]:
    """The contact sheet, and where it was saved. Never an error: the runs are paid for."""
    try:
        content = await anyio.to_thread.run_sync(contact_sheet.draw, title or about, about if title else "", tiles)
    except Exception:
        logger.exception("A contact sheet could not be drawn.")
        return (), ["The contact sheet could not be drawn; its files are linked."]
    shown = (Preview(content, "image/jpeg"),) if call.shows_previews else ()
    numbered = ["The picture shows them side by side, numbered as here."] if shown else []
    return shown, [*numbered, *await _saved(content, title, call)]


async def _saved(content: bytes, title: str, call: Call) -> list[str]:
    if call.output is None:
        return []

    async def each(take: saving.Take) -> None:
        await take(content)

    stem = "_".join(filter(None, ["comparison", slug(title, 40)]))
    try:
        path = await saving.write(each, call.output, call.output.place(None), stem, lambda head: ".jpg")
    except NotWritable as error:
        return [f"The contact sheet could not be saved: {error.message}"]
    return [f"The contact sheet is saved as {path}."]


async def _pictures(rows: Sequence[Compared], call: Call) -> dict[int, tuple[Preview, ...]]:
    """What can be shown of each, by its place."""
    pictures: dict[int, tuple[Preview, ...]] = {}

    async def one(number: int, media: tuple[Media, ...]) -> None:
        pictures[number] = (await previews.of(media, call.fal())).previews

    # What a host hands over slowly is left out of the sheet, and linked all the same.
    with anyio.move_on_after(_SECONDS):
        async with anyio.create_task_group() as tasks:
            for number, row in enumerate(rows):
                if shown := tuple(item for item in row.media if item.kind in _SHOWN)[:MOST_PICTURES]:
                    tasks.start_soon(one, number, shown)
    return pictures


def _seen(row: Compared, pictures: tuple[Preview, ...]) -> tuple[int, int] | None:
    # The picture of a sound is a drawing of ours.
    is_seen = bool(pictures and row.media) and row.media[0].kind in ("image", "video")
    return pictures[0].size if is_seen else None


def _tile(row: Compared, pictures: tuple[Preview, ...]) -> Tile:
    return Tile(
        name=row.endpoint_id.removeprefix("fal-ai/"),
        facts=row.facts,
        pictures=tuple(picture.content for picture in pictures),
        kind=row.media[0].kind if row.media else "text",
        words=_words_of(row) or "no picture of it",
        is_failed=isinstance(row.answer, FalError),
    )


def _words_of(row: Compared) -> str:
    """What is to be read where there is no picture: a text that came out, an error, or how it stands."""
    if isinstance(row.answer, FalError):
        return one_line(row.answer.message, 300)
    if row.status != "completed":
        return "still running" if row.status == "in_progress" else row.status
    output = object_of(row.answer.data.get("output"))
    texts = [text for name in _TEXTS if (text := text_of(output.get(name)))]
    return one_line(texts[0], _LONGEST_WORDS) if texts and not row.media else ""
