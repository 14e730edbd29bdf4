"""Which scope a request needs, and which of the tools no principal is given.

The guard answers 403 with a challenge (RFC 6750), before anything is done; what is called asks again, as it alone knows
for certain which tool it is.
"""

from typing import TYPE_CHECKING

from starlette.types import Message, Receive, Scope

from fal_mcp.errors import NotAuthorised, RequestRejected
from fal_mcp.json_values import JsonObject, NotJson, object_of, parsed, text_of
from fal_mcp.server.web.guard import Wanted, Wanting
from fal_mcp.team.principal import Principal, caller
from fal_mcp.team.refusal import NotLetIn
from fal_mcp.team.scopes import ADMIN, READ, RUN, WRITE, needed

if TYPE_CHECKING:
    from fal_mcp.server.shared import Shared
    from fal_mcp.toolsets.toolbox import Toolbox

OWN = frozenset(
    {
        *("search_models", "get_model", "estimate_cost", "run_model", "run_again", "run_batch", "run_chain"),
        *("run_workflow", "compare_models"),
        *("wait_for_job", "get_job", "list_jobs", "cancel_job", "get_prices", "search_docs", "read_model_docs"),
        *("run_realtime", "realtime_open", "realtime_send", "realtime_close", "upload_file", "create_upload_ticket"),
    }
)
"""The tools beside the models' that show and change nothing but the caller's own; all others are about the account,
which many share."""
HERE = frozenset({"download_file", "download_app_file", "upload_app_file", "deploy_app", "create_key", "set_secret"})
"""The tools that work on this machine: on its files, its variables, its screen. They are its user's alone."""
_OF_TASK = {"tasks/update": RUN, "tasks/cancel": WRITE}
_ACCOUNT = ("fal://account/", "fal://apps/")


def scope_of_tool(name: str, tools: "Toolbox", *, pays_itself: bool) -> str:
    """The scope that a call of this tool needs."""
    tool = tools.get(name)
    if tool is None:
        # The account's own apps and workflows have tools that only fal can tell of, and to call one is to run it.
        return RUN
    is_own = pays_itself or name in OWN or tools.models.get(name) is not None
    return needed(tool.effect, tool.key, is_own=is_own)


def check_tool(name: str, tools: "Toolbox") -> None:
    """Refuse a tool that the principal may not call; nothing where the server is one person's.

    Raises:
        NotAuthorised: the scope is lacking.
        RequestRejected: it works on this machine.
    """
    principal = caller()
    if principal is None:
        return
    if name in HERE:
        hint = "Use the addresses in the results; what needs the machine itself is done by whoever runs the server."
        raise RequestRejected(f"{name!r} works on files of the machine that this server runs on.", hint=hint)
    _check(principal, scope_of_tool(name, tools, pays_itself=principal.key is not None), repr(name))


def check_resource(uri: str) -> None:
    """The same for a resource.

    Raises:
        NotAuthorised: the scope is lacking.
    """
    if (principal := caller()) is not None:
        _check(principal, _of_resource(uri, principal), uri[:100])


def _check(principal: Principal, scope: str, what: str) -> None:
    if scope not in principal.scopes:
        hint = "Nothing was sent. Whoever runs the server gives scopes."
        raise NotAuthorised(f"{what} needs the scope {scope}, which the token has not.", hint=hint)


def _of_resource(uri: str, principal: Principal) -> str:
    return ADMIN if uri.startswith(_ACCOUNT) and principal.key is None else READ


def wanting(shared: "Shared", path: str, largest: int) -> Wanting:
    """What tells which scope a request to `path` needs that its principal lacks. `largest`: bytes of a body."""

    async def want(principal: Principal, scope: Scope, receive: Receive) -> Wanted:
        if scope["path"].rstrip("/") != path:
            return Wanted("" if ADMIN in principal.scopes else ADMIN, receive)
        if READ not in principal.scopes:
            return Wanted(READ, receive)
        if scope["method"] != "POST":
            return Wanted("", receive)
        body, receive = await _body(receive, largest)
        message = _message(body)
        wanted = _of_message(message, principal, shared)
        lacking = "" if wanted in principal.scopes else wanted
        is_run = wanted == RUN and message.get("method") == "tools/call"
        return Wanted(lacking, receive, message if is_run else None)

    return want


def _of_message(message: JsonObject, principal: Principal, shared: "Shared") -> str:
    method, params = text_of(message.get("method")) or "", object_of(message.get("params"))
    match method:
        case "tools/call":
            name = text_of(params.get("name")) or ""
            return scope_of_tool(name, shared.tools, pays_itself=principal.key is not None)
        case "resources/read":
            return _of_resource(text_of(params.get("uri")) or "", principal)
        case _:
            return _OF_TASK.get(method, READ)


def _message(body: bytes) -> JsonObject:
    try:
        return object_of(parsed(body))
    except NotJson:
        # The SDK says what is wrong with it.
        return {}


async def _body(receive: Receive, largest: int) -> tuple[bytes, Receive]:
    """The whole body, and what gives it again to whoever reads it next."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > largest:
            raise NotLetIn(413, f"Larger than {largest:,} bytes.", "invalid_request")
        if not message.get("more_body"):
            break
    # Where the client hung up in the middle, that is what comes next.
    is_whole = message["type"] == "http.request"
    left: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False} if is_whole else message]

    async def again() -> Message:
        return left.pop() if left else await receive()

    return bytes(body), again
