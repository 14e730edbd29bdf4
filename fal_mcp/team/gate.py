"""The gate: who a request is of, by its headers alone. One way of paying is open, never both."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl

from fal_mcp.errors import FalError
from fal_mcp.team.principal import Principal
from fal_mcp.team.refusal import NotLetIn, invalid, unknown
from fal_mcp.team.token_file import PREFIX

if TYPE_CHECKING:
    from fal_mcp.team.issuer import Issuer
    from fal_mcp.team.own_keys import OwnKeys
    from fal_mcp.team.token_file import TokenFile

Headers = Sequence[tuple[str, str]]
KEY_HEADER = "x-fal-key"
_LONGEST_TOKEN = 16 * 1024


class Gate(Protocol):
    """What lets a request in."""

    async def admit(self, headers: Headers, query: str) -> Principal:
        """Whose request it is.

        Raises:
            NotLetIn: nobody's.
        """
        ...


class BearerGate:
    """The server pays; callers have tokens of its file, or of an issuer."""

    def __init__(self, tokens: "TokenFile | None", issuer: "Issuer | None") -> None:
        self._tokens = tokens
        self._issuer = issuer

    async def admit(self, headers: Headers, query: str) -> Principal:
        """As `Gate`."""
        _refuse_in_query(query)
        if _values(headers, KEY_HEADER):
            raise NotLetIn(400, "This server pays with its own key: send none, and make a new one if it was yours.")
        token = _bearer(headers)
        # By its shape and not by trying both: a token of the file is shown to no library, and fails in one place.
        if self._tokens is not None and (token.startswith(PREFIX) or self._issuer is None):
            try:
                return self._tokens.principal_of(token)
            except FalError as error:
                raise NotLetIn(503, error.message, retry_after=30) from error
        if self._issuer is None:
            raise invalid()
        return await self._issuer.principal_of(token)


class OwnKeyGate:
    """Each caller pays with its own key of fal's."""

    def __init__(self, keys: "OwnKeys") -> None:
        self._keys = keys

    async def admit(self, headers: Headers, query: str) -> Principal:
        """As `Gate`."""
        _refuse_in_query(query)
        match _values(headers, KEY_HEADER):
            case []:
                raise unknown("Your own key of fal's is needed, as X-Fal-Key.")
            case [key]:
                return await self._keys.principal_of(key)
            case _:
                raise NotLetIn(400, "X-Fal-Key is there more than once.", "invalid_request")


def _refuse_in_query(query: str) -> None:
    names = {name.casefold() for name, _ in parse_qsl(query, keep_blank_values=True)}
    # RFC 6750 has that way, and MCP forbids it: addresses stand in logs.
    if names & {"access_token", "token", "fal_key", "key"}:
        raise NotLetIn(400, "A token or key in the address is not taken; send it as a header.", "invalid_request")


def _bearer(headers: Headers) -> str:
    match _values(headers, "authorization"):
        case []:
            raise unknown()
        case [value]:
            scheme, _, token = value.strip().partition(" ")
            token = token.strip()
            if scheme.lower() != "bearer":
                raise unknown()
            if not token or len(token) > _LONGEST_TOKEN or not token.isascii() or not token.isprintable():
                raise invalid()
            return token
        case _:
            raise NotLetIn(400, "Authorization is there more than once.", "invalid_request")


def _values(headers: Headers, wanted: str) -> list[str]:
    return [value for name, value in headers if name == wanted]
