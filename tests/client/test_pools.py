"""However many streams are open, a request looks through few connections, and all pools are closed in the end."""

from contextlib import ExitStack

import httpx

from fal_mcp.client.pools import Pools


class Made:
    """Pools without a network, counted."""

    def __init__(self) -> None:
        self.clients: list[httpx.AsyncClient] = []

    def __call__(self) -> httpx.AsyncClient:
        self.clients.append(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200))))
        return self.clients[-1]


async def test_streams_share_pools_of_a_few_and_keep_out_of_what_is_answered_at_once():
    made = Made()
    pools = Pools(made)
    held: list[httpx.AsyncClient] = []
    for _ in range(2):
        with ExitStack() as streams:
            held = [streams.enter_context(pools.held()) for _ in range(40)]
            assert max(held.count(client) for client in held) <= 16
            assert pools.short not in held
        # What is over makes room: a second rush opens no more.
        assert len(made.clients) == 4
    with pools.held() as client:
        assert client is held[0], "the first that has room, so that the others lie idle"
    await pools.aclose()
    assert all(client.is_closed for client in made.clients)


async def test_nothing_is_made_before_it_is_needed():
    made = Made()
    await Pools(made).aclose()
    assert not made.clients
