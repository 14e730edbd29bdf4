"""Prometheus' text format, read: what is written comes back, and what is hostile is refused, quickly and cleanly."""

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_mcp.toolsets.serverless.prometheus import Sample, quantile, read

NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,20}", fullmatch=True)
LABEL_NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,10}", fullmatch=True)
SAMPLES = st.builds(
    Sample,
    NAMES,
    st.dictionaries(LABEL_NAMES, st.text(), max_size=4),
    st.floats(allow_nan=False).map(lambda x: x + 0.0),
)
LONG = 200_000


def written(sample: Sample) -> str:
    """One sample in the format, as its description has it."""

    def escaped(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    labels = ",".join(f'{name}="{escaped(value)}"' for name, value in sample.labels.items())
    value = repr(sample.value).replace("inf", "Inf")
    return f"{sample.name}{{{labels}}} {value}"


@given(st.lists(SAMPLES, max_size=8))
def test_what_is_written_is_read(samples: list[Sample]):
    """Prometheus' exposition formats, "Line format"."""
    lines = ["# HELP a_gauge Any text { at all", "", *map(written, samples)]
    assert read("\n".join(lines) + "\n") == samples


@given(st.text() | st.text(alphabet='ab{}=",\\ \n1.eE+-#\t'))
def test_any_text_is_read_or_refused_with_the_number_of_its_line(text: str):
    try:
        assert all(sample.name for sample in read(text))
    except ValueError as error:
        assert str(error).startswith("line ")


@pytest.mark.parametrize(
    ("line", "sample"),
    [
        ("a 1", Sample("a", {}, 1.0)),
        ("a{} 1.5e3 1700000000000", Sample("a", {}, 1500.0)),
        ('a { b = "c" , } +Inf', Sample("a", {"b": "c"}, math.inf)),
        ('a{b="}",c="x,y"} 2', Sample("a", {"b": "}", "c": "x,y"}, 2.0)),
        ('a{b="\\\\n"} 2', Sample("a", {"b": "\\n"}, 2.0)),
    ],
)
def test_the_forms_a_line_may_have(line: str, sample: Sample):
    assert read(line) == [sample]


@pytest.mark.parametrize(
    "line",
    [
        "a",
        "1 a",
        "a one",
        "a 1_000",
        "a 1 2 3",
        'a{b="c} 1',
        'a{b="c"',
        "a{b=c} 1",
        'a{b="c" d="e"} 1',
        "<html>not metrics</html>",
        "a" + " " * LONG + "x y z",
        'a{b="' + "\\" * (LONG + 1) + '"} 1',
        "a{" + 'b="c",' * (LONG // 6) + "?",
        "a " + "1" * LONG + "x",
    ],
    ids=lambda line: line[:24],
)
def test_what_is_no_metric_is_refused(line: str):
    with pytest.raises(ValueError, match="line 2"):
        read(f"good 1\n{line}")


@pytest.mark.parametrize(
    ("buckets", "share", "found"),
    [
        ({}, 0.5, None),
        ({1.0: 0, math.inf: 0}, 0.5, None),
        ({math.inf: 9}, 0.5, None),
        ({1.0: 10, math.inf: 10}, 0.5, (0.5, False)),
        ({1.0: 50, 2.0: 100, math.inf: 100}, 0.95, (1.9, False)),
        ({1.0: 50, 2.0: 60, math.inf: 100}, 0.95, (2.0, True)),
        ({1.0: 50, 2.0: 40, math.inf: 100}, 0.45, (0.9, False)),
    ],
)
def test_a_quantile_lies_evenly_in_its_bucket(
    buckets: Mapping[float, float], share: float, found: tuple[float, bool] | None
):
    """Prometheus' histogram_quantile; the last bucket has no end, and says so."""
    assert quantile(buckets, share) == (None if found is None else (pytest.approx(found[0]), found[1]))


@given(
    st.dictionaries(st.floats(0.001, 1e6) | st.just(math.inf), st.floats(0, 1e12), max_size=8),
    st.floats(0.01, 0.99),
)
def test_a_quantile_is_never_beyond_the_largest_bound(buckets: dict[float, float], share: float):
    known = quantile(buckets, share)
    if known is not None:
        assert 0 <= known[0] <= max(bound for bound in buckets if bound < math.inf)
