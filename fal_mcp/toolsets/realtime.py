"""Running a model over a realtime connection: a row of inputs at once, or one at a time in a session."""

from pydantic import Field

from fal_mcp.json_values import JsonObject
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs import realtime
from fal_mcp.runs.call import Call
from fal_mcp.tools import from_function
from fal_mcp.tools.from_function import Arguments
from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets.discovery import endpoint_of
from fal_mcp.toolsets.models import Models

MOST_INPUTS = 50
_LONGEST_RUN = 600.0
_LONGEST_ANSWER = 120.0
_LONGEST_IDLE = 300.0


class RunArguments(Arguments):
    endpoint_id: str = Field(min_length=1, max_length=200)
    inputs: list[JsonObject] = Field(min_length=1, max_length=MOST_INPUTS, description="Each input's arguments.")
    seconds: float = Field(50, gt=0, le=_LONGEST_RUN, description="Limit for all answers.")


class OpenArguments(Arguments):
    endpoint_id: str = Field(min_length=1, max_length=200, description="The model's id.")
    idle_seconds: float = Field(60, gt=0, le=_LONGEST_IDLE, description="Closed when nothing was sent for so long.")
    max_buffering: int | None = Field(None, ge=1, le=60, description="Inputs that fal lets wait.")


class SendArguments(Arguments):
    session_id: str = Field(min_length=1, max_length=80)
    arguments: JsonObject = Field(description="The model's own arguments.")
    seconds: float = Field(30, gt=0, le=_LONGEST_ANSWER, description="How long to wait for the answer.")
    newest_wins: bool = Field(False, description="Take the place of a waiting input that said so too.")


class CloseArguments(Arguments):
    session_id: str = Field(min_length=1, max_length=80)


def tools(models: Models) -> list[Tool]:
    """The realtime tools: a row of inputs at once, and a connection that is kept between calls."""

    return [_row_of_inputs(models), *_session(models)]


def _row_of_inputs(models: Models) -> Tool:
    async def run(arguments: RunArguments, call: Call) -> Outcome:
        endpoint = await endpoint_of(models, arguments.endpoint_id, call, "realtime")
        # Every input is checked before the first is sent: what was sent is paid for.
        checked = [
            models.prepared(endpoint, given, f"input {number}", "realtime").arguments
            for number, given in enumerate(arguments.inputs, 1)
        ]
        return await realtime.run(endpoint, checked, call, min(arguments.seconds, call.wait))

    return from_function.tool(
        RunArguments,
        run,
        name="run_realtime",
        title="Run inputs over a realtime connection",
        description="Runs inputs in order over one fast connection, for models made for realtime. Costs what as "
        "many runs cost; what was sent is paid for, also when it is cut short.",
        effect="spends",
        key="user",
    )


def _session(models: Models) -> list[Tool]:
    async def open_(arguments: OpenArguments, call: Call) -> Outcome:
        return await _open(models, arguments, call)

    async def send(arguments: SendArguments, call: Call) -> Outcome:
        return await _send(models, arguments, call)

    return [
        from_function.tool(
            OpenArguments,
            open_,
            name="realtime_open",
            title="Open a realtime session",
            description="Opens a connection to a model made for realtime and keeps it warm for realtime_send. At most "
            "4 at once. Answers are not kept.",
            effect="spends",
            key="user",
        ),
        from_function.tool(
            SendArguments,
            send,
            name="realtime_send",
            title="Send an input in a realtime session",
            description="Sends one input and answers with its output, which is not kept. Costs what a run of the model "
            "costs. One is at work at a time, and at most 8 wait.",
            effect="spends",
            key="user",
        ),
        from_function.tool(
            CloseArguments,
            _close,
            name="realtime_close",
            title="Close a realtime session",
            description="Closes a realtime session; what waits in it is not sent.",
            effect="writes",
            key="user",
        ),
    ]


async def _open(models: Models, arguments: OpenArguments, call: Call) -> Outcome:
    endpoint = await endpoint_of(models, arguments.endpoint_id, call, "realtime")
    session = await realtime.opened(endpoint, call, arguments.idle_seconds, arguments.max_buffering)
    data = {"session_id": session.session_id, "job_id": session.job.job_id, "endpoint_id": endpoint.endpoint_id}
    note = (
        f"A session of {endpoint.endpoint_id} is open: call realtime_send with session_id {session.session_id!r}. It "
        f"is closed when nothing was sent for {session.idle:g} s."
    )
    return Outcome(data={"status": "open", **data}, note=note, is_plain=True)


async def _send(models: Models, arguments: SendArguments, call: Call) -> Outcome:
    session = call.sessions().get(arguments.session_id, call.owner)
    endpoint = await endpoint_of(models, session.job.endpoint_id, call, "realtime")
    checked = models.prepared(endpoint, arguments.arguments, "the input", "realtime").arguments
    return await realtime.sent(endpoint, session, checked, call, arguments.seconds, arguments.newest_wins)


async def _close(arguments: CloseArguments, call: Call) -> Outcome:
    session = call.sessions().get(arguments.session_id, call.owner)
    await call.sessions().close(session)
    data = {"status": "closed", "session_id": session.session_id, "answered": session.answered}
    return Outcome(data=data, note=f"Closed after {session.answered} answers.", is_plain=True)
