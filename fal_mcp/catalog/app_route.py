"""A route of an app as an endpoint, by what the app publishes of itself."""

from dataclasses import replace

from fal_mcp.catalog import reader
from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.json_values import JsonMapping
from fal_mcp.openapi import app_document
from fal_mcp.openapi.document import UnusableDocument
from fal_mcp.text import one_line

CATEGORY = "app"
_MOST_NAMED = 8


class NotRunnable(ValueError):
    """What an app has no route for, or one that no model is run by; the message is a sentence that says why.

    `others` are the endpoints that the app does run.
    """

    def __init__(self, message: str, others: list[str]) -> None:
        super().__init__(message)
        self.others = others


def ids(document: JsonMapping, app: str) -> list[str]:
    """The endpoints that an app's document has."""
    return [_id(app, path) for path, way in app_document.routes(document).items() if way != "none"]


def endpoint(document: JsonMapping, endpoint_id: str, app: str) -> Endpoint:
    """The endpoint of the app `owner/name`.

    Raises:
        NotRunnable: it is no route of the app, or none that a model is run by.
        UnusableDocument: the reason, in one sentence.
    """
    ways = {_id(app, path): (path, way) for path, way in app_document.routes(document).items()}
    if not ways:
        raise UnusableDocument("It has no routes.")
    path, way = ways.get(endpoint_id, ("", ""))
    if way in ("", "none"):
        others = ids(document, app)[:_MOST_NAMED]
        what = "is no model: it is not run by POST" if way else f"is no route of the app {app!r}"
        raise NotRunnable(f"{one_line(endpoint_id, 120)!r} {what}.", others)
    made = app_document.of_route(document, endpoint_id, path)
    if app_document.takes_a_list(made, endpoint_id):
        # The arguments of a tool are an object, and the app would refuse one.
        what = "takes a list as the whole of its input, and the arguments of a tool have names"
        raise NotRunnable(f"{one_line(endpoint_id, 120)!r} {what}.", [])
    item = {"metadata": {"category": CATEGORY, "display_name": endpoint_id}}
    read = reader.endpoint(made, item)
    return replace(read, way=way)


def _id(app: str, path: str) -> str:
    inner = path.strip("/")
    return f"{app}/{inner}" if inner else app
