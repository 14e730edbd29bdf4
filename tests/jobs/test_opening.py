"""The ledger's file is never given up: set aside only where SQLite calls it damaged, opened by any number at once."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from fal_mcp.errors import BudgetExceeded, NotRecorded
from fal_mcp.jobs import schema, trouble
from fal_mcp.jobs.job import Job, Order
from fal_mcp.jobs.ledger import Ledger, Limits
from tests.jobs.old_ledgers import JOBS, PRICE, TODAY, openers, write_old

BOUND = 60
ROUNDS, SERVERS = 50, 8
ORDER = Order("a/b", {"prompt": "x"}, "me", 0.1)


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


async def begun(file: Path, limits: Limits | None = None) -> None:
    ledger = Ledger(file, first_owner="me", busy_seconds=0.2)
    try:
        await ledger.begin(ORDER, limits or Limits())
    finally:
        await ledger.aclose()


def test_eight_servers_that_start_at_once_set_nothing_aside_and_lose_nothing(tmp_path: Path):
    """New ledgers and those of every version before, with 5 USD of today in them."""
    files = [tmp_path / f"{number:02}-{number % (TODAY + 1)}.sqlite3" for number in range(ROUNDS)]
    for number, file in enumerate(files):
        write_old(file, number % (TODAY + 1))
    with openers(SERVERS, files) as wrong:
        assert wrong == []
    assert [name for name in names(tmp_path) if "damaged" in name] == []

    async def totals() -> list[float]:
        ledgers = [Ledger(file) for file in files]
        sums = [round(await ledger.spent("me"), 6) for ledger in ledgers]
        for ledger in ledgers:
            await ledger.aclose()
        return sums

    own = SERVERS * PRICE
    assert anyio.run(totals) == [own + (JOBS * PRICE if number % (TODAY + 1) else 0) for number in range(ROUNDS)]


@pytest.mark.parametrize("version", range(1, TODAY))
async def test_a_ledger_of_an_earlier_version_keeps_its_jobs_and_its_money(tmp_path: Path, version: int):
    file = tmp_path / "l.sqlite3"
    write_old(file, version)
    ledger = Ledger(file, first_owner="me")
    listed = await ledger.listed("me", limit=100)
    assert len(listed) == JOBS and {job.state for job in listed} == {"running"}
    assert await ledger.spent("me") == JOBS * PRICE
    with pytest.raises(BudgetExceeded):
        await ledger.begin(ORDER, Limits(day=JOBS * PRICE))
    await ledger.aclose()


def garbage(file: Path) -> None:
    file.write_bytes(b"SQLite format 3\0" + b"garbage" * 500)


def no_database(file: Path) -> None:
    file.write_bytes(b"<html>503</html>" * 100)


def page_lost(file: Path) -> None:
    """One page in the middle is overwritten: the rows on the others can be read."""
    with closing(sqlite3.connect(file)) as database:
        (size,) = database.execute("PRAGMA page_size").fetchone()
    content = bytearray(file.read_bytes())
    place = len(content) // size // 2 * size
    content[place : place + size] = b"\xff" * size
    file.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [garbage, no_database])
async def test_damage_is_set_aside_and_budgets_stay_closed_until_a_person_says_go(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
):
    file = tmp_path / "l.sqlite3"
    await anyio.to_thread.run_sync(damage, file)
    ledger = Ledger(file)
    assert await ledger.listed("me") == []
    (aside,) = [name for name in await anyio.to_thread.run_sync(names, tmp_path) if "damaged" in name]
    assert "set aside" in caplog.text
    with pytest.raises(BudgetExceeded, match=aside) as refused:
        await ledger.begin(ORDER, Limits(day=1))
    assert "fal-mcp ledger accept" in refused.value.hint
    assert await ledger.begin(ORDER, Limits()), "without a limit there is nothing to be sure of"
    await ledger.aclose()
    again = Ledger(file)
    with pytest.raises(BudgetExceeded):
        await again.begin(ORDER, Limits(day=1))
    assert aside in str(await again.accept())
    assert await again.begin(ORDER, Limits(day=1))
    await again.aclose()


@pytest.mark.parametrize("version", [1, TODAY])
async def test_what_can_be_read_of_a_damaged_ledger_is_carried_over(tmp_path: Path, version: int):
    file = tmp_path / "l.sqlite3"
    write_old(file, version)
    with closing(sqlite3.connect(file)) as database:
        # Room for damage: many pages of rows.
        for number in range(2000):
            row = (f"more_{number}", "a/b" * 50, "local", "d", "completed", 1.0, 1.0, 0.5, "s", 1)
            columns = "job_id, endpoint_id, owner, digest, state, created, updated, price, session, process"
            database.execute(f"INSERT INTO job ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    await anyio.to_thread.run_sync(page_lost, file)
    ledger, listed = Ledger(file, first_owner="me"), list[Job]()
    for _ in range(2):
        # Damage may come to light when it is opened or only with the first row that lies in it.
        listed = await ledger.listed("me", limit=5000)
        await ledger.prune()
    assert len(listed) >= JOBS
    await ledger.aclose()


async def test_a_file_of_no_bytes_is_a_new_ledger(tmp_path: Path):
    await anyio.Path(tmp_path / "l.sqlite3").write_bytes(b"")
    await begun(tmp_path / "l.sqlite3", Limits(day=1))
    assert not any("damaged" in name for name in await anyio.to_thread.run_sync(names, tmp_path))


def newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute(f"PRAGMA user_version = {TODAY + 1}")
        database.execute("ALTER TABLE job RENAME COLUMN price TO cost")


def held(file: Path) -> sqlite3.Connection:
    holder = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    holder.execute("PRAGMA journal_mode = DELETE")
    holder.execute("BEGIN EXCLUSIVE")
    return holder


async def filled(file: Path, busy_seconds: float, *, is_open: bool) -> Ledger:
    """A ledger of before, which is open already or has yet to be brought to today's version."""
    write_old(file, TODAY if is_open else 1)
    ledger = Ledger(file, first_owner="me", busy_seconds=busy_seconds)
    if is_open:
        await ledger.listed("me")
    return ledger


def written_to(file: Path) -> sqlite3.Connection:
    """Whoever writes into a ledger that others have open."""
    holder = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    return holder


async def test_a_newer_ledger_is_left_alone(tmp_path: Path):
    file = tmp_path / "l.sqlite3"
    await begun(file)
    await anyio.to_thread.run_sync(newer, file)
    before = await anyio.Path(file).read_bytes()
    with pytest.raises(NotRecorded, match=r"written by a newer fal-mcp") as refused:
        await begun(file)
    assert "Update fal-mcp" in refused.value.hint and await anyio.Path(file).read_bytes() == before


@pytest.mark.parametrize("version", [1, TODAY])
async def test_a_locked_ledger_costs_one_sentence_and_works_once_it_is_let_go(tmp_path: Path, version: int):
    file = tmp_path / "l.sqlite3"
    write_old(file, version)
    ledger = Ledger(file, first_owner="me", busy_seconds=0.2)
    with closing(await anyio.to_thread.run_sync(held, file)):
        with pytest.raises(NotRecorded, match="is locked by another program"):
            await ledger.begin(ORDER, Limits())
    await ledger.begin(ORDER, Limits())
    assert len(await ledger.listed("me", limit=100)) == JOBS + 1
    await ledger.aclose()


@pytest.mark.parametrize("is_open", [True, False])
async def test_a_server_that_ends_is_not_held_up_by_whoever_has_the_ledger(tmp_path: Path, is_open: bool):
    file = tmp_path / "l.sqlite3"
    ledger = await filled(file, 60.0, is_open=is_open)
    with closing(await anyio.to_thread.run_sync(written_to if is_open else held, file)):
        ledger.hurry()
        began = time.monotonic()
        for number in range(3):
            with pytest.raises(NotRecorded, match="is locked by another program"):
                await ledger.once(str(number), 10)
        await ledger.aclose()
        assert time.monotonic() - began < 20


@pytest.mark.parametrize("is_open", [True, False])
async def test_those_who_stand_in_line_wait_for_a_lock_once_together(tmp_path: Path, is_open: bool):
    """Ten pieces of work, each of which would wait for a second by itself."""
    file = tmp_path / "l.sqlite3"
    ledger = await filled(file, 1.0, is_open=is_open)
    refused = list[str]()

    async def one(number: int) -> None:
        with pytest.raises(NotRecorded) as error:
            await ledger.once(str(number), 10)
        refused.append(error.value.message)

    began = time.monotonic()
    with closing(await anyio.to_thread.run_sync(written_to if is_open else held, file)):
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(one, number)
    assert len(refused) == 10 and all("is locked by another program" in each for each in refused)
    assert time.monotonic() - began < 5
    # What comes later waits for its own time again.
    holder = await anyio.to_thread.run_sync(written_to, file)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ledger.once, "later", 10)
        await anyio.sleep(0.4)
        holder.close()
    await ledger.aclose()


@pytest.mark.parametrize("place", ["/dev/null/l.sqlite3", "/proc/fal-mcp/l.sqlite3", "file/l.sqlite3", "folder"])
async def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, place: str):
    await anyio.Path(tmp_path / "file").write_bytes(b"")
    await anyio.Path(tmp_path / "folder").mkdir()
    file = tmp_path / place
    with pytest.raises(NotRecorded) as refused:
        await begun(file)
    assert repr(str(file)) in refused.value.message and "--data-dir" in refused.value.hint


SCRIPT = """
import sys, resource, anyio
from pathlib import Path
from fal_mcp.errors import NotRecorded
from fal_mcp.jobs.job import Order
from fal_mcp.jobs.ledger import Ledger, Limits
file, what = Path(sys.argv[1]), sys.argv[2]

async def main():
    ledger = Ledger(file, first_owner="me", busy_seconds=0.2)
    if what == "descriptors":
        resource.setrlimit(resource.RLIMIT_NOFILE, (LEFT(), LEFT()))
    if what == "full":
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    try:
        for number in range(200):
            await ledger.begin(Order("a/b", {"prompt": "x" * 1000 + str(number)}, "me", 0.1), Limits())
    except NotRecorded as error:
        print(error.message, "|", error.hint)

def LEFT():
    import os
    return len(os.listdir("/proc/self/fd")) + 1

async def warm():
    import anyio.to_thread
    await anyio.to_thread.run_sync(int)
    await main()

anyio.run(warm)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a process are set as Linux has them")
@pytest.mark.parametrize("what", ["descriptors", "full"])
def test_a_machine_at_its_limits_costs_one_sentence_and_no_ledger(tmp_path: Path, what: str):
    file = tmp_path / "l.sqlite3"
    write_old(file, TODAY)
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(file), what],
        capture_output=True,
        text=True,
        timeout=BOUND,
        env={**os.environ},
        check=False,
    )
    assert repr(str(file)) in ran.stdout and "|" in ran.stdout, ran.stderr
    assert "Traceback" not in ran.stderr and not any("damaged" in name for name in names(tmp_path))


def errors_of_sqlite() -> list[type[Exception]]:
    found = [value for value in vars(sqlite3).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(found) >= 10
    return found


@pytest.mark.parametrize("kind", errors_of_sqlite())
@pytest.mark.parametrize("code", [None, *sorted(set(range(1, 29)) | {261, 266, 270, 1034, 1546, 2570, 3850})])
def test_nothing_of_sqlites_gets_out(kind: type[Exception], code: int | None):
    """Every exception of the module with every code: only CORRUPT and NOTADB are damage."""
    error = kind("something")
    if code is not None:
        error.sqlite_errorcode = code  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(NotRecorded) as raised, trouble.translated(Path("/data/l.sqlite3")):
        raise error
    is_damage = code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    assert isinstance(raised.value, trouble.Damaged) is is_damage
    assert "/data/l.sqlite3" in raised.value.message and raised.value.hint.endswith(".")


@pytest.mark.parametrize("kind", [OSError, PermissionError, OverflowError, UnicodeError])
def test_what_else_using_a_file_raises_is_ours_too(kind: type[Exception]):
    with pytest.raises(NotRecorded), trouble.translated(None):
        raise kind("something")


def test_the_steps_leave_the_number_of_steps():
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        assert schema.migrate(database) == TODAY == schema.version_of(database)
