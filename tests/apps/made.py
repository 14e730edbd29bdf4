"""The documents that fal's own package builds of a dozen apps; `theirs` has the apps."""

import json
from pathlib import Path
from typing import Any

DOCUMENTS = Path(__file__).parent / "documents"


def document(name: str) -> Any:
    """The document of one of them as it was written down."""
    return json.loads((DOCUMENTS / f"{name}.json").read_text("utf-8"))
