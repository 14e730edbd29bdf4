"""Plays one scenario against the local fal, and holds what came of it against fal's own count of jobs and its bill."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.abc
import mcp_types as types
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from fal_mcp import bundled
from fal_mcp.config import Hosts, Settings
from fal_mcp.emulator import Emulator
from fal_mcp.emulator.job import Job
from fal_mcp.server import app
from tests.faults.scenario import SCRIPTS, Asking, Scenario
from tests.faults.steps import FaultyWire
from tests.faults.wire import ROOT

KEY = "11111111-2222-4333-8444-555555555555:0123456789abcdef0123456789abcdef"
ENDPOINT, TOOL = "fal-ai/flux/dev", "fal-ai_flux_dev"
MODELS = bundled.schemas() / "models"
WAIT = 50.0
LATEST = WAIT + 20.0
"""Seconds; no call may be answered later, whatever fal says about when to ask again."""
_PATIENCE = 3000.0
_A_LONG_PAUSE = 400.0
_BETWEEN_CALLS = 0.5
"""Seconds that any model takes to read an answer: so long an answer counts as on its way."""
_AFTER_IT_ALL = 900.0
_WAITS_AT_THE_END = 8
_CENT = 1e-6
_NO_PROCESS = 2**22 + 1
_OUTPUT: dict[str, Any] = {
    "images": [{"url": f"{ROOT}/cdn/files/b/x/y.png", "content_type": "image/png", "width": 1000, "height": 1000}],
    "seed": 7,
}
"""What the model answers; its picture is nowhere, because drawing one takes longer than all the rest."""
_INTERNAL = ("failed inside this server", "this server lost the job", "traceback (most recent")


@dataclass(slots=True)
class Answer:
    """What one call came to: its result, None where nobody heard one, and how long it took."""

    asking: Asking
    seconds: float
    result: types.CallToolResult | None = None

    @property
    def data(self) -> dict[str, Any]:
        return data_of(self.result) if self.result else {}

    @property
    def status(self) -> str:
        return str(self.data.get("status", "error" if self.result else "nothing"))

    @property
    def text(self) -> str:
        return text_of(self.result) if self.result else ""


def data_of(result: types.CallToolResult) -> dict[str, Any]:
    """What a result says to programs."""
    return cast(dict[str, Any], result.structured_content or {})


def text_of(result: types.CallToolResult) -> str:
    """What a result says to people."""
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


async def play(scenario: Scenario, folder: Path) -> list[str]:
    """What went wrong with it; nothing, where everything held."""
    problems: list[str] = []
    async with anyio.create_task_group() as tasks:
        try:
            with anyio.fail_after(20 * _PATIENCE):
                await Stage(scenario, folder, tasks, problems).play()
        except TimeoutError:
            problems.append("it never came to an end")
        tasks.cancel_scope.cancel()
    return problems


class Stage:
    """One scenario while it is played."""

    def __init__(self, scenario: Scenario, folder: Path, tasks: anyio.abc.TaskGroup, problems: list[str]) -> None:
        self.scenario = scenario
        self.problems = problems
        self.answers: list[Answer] = []
        self.fal = Emulator(models_dirs=(), keys={KEY})
        self.fal.documents = _documents()
        self.fal.tasks = tasks
        self._tasks, self._folder, self._life = tasks, folder, 0
        self._rules = [trouble.rule() for trouble in scenario.troubles]
        self._allowed = 1
        self._was_cancelled = False
        script = SCRIPTS[scenario.script]
        self.fal.script(ENDPOINT, replace(script, keeps_payloads=scenario.keeps_payloads, output=_OUTPUT))

    async def play(self) -> None:
        """From the first call to the last check."""
        askings, is_over = list(self.scenario.askings), False
        while not is_over:
            wire = FaultyWire(self.fal, self._tasks, self._rules)
            try:
                async with Client(self._server(wire), mode="auto" if self.scenario.is_modern else "legacy") as client:
                    while askings:
                        asking = askings.pop(0)
                        if not await self._ask(asking, client, wire):
                            break
                    else:
                        await self._finish(client)
                        is_over = True
            except Exception as error:
                self.problems.append(f"dead server: {error!r}"[:300])
                return

    def _server(self, wire: FaultyWire) -> Any:
        settings = Settings(
            key=KEY,
            hosts=Hosts.at(ROOT),
            models=MODELS,
            toolsets=("models", "jobs"),
            # Its client reads the whole list before the first call.
            listed=("search",),
            data=self._folder / f"life-{self._life}",
            wait=WAIT,
            on_disconnect="detach" if self.scenario.is_left_to_run else "cancel",
        )
        return app.build(settings, wire)

    async def _ask(self, asking: Asking, client: Client, wire: FaultyWire) -> bool:
        """One call; False where its server is gone afterwards."""
        if self.answers:
            self._allow(self.answers[-1])
        answer = Answer(asking, 0.0)
        self.answers.append(answer)
        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:

            async def call() -> None:
                try:
                    answer.result = await self._call(client)
                except MCPError as error:
                    self.problems.append(f"the protocol's error in place of an answer: {error}")
                answer.seconds = anyio.current_time() - began
                tasks.cancel_scope.cancel()

            tasks.start_soon(call)
            await anyio.sleep(_PATIENCE if asking.ends == "heard" else asking.after)
            if asking.ends == "killed":
                self._kill(wire)
            tasks.cancel_scope.cancel()
        if asking.ends == "killed" and answer.result is not None:
            self._kill(wire)
        self._check(answer)
        if asking.ends in ("killed", "stopped"):
            if asking.ends == "stopped":
                self._life_goes_on()
            return False
        await anyio.sleep(_BETWEEN_CALLS)
        await self._then(answer, client)
        return True

    async def _call(self, client: Client) -> types.CallToolResult:
        wish: dict[str, Any] = {"prompt": "a red bicycle", "image_size": {"width": 1000, "height": 1000}}
        if self.scenario.is_repeatable:
            wish["seed"] = 7
        model: dict[str, Any] = {"endpoint_id": ENDPOINT, "arguments": wish}
        match self.scenario.door:
            case "its own tool":
                return await client.call_tool(TOOL, wish)
            case "run_model":
                return await client.call_tool("run_model", model)
            case "run_model without waiting":
                return await client.call_tool("run_model", {**model, "seconds": 0})
            case "sync" | "stream" as mode:
                return await client.call_tool("run_model", {**model, "mode": mode})

    def _allow(self, answer: Answer) -> None:
        """Another call may be another job where the one before it was answered."""
        is_open = answer.status == "in_progress" and not self.scenario.is_repeatable
        if answer.status == "completed" or is_open or answer.asking.then == "a cancellation":
            self._allowed += 1

    async def _then(self, answer: Answer, client: Client) -> None:
        job_id = answer.data.get("job_id")
        match answer.asking.then:
            case "a wait that is given up" if job_id:
                before = {job.request_id for job in self.fal.jobs.values() if job.cancelled}
                with anyio.move_on_after(answer.asking.after):
                    heard = await client.call_tool("wait_for_job", {"job_id": job_id})
                    # It was not given up, then: whoever asks again wants another.
                    self._allowed += data_of(heard).get("status") == "completed"
                await anyio.sleep(30)
                if {job.request_id for job in self.fal.jobs.values() if job.cancelled} - before:
                    self.problems.append("a wait that was given up cancelled the job")
            case "a cancellation" if job_id:
                self._was_cancelled = True
                self._heard("cancel_job", await client.call_tool("cancel_job", {"job_id": job_id}))
            case "a long pause":
                await anyio.sleep(_A_LONG_PAUSE)
            case _:
                pass

    def _kill(self, wire: FaultyWire) -> None:
        """What was on the disk stays there, and what was under way goes nowhere: it is another server's from here."""
        wire.cut()
        old = self._folder / f"life-{self._life}"
        new = self._folder / f"life-{self._life + 1}"
        if old.exists():
            shutil.copytree(old, new)
        self._life += 1
        self._bury(new)

    def _life_goes_on(self) -> None:
        self._bury(self._folder / f"life-{self._life}")

    def _bury(self, folder: Path) -> None:
        """Both servers are one process here; the ledger must not take the dead one for alive."""
        for file in folder.glob("*.sqlite3"):
            with closing(sqlite3.connect(file)) as database, database:
                columns = [row[1] for row in database.execute("PRAGMA table_info(job)")]
                if "process" in columns:
                    database.execute("UPDATE job SET process = ?", (_NO_PROCESS,))

    def _check(self, answer: Answer) -> None:
        if answer.result is None:
            return
        self._heard("the call", answer.result)
        is_queued = self.scenario.door not in ("sync", "stream")
        if is_queued and answer.seconds > LATEST:
            self.problems.append(f"answered after {answer.seconds:.0f} s")
        good = [job for job in self.fal.jobs.values() if job.failure is None]
        if answer.result.is_error and good and not answer.data.get("job_id"):
            self.problems.append(f"an error without a job_id while fal has the job: {answer.text[:160]!r}")

    def _heard(self, what: str, result: types.CallToolResult) -> str:
        text = text_of(result)
        if any(words in text.casefold() for words in _INTERNAL):
            self.problems.append(f"internal error of {what}: {text[:200]!r}")
        return text

    async def _finish(self, client: Client) -> None:
        """The faults end; after a while everything that fal did must be had, and be on the books."""
        self._rules.clear()
        self.fal.release()
        await anyio.sleep(_AFTER_IT_ALL)
        for _ in range(_WAITS_AT_THE_END):
            rows = (await self._list(client))["jobs"]
            unfinished = [row for row in rows if row["state"] not in ("completed", "failed", "cancelled")]
            if not unfinished:
                break
            for row in unfinished:
                self._heard("wait_for_job", await client.call_tool("wait_for_job", {"job_id": row["job_id"]}))
            await anyio.sleep(60)
        listed = await self._list(client)
        await self._check_jobs(listed["jobs"], client)
        self._check_money(listed)

    async def _list(self, client: Client) -> dict[str, Any]:
        result = await client.call_tool("list_jobs", {"since_hours": 700, "limit": 100})
        self._heard("list_jobs", result)
        return {"jobs": [], "spent_today_usd": 0.0, **data_of(result)}

    async def _check_jobs(self, rows: list[dict[str, Any]], client: Client) -> None:
        paid = [job for job in self.fal.jobs.values() if job.failure is None]
        known = {row["request_id"]: row for row in rows if row["request_id"]}
        # What fal's answer called it, where that was changed on the way, is what it is called here.
        renamed = [row for name, row in known.items() if name not in self.fal.jobs]
        if len(paid) > self._allowed:
            self.problems.append(f"{len(paid)} jobs paid where {self._allowed} were wanted")
        for job in paid:
            await self._check_reached(job, known.get(job.request_id) or (renamed.pop() if renamed else None), client)

    async def _check_reached(self, job: Job, row: dict[str, Any] | None, client: Client) -> None:
        if row is None:
            if self.scenario.keeps_payloads:
                self.problems.append("a paid job is in no list")
            return
        if row["state"] != "completed":
            self.problems.append(f"a paid job is {row['state']} in the list")
        answer = await client.call_tool("get_job", {"job_id": row["job_id"]})
        text = self._heard("get_job", answer)
        data = data_of(answer)
        if data.get("status") != "completed" or "seed" not in str(data.get("output")):
            self.problems.append(f"a paid result is not to be had: {text[:160]!r}")

    def _check_money(self, listed: dict[str, Any]) -> None:
        booked, billed = listed["spent_today_usd"], self.fal.total
        slack = _CENT * (len(listed["jobs"]) + 1)
        if booked < billed - slack:
            self.problems.append(f"{booked:g} USD on the books, {billed:g} on the bill")
        is_queued = self.scenario.door not in ("sync", "stream")
        # What a model refuses after it has begun is billed or not, and fal does not say which.
        is_known = self.scenario.script != "with a refusal" and all(
            row["state"] in ("completed", "failed", "cancelled") for row in listed["jobs"]
        )
        if is_queued and is_known and booked > billed + slack:
            self.problems.append(f"all is known, and {booked:g} USD are on the books, {billed:g} on the bill")


_parsed: list[Any] = []


def _documents() -> Any:
    """The emulator's model documents, read once."""
    if not _parsed:
        _parsed.append(Emulator(models_dirs=[MODELS]).documents)
    return _parsed[0]
