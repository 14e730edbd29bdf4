"""What happens when a host calls a tool.

The one `except Exception` stands here: on 2025-era connections a handler's exception reaches the client with its
text, keys and all.
"""

import logging
from collections.abc import Mapping
from typing import Any

import anyio.to_thread
import mcp_types as types
from mcp.shared.exceptions import MCPError

from fal_mcp import logs
from fal_mcp.client.hints import ADMIN_HINT, NO_ADMIN_KEY
from fal_mcp.config import Settings
from fal_mcp.errors import FalError, Fault, NotAuthorised, RequestRejected, ServiceFailed
from fal_mcp.jobs.outgoing import IsOut, unseen
from fal_mcp.jobs.progress import Report
from fal_mcp.json_values import JsonMapping, dumped, is_list, is_object, values_in
from fal_mcp.runs.call import Call
from fal_mcp.server import client_shapes, results, tasks
from fal_mcp.server.elicitation import InputNeeded, asker, secret_asker
from fal_mcp.server.shared import Shared
from fal_mcp.server.tasks import Run
from fal_mcp.server.web import needed_scope, visit
from fal_mcp.text import one_line
from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets.toolbox import Toolbox

_INVALID_PARAMS = -32602
_MOST_VALUES = 20_000
"""No model takes nearly as many, and each is looked at several times."""
_MOST_AT_ONCE = 1000
_TOO_MANY = f"holds more than {_MOST_VALUES:,} values; give what is large as a file, or in several calls"
_AS_LONG_AS_IT_TAKES = 24 * 3600.0

logger = logging.getLogger("fal_mcp")


async def call_tool(ctx: Any, params: types.CallToolRequestParams, came: float) -> Any:
    """One call, from its name to its answer; a task where it takes long and the client takes tasks. `came` is when it
    came, by `time.monotonic`.

    Raises:
        MCPError: there is no tool of that name, or it needs what the client lacks.
    """
    shared: Shared = ctx.lifespan_context
    box = shared.tools
    try:
        tool = await box.named(params.name, lambda: shared.fal)
    except FalError as error:
        return results.fail(error)
    if tool is None:
        raise MCPError(_INVALID_PARAMS, _unknown(params.name, box))
    # Before anything is begun: what only a task can end would be paid for and never heard of.
    if tool.needs_task:
        tasks.need_declared(ctx)
    # Over HTTP each request has an id of its own already.
    with logs.about(**({"request_id": str(ctx.request_id)} if ctx.request is None else {})):
        return await _called(ctx, params, tool, Asked(came))


async def _called(ctx: Any, params: types.CallToolRequestParams, tool: Tool, asked: "Asked") -> Any:
    # Made before and not where the call runs: that its answer arrived is only known after it.
    if not tasks.declared(ctx):
        return client_shapes.shaped(ctx, asked.on_its_way(await _answer(ctx, params, tool, None, asked), _is_out(ctx)))

    async def work(run: Run) -> tasks.Result:
        return await _answer(ctx, params, tool, run, asked)

    shared: Shared = ctx.lifespan_context
    grace = 0.0 if tool.needs_task else shared.settings.task_grace
    return asked.on_its_way(await shared.long_calls.call(work, grace), _is_out(ctx))


class Asked:
    """What a call asked for, and whether anybody gets its answer."""

    def __init__(self, came: float) -> None:
        self.came = came
        self.call: Call | None = None
        self._is_left = False

    @property
    def job_id(self) -> str | None:
        """The one job that it asked for."""
        jobs = list(self.call.asked_for) if self.call is not None else []
        return jobs[0] if len(jobs) == 1 else None

    def on_its_way(self, answer: object, is_out: IsOut) -> Any:
        """The answer, which goes to the client now. What was refused, failed or asks a question answers nothing."""
        # What is no result of a tool is a task, and being told of the task is an answer to the call.
        is_answer = not answer.is_error if isinstance(answer, types.CallToolResult) else isinstance(answer, Mapping)
        if self.call is not None and is_answer and not self._is_left:
            is_open = _is_open(answer)
            if self.call.asked_for:
                self.call.jobs.answering(self.call.asked_for, self.call.call_id, is_out, is_open=is_open)
            if self.call.looked_at:
                self.call.jobs.answering(self.call.looked_at, "", is_out, is_open=is_open)
        return answer

    async def is_left(self) -> None:
        """The call ended, and nobody gets its answer: who asks again is owed it."""
        self._is_left = True
        if self.call is not None and self.call.asked_for:
            await self.call.jobs.left(self.call.asked_for, self.call.call_id)


def _is_open(answer: object) -> bool:
    """Whether an answer says only that its job goes on."""
    data = answer.structured_content if isinstance(answer, types.CallToolResult) else None
    return is_object(data) and data.get("status") in ("in_progress", "unknown")


async def _answer(
    ctx: Any, params: types.CallToolRequestParams, tool: Tool, run: Run | None, asked: Asked
) -> tasks.Result:
    is_answered = False
    try:
        answer = await _result(ctx, params, tool, run, asked)
        is_answered = isinstance(answer, types.CallToolResult) and not answer.is_error and not _is_gone(ctx, run)
        return answer
    finally:
        # Also where the call is cancelled: the same call again then gets this job and not another.
        if not is_answered:
            await asked.is_left()


def _is_gone(ctx: Any, run: Run | None) -> bool:
    """Whether the answer reaches nobody: in the revisions before 2026 a call goes on when its connection breaks, and
    what it comes to is written to nowhere. What became a task is asked for over another connection."""
    is_task = run is not None and run.is_task
    return ctx.request is not None and not is_task and visit.of(ctx.request.scope).is_over


def _is_out(ctx: Any) -> IsOut:
    """What says whether this call's answer went out, where its connection can tell."""
    here = None if ctx.request is None else visit.known(ctx.request.scope)
    return unseen if here is None else lambda: here.is_out


async def _result(
    ctx: Any, params: types.CallToolRequestParams, tool: Tool, run: Run | None, asked: Asked
) -> tasks.Result:
    shared: Shared = ctx.lifespan_context

    def began(job_id: str) -> None:
        # While its id was told to nobody it may still become the job's, which outlives this server.
        if run is not None and not run.is_task:
            run.task_id = job_id

    try:
        _check_allowed(tool, shared.settings)
        needed_scope.check_tool(tool.name, shared.tools)
        given = params.arguments or {}
        size = _size(given)
        if size > _MOST_VALUES:
            return results.refuse(tool.name, (Fault("$", _TOO_MANY),))
        # First of all: text with half a character can be neither sent, nor written into the ledger, nor shown.
        if halves := _half_characters(given, "$"):
            return results.refuse(tool.name, tuple(halves))
        # Checking so many takes as long as other calls would stand still.
        is_small = size <= _MOST_AT_ONCE
        prepared = tool.prepare(given) if is_small else await anyio.to_thread.run_sync(tool.prepare, given)
        if prepared.faults:
            return results.refuse(tool.name, prepared.faults)
        await shared.account.know()
        call = asked.call = shared.call(
            tell=_teller(ctx, run),
            ask=asker(ctx, params, run, shared.is_first),
            ask_secret=secret_asker(ctx, params, run, lambda: shared.secret_pages),
            # A task holds no line, so that nothing presses it.
            wait=shared.settings.wait if run is None else _AS_LONG_AS_IT_TAKES,
            connection=_connection(ctx, shared),
            came=asked.came,
            began=began,
            # By which the ledger finds its job again, at whatever server, where its task was told before it began.
            **({} if run is None else {"call_id": run.task_id}),
        )
        outcome = await tool.run(prepared.arguments, call)
        return results.render(outcome.repaired(prepared.notes))
    except InputNeeded as needed:
        return needed.result
    except MCPError:
        raise
    except FalError as error:
        return results.fail(error, asked.job_id)
    except Exception:
        # The text goes to the log alone: a library's exception may hold a path, an address with a token, or arguments.
        logger.exception("The call of %r failed.", tool.name)
        return results.fail(_inner_fault(tool), asked.job_id)


def _inner_fault(tool: Tool) -> ServiceFailed:
    look = "A job may be running: list_jobs shows it. Look there before you repeat it."
    hint = look if tool.effect == "spends" else "Whoever runs the server can find the reason there."
    message = f"The call of {tool.name!r} failed inside this server; its log has the details."
    return ServiceFailed(message, retryable=False, hint=hint)


def _connection(ctx: Any, shared: Shared) -> str:
    """What tells this client's connection from others; empty over HTTP without a session, where nothing does."""
    # Over standard input there is one client for the life of the process.
    if ctx.request is None:
        return f"{shared.server_id}:stdio"
    session_id: str | None = ctx.request.headers.get("mcp-session-id")
    return f"{shared.server_id}:{session_id}" if session_id else ""


def _check_allowed(tool: Tool, settings: Settings) -> None:
    """Refuse what the settings forbid, or what there is no key for, before anything is looked at.

    Raises:
        RequestRejected: the setting or the key, and what to do.
    """
    if settings.read_only and tool.effect != "reads":
        hint = "Nothing was sent. Only tools that read are offered here."
        raise RequestRejected(f"This server was started with --read-only, and {tool.name!r} does more.", hint=hint)
    if tool.key == "admin" and settings.admin_key is None:
        raise NotAuthorised(NO_ADMIN_KEY, hint=ADMIN_HINT)


def _size(arguments: JsonMapping) -> int:
    """How many values there are at any depth, counted until they are too many."""
    count = 0
    left: list[object] = [arguments]
    while left and count <= _MOST_VALUES:
        value = left.pop()
        inner = values_in(value)
        count += len(inner)
        left += inner
    return count


def _half_characters(value: object, path: str) -> list[Fault]:
    """A fault for each text with half a character in it, such as an emoji that was cut: no model can be sent that."""
    faults: list[Fault] = []
    # By a list of its own: what is nested too deep for calls within calls is refused by the next who looks, by name.
    left: list[tuple[object, str]] = [(value, path)]
    while left:
        part, place = left.pop()
        if isinstance(part, str):
            if not part.isascii() and any("\ud800" <= character <= "\udfff" for character in part):
                message = "holds half a character (a lone surrogate); send the text with whole characters"
                faults.append(Fault(place, message))
        elif is_object(part):
            named = [(f"{place}.{dumped(key)[1:-1]}", key, each) for key, each in part.items()]
            left += [(each, name) for name, *both in reversed(named) for each in reversed(both)]
        elif is_list(part):
            left += [(item, f"{place}[{number}]") for number, item in reversed(list(enumerate(part)))]
    return faults


def _teller(ctx: Any, run: Run | None) -> Any:
    last = 0.0

    async def tell(report: Report) -> None:
        nonlocal last
        # Uploads and the job report one after the other, and what a host hears must only grow.
        last = max(report.progress, last + 0.001)
        # A task that waits for its user's answer goes on waiting, whatever its other work reports.
        if run is not None and not run.asked:
            run.set("working", report.message)
        # A task that was handed out is asked about, and told nothing by itself.
        if run is None or not run.is_task:
            await ctx.session.report_progress(last, report.total, report.message)

    return tell


def _unknown(name: str, tools: Toolbox) -> str:
    catalog = tools.catalog
    if toolset := tools.toolset_of(name):
        return f"The tool {name!r} is of the toolset {toolset!r}, which is off here: --toolsets turns it on."
    if reason := catalog.problem_of_tool(name):
        return f"There is no tool {one_line(name, 100)!r}: fal's document of it cannot be used. {one_line(reason, 300)}"
    near = catalog.near(name)
    meant = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return f"Unknown tool: {one_line(name, 100)!r}.{meant} search_models finds models by what they do."
