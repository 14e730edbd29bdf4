"""Jobs as resources: how one stands, its output in parts, and each of its files."""

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread
import mcp_types as types
from mcp.shared.exceptions import MCPError

from fal_mcp.errors import FalError, NotFound
from fal_mcp.jobs.job import Job
from fal_mcp.json_values import dumped, place_of
from fal_mcp.outputs import data_uris, media
from fal_mcp.outputs.outcome import Media
from fal_mcp.runs import answers
from fal_mcp.server.resources import contents

if TYPE_CHECKING:
    from fal_mcp.server.shared import Shared

PREFIX = "fal://jobs/"
_LARGEST = 700_000
"""Bytes of a file that is read whole: one mebibyte of a host's answer as base64, with room."""


def templates() -> list[types.ResourceTemplate]:
    """What there is for each job."""
    return [
        types.ResourceTemplate(
            uri_template="fal://jobs/{job_id}",
            name="job",
            title="A job",
            description="How a run stands, or its result.",
            mime_type=contents.JSON,
        ),
        types.ResourceTemplate(
            uri_template="fal://jobs/{job_id}/output/{part}",
            name="output",
            title="A part of a job's output",
            description="The output's JSON in parts, from 1; all of them together are the whole.",
            mime_type="text/plain",
        ),
        types.ResourceTemplate(
            uri_template="fal://jobs/{job_id}/files/{number}",
            name="file",
            title="A job's file",
            description="A file that came out, from 1, where it is small enough to be read whole.",
        ),
    ]


async def read(shared: "Shared", uri: str) -> types.ReadResourceResult:
    """The resource of a job at `uri`.

    Raises:
        MCPError: there is none, with the reason.
    """
    try:
        match uri.removeprefix(PREFIX).split("/"):
            case [job_id]:
                return await _job(shared, uri, await shared.jobs.get(job_id, shared.owner))
            case [job_id, "output", part] if part.isdecimal():
                return await _part(shared, uri, await shared.jobs.get(job_id, shared.owner), place_of(part))
            # By the owner each time: an id that somebody guessed or read in a log opens nothing.
            case [job_id, "files", number] if number.isdecimal():
                return await _file(shared, uri, await shared.jobs.get(job_id, shared.owner), place_of(number))
            case _:
                raise contents.missing(uri)
    except NotFound as error:
        raise contents.missing(uri) from error
    except FalError as error:
        raise contents.failed(uri, error) from error


async def _job(shared: "Shared", uri: str, job: Job) -> types.ReadResourceResult:
    call = shared.unheard()
    outcome = await answers.outcome(job, call)
    shared.jobs.answering([job.job_id])
    return contents.text(uri, dumped(dict(outcome.data)))


async def _part(shared: "Shared", uri: str, job: Job, number: int) -> types.ReadResourceResult:
    text, count = await answers.part(job, number, shared.jobs)
    if not 1 <= number <= count:
        raise contents.missing(uri)
    return contents.text(uri, text, "text/plain")


async def _file(shared: "Shared", uri: str, job: Job, number: int) -> types.ReadResourceResult:
    files = media.find(await shared.jobs.output(job))
    if not 1 <= number <= len(files):
        raise contents.missing(uri)
    item = files[number - 1]
    content = await _content(shared, job, item, uri)
    if content is None:
        where = f"get_job with job_id {job.job_id!r} says where" if item.url.startswith("data:") else item.url
        message = f"The file is larger than {_LARGEST:,} bytes or not on fal's hosts; it is elsewhere: {where}."
        raise MCPError(contents.INVALID_PARAMS, message, {"uri": uri})
    blob = base64.b64encode(content).decode()
    blob_contents = types.BlobResourceContents(uri=uri, blob=blob, mime_type=item.content_type)
    return types.ReadResourceResult(contents=[blob_contents])


async def _content(shared: "Shared", job: Job, item: Media, uri: str) -> bytes | None:
    # The disk before the network: fal's copy may have expired.
    saved = (job.saved or {}).get(item.url) or (job.saved or {}).get(uri)
    if saved is not None and (content := await anyio.to_thread.run_sync(_on_disk, Path(saved))) is not None:
        return content
    if item.url.startswith("data:"):
        content = await anyio.to_thread.run_sync(data_uris.content, item.url, _LARGEST * 4)
        return content if content is not None and len(content) <= _LARGEST else None
    return await shared.fal.media.read(item.url, _LARGEST) if shared.fal.media.is_fals(item.url) else None


def _on_disk(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.stat().st_size <= _LARGEST else None
    except OSError:
        return None
