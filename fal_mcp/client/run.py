"""fal's synchronous host: one request, held open until the model is done. Fact sheet §3.1."""

from collections.abc import Mapping
from typing import Any

from fal_mcp.client.http import Http
from fal_mcp.client.queue import read_output
from fal_mcp.config import Hosts


class Run:
    """Runs fast models without the queue: nothing to follow, and nothing to come back to if the line breaks."""

    def __init__(self, http: Http, hosts: Hosts) -> None:
        self._http = http
        self._hosts = hosts

    async def run(self, endpoint_id: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The model's output.

        Raises:
            MaybeReceived: the line broke before the answer; the model may have run.
            FalError: as for `Queue.submit` and `Queue.result`.
        """
        self._http.need_key()
        response = await self._http.post_once(f"{self._hosts.run}/{endpoint_id}", arguments)
        return await read_output(response.content)
