"""An endpoint's app, for the one case that has only a request id and no URLs of fal's. Fact sheet §2.1."""

from fal_mcp.client.queue import Request
from fal_mcp.config import Hosts

_NAMESPACES = frozenset({"workflows", "comfy"})


def app_of(endpoint_id: str) -> str:
    """Owner and alias, after a namespace where there is one; the rest of the path is for submitting only."""
    parts = endpoint_id.split("/")
    return "/".join(parts[: 3 if parts[0] in _NAMESPACES else 2])


def request_of(endpoint_id: str, request_id: str, hosts: Hosts) -> Request:
    """The request of this id, with the URLs that fal would have given for it."""
    here = f"{hosts.queue}/{app_of(endpoint_id)}/requests/{request_id}"
    return Request(endpoint_id, request_id, f"{here}/status", here, f"{here}/cancel")
