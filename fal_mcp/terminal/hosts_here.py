"""Hosts on this machine whose configuration is where they keep it, and whether it has an entry for this server."""

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fal_mcp.install.hosts import HOSTS, Machine

_MOST_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class HostHere:
    """One host: its configuration file, and whether that names this server."""

    name: str
    file: Path
    has_entry: bool = False
    trouble: str = ""


def found(env: Mapping[str, str]) -> Iterator[HostHere]:
    """The hosts whose file exists, the first of its places each."""
    home = env.get("HOME") or env.get("USERPROFILE")
    if not home or not os.path.isabs(home):
        return
    machine = Machine(sys.platform, Path(home), env)
    for host in HOSTS.values():
        files = [file for file in host.files(machine) if _is_file(file)]
        if files:
            yield _looked_at(host.title, files[0])


def _is_file(file: Path) -> bool:
    try:
        return file.is_file()
    except (OSError, ValueError):
        return False


def _looked_at(name: str, file: Path) -> HostHere:
    try:
        if file.stat().st_size > _MOST_BYTES:
            return HostHere(name, file, trouble="it is too large")
        text = file.read_text("utf-8", "replace")
    except OSError as error:
        return HostHere(name, file, trouble=error.strerror or str(error))
    # Not parsed: three formats and as many libraries, which are an extra. The command's name is in every entry.
    return HostHere(name, file, has_entry="fal-mcp" in text or "fal_mcp" in text)
