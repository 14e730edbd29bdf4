"""`fal-mcp install`, also with `--uninstall`: shows what will change, changes it, and tries what it wrote."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fal_mcp.install import files, launcher, plan
from fal_mcp.install.hosts import HOSTS, NAME, Host, Machine, files_of, is_here
from fal_mcp.install.plan import KeyBy
from fal_mcp.install.refusal import NotInstalled
from fal_mcp.terminal import screen

Say = Callable[[str], None]
Ask = Callable[[str], bool]
_LONGEST_COMMAND = 120.0
"""Seconds: a host's own command may look for a newer version of itself first."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants installed, where, and how it is to be done."""

    hosts: Sequence[str] = ()
    """Names; none is every host that is found, asked about one by one."""
    project: Path | None = None
    arguments: Sequence[str] = ()
    """For the server, such as `--allow-dir FOLDER`."""
    key_by: KeyBy = "reference"
    is_printed: bool = False
    is_removed: bool = False
    needs_no_yes: bool = False


def run(wish: Wish, environment: Mapping[str, str], say: Say, ask: Ask) -> int:
    """Do it for each host; 0 where each is done, 1 where one was not, 2 for a name that is none."""
    machine = Machine(sys.platform, Path(environment.get("HOME") or Path.home()), environment)
    unknown = [name for name in wish.hosts if name not in HOSTS]
    if unknown:
        say(f"There is no host {unknown[0]!r}. The hosts: {', '.join(HOSTS)}.")
        return 2
    chosen = [HOSTS[name] for name in wish.hosts] or _here(machine, wish, say, ask)
    command = launcher.launcher()
    try:
        if not wish.is_removed and not wish.is_printed and chosen:
            launcher.tried(command)
    except NotInstalled as error:
        say(str(error))
        return 1
    results = [_one(host, machine, wish, command, say, ask) for host in chosen]
    return 0 if chosen and all(results) else 1


def shown(text: str) -> None:
    """Say it at a terminal: what goes in in green, what goes out in red, words wrapped and paths whole."""
    console = screen.out()
    styles = {"+": "green", "-": "red", "@": "dim"}
    for line in text.split("\n"):
        screen.say(console, line, styles.get(line[:1], "") if console.is_terminal else "")


def _here(machine: Machine, wish: Wish, say: Say, ask: Ask) -> list[Host]:
    present = [host for host in HOSTS.values() if is_here(host, machine)]
    if not present:
        say(f"No host was found on this machine. Name one: {', '.join(HOSTS)}.")
    verb = "Take fal out of" if wish.is_removed else "Install into"
    return [host for host in present if wish.needs_no_yes or ask(f"{verb} {host.title}?")]


def _one(host: Host, machine: Machine, wish: Wish, command: Sequence[str], say: Say, ask: Ask) -> bool:
    try:
        if wish.is_printed:
            say(_printed(host, machine, wish, command))
            return True
        steps = _plan(host, machine, wish, command)
        if steps.is_done:
            say(f"{host.title}: nothing to do.")
            return True
        _show(steps, say)
        if not wish.needs_no_yes and not ask("Write this?"):
            say(f"{host.title}: left as it is.")
            return False
        _carry_out(steps, say)
        if wish.is_removed:
            say(f"{host.title}: fal is out. {host.afterwards}")
        else:
            say(f"{host.title}: {_checked(command, wish, machine)}. {host.afterwards}")
        return True
    except NotInstalled as error:
        say(f"{host.title}: {error}")
        return False
    except ImportError as error:
        say(f"{host.title}: its files cannot be edited without {error.name!r}. Install 'fal-mcp[install]'.")
        return False


def _plan(host: Host, machine: Machine, wish: Wish, command: Sequence[str]) -> plan.Plan:
    if wish.is_removed:
        return plan.uninstalling(host, machine, wish.project)
    entry = plan.entry_for(host, command, wish.arguments, wish.key_by, machine.environment)
    return plan.installing(host, machine, entry, wish.project)


def _printed(host: Host, machine: Machine, wish: Wish, command: Sequence[str]) -> str:
    # Who only looks needs no key yet: where the host has no references, the place for one is shown.
    is_shown_empty = wish.key_by == "reference" and host.reference is None
    environment = {**machine.environment, "FAL_KEY": "your key"} if is_shown_empty else machine.environment
    key_by = "literal" if is_shown_empty else wish.key_by
    entry = plan.entry_for(host, command, wish.arguments, key_by, environment)
    from fal_mcp.install import text

    file = (files_of(host, machine, wish.project) or host.files(machine))[0]
    return f"{host.title}, in {file}:\n{text.with_entry('', host, entry)}"


def _show(steps: plan.Plan, say: Say) -> None:
    if steps.command:
        # The value holds no key: it is a reference, or the server finds the key by itself.
        say(f"{steps.host.title}: {' '.join(steps.command)}")
    for change in steps.changes:
        if not change.is_none:
            say(change.difference())


def _carry_out(steps: plan.Plan, say: Say) -> None:
    if steps.command:
        _obeyed(steps.command)
    for change in steps.changes:
        if not change.is_none and (backup := files.write(change)):
            say(f"What stood there is kept in {backup}.")


def _obeyed(command: Sequence[str]) -> None:
    """Have a host's own command do it."""
    try:
        done = subprocess.run(
            list(command), capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=_LONGEST_COMMAND
        )
    except OSError as error:
        raise NotInstalled(f"Its own command {command[0]!r} does not start: {error.strerror or error}.") from error
    except subprocess.TimeoutExpired as error:
        raise NotInstalled(
            f"Its own command did not end within {_LONGEST_COMMAND:.0f} seconds. Run the line above to see why."
        ) from error
    if done.returncode:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()[:400]
        raise NotInstalled(f"Its own command refused: {said or f'it ended with {done.returncode} and said nothing.'}")


def _checked(command: Sequence[str], wish: Wish, machine: Machine) -> str:
    """Start what was written, with the little that hosts hand on."""
    handed_on = ("HOME", "PATH", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "SYSTEMROOT", "TEMP", "TMP", "FAL_KEY_FILE")
    environment = {name: machine.environment[name] for name in handed_on if name in machine.environment}
    return f"{launcher.handshake([*command, *wish.arguments], environment)} is there and answers as {NAME!r}"
