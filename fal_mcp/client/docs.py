"""fal's documentation: searched through its public MCP server, and each model's own page. No key goes there."""

import anyio

from fal_mcp.client.body import SMALL
from fal_mcp.client.http import Http
from fal_mcp.config import Hosts
from fal_mcp.errors import ServiceFailed, Unreachable

_TOOL = "search_fal"
_LONGEST = 30.0


class Docs:
    """What fal has written."""

    def __init__(self, http: Http, hosts: Hosts) -> None:
        self._http = http
        self._hosts = hosts

    async def search(self, query: str) -> str:
        """What fal's documentation says of it, as text.

        Raises:
            Unreachable: its server did not answer.
            ServiceFailed: it answered with an error.
        """
        # The SDK's client is half as large as its server, and nothing else here needs it.
        from mcp.client import Client
        from mcp_types import TextContent

        try:
            with anyio.fail_after(_LONGEST):
                async with Client(f"{self._hosts.docs}/mcp") as client:
                    answer = await client.call_tool(_TOOL, {"query": query})
        except Exception as error:
            # Whatever kind of error the transport makes of it, there is no answer.
            raise Unreachable("fal's documentation server did not answer.") from error
        text = "\n\n".join(part.text for part in answer.content if isinstance(part, TextContent))
        if answer.is_error:
            raise ServiceFailed("fal's documentation server could not search.")
        return text

    async def of_model(self, endpoint_id: str) -> str:
        """The page that a model has for language models.

        Raises:
            NotFound: it has none.
        """
        return (await self._http.get(f"{self._hosts.www}/models/{endpoint_id}/llms.txt", most=SMALL)).text
