"""The secrets of the account's serverless apps, on the REST host: listed by name, set, never shown.

An old client's word for where they are: fal's Platform API has none and its own command line uses another protocol, so
an answer of "no such address" is told as what it is. Two forms of it are written down, and neither is confirmed: a list
under `secrets` and PUT by name, or a bare list and POST. Both are understood.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fal_mcp.client.http import Http
from fal_mcp.config import Hosts
from fal_mcp.errors import FalError, NotFound, RequestRejected, ServiceFailed
from fal_mcp.json_values import NotJson, is_list, is_object, object_of, parsed
from fal_mcp.text import one_line

_NO_SUCH_ADDRESS = (404, 405)


@dataclass(frozen=True, slots=True)
class Secret:
    """What is told of a secret; `created_at` is as fal writes it, or empty."""

    name: str
    created_at: str


class ServerlessSecrets:
    """The secrets of one account."""

    def __init__(self, http: Http, hosts: Hosts) -> None:
        self._http = http
        self._url = f"{hosts.rest}/serverless/secrets"

    async def list(self) -> list[Secret]:
        """Every secret, by name. Whatever else fal should tell of one is dropped.

        Raises:
            NotFound: fal has no such address any more.
            FalError: whatever else fal has against it.
        """
        self._http.need_key()
        try:
            response = await self._http.get(self._url)
        except FalError as error:
            raise _gone(error.status) or error from None
        return [secret for entry in _entries(response.content) if (secret := _secret(entry))]

    async def set(self, name: str, value: str) -> None:
        """Give a secret a value, whether there was one or not.

        Raises:
            NotFound: fal has no such address any more.
            FalError: fal did not take it; of what fal says, only the status is told.
        """
        self._http.need_key()
        try:
            await self._put(name, value)
        except FalError as error:
            # A refusal may repeat what was refused: nothing of it goes on, not even as a cause.
            about = f"with {error.status}" if error.status else "with nothing"
            # An answer that was lost, or is no refusal, does not say that the old value is still there.
            is_refused = isinstance(error, RequestRejected)
            what = (
                f"The secret {name!r} was not set"
                if is_refused
                else f"Whether the secret {name!r} was set is not known"
            )
            refusal = type(error)(
                f"{what}: fal answered {about}.",
                status=error.status,
                retryable=error.retryable,
                hint=type(error).hint,
            )
            raise _gone(error.status) or refusal from None

    async def _put(self, name: str, value: str) -> None:
        try:
            await self._http.put(f"{self._url}/{quote(name, safe='')}", None, {"value": value})
        except FalError as error:
            if error.status not in _NO_SUCH_ADDRESS:
                raise
        else:
            return
        # Makes it or replaces it, so it may be sent again.
        await self._http.ask(self._url, {"name": name, "value": value})


def _entries(content: bytes) -> "Sequence[Any]":
    try:
        value = parsed(content)
    except NotJson as error:
        raise ServiceFailed("fal's answer is no list of secrets.") from error
    secrets: object = value.get("secrets") if is_object(value) else value
    # An object of another form must not read as "no secrets".
    if not is_list(secrets):
        raise ServiceFailed("fal's answer is no list of secrets.")
    return secrets


def _secret(entry: object) -> Secret | None:
    about = object_of(entry)
    name, created_at = about.get("name"), about.get("created_at")
    if not isinstance(name, str):
        return None
    return Secret(one_line(name, 120), one_line(created_at, 40) if isinstance(created_at, str) else "")


def _gone(status: int | None) -> NotFound | None:
    if status not in _NO_SUCH_ADDRESS:
        return None
    return NotFound(
        f"fal answered {status}: it has no address for secrets where older clients had it.",
        status=status,
        hint="fal's own command line has the way: the user can run `fal secrets set NAME=VALUE` or `fal secrets list` "
        "in a terminal. The value does not belong into this conversation.",
    )
