"""The account's past requests, and what they cost."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from fal_mcp.client import answers
from fal_mcp.client.endpoint_id import Request, request_of
from fal_mcp.client.http import Http
from fal_mcp.client.retry import ALWAYS
from fal_mcp.config import Hosts
from fal_mcp.errors import NotFound
from fal_mcp.json_values import JsonObject, is_object, list_of, number_of, object_of, text_of

_MOST = 100
_MOST_PAGES = 20
# It becomes a part of addresses that the key is sent to.
_ID = re.compile(r"[A-Za-z0-9-]{8,64}")


@dataclass(frozen=True, slots=True)
class Past:
    """One request that fal remembers; `arguments` is None where it kept none."""

    request: Request
    started: str
    arguments: JsonObject | None


class Requests:
    """The account's requests."""

    def __init__(self, http: Http, hosts: Hosts) -> None:
        self._http = http
        self._hosts = hosts

    def now(self) -> float | None:
        """This moment by fal's clock, in seconds since 1970; None where no answer told it yet."""
        return self._http.fals_clock.now()

    async def since(self, endpoint_id: str, start: float) -> list[Past]:
        """The requests of this endpoint since `start`, in seconds since 1970 by fal's clock, with what they were given,
        the newest first; two thousand at most.

        Raises:
            NotAuthorised: there is no key.
        """
        self._http.need_key()
        params = {
            "endpoint_id": endpoint_id,
            "start": _stamp(start),
            "limit": str(_MOST),
            # Arguments are what a lost submit is known by; without this fal leaves them out.
            "expand": "payloads",
        }
        requests: list[Past] = []
        # A busy account has thousands in a day; what is looked for was submitted moments ago, and the newest come
        # first.
        for _ in range(_MOST_PAGES):
            try:
                response = await self._http.get(f"{self._hosts.api}/v1/models/requests/by-endpoint", params)
            except NotFound:
                break
            page = answers.json_object(response.content) or {}
            requests += [past for item in list_of(page.get("items")) if (past := self._past(item))]
            cursor = text_of(page.get("next_cursor")) if page.get("has_more") is not False else None
            if not cursor:
                break
            params["cursor"] = cursor
        return requests

    async def has(self, endpoint_id: str, request_id: str) -> bool:
        """Whether a request of this endpoint is one of the account's.

        Raises:
            NotAuthorised: there is no key.
        """
        self._http.need_key()
        params = {"endpoint_id": endpoint_id, "request_id": request_id, "limit": "1"}
        try:
            response = await self._http.get(f"{self._hosts.api}/v1/models/requests/by-endpoint", params)
        except NotFound:
            return False
        items = list_of((answers.json_object(response.content) or {}).get("items"))
        # Asked for by its id; what ignores that and lists others shows nothing.
        return any(object_of(item).get("request_id") == request_id for item in items)

    @property
    def can_be_billed(self) -> bool:
        """Whether there is the admin key that what was billed is told to."""
        return self._http.admin_key is not None

    async def billed(self, request_id: str, start: float) -> float | None:
        """What a request was billed, in USD; None where that is not told yet.

        Raises:
            NotAuthorised: the admin key is none.
        """
        params = {"request_id": request_id, "start": _stamp(start)}
        url = f"{self._hosts.api}/v1/models/billing-events"
        response = await self._http.request("GET", url, retry=ALWAYS, key="admin", params=params)
        events = list_of((answers.json_object(response.content) or {}).get("billing_events"))
        costs = [number_of(object_of(event).get("cost_total")) for event in events]
        known = [cost for cost in costs if cost is not None and cost >= 0]
        # A run can be billed in several events, such as its time and its files; none yet is not nothing.
        return sum(known) if known else None

    def _past(self, item: object) -> Past | None:
        entry = object_of(item)
        endpoint_id, request_id = entry.get("endpoint_id"), text_of(entry.get("request_id")) or ""
        if not isinstance(endpoint_id, str) or not _ID.fullmatch(request_id):
            return None
        given = entry.get("json_input")
        request = request_of(endpoint_id, request_id, self._hosts)
        arguments = given if is_object(given) else None
        return Past(request, text_of(entry.get("started_at")) or "", arguments)


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
