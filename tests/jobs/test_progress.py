"""Progress that a host can show: it always grows, and its words are fal's."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from fal_mcp.client.queue import Completed, InProgress, Log, Queued, Status
from fal_mcp.jobs.progress import Progress, percentage, without_bar

statuses: st.SearchStrategy[Status] = st.one_of(
    st.builds(Queued, st.none() | st.integers(0, 500)),
    st.builds(InProgress, st.lists(st.builds(Log, st.text() | st.from_regex(r"step \d+/\d+")), max_size=4).map(tuple)),
    st.builds(Completed),
)


@given(st.lists(statuses | st.none(), max_size=60))
def test_progress_only_grows_and_never_passes_a_hundred(events: list[Status | None]):
    """2026-07-28 basic/patterns/progress: the value MUST increase with each notification."""
    progress = Progress()
    values: list[float] = []
    for event in events:
        report = progress.beat(1) if event is None else progress.after(event)
        if report:
            assert len(report.message) <= 200
            values.append(report.progress)
    assert all(a < b for a, b in itertools.pairwise(values))
    assert all(0 < value < 100 for value in values)


def test_an_hour_of_heartbeats_still_grows():
    progress = Progress()
    values = [progress.beat(5 * n).progress for n in range(1000)]
    assert len(set(values)) == 1000 and max(values) < 1


def test_position_steps_and_lines_are_told():
    progress = Progress()
    reports = [
        progress.after(Queued(2)),
        progress.after(Queued(0)),
        progress.after(InProgress((Log("loading \x1b[1mweights\x1b[0m"),))),
        progress.after(InProgress((Log("step 12/28"),))),
        progress.after(InProgress()),
    ]
    assert [r.message for r in reports if r] == [
        "3rd in fal's queue",
        "next in fal's queue",
        "loading weights",
        "43 %: step 12/28",
        "43 %: running",
    ]


def test_percentages_are_read_from_the_forms_models_log():
    assert percentage(" 43%|████▎     | 12/28 [00:01<00:02,  7.5it/s]") == 43
    assert percentage("step 7 of 28") == 25
    assert percentage("12/48") == 25
    assert percentage("100%") == 99.9
    assert percentage("on 2026/11/21 at 10.1.1.2/24") is None
    assert percentage("28/12 frames") is None
    assert percentage("nothing") is None


def test_the_number_is_told_once_and_no_bar_is_drawn():
    told = {
        "37%|███████   | 3/8 [30.00s, 0.10it/s]": "3/8 [30.00s, 0.10it/s]",
        "Denoising: 37%|████| 3/8 [30s]": "Denoising: 3/8 [30s]",
        "Progress: 43 %": "Progress:",
        "43%": "running",
        "[43%] loading": "loading",
        "  5%|": "running",
        "step 12 of 28": "step 12 of 28",
        "Uploading 43% of the file": "Uploading 43% of the file",
        "loss 0.5": "loss 0.5",
    }
    assert {line: without_bar(line) for line in told} == told
    progress = Progress()
    report = progress.after(InProgress((Log("37%|███████   | 3/8 [30.00s, 0.10it/s]"),)))
    assert report and report.message == "37 %: 3/8 [30.00s, 0.10it/s]"
