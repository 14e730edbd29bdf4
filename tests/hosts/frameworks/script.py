"""What each framework's program is told to do, and how it tells what a model was handed."""

import json
import sys
from typing import Any

GIVEN: dict[str, Any] = json.loads(sys.argv[1])
COMMAND: str = GIVEN["command"]
ARGUMENTS: list[str] = GIVEN["arguments"]
ENVIRONMENT: dict[str, str] = GIVEN["environment"]
URL: str = GIVEN["url"]
"""Where the server is; empty where the program starts it."""
HEADERS: dict[str, str] = GIVEN["headers"]
STEPS: list[tuple[str, dict[str, Any]]] = [(name, arguments) for name, arguments in GIVEN["steps"]]


def listed(names: list[str]) -> None:
    """The tools that the framework offers a model."""
    _tell({"tools": names})


def handed(value: Any, *, has_picture: bool = False) -> None:
    """What a model gets for the next step's call, and whether there is a picture in it that it can look at."""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    _tell({"handed": text, "has_picture": has_picture})


def _tell(said: Any) -> None:
    sys.stdout.write(f"\n@@{json.dumps(said)}\n")
    sys.stdout.flush()
