"""Whose turn it is: people of one account take turns, however many jobs each of them wants. Pure."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MOST_WAITING = 500


@dataclass(frozen=True, slots=True)
class Room:
    """How many jobs may be at fal at once, of an account and of each of its people, and how many may wait for it; None
    is no limit."""

    whole: int | None = None
    each: int | None = None
    waiting: int = MOST_WAITING

    @staticmethod
    def of(whole: float | None, each: float | None, waiting: float) -> "Room":
        """The room that settings give, which know numbers only; 0 is no limit."""
        return Room(int(whole) if whole else None, int(each) if each else None, int(waiting))

    @property
    def most(self) -> int | None:
        """How many jobs may run or wait in all; None where that is not limited."""
        return None if self.whole is None else self.whole + self.waiting

    @property
    def is_limited(self) -> bool:
        return self.whole is not None or self.each is not None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that waits here for its turn, with how many are before it."""

    place: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A job that waits, with whose it is."""

    job_id: str
    owner: str


def in_turn(waiting: Iterable[Candidate], last: Mapping[str, float]) -> list[Candidate]:
    """Jobs that wait, the oldest of each owner first, as they will get their turn. `last` is when each owner last got
    one; who never did comes first."""
    lines: dict[str, deque[Candidate]] = {}
    for job in waiting:
        lines.setdefault(job.owner, deque()).append(job)
    # Those of the same moment keep the order in which they came: sorting is stable.
    owners = deque(sorted(lines, key=lambda owner: last.get(owner, float("-inf"))))
    order: list[Candidate] = []
    while owners:
        owner = owners.popleft()
        order.append(lines[owner].popleft())
        if lines[owner]:
            owners.append(owner)
    return order


def admitted(order: Iterable[Candidate], running: Mapping[str, int], room: Room) -> list[Candidate]:
    """Those of these jobs, in turn, for which there is room now."""
    counts = dict(running)
    free = float("inf") if room.whole is None else room.whole - sum(counts.values())
    go: list[Candidate] = []
    for job in order:
        if len(go) >= free:
            break
        # Who is at their own limit lets the others pass, and keeps their turn.
        if room.each is None or counts.get(job.owner, 0) < room.each:
            counts[job.owner] = counts.get(job.owner, 0) + 1
            go.append(job)
    return go


@dataclass(slots=True)
class Line:
    """The jobs of an account that wait, of servers that live; when each owner last got a turn, how many jobs of each
    run, and how many wait in all."""

    room: Room
    waiting: list[Candidate]
    last: dict[str, float]
    running: dict[str, int]
    count: int = 0

    @property
    def order(self) -> list[Candidate]:
        """As they will get their turn."""
        return in_turn(self.waiting, self.last)

    @property
    def go(self) -> set[str]:
        """Those that have it now."""
        return {job.job_id for job in admitted(self.order, self.running, self.room)}

    @property
    def is_full(self) -> bool:
        """Whether as many wait as may."""
        return self.count >= self.room.waiting

    @property
    def is_taken(self) -> bool:
        """Whether as many run as may, so that nobody's job would go at once."""
        return self.room.whole is not None and sum(self.running.values()) >= self.room.whole

    def goes(self, job: Candidate) -> bool:
        """Whether one more would go at once."""
        return not self.is_taken and job.job_id in Line(self.room, [*self.waiting, job], self.last, self.running).go

    def went(self, job: Candidate, now: float) -> None:
        """One more went at once."""
        self.running[job.owner] = self.running.get(job.owner, 0) + 1
        self.last[job.owner] = now

    def waits(self, job: Candidate) -> None:
        """One more waits."""
        self.waiting.append(job)
        self.count += 1
