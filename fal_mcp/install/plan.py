"""What installing into a host means on this machine: which files change and how, or which command does it."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from fal_mcp.install import files, text
from fal_mcp.install.entry import Entry
from fal_mcp.install.hosts import NAME, Host, Machine, files_of
from fal_mcp.install.refusal import NotInstalled

KeyBy = Literal["reference", "stored", "literal"]
_PASSED_ON = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE", "FAL_KEY_FILE")
"""What hosts do not hand on, and the server needs where it is set."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes to files, or the host's own command, for one host."""

    host: Host
    changes: tuple[files.Change, ...] = ()
    command: tuple[str, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not self.command and all(change.is_none for change in self.changes)


def entry_for(
    host: Host, command: Sequence[str], arguments: Sequence[str], key_by: KeyBy, environment: Mapping[str, str]
) -> Entry:
    """The entry, with the key as the host can take it.

    Raises:
        NotInstalled: the host has no references, and no key is stored.
    """
    # Hosts start servers with little of the environment, and behind a proxy nothing would be reached.
    variables = {name: environment[name] for name in _PASSED_ON if environment.get(name)}
    entry = Entry(command[0], [*command[1:], *arguments], None, variables)
    if key_by == "stored":
        return entry
    if key_by == "literal":
        if not environment.get("FAL_KEY"):
            raise NotInstalled("FAL_KEY is not set here, so there is no key to write.")
        return replace(entry, key=environment["FAL_KEY"])
    if host.reference is None:
        raise NotInstalled(
            "It cannot take a key by reference. Run 'fal-mcp login' first, which stores the key where the "
            "server finds it, or give --literal-key to have FAL_KEY written into its file."
        )
    return replace(entry, key=host.reference)


def installing(host: Host, machine: Machine, entry: Entry, project: Path | None) -> Plan:
    """What puts the entry there.

    Raises:
        NotInstalled: it cannot be put there.
    """
    if command := _own_command(host, machine, project):
        value = json.dumps({"type": "stdio", **host.shape(entry)})
        scope = "project" if project is not None else "user"
        # The host's own command: its file holds its whole state, and it writes that while it runs.
        return Plan(host, command=(*command, "mcp", "add-json", "--scope", scope, NAME, value))
    return Plan(host, tuple(_change(file, host, entry) for file in _files(host, machine, project)))


def uninstalling(host: Host, machine: Machine, project: Path | None) -> Plan:
    """What takes it out.

    Raises:
        NotInstalled: it cannot be taken out.
    """
    if command := _own_command(host, machine, project):
        scope = "project" if project is not None else "user"
        return Plan(host, command=(*command, "mcp", "remove", "--scope", scope, NAME))
    present = [file for file in _files(host, machine, project) if file.exists()]
    return Plan(host, tuple(_change(file, host, None) for file in present))


def _change(file: Path, host: Host, entry: Entry | None) -> files.Change:
    before = files.read(file)
    try:
        after = text.with_entry(before, host, entry) if entry else _without_entry(before, host, file)
    except NotInstalled as error:
        raise NotInstalled(f"{str(file)!r}: {error} Nothing was changed; --print shows what belongs there.") from error
    return files.Change(file, before, after)


def _without_entry(before: str, host: Host, file: Path) -> str:
    copy = text.before_entry(before, host, files.copies(file))
    return text.without_entry(before, host) if copy is None else copy


def _files(host: Host, machine: Machine, project: Path | None) -> list[Path]:
    if project is not None and host.project_file is None:
        raise NotInstalled("It has no configuration for one project; leave --project out.")
    return files_of(host, machine, project)


def _own_command(host: Host, machine: Machine, project: Path | None) -> tuple[str, ...]:
    """The host's own command, where its file is its own business; a project's file may be written all the same."""
    if host.command is None:
        return ()
    program = shutil.which(host.command, path=machine.environment.get("PATH"))
    if program:
        return (program,)
    if project is not None:
        return ()
    raise NotInstalled(
        f"It keeps its servers in a file that only its own command should write, and {host.command!r} is not "
        "on the path. --print shows the entry; --project writes a project's own file."
    )
