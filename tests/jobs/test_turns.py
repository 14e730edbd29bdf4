"""Whose turn it is: whoever wants many jobs waits behind whoever wants few, and nobody is passed over."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fal_mcp.jobs.turns import Candidate, Room, admitted, in_turn

OWNERS = st.sampled_from(["a", "b", "c", "d"])
WAITING = st.lists(OWNERS, max_size=40).map(
    lambda owners: [Candidate(f"job_{number}", owner) for number, owner in enumerate(owners)]
)
LAST = st.dictionaries(OWNERS, st.floats(0, 100))


@given(WAITING, LAST)
def test_everybody_gets_one_before_anybody_gets_another(waiting: list[Candidate], last: dict[str, float]):
    order = in_turn(waiting, last)
    assert sorted(order, key=lambda job: job.job_id) == sorted(waiting, key=lambda job: job.job_id)
    for owner in "abcd":
        own = [job.job_id for job in waiting if job.owner == owner]
        assert [job.job_id for job in order if job.owner == owner] == own, "the oldest first"
    seen = Counter[str]()
    total = Counter(job.owner for job in waiting)
    for job in order:
        behind = [owner for owner in total if total[owner] > seen[owner] and seen[owner] < seen[job.owner]]
        assert behind == []
        seen[job.owner] += 1


@given(WAITING, LAST, st.dictionaries(OWNERS, st.integers(0, 5)), st.integers(0, 10), st.integers(1, 5))
def test_no_limit_is_passed_and_no_room_is_left(
    waiting: list[Candidate], last: dict[str, float], running: dict[str, int], whole: int, each: int
):
    order = in_turn(waiting, last)
    go = admitted(order, running, Room(whole, each))
    counts = Counter(running) + Counter(job.owner for job in go)
    assert not go or sum(counts.values()) <= whole
    assert all(counts[job.owner] <= each for job in go)
    left = [job for job in order if job not in go]
    assert sum(counts.values()) >= whole or all(counts[job.owner] >= each for job in left)
