"""A variation of an earlier run: the same model and arguments but for what changes, by its job or by the note that lies
beside a file that was saved of it."""

from dataclasses import dataclass

import anyio.to_thread
from pydantic import Field

from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.errors import FalError, InvalidInput, NotFound, NotReadable
from fal_mcp.jobs.job import Job
from fal_mcp.json_values import JsonMapping, JsonObject, NotJson, is_object, object_of, parsed, text_of, whole_number_of
from fal_mcp.machine.readable import Readable, path_in
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs import input_files, with_queue
from fal_mcp.runs.call import Call
from fal_mcp.text import one_line
from fal_mcp.tools import from_function
from fal_mcp.tools.from_function import Arguments
from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets import references
from fal_mcp.toolsets.get_model import endpoint_of
from fal_mcp.toolsets.models import Models

_LONGEST_NOTE = 4_000_000
"""Bytes: arguments may hold a picture."""
_SEED = "seed"
_NO_ARGUMENTS = "Call run_model with all arguments; this server or the job's own was told not to keep them."


class AgainArguments(Arguments):
    job_id: str | None = Field(None, max_length=80)
    file: str | None = Field(None, max_length=4096, description="Or a file saved of it.")
    arguments: JsonObject = Field(default_factory=dict, description="What changes; null removes one.")


@dataclass(frozen=True, slots=True)
class _Earlier:
    """A run as it is known: what it was given, and the seed that it said it took."""

    name: str
    endpoint_id: str
    arguments: JsonObject
    seed: int | None


def tools(models: Models) -> list[Tool]:
    """The tool that varies an earlier run."""

    async def again(arguments: AgainArguments, call: Call) -> Outcome:
        return await _again(models, arguments, call)

    return [
        from_function.tool(
            AgainArguments,
            again,
            name="run_again",
            title="Vary an earlier run",
            description="Runs an earlier job with changes; keeps its seed unless that changes.",
            effect="spends",
            key="user",
            shows_media=True,
        )
    ]


async def _again(models: Models, arguments: AgainArguments, call: Call) -> Outcome:
    earlier = await _earlier(arguments, call)
    endpoint = await endpoint_of(models, earlier.endpoint_id, call)
    changed = {**earlier.arguments, **arguments.arguments}
    is_kept = _keeps_seed(earlier, arguments.arguments, endpoint)
    if is_kept:
        changed[_SEED] = earlier.seed
    given = {name: value for name, value in changed.items() if value is not None}
    prepared = models.prepared(endpoint, given, f"this variation of {earlier.name}")
    # What was put up then stands there by its address.
    input_files.need_addresses(endpoint, prepared.arguments, references.texts(arguments.arguments), earlier.name)
    answer = await with_queue.run_endpoint(endpoint, prepared.arguments, call)
    names = ", ".join(one_line(name, 60) for name in arguments.arguments) or "nothing"
    seed = f"; its seed {earlier.seed} is kept" if is_kept else ""
    return answer.repaired(prepared.notes).with_notes((f"as {earlier.name}, changed: {names}{seed}",))


def _keeps_seed(earlier: _Earlier, changes: JsonMapping, endpoint: Endpoint) -> bool:
    """Whether the seed that fal drew holds for the variation: what somebody changes is to be all that changes. Run
    again as it was, it is to come out another time."""
    takes_one = _SEED in object_of(endpoint.input_schema.get("properties"))
    return bool(changes) and takes_one and earlier.seed is not None and _SEED not in {*changes, *earlier.arguments}


async def _earlier(arguments: AgainArguments, call: Call) -> _Earlier:
    if (arguments.job_id is None) == (arguments.file is None):
        raise InvalidInput("Either job_id or file says what is to be run again.", hint="Give one of them.")
    if arguments.job_id is not None:
        return _of_job(await call.jobs.get(arguments.job_id, call.owner))
    return await _of_file(arguments.file or "", call)


def _of_job(job: Job) -> _Earlier:
    if job.way in ("realtime", "compute"):
        raise InvalidInput(f"{job.job_id!r} is no run of a model that can be repeated ({job.way}).")
    if job.arguments is None:
        raise NotFound(f"The arguments of {job.job_id!r} were not written down.", hint=_NO_ARGUMENTS)
    return _Earlier(job.job_id, job.endpoint_id, job.arguments, whole_number_of((job.output or {}).get(_SEED)))


async def _of_file(given: str, call: Call) -> _Earlier:
    note = await _note(given, call)
    endpoint_id, job_id, arguments = (
        text_of(note.get("endpoint_id")),
        text_of(note.get("job_id")),
        note.get("arguments"),
    )
    if endpoint_id is None:
        raise InvalidInput(f"The note beside {one_line(given, 120)!r} does not say which model made it.")
    if is_object(arguments):
        seed = whole_number_of(note.get(_SEED))
        return _Earlier(job_id or "the saved file's run", endpoint_id, object_of(arguments), seed)
    if job_id is None:
        raise NotFound("The note beside the file has neither arguments nor a job.", hint=_NO_ARGUMENTS)
    return _of_job(await call.jobs.get(job_id, call.owner))


async def _note(given: str, call: Call) -> JsonObject:
    """The note beside a saved file: in the server's output folders, or where files may be read."""
    path = path_in(given)
    if path is None:
        raise InvalidInput(f"{one_line(given, 120)!r} is no path.", hint="Give the path that a run saved a file as.")
    trouble: FalError | None = None
    for readable in await _readers(path, call):
        # The note itself may be named too. First the one beside: a file that was saved may be JSON itself.
        for name in (f"{path}.json", *([path] if path.endswith(".json") else [])):
            try:
                return await anyio.to_thread.run_sync(_read, readable, name)
            except (NotReadable, NotJson) as error:
                trouble = error if isinstance(error, NotReadable) else trouble
    raise NotFound(
        f"There is no note beside {one_line(given, 120)!r} that this server may read.",
        hint="Runs save one beside each file, in the output folder. list_jobs has jobs by their ids.",
    ) from trouble


async def _readers(path: str, call: Call) -> list[Readable]:
    """Who may read the path: the server's own output folders ask nobody, unless they are several people's."""
    folders = [] if call.is_shared else [folder for folder in (call.output, call.kept) if folder is not None]
    own = [Readable([folder.folder]) for folder in folders]
    if mine := [one for one in own if one.allows(path)]:
        return mine
    await input_files.may_read(path, call)
    return [call.readable]


def _read(readable: Readable, path: str) -> JsonObject:
    """Raises NotReadable, and NotJson for what is no note."""
    with readable.opened(path) as file:
        content = file.stream.read(_LONGEST_NOTE)
    return object_of(parsed(content))
