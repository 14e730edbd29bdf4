"""One course of things: a wish, how its job goes at fal, what goes wrong on the way, and what its host does.

Made of one number, which brings it back.
"""

import random
from dataclasses import dataclass
from typing import Literal

from fal_mcp.emulator import Failure, Script
from tests.faults import faults
from tests.faults.faults import Fault
from tests.faults.steps import Rule

Door = Literal["its own tool", "run_model", "run_model without waiting", "sync", "stream"]
Ends = Literal["heard", "given up", "killed", "stopped"]
Between = Literal["nothing", "a wait that is given up", "a cancellation", "a long pause"]

SCRIPTS: dict[str, Script] = {
    "at once": Script(),
    "after a queue": Script(queue_position=2, queue_seconds=3.0),
    "in 20 s": Script(step_seconds=5.0),
    "in two minutes": Script(step_seconds=30.0),
    "in 20 s, whatever is cancelled": Script(step_seconds=5.0, cancellable=False),
    "after a long queue": Script(queue_position=3, queue_seconds=40.0, step_seconds=1.0),
    "with a failure of fal's": Script(failure=Failure(500, {"detail": "CUDA out of memory"})),
    "with a refusal": Script(failure=Failure(422, {"detail": [{"loc": ["body", "prompt"], "msg": "no", "type": "x"}]})),
}
_QUEUE_STEPS = ("submit", "status", "status stream", "result", "cancel", "records", "billing", "prices")
_WEIGHTS = (6, 4, 3, 6, 2, 2, 1, 1)
_MOMENTS = (0.0, 0.01, 0.3, 1.0, 4.0, 9.0, 30.0, 49.0)
_TABLE = list(faults.TABLE.values())


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault at a step, at its first so many requests or for so many seconds."""

    step: str
    fault: Fault
    times: int
    seconds: float

    def rule(self) -> Rule:
        """As it stands on the wire; each is used up by one server."""
        return Rule(self.step, self.fault, self.times, self.seconds)

    def __str__(self) -> str:
        often = "always" if self.times > 1000 else f"{self.times}x"
        return f"{self.step}: {self.fault.name} {often}{f' for {self.seconds:g} s' * (self.seconds < 1e9)}"


@dataclass(frozen=True, slots=True)
class Asking:
    """One call of the wish: how it ends for its host, so many seconds after it began, and what is done after it."""

    ends: Ends
    after: float
    then: Between

    def __str__(self) -> str:
        at = "" if self.ends == "heard" else f" at {self.after:g} s"
        return f"{self.ends}{at}{f', then {self.then}' * (self.then != 'nothing')}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """The whole course."""

    seed: int
    door: Door
    is_repeatable: bool
    script: str
    keeps_payloads: bool
    troubles: tuple[Trouble, ...]
    askings: tuple[Asking, ...]
    is_modern: bool
    is_left_to_run: bool

    def __str__(self) -> str:
        wish = f"{self.door}{'' if self.is_repeatable else ', by chance'}, done {self.script}"
        more = "" if self.keeps_payloads else ", no payloads in the records"
        troubles = "; ".join(map(str, self.troubles)) or "no trouble"
        return f"seed {self.seed}: {wish}{more} | {troubles} | {' / '.join(map(str, self.askings))}"


def scenario(seed: int) -> Scenario:
    """The scenario of this number, always the same."""
    chance = random.Random(seed)
    door: Door = chance.choices(
        ("its own tool", "run_model", "run_model without waiting", "sync", "stream"), (8, 2, 3, 1, 1)
    )[0]
    return Scenario(
        seed=seed,
        door=door,
        is_repeatable=chance.random() < 0.6,
        script=chance.choices(tuple(SCRIPTS), (6, 3, 4, 4, 1, 2, 1, 1))[0],
        keeps_payloads=chance.random() < 0.9,
        troubles=tuple(_trouble(chance, door) for _ in range(chance.choice((0, 1, 1, 1, 2, 3)))),
        askings=tuple(_asking(chance) for _ in range(chance.choice((1, 1, 2, 2, 3)))),
        is_modern=chance.random() < 0.5,
        is_left_to_run=chance.random() < 0.5,
    )


def _trouble(chance: random.Random, door: Door) -> Trouble:
    step = chance.choices(_QUEUE_STEPS, _WEIGHTS)[0]
    if door in ("sync", "stream"):
        step = "run" if door == "sync" else "streamed run"
    while True:
        fault = faults.odd(chance.randrange(10**9)) if chance.random() < 0.15 else chance.choice(_TABLE)
        # Any JSON may be a result; and how fal itself says that there is none cannot be told from a lie.
        if step != "result" or not (fault.refuses or fault.lies):
            break
    times = chance.choices((1, 2, 3, 7, 20, 10**6), (6, 3, 2, 2, 1, 2))[0]
    if step == "result" and fault.name.startswith("2"):
        # What is no JSON and comes again and again, each time the same, is believed to be the model's answer.
        times = min(times, 2)
    seconds = chance.choice((5.0, 60.0, 600.0, 3600.0, 1e9)) if times == 10**6 else 1e9
    return Trouble(step, fault, times, seconds)


def _asking(chance: random.Random) -> Asking:
    ends: Ends = chance.choices(("heard", "given up", "killed", "stopped"), (5, 3, 2, 1))[0]
    then: Between = chance.choices(
        ("nothing", "a wait that is given up", "a cancellation", "a long pause"), (8, 2, 1, 2)
    )[0]
    return Asking(ends, chance.choice(_MOMENTS) * chance.uniform(0.9, 1.1), then)
