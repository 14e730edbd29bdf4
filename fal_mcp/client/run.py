"""fal's synchronous host: one request, held open until the model is done."""

from collections.abc import Mapping

from fal_mcp.client import answers
from fal_mcp.client.http import Http
from fal_mcp.client.outputs import raw_output, read_output
from fal_mcp.client.retry import IF_NOT_RECEIVED
from fal_mcp.config import Hosts
from fal_mcp.errors import ServiceFailed
from fal_mcp.json_values import JsonMapping, JsonObject


class Run:
    """Runs fast models without the queue: nothing to follow, and nothing to come back to if the line breaks."""

    def __init__(self, http: Http, hosts: Hosts) -> None:
        self._http = http
        self._hosts = hosts

    async def run(self, endpoint_id: str, arguments: JsonMapping) -> JsonObject:
        """The model's output; there is one chance to have it, so what cannot be read is given as it came.

        Raises:
            RequestRejected: fal refused it, in its own form; nothing ran.
            Unreachable: of this very kind, nothing was sent.
            GenerationFailed: fal says that it failed.
            MaybeReceived: anything else. It may have run, and was not sent again.
        """
        self._http.need_key()
        url = f"{self._hosts.run}/{endpoint_id}"
        response = await self._http.request(
            # There is no request to find again: what may have been received is never sent twice, because it would be
            # paid for twice.
            "POST",
            url,
            retry=IF_NOT_RECEIVED,
            json=arguments,
            changes=True,
            judge=answers.of_run,
        )
        try:
            return await read_output(response.content)
        except ServiceFailed as error:
            # A proxy's page with status 200 is no output; a model may well give a page, and then fal's id stands in the
            # headers.
            if not _is_models_own(response.headers, response.content):
                raise answers.unproven(response.status_code, response.headers, response.content) from error
        kind = response.headers.get("content-type", "")
        return raw_output(response.content, kind, "The model's answer is not JSON; this is what it gave.")


def _is_models_own(headers: Mapping[str, str], content: bytes) -> bool:
    """Whether it came from the model, and is not the page of something between here and fal."""
    return bool(content.strip()) and ("x-fal-request-id" in headers or content.lstrip()[:1] != b"<")
