"""An outcome or an error, said in MCP: a short text, a structured envelope, a link for each file."""

import base64
from typing import Any, cast

import mcp_types as types

from fal_mcp.errors import FalError, Fault
from fal_mcp.json_values import JsonObject, dumped, mapped, object_of, sound, text_of
from fal_mcp.outputs import shortening
from fal_mcp.outputs.outcome import Media, Outcome, Preview
from fal_mcp.text import clean, cut, one_line, readable_size, visible

# A host may fetch or draw each of them.
_MOST_LINKS = 20
_LONGEST_TEXT = 8000
_LONGEST_PLAIN_TEXT = 40_000
_LARGEST_DATA = 600_000
"""Characters of JSON."""
_MOST_ITEMS = 2000
_LONGEST_VALUE = 6000
_LONGEST_NESTED = 600
_LONGEST_SHOWN_URL = 1500
"""Characters: what is signed for a while has its signature in it."""


def render(outcome: Outcome) -> types.CallToolResult:
    """The answer to a call that went well."""
    links = [_link(number, item) for number, item in enumerate(outcome.media[:_MOST_LINKS], 1) if _is_remote(item)]
    return types.CallToolResult(
        content=[
            types.TextContent(text=_plain_text(outcome) if outcome.is_plain else _text(outcome)),
            *(_picture(preview) for preview in outcome.previews),
            *links,
        ],
        # A model's output was cut to a budget before; all else comes here as it was made.
        structured_content=_guarded(outcome) if outcome.is_plain else shown(dict(outcome.data)),
    )


def _plain_text(outcome: Outcome) -> str:
    return cut(visible(outcome.note), _LONGEST_PLAIN_TEXT)


def _text(outcome: Outcome) -> str:
    """The note, the files and the plain values; where not all of them are told, how to have them."""
    values = _values(outcome.data.get("output"), outcome.echoed)
    whole = visible(
        "\n".join(filter(None, [outcome.note, *_files(outcome.media, text_of(outcome.data.get("job_id"))), *values]))
    )
    is_whole = len(whole) <= _LONGEST_TEXT and not any(line.endswith("…") for line in values)
    if is_whole or "output_parts" in outcome.data:
        return cut(whole, _LONGEST_TEXT)
    rest = (
        f"\nNot all of it is told in this text: get_job with job_id {outcome.data.get('job_id')!r} and part 1 has it."
    )
    # Shortened before it is added to: how to have the rest must not be what is cut off.
    return cut(whole, _LONGEST_TEXT - len(rest)) + rest


def shown(data: object) -> Any:
    """`data` as any client can take it: numbers that JSON has, and text without anything invisible and without keys."""
    return mapped(data, _shown_leaf, visible)


def _shown_leaf(value: object) -> Any:
    plain = sound(value)
    return visible(plain) if isinstance(plain, str) else plain


def _guarded(outcome: Outcome) -> JsonObject:
    """Data that came from anywhere but a model's run, whose output is cut to a budget already: nothing invisible in
    it, and never so much that a host refuses the whole answer."""
    return cast(
        JsonObject, shortening.shortened(dict(outcome.data), _LARGEST_DATA, _MOST_ITEMS, _LONGEST_PLAIN_TEXT)[0]
    )


def _picture(preview: Preview) -> types.ImageContent:
    return types.ImageContent(data=base64.b64encode(preview.content).decode(), mime_type=preview.content_type)


def refuse(tool: str, faults: tuple[Fault, ...]) -> types.CallToolResult:
    """The answer to a call whose arguments are wrong; nothing was sent."""
    error = FalError(
        f"The arguments of {tool!r} were refused here, before anything was sent or paid:",
        hint="Correct them and call the tool again.",
        faults=faults,
    )
    return fail(error)


def fail(error: FalError, job_id: str | None = None) -> types.CallToolResult:
    """The answer to a call that went wrong, for the model to read; `job_id` is the job that it asked for."""
    lines = [error.message, *(f"- {fault}" for fault in error.faults if str(fault) not in error.message), error.hint]
    about = {
        "status": "failed",
        "error": {
            "kind": type(error).__name__,
            "message": error.message,
            "faults": [{"path": fault.path, "message": fault.message} for fault in error.faults],
            "http_status": error.status,
            "error_type": error.error_type,
            "retryable": error.retryable,
            "retry_after_s": error.retry_after,
            "hint": error.hint,
        },
        "request_id": error.request_id,
        **({"job_id": job_id} if job_id else {}),
    }
    request = f"Request {error.request_id}." if error.request_id else ""
    # The id in words too: hosts hand their models the text or the data, seldom both.
    if job_id and job_id not in error.hint:
        lines.append(f"Its job is {job_id}.")
    if error.retry_after:
        lines.append(f"Wait {error.retry_after:.0f} s before the next try.")
    text = visible("\n".join(filter(None, [*lines, request])))
    return types.CallToolResult(
        content=[types.TextContent(text=cut(text, _LONGEST_TEXT))],
        structured_content=shown(about),
        is_error=True,
    )


def _files(media: tuple[Media, ...], job_id: str | None) -> list[str]:
    """A line on each file; of one job's, what is not told here is named as other tools take it, for whoever reads the
    text alone."""
    shown = media[:_MOST_LINKS]
    lines = [f"- {_about(item)}: {_address(item, job_id, number)}" for number, item in enumerate(shown, 1)]
    if left := len(media) - len(shown):
        where = "in the structured content"
        named = f"{shortening.reference(job_id, len(shown) + 1)} to {len(media)}, and {where}" if job_id else where
        lines.append(f"- and {left} more: {named}")
    return lines


def _about(item: Media) -> str:
    pixels = f"{item.width}x{item.height}" if item.width and item.height else ""
    size = readable_size(item.size) if item.size else ""
    return ", ".join(filter(None, [item.content_type or item.kind, pixels, size]))


def _address(item: Media, job_id: str | None, number: int) -> str:
    if not _is_remote(item):
        return item.url[:_LONGEST_SHOWN_URL]
    if len(item.url) <= _LONGEST_SHOWN_URL:
        return item.url
    where = "its address is in the structured content"
    return f"{shortening.reference(job_id, number)}; {where}" if job_id else where


def _values(output: object, echoed: frozenset[str]) -> list[str]:
    """The plain values of an output, long ones last: seed, text, counts. What is a file was said already."""
    lines: list[str] = []
    for key, whole in object_of(output).items():
        value = shortening.without_labels(whole)
        if key in echoed or key == "timings" or value is None or value == [] or value == {}:
            continue
        text = clean(value, _LONGEST_VALUE) if isinstance(value, str) else one_line(dumped(value), _LONGEST_NESTED)
        lines.append(f"{one_line(key, 60)}: {text}")
    return sorted(lines, key=lambda line: len(line) > _LONGEST_NESTED)


def _link(number: int, item: Media) -> types.ResourceLink:
    name = one_line(item.url.split("?")[0].rsplit("/", 1)[-1], 80) or f"{item.kind}-{number}"
    return types.ResourceLink(uri=item.url, name=name, mime_type=item.content_type, size=item.size)


def _is_remote(item: Media) -> bool:
    return item.url.startswith(("https://", "http://"))
