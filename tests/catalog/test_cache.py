"""A catalog on disk that something happened to: read as far as it goes, or done without; never an internal error."""

import json
import os
import random
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from fal_mcp.catalog import cache
from fal_mcp.catalog.cache import Damaged, Entry
from fal_mcp.catalog.catalog import Catalog
from tests.documents import document

MODELS = 200


def filled(folder: Path, fetched_at: float | None = None) -> Path:
    """A catalog of some pages in `folder`; its file."""
    schema = {"type": "object", "properties": {f"p{n}": {"type": "string", "description": f"{n}"} for n in range(9)}}
    entries = [
        Entry(
            f"a/model-{number}",
            json.dumps({"endpoint_id": f"a/model-{number}", "metadata": {"display_name": f"Model {number}"}}).encode(),
            json.dumps(document(f"a/model-{number}", schema)).encode(),
            "d",
        )
        for number in range(MODELS)
    ]
    cache.write(folder, entries, {"": cache.Page("e", ("a/model-0",), None)}, "r", fetched_at or time.time())
    (file,) = folder.glob("catalog-*.sqlite3")
    return file


def walked(folder: Path) -> int | None:
    """Everything asked of the newest catalog; how many models there are, None where it is done without."""
    newest = cache.newest(folder)
    if newest is None:
        return None
    catalog = Catalog(newest)
    for endpoint_id in catalog.ids:
        catalog.category(endpoint_id)
    count = len(list(catalog.endpoints()))
    assert all(reason.endswith(".") for reason in catalog.problems().values())
    return count


def test_a_damaged_page_costs_what_is_on_it_or_the_whole_is_done_without(tmp_path: Path):
    """Every page in turn, and bytes at random: what is asked of it is answered, or there is no such catalog."""
    file = filled(tmp_path)
    sound, chance = file.read_bytes(), random.Random(7)
    assert walked(tmp_path) == MODELS
    for number in range(0, len(sound) // 4096, 3):
        broken = bytearray(sound)
        broken[number * 4096 : number * 4096 + 4096] = chance.randbytes(4096)
        file.write_bytes(broken)
        count = walked(tmp_path)
        assert count is None or count <= MODELS
    for _ in range(30):
        broken = bytearray(sound)
        for _ in range(20):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        file.write_bytes(broken)
        count = walked(tmp_path)
        assert count is None or count <= MODELS


def test_a_file_that_breaks_while_it_is_used_says_so_of_each_model(tmp_path: Path):
    file = filled(tmp_path)
    newest = cache.newest(tmp_path)
    assert newest is not None
    with pytest.raises(Damaged, match="lost it"):
        newest.document("a/none")
    newest.close()
    catalog = Catalog(newest)
    assert catalog.get("a/model-1") is None
    assert "damaged" in (catalog.problems_of("a/model-1") or "") and file.exists()


@pytest.mark.parametrize(
    "pointer",
    [
        *('{"format": 1', "[]", "null", "7", '"x"', "[" * 100_000, '{"format": 1}', '{"format": 2, "file": "x"}', ""),
        *('{"format": 1, "file": 7, "revision": 1}', '{"format": 1, "file": "../../etc/passwd", "revision": ""}'),
        *(
            '{"format": 1, "file": "gone.sqlite3", "revision": "r", "fetched_at": 0}',
            '{"format": 1, "file": "a\\u0000"}',
        ),
        *('{"format": 1, "file": "", "revision": "r"}', "\x00\xff"),
    ],
    ids=range(15),
)
def test_a_pointer_that_leads_nowhere_is_done_without(tmp_path: Path, pointer: str):
    filled(tmp_path)
    (tmp_path / "catalog.json").write_bytes(pointer.encode("latin-1"))
    assert cache.newest(tmp_path) is None
    filled(tmp_path / "again")
    assert walked(tmp_path / "again") == MODELS


@pytest.mark.parametrize("said", ["1e999", "-1", '"soon"', "null", "true", "[]", "99999999999", "NaN", "1" + "0" * 400])
def test_a_time_that_is_none_or_to_come_is_long_ago(tmp_path: Path, said: str):
    """A clock that was put back, or a number that no clock shows, never puts the next refresh off."""
    file = filled(tmp_path)
    (tmp_path / "catalog.json").write_text(
        f'{{"format": 1, "file": "{file.name}", "revision": "r", "fetched_at": {said}}}', "utf-8"
    )
    newest = cache.newest(tmp_path)
    assert newest is not None and newest.fetched_at == 0.0


def test_a_time_of_now_is_kept(tmp_path: Path):
    now = time.time()
    filled(tmp_path, now)
    newest = cache.newest(tmp_path)
    assert newest is not None and newest.fetched_at == now


def test_what_is_no_folder_or_no_database_is_done_without(tmp_path: Path):
    assert cache.newest(tmp_path / "none") is None
    (tmp_path / "file").write_text("x")
    assert cache.newest(tmp_path / "file") is None
    file = filled(tmp_path / "a")
    file.unlink()
    file.mkdir()
    assert cache.newest(tmp_path / "a") is None
    shutil.rmtree(file)
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE other (x)")
    database.close()
    assert cache.newest(tmp_path / "a") is None


def test_what_cannot_be_written_is_an_os_error_and_leaves_what_was_there(tmp_path: Path):
    filled(tmp_path)
    before = sorted(os.listdir(tmp_path))
    odd: Any = Entry("a/b", b"", b"", object())  # pyright: ignore[reportArgumentType]
    with pytest.raises(OSError, match="cannot be written"):
        cache.write(tmp_path, [odd], {}, "s", time.time())
    assert sorted(os.listdir(tmp_path)) == before and walked(tmp_path) == MODELS


def test_what_a_refresh_that_was_killed_left_behind_is_cleared_a_day_later(tmp_path: Path):
    left = tmp_path / "0badcafe.part"
    left.write_bytes(b"x")
    filled(tmp_path)
    assert left.exists()
    os.utime(left, (0, 0))
    filled(tmp_path)
    assert not left.exists()
