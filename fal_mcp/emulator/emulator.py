"""The state of one local fal: its documents, jobs, files and keys, and every request it received."""

import ssl
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.abc

from fal_mcp import bundled
from fal_mcp.emulator import bill
from fal_mcp.emulator.apps import Apps
from fal_mcp.emulator.bill import Charge, Reason
from fal_mcp.emulator.documents import Document, Documents
from fal_mcp.emulator.job import Job, now
from fal_mcp.emulator.outputs import Output
from fal_mcp.emulator.platform import seeds, workflow_document
from fal_mcp.emulator.platform.idempotency import Remembered
from fal_mcp.emulator.platform.instance import Instance
from fal_mcp.emulator.script import Failure, Reply, Script
from fal_mcp.emulator.webhooks import Signer, call_back
from fal_mcp.json_values import JsonObject

DEFAULT_KEY = "emulator:emulator"
WORKFLOWS = "workflows/emulator/"
"""Before a workflow's name in its endpoint id."""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request as it arrived; header names are in lower case."""

    method: str
    host_role: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class StoredFile:
    """A file on the CDN; what was generated is drawn when first fetched."""

    name: str
    content_type: str
    make: Callable[[], bytes]
    _content: bytes | None = None

    @property
    def content(self) -> bytes:
        if self._content is None:
            self._content = self.make()
        return self._content


@dataclass(frozen=True, slots=True)
class Token:
    """A token for realtime connections: for which apps, and until when, in seconds since 1970."""

    apps: tuple[str, ...]
    expires: float


@dataclass(slots=True)
class Line:
    """One realtime connection, and what came in on it."""

    endpoint_id: str
    token: str | None
    inputs: list[Any] = field(default_factory=list[Any])
    is_open: bool = True


class Emulator:
    """A local fal. `serve` makes it listen; without that it is only state."""

    def __init__(
        self,
        *,
        models_dirs: Iterable[Path] = (),
        keys: Iterable[str] = (DEFAULT_KEY,),
        locked_keys: Iterable[str] = (),
        unpaid_keys: Iterable[str] = (),
        admin_keys: Iterable[str] = (),
    ) -> None:
        self.documents = Documents(list(models_dirs))
        self.platform_file = bundled.schemas() / "platform.json"
        """The Platform API's own document, read when it is asked for."""
        self.keys = set(keys)
        self.locked_keys = set(locked_keys)
        self.unpaid_keys = set(unpaid_keys)
        self.admin_keys = set(admin_keys)
        self.accounts: dict[str, str] = {}
        """Whose a key is, where it is not the one account's that all others are of."""
        self.ahead = 0.0
        """Seconds by which its clock is ahead of this machine's."""
        self.calls: list[Call] = []
        self.jobs: dict[str, Job] = {}
        self.files: dict[str, StoredFile] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.prices: dict[str, tuple[float, str]] = {}
        """USD a unit, and the unit."""
        self.past_prices: dict[str, float] = {}
        """USD that a call cost on average; where it is known, the next one costs as much."""
        self.charges: list[Charge] = []
        """What was run without the queue, and what of it is billed."""
        self.tokens: dict[str, Token] = {}
        self.lines: list[Line] = []
        """Every realtime connection, the first one first."""
        self.signer = Signer()
        self.trusted: ssl.SSLContext | None = None
        """Whose certificates count where a webhook is called, in place of the usual authorities'."""
        self.access: dict[str, JsonObject] = {}
        self.storage_settings: JsonObject = {"expiration_duration_seconds": None, "initial_acl": None}
        self.unlisted: set[str] = set()
        """Models that run and have a document, and are in no list."""
        self.tasks: anyio.abc.TaskGroup | None = None
        self._scripts: dict[str | None, Script] = {}
        self._changed = anyio.Event()
        self._go = anyio.Event()
        self._open_platform()
        self._open_apps()

    def _open_platform(self) -> None:
        """The account as the Platform API shows it, as it is before anybody changes it."""
        self.platform_replies: dict[str, Reply] = {}
        """Answers to give instead of the usual ones, by operation id."""
        self.endless: set[str] = set()
        """The operations, by id, whose list never ends."""
        self.idempotent: dict[str, Remembered] = {}
        """What was answered to each idempotency key."""
        self.born = datetime.now(UTC).replace(microsecond=0)
        """What happened before is told as of this moment."""
        self.balance = 42.5
        """USD."""
        self.blocked_models: set[str] = set()
        self.api_keys = seeds.api_keys()
        self.secrets: dict[str, str] = {}
        self.workflows = seeds.workflows()
        self.assets, self.tags = seeds.assets(), seeds.tags()
        self.collections, self.characters = seeds.collections(), seeds.characters()
        self.instances: dict[str, Instance] = {}
        self.instance_reads = 2
        """The read of a new compute instance that finds it ready."""

    def _open_apps(self) -> None:
        """The account's serverless apps, and what they log."""
        self.own_apps, self.app_files = Apps(), seeds.app_files()
        self.queues = dict.fromkeys(self.apps, 3)
        """How many requests wait for each app."""
        self.logs = seeds.logs(self.born)
        """The apps' past lines, newest first."""
        self.live_logs: list[JsonObject] = []
        """The apps' lines as they come, oldest first."""
        self.are_logs_over = False
        self.log_watchers = 0
        """How many log streams are open."""

    @property
    def apps(self) -> dict[str, JsonObject]:
        """The account's serverless apps as they are listed, by endpoint id."""
        return self.own_apps.listed

    def deploy(self, app: str, document: JsonObject, machine_type: str = "GPU-H100") -> None:
        """Deploy an app `owner/name` that publishes this document, or a new revision of it."""
        self.own_apps.deploy(app, document, machine_type)
        self.queues.setdefault(app, 0)
        self.changed()

    def runs(self, endpoint_id: str) -> list[float]:
        """How many seconds each run of a route of an app took, those of before first."""
        own = [job.seconds for job in self.jobs.values() if job.endpoint_id == endpoint_id and job.is_over]
        return [*self.own_apps.runs.get(endpoint_id, ()), *(seconds for seconds in own if seconds)]

    def release(self) -> None:
        """Let every held submit, and every job's result, go on."""
        for job in self.jobs.values():
            job.is_released = True
        self._go.set()
        self._go = anyio.Event()

    async def held(self, is_held: bool) -> None:
        """Wait until `release`, if so scripted."""
        if is_held:
            self.changed()
            await self._go.wait()

    def script(self, endpoint_id: str | None, script: Script) -> None:
        """How jobs of this endpoint go from now on; None stands for every other endpoint."""
        self._scripts[endpoint_id] = script

    def script_of(self, endpoint_id: str) -> Script:
        """The script of this endpoint's next job."""
        return self._scripts.get(endpoint_id) or self._scripts.get(None) or Script()

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Wait until `predicate` holds; it is asked after every request and every change of a job."""
        while not predicate():
            await self._changed.wait()

    def changed(self) -> None:
        """Wake whoever waits for something to happen."""
        self._changed.set()
        self._changed = anyio.Event()

    def record(self, call: Call) -> None:
        """Remember a request."""
        self.calls.append(call)
        self.changed()

    def log(
        self, message: str, level: str = "info", app: str = "emulator/sketch", request_id: str | None = None
    ) -> None:
        """Let an app log a line, about a request, which goes to every open log stream."""
        number = len(self.live_logs)
        line = seeds.log_line(level, message, app=app, at=datetime.now(UTC), number=number)
        if request_id is not None:
            line["labels"]["fal_request_id"] = request_id
        self.live_logs.append(line)
        self.changed()

    def end_logs(self) -> None:
        """End the log streams, after what was logged."""
        self.are_logs_over = True
        self.changed()

    def submit(self, document: Document, arguments: JsonObject, cdn: str, webhook: str | None = None) -> Job:
        """Put a job in the queue and start it on its way; `webhook` is called when it is over."""
        script = self.script_of(document.endpoint_id)
        failure, output = script.failure or self._refusal(document, arguments), {}
        if failure is None:
            output = script.output or self.output(document, arguments, cdn)
        # What comes of it is decided now, and shown when its time has come.
        job = Job(
            request_id=str(uuid.uuid4()),
            endpoint_id=document.endpoint_id,
            input=arguments,
            script=script,
            output=dict(output),
            failure=failure,
            changed=self.changed,
            sent=now(self.ahead).replace("+00:00", "Z"),
        )
        self.jobs[job.request_id] = job
        assert self.tasks is not None
        self.tasks.start_soon(job.live)
        if webhook:
            self.tasks.start_soon(call_back, job, webhook, self.signer, self.trusted)
        return job

    def document(self, endpoint_id: str) -> Document | None:
        """What runs at this endpoint: a model, one of the account's workflows, or a route of one of its apps."""
        name = endpoint_id.removeprefix(WORKFLOWS)
        if name != endpoint_id and name in self.workflows:
            return workflow_document.document(endpoint_id, self.workflows[name]["contents"])
        return self.documents.get(endpoint_id) or self.own_apps.document(endpoint_id)

    def output(self, document: Document, arguments: JsonObject, cdn: str) -> JsonObject:
        """What the model would answer; its files appear on the CDN."""
        made = Output(document, arguments, cdn)
        value = made.value()
        for path, file in made.files.items():
            self.files[path] = StoredFile(file.name, file.content_type, file.make)
        return value

    @property
    def bill(self) -> list[Charge]:
        """Every attempt that is over and what fal charges for it, those through the queue first."""
        return [self._charge(job) for job in self.jobs.values() if job.is_over] + self.charges

    @property
    def total(self) -> float:
        """USD, of what can be priced."""
        return sum(charge.amount or 0.0 for charge in self.bill)

    def charge(
        self, request_id: str, document: Document, arguments: JsonObject, output: JsonObject, reason: Reason
    ) -> None:
        """Put a run without the queue on the bill."""
        amount = self._amount(document, arguments, output) if bill.is_billed(reason) else 0.0
        self.charges.append(Charge(request_id, document.endpoint_id, now(), amount, reason))

    def _charge(self, job: Job) -> Charge:
        reason, document = bill.reason_of(job), self.document(job.endpoint_id)
        amount = 0.0
        if bill.is_billed(reason):
            amount = self._amount(document, job.input, job.output) if document else None
        return Charge(job.request_id, job.endpoint_id, job.sent, amount, reason)

    def _amount(self, document: Document, arguments: JsonObject, output: JsonObject) -> float | None:
        endpoint_id = document.endpoint_id
        if endpoint_id in self.past_prices:
            return self.past_prices[endpoint_id]
        # What a test has set wins over the catalog that came along.
        price = self.prices.get(endpoint_id) or self.documents.price(endpoint_id)
        units = bill.units(document, arguments, output, price[1]) if price else None
        return round(price[0] * units, 9) if price and units is not None else None

    def close(self) -> None:
        """End all streams."""
        for job in self.jobs.values():
            job.close()
        self.end_logs()

    def _refusal(self, document: Document, arguments: JsonObject) -> Failure | None:
        faults = document.faults(arguments)
        # fal's gateway says with this header that a refused input is not billed.
        return Failure(422, {"detail": faults}, {"x-fal-billable-units": "0"}) if faults else None
