"""The key in what fal answers: it is masked wherever it stands."""

import httpx
import pytest

from fal_mcp.client.http import Http
from fal_mcp.config import Hosts
from fal_mcp.errors import InvalidInput, MaybeReceived, ServiceFailed

KEY = "id-1234:topsecret99"


async def test_a_key_that_fal_repeats_is_masked_in_message_and_faults():
    def refuse(request: httpx.Request) -> httpx.Response:
        said = f"Key {KEY} may not, nor may topsecret99"
        return httpx.Response(422, json={"detail": [{"loc": ["header", KEY], "msg": said, "type": "x"}]})

    async with Http(Hosts(), KEY, httpx.MockTransport(refuse)) as http:
        with pytest.raises(InvalidInput) as caught:
            await http.get("https://api.fal.ai/v1/models/pricing")
    told = f"{caught.value} {caught.value.message} {caught.value.faults}"
    assert "topsecret99" not in told and "<key>" in told


@pytest.mark.parametrize(("method", "kind"), [("POST", MaybeReceived), ("DELETE", MaybeReceived)])
async def test_a_change_whose_every_answer_was_lost_may_have_been_made(method: str, kind: type[Exception]):
    def lose(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("lost")

    async with Http(Hosts(), KEY, httpx.MockTransport(lose)) as http:
        with pytest.raises(kind):
            await http.send(method, "https://api.fal.ai/v1/assets/tags", body={}, is_repeatable=True)


@pytest.mark.parametrize(
    ("url", "why"), [("https://api.fal.ai/v1/models", "with a key"), ("https://v3.fal.media/files/a.png", "here")]
)
async def test_a_redirect_is_not_followed_and_the_key_is_named_only_where_it_went(url: str, why: str):
    def send_on(request: httpx.Request) -> httpx.Response:
        assert ("authorization" in request.headers) is (why == "with a key")
        return httpx.Response(302, headers={"location": "https://elsewhere.example/"})

    async with Http(Hosts(), KEY, httpx.MockTransport(send_on)) as http:
        with pytest.raises(ServiceFailed, match=f"answered with a redirect, which is never followed {why}"):
            async with http.stream("GET", url):
                raise AssertionError("It was followed.")
