"""What fal's rules forbid and its schemas do not say: periods, time zones, paths. Pure."""

import re
from collections.abc import Iterator
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fal_mcp.errors import Fault, InvalidInput
from fal_mcp.json_values import JsonMapping
from fal_mcp.openapi.operation import Operation
from fal_mcp.text import one_line


def check(operation: Operation, arguments: JsonMapping) -> None:
    """Refuse what fal's rules forbid and its schemas do not say.

    Raises:
        InvalidInput: with every fault; nothing was sent.
    """
    faults = [*_period_faults(operation, arguments), *_zone_faults(arguments), *_path_faults(operation, arguments)]
    faults += [*_group_faults(operation, arguments), *_lone_faults(operation, arguments)]
    if faults:
        sentences = "; ".join(map(str, faults))
        raise InvalidInput(f"Refused here, before anything was sent: {sentences}", faults=tuple(faults))


def _period_faults(operation: Operation, arguments: JsonMapping) -> list[Fault]:
    times: dict[str, datetime] = {}
    faults: list[Fault] = []
    for name in ("start", "end"):
        if isinstance(value := arguments.get(name), str):
            try:
                times[name] = _moment(value, arguments)
            except ValueError:
                message = f"{one_line(value, 40)!r} is no date such as 2026-01-31 or 2026-01-31T08:00:00Z."
                faults.append(Fault(f"$.{name}", message))
    if "start" not in times:
        return faults
    end = times.get("end", datetime.now(UTC))
    if times["start"] >= end:
        faults.append(Fault("$.start", f"{arguments['start']!r} is not before {arguments.get('end') or 'now'!r}."))
    most = next((one.most_days for one in operation.arguments if one.name == "start"), None)
    if most and end - times["start"] > timedelta(days=most):
        faults.append(Fault("$.start", f"the period is longer than {most} days."))
    return faults


def _moment(text: str, arguments: JsonMapping) -> datetime:
    moment = datetime.fromisoformat(text)
    # Python's calendar ends there, and a period in another zone or in whole months reaches beyond what it is given.
    if moment.year in (MINYEAR, MAXYEAR):
        raise ValueError
    # Without an offset fal reads a time in the zone that is asked for, and in UTC where none is.
    return moment if moment.tzinfo else moment.replace(tzinfo=_zone(arguments) or UTC)


def _group_faults(operation: Operation, arguments: JsonMapping) -> Iterator[Fault]:
    for group in operation.groups:
        count = sum(arguments.get(name) is not None for name in group.names)
        if count < group.least or (group.most is not None and count > group.most):
            bound = "exactly" if group.least == group.most else "at least" if group.least else "at most"
            yield Fault("$", f"{bound} one of {', '.join(group.names)} may be given, and {count} are.")


def _lone_faults(operation: Operation, arguments: JsonMapping) -> Iterator[Fault]:
    for one in operation.arguments:
        for other, value in one.only_with.items():
            if arguments.get(one.name) is not None and arguments.get(other) != value:
                yield Fault(f"$.{one.name}", f"it means something only with {other}: {value!r}.")


def _zone_faults(arguments: JsonMapping) -> list[Fault]:
    zone = arguments.get("timezone")
    if not isinstance(zone, str) or _zone(arguments):
        return []
    return [Fault("$.timezone", f"{one_line(zone, 40)!r} is no time zone such as 'Europe/Berlin'.")]


def _zone(arguments: JsonMapping) -> ZoneInfo | None:
    try:
        return ZoneInfo(str(arguments.get("timezone") or "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _path_faults(operation: Operation, arguments: JsonMapping) -> list[Fault]:
    """Path arguments that would lead to another operation, or out of a folder."""
    return [
        Fault(f"$.{one.name}", f"{one_line(value, 80)!r} is not a name or path of fal's: no '..', no empty part.")
        for one in operation.arguments
        if one.place == "path" and isinstance(value := arguments.get(one.name), str)
        if not value.strip("/")
        or not value.isprintable()
        or any(part in ("", ".", "..") for part in re.split(r"[/\\]", value.strip("/")))
    ]
