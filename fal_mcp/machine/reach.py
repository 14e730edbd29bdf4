"""Whether a host answers at all, by the way that requests to it would go: proxy and certificates included."""

import time

import httpx

_TIMEOUT = httpx.Timeout(2.8)


async def answered(url: str) -> tuple[float, str | None]:
    """Seconds until the host answered, whatever it answered, and its `Date`. Sends no key.

    Raises:
        Exception: it did not; whatever stands in the way says so.
    """
    began = time.monotonic()
    async with httpx.AsyncClient(timeout=_TIMEOUT, verify=url.startswith("https")) as client:
        response = await client.get(url)
        return time.monotonic() - began, response.headers.get("date")
