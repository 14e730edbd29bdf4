"""fal's documentation: searched, and a model's own page."""

from pydantic import Field

from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs.call import Call
from fal_mcp.text import clean
from fal_mcp.tools import from_function
from fal_mcp.tools.from_function import Arguments
from fal_mcp.tools.tool import Tool

_LONGEST = 20_000
_ID = r"^\w[\w.-]*(/\w[\w.-]*)+$"


class SearchArguments(Arguments):
    query: str = Field(min_length=2, max_length=300, description="What to look for, in plain words.")


class ReadArguments(Arguments):
    endpoint_id: str = Field(
        min_length=3,
        max_length=200,
        pattern=r"^\w[\w.-]*(/\w[\w.-]*)+$",
        description="The model's id, as fal-ai/flux/dev.",
    )


def tools() -> list[Tool]:
    """The documentation tools."""
    return [
        from_function.tool(
            SearchArguments,
            _search,
            name="search_docs",
            title="Search fal's documentation",
            description="Searches fal's own documentation: APIs, serverless, billing, limits. Free.",
            effect="reads",
        ),
        from_function.tool(
            ReadArguments,
            _read,
            name="read_model_docs",
            title="Read a model's page",
            description="The page that fal keeps for language models about one model, with its prices in words. Free.",
            effect="reads",
        ),
    ]


async def _search(arguments: SearchArguments, call: Call) -> Outcome:
    return _told(await call.fal().docs.search(arguments.query))


async def _read(arguments: ReadArguments, call: Call) -> Outcome:
    return _told(await call.fal().docs.of_model(arguments.endpoint_id))


def _told(text: str) -> Outcome:
    page = clean(text, _LONGEST)
    return Outcome(data={"text": page}, note=page or "Nothing was found.", is_plain=True)
