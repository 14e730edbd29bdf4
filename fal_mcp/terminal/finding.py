"""What `doctor` examines, and what it finds: one line each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fal_mcp.config import Settings

State = Literal["good", "note", "bad"]


@dataclass(frozen=True, slots=True)
class Examined:
    """What is examined: the settings as far as they could be read, what was wrong with the rest, the environment."""

    settings: Settings
    env: Mapping[str, str] = field(repr=False)
    problems: tuple[str, ...] = ()
    source_of_key: str = "FAL_KEY"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what about, how it stands, and what to do."""

    about: str
    state: State
    text: str
    advice: str = ""


Examination = Callable[[Examined], Any]
