"""Who may see a file on fal's CDN, and what becomes of new ones: the Platform's storage operations."""

from collections.abc import Mapping, Sequence

from fal_mcp.client import answers
from fal_mcp.client.http import Http
from fal_mcp.config import Hosts
from fal_mcp.errors import ServiceFailed
from fal_mcp.json_values import JsonMapping, JsonObject


class Access:
    """The account's files and storage settings."""

    def __init__(self, http: Http, hosts: Hosts) -> None:
        self._http = http
        self._base = f"{hosts.api}/v1/storage"

    async def list_of(self, url: str) -> JsonObject:
        """A file's access list: `default` and `rules`.

        Raises:
            NotFound: fal has no such file of this account's.
            FalError: whatever else fal has against it.
        """
        self._http.need_key()
        return _object((await self._http.get(f"{self._base}/files/acl", {"url": url})).content)

    async def set_list(self, url: str, default: str, rules: Sequence[Mapping[str, str]]) -> JsonObject:
        """Replace a file's access list; what fal applied. Rules about unknown users are dropped by fal."""
        self._http.need_key()
        body = {"default": default, "rules": list(rules)}
        return _object((await self._http.put(f"{self._base}/files/acl", {"url": url}, body)).content)

    async def sign(self, url: str, seconds: int) -> str:
        """An address that shows a restricted file to whoever has it, for 1 to 604,800 seconds."""
        self._http.need_key()
        answer = await self._http.ask(f"{self._base}/files/sign", {"expiration_seconds": seconds}, params={"url": url})
        signed = _object(answer.content).get("signed_url")
        if not isinstance(signed, str):
            raise ServiceFailed("fal signed nothing.")
        return signed

    async def settings(self) -> JsonObject:
        """What becomes of new files: `expiration_duration_seconds` and `initial_acl`, null where not set."""
        self._http.need_key()
        return _object((await self._http.get(f"{self._base}/settings")).content)

    async def set_settings(self, settings: JsonMapping) -> JsonObject:
        """Replace the settings whole: what is left out is cleared. What fal saved."""
        self._http.need_key()
        return _object((await self._http.put(f"{self._base}/settings", None, dict(settings))).content)


def _object(body: bytes) -> JsonObject:
    answer = answers.json_object(body)
    if answer is None:
        raise ServiceFailed("fal's answer is not a JSON object.")
    return answer
