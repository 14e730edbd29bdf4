"""MCP tasks (extension io.modelcontextprotocol/tasks, SEP-2663): a call that takes long goes on as a task.

The server decides, for clients that declare the extension with the call. Where the call began a paid job, the task's
id is the job's, so that it is found again after a restart of either side; the rest lives as long as the server.
"""

import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Literal

import anyio
import anyio.abc
import mcp_types as types
from mcp.shared.exceptions import MCPError
from pydantic import Field

from fal_mcp.json_values import JsonMapping, JsonObject

EXTENSION = "io.modelcontextprotocol/tasks"
_MISSING_CAPABILITY, _HEADER_MISMATCH, _INVALID_PARAMS, _INTERNAL = -32021, -32020, -32602, -32603
# Seconds; a paid job is found in the ledger for longer.
_KEPT = 24 * 3600.0
_POLL_MS = 3000
_MOST_KEPT = 1000

logger = logging.getLogger("fal_mcp")
Status = Literal["working", "input_required", "completed", "failed", "cancelled"]
Result = types.CallToolResult | types.InputRequiredResult


class TaskParams(types.RequestParams):
    """What every task method is told."""

    task_id: str = Field(alias="taskId", max_length=200)


class UpdateParams(TaskParams):
    """Answers to what a task asked."""

    input_responses: JsonObject = Field(default_factory=JsonObject, alias="inputResponses")


class Run:
    """One call that may become a task. `task_id` may still change, to its job's, until the task was handed out."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.task_id = secrets.token_urlsafe(18)
        self.status: Status = "working"
        self.message = ""
        self.result: Result | None = None
        self.error: JsonObject | None = None
        self.created = self.updated = time.time()
        self.is_task = False
        self.over = anyio.Event()
        self.scope = anyio.CancelScope()
        self.asked: JsonObject = {}
        self._answers: JsonObject = {}
        self._open: dict[str, anyio.Event] = {}

    async def ask(self, request: JsonMapping) -> Any:
        """Put a question to the client and wait for its answer; several may be open at once."""
        key = secrets.token_hex(8)
        answered = self._open[key] = anyio.Event()
        self.asked[key] = request
        self.set("input_required")
        try:
            await answered.wait()
            return self._answers.pop(key)
        finally:
            self.asked.pop(key, None)
            self._open.pop(key, None)
            if not self.asked and not self.is_over:
                self.set("working")

    def answer(self, responses: JsonMapping) -> None:
        """Take answers to open questions; what nobody asked is left aside."""
        # Taken out at once: an answer that is sent twice answers nothing twice.
        for key in [key for key in responses if key in self.asked]:
            del self.asked[key]
            self._answers[key] = responses[key]
            self._open[key].set()

    def set(self, status: Status, message: str | None = None) -> None:
        """Another status, or another word on it."""
        self.status, self.updated = status, time.time()
        if message is not None:
            self.message = message

    @property
    def is_over(self) -> bool:
        return self.status in ("completed", "failed", "cancelled")


class Tasks:
    """The calls that became tasks. `find_job` reads a task whose run is gone; `cancel_job` cancels its paid job;
    `owner` is whose call this is."""

    def __init__(
        self,
        tasks: anyio.abc.TaskGroup,
        find_job: Callable[[str], Awaitable[JsonObject | None]],
        cancel_job: Callable[[str], Awaitable[None]],
        owner: Callable[[], str],
    ) -> None:
        self._tasks = tasks
        self._find_job = find_job
        self._cancel_job = cancel_job
        self._owner = owner
        self._runs: dict[str, Run] = {}

    async def call(self, work: Callable[[Run], Awaitable[Result]], grace: float) -> Any:
        """Do `work`: its result where that comes within `grace` seconds, else a task."""
        run = Run(self._owner())
        # In the server's group from the first moment: a task that begins within its call would end with it.
        self._tasks.start_soon(self._work, run, work)
        try:
            with anyio.move_on_after(grace):
                await run.over.wait()
        except anyio.get_cancelled_exc_class():
            run.scope.cancel()
            raise
        if run.over.is_set():
            return self._direct(run)
        run.is_task = True
        self._keep(run)
        return {"resultType": "task", **_about(run)}

    async def get(self, task_id: str) -> JsonObject:
        """How a task stands, with its result where there is one."""
        run = self._run(task_id)
        if run is None:
            return {"resultType": "complete", **await self._job(task_id)}
        return {"resultType": "complete", **_detailed(run)}

    async def update(self, task_id: str, responses: JsonMapping) -> JsonObject:
        """Hand a task the answers to its questions."""
        run = self._run(task_id)
        if run is None:
            await self._job(task_id)
        else:
            run.answer(responses)
        return {"resultType": "complete"}

    async def cancel(self, task_id: str) -> JsonObject:
        """Cancel a task, and its paid job at fal; one that is over stays as it is."""
        run = self._run(task_id)
        if run is None:
            await self._job(task_id)
        # The job first: a run that is cancelled lets go of its job, which may then go on and cost.
        if run is None or not run.is_over:
            await self._cancel_job(task_id)
        if run is not None and not run.is_over:
            run.set("cancelled")
            run.scope.cancel()
        return {"resultType": "complete"}

    async def _work(self, run: Run, work: Callable[[Run], Awaitable[Result]]) -> None:
        with run.scope:
            try:
                run.result = await work(run)
                self._settle(run, "completed")
            except MCPError as error:
                run.error = {"code": error.error.code, "message": error.error.message}
                self._settle(run, "failed")
            except Exception:
                logger.exception("A task failed.")
                run.error = {"code": _INTERNAL, "message": "The task failed inside this server; its log says why."}
                self._settle(run, "failed")
        if not run.is_over:
            run.set("cancelled")
        run.over.set()

    @staticmethod
    def _settle(run: Run, status: Status) -> None:
        # A result that comes while it is being cancelled does not bring it back: the client was told.
        if run.status != "cancelled":
            run.set(status)

    @staticmethod
    def _direct(run: Run) -> Result:
        if run.error is not None:
            raise MCPError(run.error["code"], run.error["message"])
        assert run.result is not None
        return run.result

    def _keep(self, run: Run) -> None:
        now = time.time()
        gone = [key for key, other in self._runs.items() if other.is_over and other.updated < now - _KEPT]
        oldest = [key for key, other in self._runs.items() if other.is_over][: max(len(self._runs) - _MOST_KEPT, 0)]
        # Only what is over: a task that works is somebody's, however many there are.
        for key in {*gone, *oldest}:
            del self._runs[key]
        self._runs[run.task_id] = run

    def _run(self, task_id: str) -> Run | None:
        # Another's is looked for in the ledger, like one that there never was.
        run = self._runs.get(task_id)
        return run if run is not None and run.owner == self._owner() else None

    async def _job(self, task_id: str) -> JsonObject:
        task = await self._find_job(task_id)
        if task is None:
            raise MCPError(_INVALID_PARAMS, "There is no such task.", {"taskId": task_id[:200]})
        return task


def declared(ctx: Any) -> bool:
    """Whether this request's client takes tasks: revision 2026-07-28, and the extension declared with the request."""
    capabilities = ctx.session.client_capabilities
    extensions: JsonObject = (capabilities.extensions or {}) if capabilities is not None else {}
    return str(ctx.protocol_version) >= "2026" and EXTENSION in extensions


def need_declared(ctx: object) -> None:
    """Refuse a client that does not take tasks what only tasks can give.

    Raises:
        MCPError: -32021, with the capability it lacks.
    """
    if not declared(ctx):
        required: JsonObject = {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}
        raise MCPError(_MISSING_CAPABILITY, "This needs the MCP tasks extension.", required)


def check(ctx: Any, params: TaskParams) -> None:
    """Refuse a client without tasks, and over HTTP a request whose name header is not its task's (SEP-2243).

    Raises:
        MCPError: which of the two.
    """
    need_declared(ctx)
    if ctx.request is not None and ctx.request.headers.get("mcp-name") != params.task_id:
        raise MCPError(_HEADER_MISMATCH, "The Mcp-Name header is not the task's id.")


def described(
    task_id: str, status: Status, created: float, updated: float, message: str = "", **more: object
) -> JsonObject:
    """A task as the wire has it."""
    about: JsonObject = {
        "taskId": task_id,
        "status": status,
        "createdAt": _stamp(created),
        "lastUpdatedAt": _stamp(updated),
        "ttlMs": int(_KEPT * 1000),
        "pollIntervalMs": _POLL_MS,
    }
    return {**about, **({"statusMessage": message} if message else {}), **more}


def inlined(result: types.CallToolResult) -> JsonObject:
    """A result inside a task."""
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)


def _about(run: Run) -> JsonObject:
    return described(run.task_id, run.status, run.created, run.updated, run.message)


def _detailed(run: Run) -> JsonObject:
    more: JsonObject = {}
    if run.status == "completed" and isinstance(run.result, types.CallToolResult):
        more["result"] = inlined(run.result)
    if run.status == "failed":
        more["error"] = run.error
    if run.status == "input_required":
        more["inputRequests"] = dict(run.asked)
    return {**_about(run), **more}


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
