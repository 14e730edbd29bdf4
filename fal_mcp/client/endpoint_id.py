"""An endpoint's app, and the addresses of its requests in the form that fal documents."""

from dataclasses import dataclass
from urllib.parse import quote

from fal_mcp.config import Hosts

_NAMESPACES = frozenset({"workflows", "comfy"})


@dataclass(frozen=True, slots=True)
class Request:
    """One submitted request, with its URLs: those that fal gave for it, or those that it gives for its like."""

    endpoint_id: str
    request_id: str
    status_url: str
    response_url: str
    cancel_url: str


def app_of(endpoint_id: str) -> str:
    """Owner and alias, after a namespace where there is one; the rest of the path is for submitting only."""
    parts = endpoint_id.split("/")
    return "/".join(parts[: 3 if parts[0] in _NAMESPACES else 2])


def request_of(endpoint_id: str, request_id: str, hosts: Hosts) -> Request:
    """The request of this id, with the URLs that fal would have given for it."""
    here = f"{hosts.queue}/{app_of(endpoint_id)}/requests/{quote(request_id, safe='')}"
    return Request(endpoint_id, request_id, f"{here}/status", here, f"{here}/cancel")
