"""Prometheus' text format, as far as gauges need it. Pure.

`prometheus_client` has a parser too; its import registers collectors and a callback of the garbage collector in the
process, and brings exposition, registries and two more formats for the one function that would be used.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*+")
# Possessive throughout: a line that does not fit is refused in one pass, however it was made.
_LABEL = re.compile(r'[ \t]*+([a-zA-Z_][a-zA-Z0-9_]*+)[ \t]*+=[ \t]*+"((?:[^"\\]|\\.)*+)"[ \t]*+')
_ESCAPED = re.compile(r"\\(.)")
_NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?|[+-]?Inf|NaN")
_TIME = re.compile(r"-?[0-9]++")


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one metric, with its labels."""

    name: str
    labels: Mapping[str, str]
    value: float


def read(text: str) -> list[Sample]:
    """Every sample, in order. Comments are skipped, and so are times.

    Raises:
        ValueError: a line is not of the format; the message has its number, from 1, and not its text.
    """
    return [
        _sample(line, number)
        for number, whole in enumerate(text.split("\n"), 1)
        if (line := whole.strip(" \t\r")) and not line.startswith("#")
    ]


def _sample(line: str, number: int) -> Sample:
    name = _NAME.match(line)
    if name is None:
        raise ValueError(f"line {number} names no metric")
    place = name.end()
    labels: dict[str, str] = {}
    while place < len(line) and line[place] in " \t":
        place += 1
    if line.startswith("{", place):
        place = _labels(line, place + 1, labels, number)
    parts = line[place:].split()
    if len(parts) not in (1, 2) or not _NUMBER.fullmatch(parts[0]) or not all(map(_TIME.fullmatch, parts[1:])):
        raise ValueError(f"line {number} has no value")
    return Sample(name[0], labels, float(parts[0]))


def _labels(line: str, place: int, labels: dict[str, str], number: int) -> int:
    """Where the labels that begin at `place` end."""
    while found := _LABEL.match(line, place):
        labels[found[1]] = _ESCAPED.sub(lambda one: "\n" if one[1] == "n" else one[1], found[2])
        place = found.end()
        if not line.startswith(",", place):
            break
        place += 1
    while place < len(line) and line[place] in " \t":
        place += 1
    if not line.startswith("}", place):
        raise ValueError(f"line {number} has labels that do not end")
    return place + 1


def quantile(buckets: Mapping[float, float], share: float) -> tuple[float, bool] | None:
    """The value below which `share` of what was counted lies, and whether it is only known to be no less.

    `buckets` has, for each upper bound, how many were at most that. Within a bucket values are taken to lie evenly, as
    Prometheus does. None where nothing was counted, or everything is in one bucket without bounds.
    """
    rank, below, counted = share * max(buckets.values(), default=0.0), 0.0, 0.0
    if rank <= 0:
        return None
    for bound, count in _rising(buckets):
        if count >= rank:
            if bound == float("inf"):
                return (below, True) if len(buckets) > 1 else None
            return below + (bound - below) * (rank - counted) / (count - counted), False
        below, counted = bound, count
    return None


def _rising(buckets: Mapping[float, float]) -> Iterator[tuple[float, float]]:
    """By bound, and never fewer than before."""
    most = 0.0
    for bound in sorted(buckets):
        most = max(most, buckets[bound])
        yield bound, most
