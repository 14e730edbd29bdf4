"""`docs/files.md`: which files of this machine are read; its tables are made from the code's own and held to them.

`UPDATE_SNAPSHOTS=1 pytest tests/test_files_page.py` writes them anew.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from fal_mcp.machine import broad_folders, secret_names

PAGE = Path(__file__).parents[1] / "docs" / "files.md"
BEGIN = "<!-- made from the code: everything below -->\n"


_RULES = (
    secret_names.NAMES,
    secret_names.ENDINGS,
    secret_names.WORDS,
    secret_names.WORDS_ELSEWHERE,
    secret_names.ANYWHERE_ELSEWHERE,
)


def lines() -> Iterator[str]:
    """The tables."""
    yield "\n## Names that are never read\n"
    for rule in _RULES:
        yield f"{rule.about}: {_shown(rule.words)}.\n"
    yield "Two words one after the other, in the name of a file that is no medium:\n"
    for first, second in secret_names.PAIRS:
        yield f"- one of {_shown(first)}, then one of {_shown(second)}"
    yield f"\nEndings that are looked past, as those of backups: {_shown(secret_names.BACKUPS)}.\n"
    yield f"Endings of media, whose names may hold any word: {_shown(secret_names.MEDIA)}.\n"
    yield "Whatever its name, a file whose beginning has one of these in it is a key: "
    yield f"{', '.join(f'`{text.decode()}`' for text in secret_names.BEGINNINGS)}.\n"
    yield f"So is one with text of one of these forms: {', '.join(f'`{form}`' for form in secret_names.TOKENS)}.\n"
    yield "## Folders\n"
    yield f"Trees of which nothing is read: {', '.join(f'`{name}`' for name in broad_folders.FORBIDDEN)}.\n"
    yield "Folders that are no default and nobody is asked about, besides home and what is above it, and folders whose "
    yield f"names begin with a dot: {', '.join(f'`{name}`' for name in broad_folders.SYSTEM)}."


def _shown(words: frozenset[str]) -> str:
    return ", ".join(f"`{word}`" for word in sorted(words))


def test_the_tables_say_what_the_code_does():
    page = PAGE.read_text("utf-8")
    made = page.split(BEGIN)[0] + BEGIN + "\n".join(lines()) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        PAGE.write_text(made, "utf-8")
    assert PAGE.read_text("utf-8") == made
