"""`tests/promises.toml` names what is promised and which tests hold it; `docs/promises.md` is made from it.

`UPDATE_SNAPSHOTS=1 pytest tests/test_promises.py` writes the page anew.
"""

import ast
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "promises.md"
PROMISES: list[dict[str, Any]] = tomllib.loads((ROOT / "tests" / "promises.toml").read_text("utf-8"))["promise"]
HEAD = """\
# What holds, whatever happens

Made from `tests/promises.toml` by `UPDATE_SNAPSHOTS=1 pytest tests/test_promises.py`, which also sees to it that every
test named here is there. `pytest tests/faults --long 3600` looks for an hour for a course of things in which one of
them does not hold; each that it finds is one line, with the number that plays it again.
"""


def lines() -> Iterator[str]:
    """The page."""
    yield HEAD
    for number, promise in enumerate(PROMISES, 1):
        yield f"## {number}. {promise['name']}\n\n{promise['what'].strip()}\n\nHeld by:\n"
        yield "\n".join(f"- `{test}`" for test in promise["tests"]) + "\n"


def names_in(file: Path) -> set[str]:
    """The names of a file's tests."""
    if not file.is_file():
        return set()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse(file.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, functions) and node.name.startswith("test_")}


def test_every_promise_is_held_by_a_test():
    assert [promise["name"] for promise in PROMISES if not promise["tests"]] == []


def test_every_test_that_is_named_is_there():
    named = [test for promise in PROMISES for test in promise["tests"]]
    missing = [test for test in named if test.partition("::")[2] not in names_in(ROOT / test.partition("::")[0])]
    assert missing == []


def test_no_test_is_named_twice_for_one_promise():
    assert [promise["name"] for promise in PROMISES if len(set(promise["tests"])) != len(promise["tests"])] == []


def test_the_page_says_what_the_manifest_says():
    page = "\n".join(lines()).rstrip() + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        PAGE.write_text(page, "utf-8")
    assert PAGE.read_text("utf-8") == page
