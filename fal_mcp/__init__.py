"""An MCP server that gives AI assistants every model on fal, each as its own typed tool; and its client for fal.

What is named here, `fal_mcp.errors` and `fal_mcp.emulator` are for others' programs, and change only with a new minor
version at least. Everything else is internal.
"""

TYPE_CHECKING = False
"""`typing` has one too, and takes as long to import as all of this."""

if TYPE_CHECKING:
    from fal_mcp import errors
    from fal_mcp.client.endpoint_id import Request
    from fal_mcp.client.fal import Fal
    from fal_mcp.client.status import Completed, InProgress, Queued
    from fal_mcp.config import Hosts
    from fal_mcp.errors import FalError, GenerationFailed, MaybeReceived, RequestRejected, ServiceFailed, Unreachable

__version__ = "0.1.0"
__all__ = [
    "Completed",
    "Fal",
    "FalError",
    "GenerationFailed",
    "Hosts",
    "InProgress",
    "MaybeReceived",
    "Queued",
    "Request",
    "RequestRejected",
    "ServiceFailed",
    "Unreachable",
    "__version__",
    "errors",
]
_HOMES = {
    "Completed": "client.status",
    "Fal": "client.fal",
    "Hosts": "config",
    "InProgress": "client.status",
    "Queued": "client.status",
    "Request": "client.endpoint_id",
    **dict.fromkeys(
        ("FalError", "GenerationFailed", "MaybeReceived", "RequestRejected", "ServiceFailed", "Unreachable"), "errors"
    ),
}
"""Where each name is; the server's start imports this package and nothing of it."""


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "errors":
        return import_module("fal_mcp.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'fal_mcp' has no attribute {name!r}")
    value = getattr(import_module(f"fal_mcp.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
