"""What every host is put through, and what has to come of it: its model can go on with what it is handed."""

from dataclasses import dataclass
from typing import Any

from tests.hosts.model import Step

HELD = "fal-ai/veo3"
"""The model whose jobs run until they are let go."""
_FLUX = "fal-ai/flux/schnell"
STEPS = [
    Step("search_models", {"query": "text to image"}),
    Step("get_model", {"endpoint_id": _FLUX}),
    Step("run_model", {"endpoint_id": _FLUX, "arguments": {"prompt": "a red bicycle"}}),
    Step("run_model", {"endpoint_id": _FLUX, "arguments": {"prompt": "x", "num_images": "many"}}),
    Step("run_model", {"endpoint_id": _FLUX, "arguments": {"prompt": "x", "num_images": 2}}),
    Step("run_model", {"endpoint_id": HELD, "arguments": {"prompt": "a wave"}}),
    Step("list_jobs", {}),
]
RAN = 2
"""The step whose answer has a picture."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one host offered its model and handed it, step by step."""

    tools: list[str]
    handed: list[str]
    has_picture: bool
    """Whether the model could look at the picture that it made."""
    printed: str


def examine(seen: Seen, ours: list[str], cells: dict[str, str]) -> None:
    """Fill in the host's row, and fail where its model could not go on."""
    # Names get a prefix, and some hosts take no dashes.
    offered = [name.replace("-", "_") for name in seen.tools]
    known = [one for one in ours if any(name.endswith(one.replace("-", "_")) for name in offered)]
    assert _mark(cells, "connects", seen.tools), seen.printed
    cells["tools"] = str(len(known))
    assert known == ours, seen.tools
    assert len(seen.handed) == len(STEPS), f"{seen.printed}\n{seen.handed}"
    searched, read, done, refused, mended, long, listed = seen.handed
    finds = "fal-ai/flux" in searched and all(name in read for name in ("prompt", "num_images", "image_size"))
    assert _mark(cells, "finds and reads", finds), f"{searched}\n\n{read}"
    assert _mark(cells, "runs", _is_file(done)), done
    is_mended = "num_images" in refused and _is_file(mended)
    assert _mark(cells, "refused call is mended", is_mended), f"{refused}\n\n{mended}"
    goes_on = "job_id" in long and "wait_for_job" in long and HELD in listed
    assert _mark(cells, "long call goes on", goes_on), f"{long}\n\n{listed}"
    cells["pictures"] = "yes" if seen.has_picture else "no"


def _is_file(text: str) -> bool:
    """Whether a model that reads this has the address of what was made."""
    return "/files/" in text or "https://" in text or "http://" in text


def _mark(cells: dict[str, str], cell: str, is_so: Any) -> bool:
    cells[cell] = "yes" if is_so else "no"
    return bool(is_so)
