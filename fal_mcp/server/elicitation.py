"""Asks the user something, in both protocol eras and in tasks. No answer within five minutes is none."""

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import closing
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError, NoBackChannelError

from fal_mcp.json_values import JsonMapping, JsonObject, NotJson, dumped, object_of, parsed, text_of
from fal_mcp.runs.call import CannotAsk
from fal_mcp.server.tasks import Run

if TYPE_CHECKING:
    from fal_mcp.server.secret_page import SecretPage, SecretPages

_KEY = "input"
_LONGEST_ANSWER = 300.0
_REMEMBERED = 3600.0
"""Seconds for which an answer counts as used: longer than the sealed state is taken for."""
Ask = Callable[[str, JsonMapping], Coroutine[Any, Any, JsonMapping | None]]
IsFirst = Callable[[str, float], Awaitable[bool]]
AskSecret = Callable[[str, str], Coroutine[Any, Any, str | None]]


class InputNeeded(Exception):
    """Revision 2026-07-28 has no questions from the server: the call is answered with the question, and repeated."""

    def __init__(self, result: types.InputRequiredResult) -> None:
        super().__init__()
        self.result = result


def asker(ctx: Any, params: types.CallToolRequestParams, run: Run | None, is_first: IsFirst) -> Ask:
    """What asks the user of this call; None is what they answer by declining, or by not answering.

    The question goes into the sealed state with the arguments it is about: a yes to one thing is none to another. Each
    answer is used by one call: sent again, the call is asked again.
    """
    retry = _Retry(params, is_first)

    async def ask(question: str, schema: JsonMapping) -> JsonMapping | None:
        capabilities = ctx.session.client_capabilities
        # Asked anyway, a client that takes none answers with an error, or never.
        if not _takes_forms(capabilities):
            raise CannotAsk
        if run is not None and run.is_task:
            return await _in_task(run, question, schema)
        if str(ctx.protocol_version) >= "2026":
            return await retry.answer(question, schema)
        with anyio.move_on_after(_LONGEST_ANSWER):
            return _content(await _heard(ctx.session.elicit_form(question, dict(schema), ctx.request_id)))
        return None

    return ask


def secret_asker(
    ctx: Any, params: types.CallToolRequestParams, run: Run | None, pages: Callable[[], "SecretPages"]
) -> AskSecret:
    """What asks the user of this call for a secret, on a page of this machine; None where they decline.

    The question goes to the client, the answer past it. Raises `TimeoutError` where none comes while the page is there.
    """

    async def ask(name: str, purpose: str) -> str | None:
        if not _opens_urls(ctx.session.client_capabilities):
            raise CannotAsk
        answer = (params.input_responses or {}).get(_KEY)
        page = pages().find(params.request_state)
        if params.request_state is not None and answer is not None:
            return await _written_by_now(page, answer)
        page = page or await pages().open(name, purpose)
        # Looked at only now: while the page was opened, the call may have become a task.
        if run is not None and run.is_task:
            return await _written(page, _answer_in_task(run, _leading_to(page)))
        if str(ctx.protocol_version) >= "2026":
            asked: types.InputRequests = {_KEY: _leading_to(page)}
            # The seal binds the page's id to the tool and the arguments, and so to the question.
            raise InputNeeded(types.InputRequiredResult(input_requests=asked, request_state=page.id))
        asking = ctx.session.elicit_url(_message(page), page.url, page.id, ctx.request_id)
        value = await _written(page, _heard(asking))
        if value is not None:
            await ctx.session.send_elicit_complete(page.id, ctx.request_id)
        return value

    return ask


def _takes_forms(capabilities: types.ClientCapabilities | None) -> bool:
    """An empty declaration means forms (client/elicitation, 2025-11-25)."""
    elicitation = capabilities.elicitation if capabilities is not None else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def _opens_urls(capabilities: types.ClientCapabilities | None) -> bool:
    return (
        capabilities is not None and capabilities.elicitation is not None and capabilities.elicitation.url is not None
    )


async def _heard(answer: Awaitable[types.ElicitResult]) -> types.ElicitResult | None:
    """What the client answers; None where that is an error, or not in the form of an answer: it is no yes either.

    Raises:
        CannotAsk: it does not know the question, whatever it declared.
    """
    try:
        return await answer
    except MCPError as error:
        if isinstance(error, NoBackChannelError) or error.error.code == types.METHOD_NOT_FOUND:
            raise CannotAsk from error
        return None
    # pydantic's, of what the client made up.
    except ValueError:
        return None


async def _written(page: "SecretPage", answer: Awaitable[Any]) -> str | None:
    """What the user writes on the page, if they accept to go there, which says nothing of having written."""
    with closing(page), anyio.fail_after(page.lifetime):
        return await page.value() if _content(await answer) is not None else None


async def _written_by_now(page: "SecretPage | None", answer: object) -> str | None:
    """The same where the call is repeated with the answer, and the page may be gone by then."""
    if page is None:
        raise TimeoutError
    with closing(page):
        return await page.value() if _content(answer) is not None else None


async def _in_task(run: Run, question: str, schema: JsonMapping) -> JsonMapping | None:
    with anyio.move_on_after(_LONGEST_ANSWER):
        return _content(await _answer_in_task(run, _request(question, schema)))
    return None


async def _answer_in_task(run: Run, request: types.ElicitRequest) -> types.ElicitResult | None:
    answer = await run.ask(request.model_dump(mode="json", by_alias=True, exclude_none=True))
    try:
        return types.ElicitResult.model_validate(answer)
    # An answer of another form is no yes.
    except ValueError:
        return None


class _Retry:
    """The answers that a repeated call carries: to the question it was answered with last, and, in its sealed state,
    those to the questions before, for a call that asks several."""

    def __init__(self, params: types.CallToolRequestParams, is_first: IsFirst) -> None:
        self._params = params
        self._is_first = is_first
        self._state = _state(params.request_state)
        self._given: JsonObject = object_of(self._state.get("given"))
        self._is_used: bool | None = None

    async def answer(self, question: str, schema: JsonMapping) -> JsonMapping | None:
        """What the user said to this question.

        Raises:
            InputNeeded: nothing yet.
        """
        # With the arguments in it: a yes to a cheap run must not be sent along with a dear one.
        about = self._about(question)
        if await self._is_fresh():
            if about in self._given:
                return object_of(self._given[about])
            responses = self._params.input_responses or {}
            if _KEY in responses and self._state.get("about") == about:
                content = _content(responses[_KEY])
                if content is not None:
                    self._given = {**self._given, about: dict(content)}
                return content
        asked: types.InputRequests = {_KEY: _request(question, schema)}
        # A state that was used once gives nothing any more, also to the questions before.
        given = {} if self._is_used else self._given
        # The SDK seals it, so that a client can keep it but neither read nor change it.
        state = dumped({"about": about, "nonce": secrets.token_hex(16), "given": given})
        raise InputNeeded(types.InputRequiredResult(input_requests=asked, request_state=state))

    async def _is_fresh(self) -> bool:
        """Whether no call was made with this state before: a call that is sent twice is approved once."""
        nonce = text_of(self._state.get("nonce"))
        if nonce is None:
            return False
        if self._is_used is None:
            self._is_used = not await self._is_first(f"answer:{nonce}", _REMEMBERED)
        return not self._is_used

    def _about(self, question: str) -> str:
        text = dumped([self._params.name, self._params.arguments, question], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _state(sealed: str | None) -> JsonObject:
    try:
        return object_of(parsed(sealed)) if sealed else {}
    except NotJson:
        return {}


def _request(question: str, schema: JsonMapping) -> types.ElicitRequest:
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=question, requested_schema=dict(schema)))


def _leading_to(page: "SecretPage") -> types.ElicitRequest:
    return types.ElicitRequest(params=types.ElicitRequestURLParams(message=_message(page), url=page.url))


def _message(page: "SecretPage") -> str:
    return f"Write the value of the secret {page.name} on a page of this machine. {page.purpose}"


def _content(answer: object) -> JsonMapping | None:
    if isinstance(answer, types.ElicitResult) and answer.action == "accept":
        return answer.content or {}
    return None
