"""More calls in a moment than there is room for: who may not run hears at once, and who may runs."""

from pathlib import Path
from typing import Any

import anyio

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from fal_mcp.errors import NotRecorded, RateLimited
from fal_mcp.json_values import parsed
from fal_mcp.server.web.limits import WebLimits
from fal_mcp.server.web.rush import Rush
from tests.team.bench import Team, team

BOUND = 40
TOOL = "fal-ai_flux_dev"
CALL = {"jsonrpc": "2.0", "id": 7, "method": "tools/call"}
FULL = RateLimited("No room.", retry_after=9, hint="Come back.")


async def held(rush: Rush, until: anyio.Event, told: list[Any]) -> None:
    async with rush.turn(CALL) as refused:
        told.append(refused)
        if refused is None:
            await until.wait()


async def twenty_at_once(rush: Rush) -> list[Any]:
    """What each of twenty calls is told, none of which ends before all have heard."""
    until, told = anyio.Event(), list[Any]()
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(held, rush, until, told)
            while len(told) < 20:
                await anyio.lowlevel.checkpoint()
            until.set()
    return told


async def sixty_at_once(rush: Rush, order: list[str]) -> None:
    """Each of sixty calls writes down in `order` what it is told."""

    async def one() -> None:
        async with rush.turn(CALL) as refused:
            order.append("refused" if refused else "begins")

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            for _ in range(60):
                tasks.start_soon(one)


async def plenty(in_hand: int, since: float) -> int:
    return 1000


async def test_beyond_what_may_run_or_wait_a_call_is_answered_as_its_tool_would():
    rush = Rush(2, lambda: None, plenty)
    told = await twenty_at_once(rush)
    refused = [answer for answer in told if answer is not None]
    assert len(refused) == 10, "two may run or wait, and a few are let through that may only join"
    message = parsed(bytes(refused[0].body))
    assert message["id"] == 7 and message["result"]["isError"] is True
    assert message["result"]["structuredContent"]["error"]["kind"] == "RateLimited"
    assert message["result"]["structuredContent"]["error"]["retry_after_s"] == 5
    async with rush.turn(CALL) as answer:
        assert answer is None, "whoever has gone makes room"


async def test_in_a_rush_those_without_a_place_hear_it_before_the_others_begin():
    asked, order = list[int](), list[str]()

    async def left(in_hand: int, since: float) -> int:
        asked.append(1)
        return 5 - order.count("begins")

    rush = Rush(100, lambda: None, left)
    await sixty_at_once(rush, order)
    assert order.count("begins") == 5 and order[:56].count("refused") == 55 and len(asked) == 1


async def test_who_stood_on_at_the_first_count_is_not_turned_away_for_another_server_s_pace():
    """The places are shared by halves, and the other server is a few ahead when they are counted again."""
    counts, in_hand, order = iter([30, 16, 7, *[1] * 9]), list[int](), list[str]()

    async def left(mine: int, since: float) -> int:
        in_hand.append(mine)
        return next(counts)

    rush = Rush(100, lambda: None, left)
    await sixty_at_once(rush, order)
    assert order.count("begins") == 30 and order[:30].count("refused") == 30
    assert len(in_hand) > 1, "it was counted again"


async def test_whoever_hangs_up_in_the_line_holds_up_nobody():
    rush, order = Rush(100, lambda: None, plenty), list[int]()

    async def one(number: int) -> None:
        with anyio.move_on_after(0.0001 if number % 3 == 0 else BOUND):
            async with rush.turn(CALL) as refused:
                assert refused is None
                order.append(number)

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            for number in range(30):
                tasks.start_soon(one, number)
    # In the order in which they came.
    assert order == sorted(order) and {number for number in range(30) if number % 3} <= set(order)


async def test_a_store_that_cannot_be_asked_refuses_nobody_here():
    async def broken(in_hand: int, since: float) -> int:
        raise NotRecorded("It is full.")

    told = await twenty_at_once(Rush(100, lambda: None, broken))
    assert told == [None] * 20


async def test_a_store_that_is_slow_to_answer_holds_up_the_line_once():
    """As where its file is locked: each count fails after seconds."""
    asked, began = list[int](), list[int]()

    async def slow(in_hand: int, since: float) -> int:
        asked.append(in_hand)
        await anyio.sleep(1.5)
        raise NotRecorded("It is locked.")

    async def one() -> None:
        async with rush.turn(CALL) as refused:
            assert refused is None
            began.append(1)

    rush = Rush(100, lambda: None, slow)
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            for _ in range(40):
                tasks.start_soon(one)
    assert len(began) == 40 and len(asked) <= 2


async def test_who_stands_in_line_hears_what_the_store_has_told_another():
    words: list[RateLimited | None] = [None]
    rush, until, told = Rush(100, lambda: words[0], plenty), anyio.Event(), list[Any]()
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            for _ in range(30):
                tasks.start_soon(held, rush, until, told)
            while not told:
                await anyio.lowlevel.checkpoint()
            words[0] = FULL
            while len(told) < 30:
                await anyio.lowlevel.checkpoint()
            until.set()
    refused = [answer for answer in told if answer is not None]
    assert refused and all(b"No room." in answer.body for answer in refused)
    async with rush.turn(CALL) as answer:
        assert answer is None, "alone, the store is asked: it may join a job"


async def test_at_a_server_of_a_team_each_call_runs_or_hears_when_to_come_back(
    fal: Emulator, settings: Settings, tmp_path: Path
):
    """Both revisions; and what is refused was not sent."""
    fal.script(None, Script(steps=2, step_seconds=0.2))
    limits, answers = WebLimits(), list[Any]()
    with anyio.fail_after(BOUND):
        async with team(settings, tmp_path, limits, max_running=2.0, max_waiting=1.0) as here:
            old = await here.session("bob")

            async def modern(number: int) -> None:
                answers.append(await here.call("alice", TOOL, {"prompt": "x", "seed": number}))

            async def legacy(number: int) -> None:
                answers.append(await called(here, old, number))

            async with anyio.create_task_group() as tasks:
                for number in range(20):
                    tasks.start_soon(modern, number)
                    tasks.start_soon(legacy, 100 + number)
    kinds = [answer["structuredContent"].get("error", {}).get("kind", "") for answer in answers]
    assert len(answers) == 40 and set(kinds) == {"", "RateLimited"}
    assert len(fal.jobs) == kinds.count("") >= 3
    refused = [answer["structuredContent"]["error"] for answer in answers if answer.get("isError")]
    assert all(error["retry_after_s"] and "Nothing was sent" in error["hint"] for error in refused)


async def called(here: Team, session: dict[str, str], seed: int) -> Any:
    params = {"name": TOOL, "arguments": {"prompt": "x", "seed": seed}}
    message = {"jsonrpc": "2.0", "id": seed, "method": "tools/call", "params": params}
    answer = await here.of("bob").post(here.url, json=message, headers=session)
    return parsed(answer.text.rpartition("data: ")[2] if "data: " in answer.text else answer.text)["result"]
