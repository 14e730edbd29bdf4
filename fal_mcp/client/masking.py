"""The keys, taken out of whatever fal says before anybody reads it."""

import httpx

from fal_mcp.errors import FalError, Fault

_SHORTEST_SECRET = 8
"""Shorter ones are no keys of fal's, and would be found in the middle of words."""
_MASK = "<key>"
_PACKING = (b"content-encoding", b"content-length", b"transfer-encoding")


class Mask:
    """Knows the keys of one client, whole and without their ids."""

    def __init__(self, *keys: str | None) -> None:
        self._secrets = tuple(_secrets(*keys))

    def text(self, text: str) -> str:
        """`text` without the keys."""
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        return text

    def is_needed(self, content: bytes | str) -> bool:
        """Whether a key stands in it."""
        # Keys are ASCII, and Latin-1 reads any bytes at all without a fault.
        text = content if isinstance(content, str) else content.decode("latin-1")
        return any(secret in text for secret in self._secrets)

    def answer(self, response: httpx.Response, content: bytes) -> httpx.Response:
        """The same answer, whole: unpacked, and without the keys."""
        # What says how the body was packed is left out: it is unpacked here, and a reader would unpack it again.
        headers = [(name, self._bytes(value)) for name, value in response.headers.raw if name.lower() not in _PACKING]
        content = self._bytes(content)
        return httpx.Response(response.status_code, headers=headers, content=content, request=response.request)

    def error(self, error: FalError) -> FalError:
        """The same error, without the keys in what it says."""
        # What was masked as bytes may have been written otherwise there: with escapes, or in another encoding.
        error.message = self.text(error.message)
        error.args = (error.message,)
        error.faults = tuple(Fault(self.text(fault.path), self.text(fault.message)) for fault in error.faults)
        return error

    def _bytes(self, content: bytes) -> bytes:
        for secret in self._secrets:
            content = content.replace(secret.encode(), _MASK.encode())
        return content


def _secrets(*keys: str | None) -> list[str]:
    # The longest first: a key without its id would else leave the id beside the mask.
    # A key is `id:secret`, and the secret alone opens as much as both. The id is no secret, and names the owner.
    parts = {part for key in keys if key for part in (key, key.partition(":")[2])}
    return sorted((part for part in parts if len(part) >= _SHORTEST_SECRET), key=len, reverse=True)
