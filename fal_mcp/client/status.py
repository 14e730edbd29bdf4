"""Where a request stands, as fal tells it: waiting, in progress, over. Pure, and taken with whatever is missing."""

from dataclasses import dataclass, replace

from fal_mcp.client import answers
from fal_mcp.errors import GenerationFailed, ServiceFailed
from fal_mcp.json_values import JsonMapping, list_of, number_of, object_of, whole_number_of
from fal_mcp.text import one_line

_MOST_REMEMBERED_LINES = 2000
_MOST_LINES = 10_000
"""Log lines of one status; a model that writes more has them dropped, not this server's memory filled."""


@dataclass(frozen=True, slots=True)
class Log:
    """One line of a model's log, as it came but without the key: not cleaned."""

    message: str
    timestamp: str = ""


@dataclass(frozen=True, slots=True)
class Queued:
    """Waiting. `position` counts the requests in front, from 0; None where fal does not say."""

    position: int | None = None


@dataclass(frozen=True, slots=True)
class InProgress:
    """Running. `logs` are the lines that were not reported before."""

    logs: tuple[Log, ...] = ()


@dataclass(frozen=True, slots=True)
class Completed:
    """Over. `seconds` is the time it ran, where fal says; `error` what fal says went wrong, where something did."""

    logs: tuple[Log, ...] = ()
    seconds: float | None = None
    error: GenerationFailed | None = None


Status = Queued | InProgress | Completed


class UnknownWord(ServiceFailed):
    """A status that is none of fal's three words."""


class Lines:
    """Drops log lines seen before: polled logs are a moving window, told apart by time and text."""

    def __init__(self) -> None:
        self._seen: dict[Log, None] = {}

    def only_new(self, status: Status) -> Status:
        """The status with the lines that no status before it had."""
        if isinstance(status, Queued):
            return status
        # fal gives a line no number. Two of the same time and text cannot be told apart, and one of them is said.
        new = tuple(line for line in dict.fromkeys(status.logs) if line not in self._seen)
        self._seen.update(dict.fromkeys(new))
        # The oldest go first: fal's window has moved past them.
        for line in list(self._seen)[: max(len(self._seen) - _MOST_REMEMBERED_LINES, 0)]:
            del self._seen[line]
        return replace(status, logs=new)


def status_in(body: bytes) -> Status:
    """The status that a body tells.

    Raises:
        ServiceFailed: it tells none.
    """
    status = answers.json_object(body)
    if status is None:
        raise ServiceFailed("fal told the status in something that is no JSON object.")
    return read_status(status)


def read_status(status: JsonMapping) -> Status:
    """A status body, whatever is missing from it.

    Raises:
        UnknownWord: its status is none of fal's three words.
    """
    logs = tuple(_logs(status.get("logs")))
    match status.get("status"):
        case "IN_QUEUE":
            position = whole_number_of(status.get("queue_position"))
            # Less than 0 is no place, and the request waits all the same.
            return Queued(position if position is not None and position >= 0 else None)
        case "IN_PROGRESS":
            return InProgress(logs)
        case "COMPLETED":
            return Completed(logs, _seconds(status), answers.failure(status))
        case other:
            raise UnknownWord(f"fal reports a status this server does not know: {one_line(answers.said(other), 40)!r}.")


def _seconds(status: JsonMapping) -> float | None:
    seconds = number_of(object_of(status.get("metrics")).get("inference_time"))
    return seconds if seconds is not None and seconds >= 0 else None


def _logs(entries: object) -> list[Log]:
    # From the end: the newest lines say how far it is.
    lines = [object_of(entry) for entry in list_of(entries)[-_MOST_LINES:]]
    return [Log(_text(line, "message"), _text(line, "timestamp")) for line in lines if line]


def _text(line: JsonMapping, name: str) -> str:
    return answers.said(line.get(name) or "")
