"""Platform operations as data: whatever the arguments are, each lands in one place and no path is left."""

from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_mcp.errors import InvalidInput
from fal_mcp.openapi.operation import Operation
from fal_mcp.openapi.validate import check
from fal_mcp.tools import rules
from fal_mcp.toolsets import platform

OPERATIONS = list(platform.operations().values())
TEXT = st.text(min_size=1, max_size=40)


def with_paths(operation: Operation, value: str) -> dict[str, Any]:
    return {one.name: value for one in operation.arguments if one.place == "path"}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.operation_id)
def test_its_arguments_are_a_schema_that_hosts_take(operation: Operation):
    schema = operation.input_schema()
    check(schema)
    assert schema["type"] == "object" and not {"anyOf", "oneOf", "allOf"} & schema.keys()
    assert len(schema["properties"]) == len(operation.arguments), "no two arguments share a name"


@given(operation=st.sampled_from(OPERATIONS), value=TEXT)
def test_no_argument_leads_a_path_elsewhere(operation: Operation, value: str):
    """What is not refused stays inside its place: nothing climbs, ends the path, or begins a query."""
    arguments = with_paths(operation, value)
    try:
        rules.check(operation, arguments)
    except InvalidInput:
        pass
    else:
        path = operation.request(arguments).path
        parts = urlsplit(f"https://api.fal.ai/v1{path}")
        assert (parts.netloc, parts.query, parts.fragment) == ("api.fal.ai", "", "")
        assert not {"", ".", ".."} & {unquote(step) for step in path.strip("/").split("/")}
        if not any(one.is_path for one in operation.arguments):
            assert path.count("/") == operation.path.count("/")


@given(
    operation=st.sampled_from(OPERATIONS),
    value=st.lists(TEXT, min_size=1, max_size=3) | TEXT | st.booleans() | st.integers(),
)
def test_every_argument_is_in_the_request_once(operation: Operation, value: Any):
    arguments = {one.name: "x" if one.place == "path" else value for one in operation.arguments}
    request = operation.request(arguments)
    whole: Any = request.body or {}
    body: dict[str, Any] = {} if isinstance(whole, str | list | bool | int) else whole
    queried = {name for name, _ in request.query}
    for one in operation.arguments:
        places = (one.place == "path", one.name in queried, one.name in body or one.is_whole_body)
        assert places == (one.place == "path", one.place == "query", one.place == "body")
