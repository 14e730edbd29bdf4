"""What processes use of the machine: CPU, memory, descriptors. Linux, by `/proc`."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """A process, with its children where they do its work."""

    name: str
    pid: int
    with_children: bool = False

    @property
    def seconds(self) -> float:
        """The CPU that it has used; that of children that ended counts with it."""
        own = _seconds(self.pid, ended=self.with_children)
        return own + sum(_seconds(child, ended=True) for child in self._children())

    @property
    def resident(self) -> float:
        """Megabytes now."""
        return _status(self.pid, "VmRSS")

    @property
    def most_resident(self) -> float:
        """Megabytes at the most so far."""
        return _status(self.pid, "VmHWM")

    @property
    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def _children(self) -> list[int]:
        if not self.with_children:
            return []
        return [int(each) for each in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]


def _seconds(pid: int, *, ended: bool) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return sum(map(int, fields[11 : 15 if ended else 13])) / _TICKS


def _status(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024
