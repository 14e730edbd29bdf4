"""The conformance suite's fixtures that no model of fal's has: sounds, embedded resources, sampling, logging, roots.

Each is put beside a handler of the real server, which answers everything else; lists are the real server's with the
fixtures added.
"""

import base64
import warnings
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import mcp_types as types
from mcp.server.subscriptions import PromptsListChanged
from mcp.shared.exceptions import MCPError

from fal_mcp.json_values import JsonObject, object_of
from fal_mcp.server.app import FalServer

Answer = Callable[[Any, types.CallToolRequestParams], Awaitable[Any]]
_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
_WAV = base64.b64encode(
    b"RIFF\x26\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x08\0data\2\0\0\0\x80\x80"
)
_NAME: JsonObject = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
_OK: JsonObject = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
_COLOUR: JsonObject = {"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]}
_USER: JsonObject = {
    "type": "object",
    "properties": {"username": {"type": "string"}, "email": {"type": "string"}},
    "required": ["username", "email"],
}
_DEFAULTS: JsonObject = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    },
}
_PLAIN = ["option1", "option2", "option3"]
_TITLED = [{"const": f"value{number}", "title": f"Option {number}"} for number in (1, 2, 3)]
_CHOICES: JsonObject = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": _PLAIN},
        "titledSingle": {"type": "string", "oneOf": _TITLED},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": _PLAIN}},
        "titledMulti": {"type": "array", "items": {"anyOf": _TITLED}},
    },
}


def _said(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)])


def _embedded(uri: str, text: str = "Embedded.") -> types.EmbeddedResource:
    return types.EmbeddedResource(resource=types.TextResourceContents(uri=uri, mime_type="text/plain", text=text))


def _image() -> types.ImageContent:
    return types.ImageContent(data=_PNG, mime_type="image/png")


def _fixed(*content: types.ContentBlock) -> Answer:
    async def answer(ctx: Any, params: types.CallToolRequestParams) -> Any:
        return types.CallToolResult(content=list(content))

    return answer


async def _logs(ctx: Any, params: types.CallToolRequestParams) -> Any:
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        with warnings.catch_warnings():
            # The revision of 2026 deprecates it; the one of 2025 has it.
            warnings.simplefilter("ignore")
            await ctx.session.send_log_message("info", text, related_request_id=ctx.request_id)
        await anyio.sleep(0.05)
    return _said("Logged.")


async def _progresses(ctx: Any, params: types.CallToolRequestParams) -> Any:
    for value in (0, 50, 100):
        await ctx.session.report_progress(value, 100, f"{value} of 100")
        await anyio.sleep(0.05)
    return _said("Progressed.")


async def _samples(ctx: Any, params: types.CallToolRequestParams) -> Any:
    prompt = str((params.arguments or {}).get("prompt"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        message = types.SamplingMessage(role="user", content=types.TextContent(text=prompt))
        answer = await ctx.session.create_message([message], max_tokens=100, related_request_id=ctx.request_id)
    return _said(f"LLM response: {answer.content.text}")


def _elicits(schema: JsonObject) -> Answer:
    async def answer(ctx: Any, params: types.CallToolRequestParams) -> Any:
        message = str((params.arguments or {}).get("message", "Please answer."))
        given = await ctx.session.elicit_form(message, schema, ctx.request_id)
        return _said(f"Elicitation completed: action={given.action}, content={given.content}")

    return answer


def _form(message: str, schema: JsonObject) -> types.ElicitRequest:
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def _sampling(text: str) -> types.CreateMessageRequest:
    message = types.SamplingMessage(role="user", content=types.TextContent(text=text))
    return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[message], max_tokens=100))


def _asks(requests: Callable[[], types.InputRequests], *, has_state: bool = True) -> Answer:
    """Asks for all of these until each has an answer of its kind."""

    async def answer(ctx: Any, params: types.CallToolRequestParams) -> Any:
        asked, given = requests(), params.input_responses or {}
        if not asked.keys() <= given.keys():
            return types.InputRequiredResult(input_requests=asked, request_state="asked" if has_state else None)
        words = [value.model_dump_json() for value in given.values()]
        return _said(f"state-ok. Hello! {' '.join(words)}")

    return answer


async def _asks_twice(ctx: Any, params: types.CallToolRequestParams) -> Any:
    given = params.input_responses or {}
    if "step2" in given:
        return _said("All steps are done.")
    step, schema = ("step2", _COLOUR) if "step1" in given else ("step1", _NAME)
    return types.InputRequiredResult(input_requests={step: _form(step, schema)}, request_state=step)


async def _asks_what_can_be_answered(ctx: Any, params: types.CallToolRequestParams) -> Any:
    able = ctx.session.client_capabilities
    requests: types.InputRequests = {}
    if able is not None and able.sampling is not None:
        requests["text"] = _sampling("Say something.")
    if able is not None and able.elicitation is not None:
        requests["name"] = _form("What is your name?", _NAME)
    if not requests:
        return _said("Nothing can be asked.")
    return types.InputRequiredResult(input_requests=requests, request_state="asked")


async def _fails(ctx: Any, params: types.CallToolRequestParams) -> Any:
    text = types.TextContent(text="This tool intentionally returns an error for testing")
    return types.CallToolResult(content=[text], is_error=True)


async def _needs_sampling(ctx: Any, params: types.CallToolRequestParams) -> Any:
    able = ctx.session.client_capabilities
    if able is None or able.sampling is None:
        raise MCPError(-32021, "The client has not declared sampling.", {"requiredCapabilities": {"sampling": {}}})
    return _said("The client can sample.")


def _roots() -> types.ListRootsRequest:
    return types.ListRootsRequest()


ANSWERS: Mapping[str, Answer] = {
    "test_image_content": _fixed(_image()),
    "test_audio_content": _fixed(types.AudioContent(data=_WAV.decode(), mime_type="audio/wav")),
    "test_embedded_resource": _fixed(_embedded("test://embedded-resource")),
    "test_multiple_content_types": _fixed(
        types.TextContent(text="Multiple content types test:"), _image(), _embedded("test://mixed-content-resource")
    ),
    "test_tool_with_logging": _logs,
    "test_error_handling": _fails,
    "test_tool_with_progress": _progresses,
    "test_sampling": _samples,
    "test_elicitation": _elicits(_USER),
    "test_elicitation_sep1034_defaults": _elicits(_DEFAULTS),
    "test_elicitation_sep1330_enums": _elicits(_CHOICES),
    "test_input_required_result_elicitation": _asks(
        lambda: {"user_name": _form("What is your name?", _NAME)}, has_state=False
    ),
    "test_input_required_result_sampling": _asks(
        lambda: {"capital_question": _sampling("What is the capital of France?")}
    ),
    "test_input_required_result_list_roots": _asks(lambda: {"client_roots": _roots()}),
    "test_input_required_result_request_state": _asks(lambda: {"confirm": _form("Please confirm", _OK)}),
    "test_input_required_result_tampered_state": _asks(lambda: {"confirm": _form("Please confirm", _OK)}),
    "test_input_required_result_multiple_inputs": _asks(
        lambda: {
            "user_name": _form("What is your name?", _NAME),
            "greeting": _sampling("Generate a greeting"),
            "client_roots": _roots(),
        }
    ),
    "test_input_required_result_multi_round": _asks_twice,
    "test_missing_capability": _needs_sampling,
    "test_streaming_elicitation": _asks(lambda: {"user_name": _form("What is your name?", _NAME)}),
    "test_logging_tool": _logs,
    "test_input_required_result_capabilities": _asks_what_can_be_answered,
}
"""By the names of tools, which stand in the real server's list."""

TRIGGERS = ("test_trigger_tool_change", "test_trigger_prompt_change")
"""Tools at whose call a change is announced."""

_RESOURCES: Mapping[str, types.TextResourceContents | types.BlobResourceContents] = {
    "test://static-text": types.TextResourceContents(
        uri="test://static-text", mime_type="text/plain", text="This is the content of the static text resource."
    ),
    "test://static-binary": types.BlobResourceContents(uri="test://static-binary", mime_type="image/png", blob=_PNG),
    "test://watched-resource": types.TextResourceContents(uri="test://watched-resource", text="Watched."),
}


def _resource(uri: str) -> types.TextResourceContents | types.BlobResourceContents | None:
    if uri.startswith("test://template/") and uri.endswith("/data"):
        number = uri.split("/")[3]
        text = f'{{"id": "{number}", "data": "Data for ID: {number}"}}'
        return types.TextResourceContents(uri=uri, mime_type="application/json", text=text)
    return _RESOURCES.get(uri)


def _prompt(name: str, arguments: Mapping[str, str]) -> types.GetPromptResult | None:
    contents: dict[str, list[types.ContentBlock]] = {
        "test_simple_prompt": [types.TextContent(text="This is a simple prompt for testing.")],
        "test_prompt_with_arguments": [
            types.TextContent(
                text=f"Prompt with arguments: arg1='{arguments.get('arg1')}', arg2='{arguments.get('arg2')}'"
            )
        ],
        "test_prompt_with_embedded_resource": [_embedded(arguments.get("resourceUri", "test://none"))],
        "test_prompt_with_image": [_image(), types.TextContent(text="Please analyze the image above.")],
    }
    if name not in contents:
        return None
    messages = [types.PromptMessage(role="user", content=content) for content in contents[name]]
    return types.GetPromptResult(messages=messages)


_PROMPTS = {
    "test_simple_prompt": [],
    "test_prompt_with_arguments": ["arg1", "arg2"],
    "test_prompt_with_embedded_resource": ["resourceUri"],
    "test_prompt_with_image": [],
    "test_input_required_result_prompt": [],
}


def put_beside(server: FalServer) -> None:
    """Put the fixtures beside the real server's handlers."""

    def beside(method: str, fixture: Callable[[Any, Any, Any], Awaitable[Any]]) -> None:
        entry = server.get_request_handler(method)
        assert entry is not None, method

        async def either(ctx: Any, params: Any) -> Any:
            return await fixture(ctx, params, entry.handler)

        server.add_request_handler(method, entry.params_type, either)

    async def call(ctx: Any, params: types.CallToolRequestParams, real: Any) -> Any:
        if params.name == "test_trigger_tool_change":
            await server.news.tools_changed()
        elif params.name == "test_trigger_prompt_change":
            # The server's own prompts never change, so that it has no way of its own to say so.
            await server.news._bus.publish(PromptsListChanged())  # pyright: ignore[reportPrivateUsage]
        answer = ANSWERS.get(params.name)
        return await (answer(ctx, params) if answer else real(ctx, params))

    beside("tools/call", call)
    beside("resources/read", _read)
    beside("resources/list", _list_resources)
    beside("resources/templates/list", _list_templates)
    beside("prompts/list", _list_prompts)
    beside("prompts/get", _get_prompt)
    server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, _nothing)
    server.add_request_handler("resources/subscribe", types.SubscribeRequestParams, _nothing)
    server.add_request_handler("resources/unsubscribe", types.UnsubscribeRequestParams, _nothing)


async def _nothing(ctx: Any, params: Any) -> types.EmptyResult:
    return types.EmptyResult()


async def _read(ctx: Any, params: types.ReadResourceRequestParams, real: Any) -> Any:
    content = _resource(str(params.uri))
    return types.ReadResourceResult(contents=[content]) if content else await real(ctx, params)


async def _list_resources(ctx: Any, params: Any, real: Any) -> Any:
    listed = await real(ctx, params)
    return listed.model_copy(
        update={"resources": [*listed.resources, *(types.Resource(uri=uri, name=uri) for uri in _RESOURCES)]}
    )


async def _list_templates(ctx: Any, params: Any, real: Any) -> Any:
    listed = await real(ctx, params)
    template = types.ResourceTemplate(uri_template="test://template/{id}/data", name="A template")
    return listed.model_copy(update={"resource_templates": [*listed.resource_templates, template]})


async def _list_prompts(ctx: Any, params: Any, real: Any) -> Any:
    listed = await real(ctx, params)
    prompts = [
        types.Prompt(
            name=name,
            description="A fixture.",
            arguments=[types.PromptArgument(name=argument, required=True) for argument in arguments],
        )
        for name, arguments in _PROMPTS.items()
    ]
    return listed.model_copy(update={"prompts": [*listed.prompts, *prompts]})


async def _get_prompt(ctx: Any, params: types.GetPromptRequestParams, real: Any) -> Any:
    if params.name == "test_input_required_result_prompt":
        if "user_context" in (params.input_responses or {}):
            text = object_of((params.input_responses or {})["user_context"].model_dump()).get("content")
            message = types.PromptMessage(role="user", content=types.TextContent(text=f"With context: {text}"))
            return types.GetPromptResult(messages=[message])
        context: JsonObject = {"type": "object", "properties": {"context": {"type": "string"}}, "required": ["context"]}
        return types.InputRequiredResult(input_requests={"user_context": _form("What context?", context)})
    return _prompt(params.name, params.arguments or {}) or await real(ctx, params)
