"""`docs/how-it-works.md` and `docs/facts.md` say what there is: every room, every file of the walk, every fact."""

import re
from pathlib import Path

import fal_mcp

PACKAGE = Path(fal_mcp.__file__).parent
ROOT = PACKAGE.parent
PAGE = (ROOT / "docs" / "how-it-works.md").read_text("utf-8")
_FACT = re.compile(r"\b[Ff]acts? ((?:[FMDU]\d+(?:\.\d+)?(?:, | and | to )?)+)")
_NUMBER = re.compile(r"[FMDU]\d+(?:\.\d+)?")


def rooms() -> set[str]:
    """What stands in the table, by its name in the package."""
    table = PAGE[PAGE.index("## The rooms") : PAGE.index("## One call")]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name.rstrip("/") for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_every_room_is_on_the_page_and_nothing_else():
    there = {path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    there |= {"gallery", *(path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__"))}
    assert rooms() == there


def test_every_file_of_the_walk_is_there():
    walk = PAGE[PAGE.index("## One call") :]
    names = re.findall(r"`([a-z_/]+\.py)`", walk)
    assert len(names) > 15
    assert [name for name in names if not (PACKAGE / name).is_file()] == []


def test_every_fact_that_code_refers_to_is_written_down():
    known = set(re.findall(r"^#{2,3} ([FMDU]\d+(?:\.\d+)?)\b", (ROOT / "docs" / "facts.md").read_text("utf-8"), re.M))
    referred = {
        (number, file.name)
        for folder in ("fal_mcp", "tests", "benchmarks")
        for file in (ROOT / folder).rglob("*.py")
        for reference in _FACT.findall(file.read_text("utf-8"))
        for number in _NUMBER.findall(reference)
    }
    assert len(referred) > 40
    assert {(number, name) for number, name in referred if number not in known} == set()


def test_no_reference_leads_out_of_the_repository():
    words = re.compile(r"fact sheet|facts/[a-z]|\b[Ii]ssue \d|architecture\.md|style\.md", re.I)
    leading_out = [
        f"{file.relative_to(ROOT)}: {match[0]}"
        for folder in ("fal_mcp", "tests", "benchmarks", "docs")
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".py", ".md", ".js", ".toml") and file != Path(__file__)
        for match in [words.search(file.read_text("utf-8"))]
        if match
    ]
    assert leading_out == []
