"""What a host is told to start: a program, its arguments, and the variables it gets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fal_mcp.json_values import JsonObject

KEY = "FAL_KEY"


@dataclass(frozen=True, slots=True)
class Entry:
    """One server as hosts start it. `key` is how the fal key gets there: None where the server finds it by itself."""

    command: str
    arguments: Sequence[str] = ()
    key: str | None = None
    """The text for `FAL_KEY`: a reference that the host fills in, or the key itself."""
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """What else the host has to pass on, such as a proxy."""

    @property
    def environment(self) -> dict[str, str]:
        """All variables of the entry."""
        return {**({KEY: self.key} if self.key else {}), **self.variables}


def plain(entry: Entry) -> JsonObject:
    """The form that most hosts share."""
    environment = {"env": entry.environment} if entry.environment else {}
    return {"command": entry.command, "args": list(entry.arguments), **environment}


def typed(entry: Entry) -> JsonObject:
    """The same, with the transport named: Cursor and VS Code."""
    return {"type": "stdio", **plain(entry)}


def codex(entry: Entry) -> JsonObject:
    """Codex clears the environment: a key by reference is a name it lets through."""
    is_reference = entry.key == KEY
    variables = dict(entry.variables) if is_reference else entry.environment
    return {
        "command": entry.command,
        "args": list(entry.arguments),
        **({"env_vars": [KEY]} if is_reference else {}),
        **({"env": variables} if variables else {}),
    }


def opencode(entry: Entry) -> JsonObject:
    """One list for program and arguments."""
    environment = {"environment": entry.environment} if entry.environment else {}
    return {"type": "local", "command": [entry.command, *entry.arguments], "enabled": True, **environment}


def goose(entry: Entry) -> JsonObject:
    """Goose keeps the values of `env_keys` in the system's keyring."""
    is_reference = entry.key == KEY
    variables = dict(entry.variables) if is_reference else entry.environment
    return {
        "name": "fal",
        "type": "stdio",
        "cmd": entry.command,
        "args": list(entry.arguments),
        "enabled": True,
        # Seconds for a call; a run waits for less than a minute and then answers with a job.
        "timeout": 300,
        **({"env_keys": [KEY]} if is_reference else {}),
        **({"envs": variables} if variables else {}),
    }


def listed(entry: Entry) -> JsonObject:
    """An item of a list: Continue."""
    return {"name": "fal", **plain(entry)}
