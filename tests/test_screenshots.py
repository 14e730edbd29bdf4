"""What commands look like in a real terminal of 60 columns, and the pictures of it that the documents show."""

import re
from pathlib import Path
from xml.etree import ElementTree

import anyio.to_thread
import pytest

from pictures import scenes
from pictures.terminal import Terminal, Typed

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MOST_BYTES = 150_000
COLUMNS = 60


def shown(page: Path) -> list[Path]:
    """The pictures of a page."""
    return [(page.parent / link).resolve() for link in re.findall(r"!\[[^]]+\]\(([^)]+)\)", page.read_text("utf-8"))]


def test_every_picture_of_a_page_is_there_and_small():
    links = {picture: page.name for page in PAGES for picture in shown(page)}
    assert len(links) >= 5 and [f"{page}: {link}" for link, page in links.items() if not link.is_file()] == []
    assert [file.name for file in PICTURES.iterdir() if file.stat().st_size >= MOST_BYTES] == []


def test_there_is_a_picture_of_each_scene_in_each_width_and_no_other():
    made = {f"{scene.name}-{columns}.svg" for scene in scenes.SCENES for columns in scenes.WIDTHS}
    assert {file.name for file in PICTURES.glob("*.svg")} == made


def test_no_picture_has_a_secret_a_name_of_this_machine_or_anything_from_elsewhere():
    for file in PICTURES.glob("*.svg"):
        text = file.read_text("utf-8")
        assert "@font-face" not in text and "<image" not in text and "Traceback" not in text, file
        assert str(Path.home()) not in text and str(ROOT) not in text, file


@pytest.mark.parametrize("name", ["run", "run-progress", "jobs", "doctor", "install"])
async def test_nothing_is_broken_at_sixty_columns(name: str):
    """The script that makes the pictures runs, and no word, path or address is in two parts."""
    wanted = tuple(scene for scene in scenes.SCENES if scene.name in (name, "run"))
    screens = await anyio.to_thread.run_sync(lambda: list(scenes.screens(wanted, COLUMNS)))
    (terminal,) = [terminal for scene, terminal, code in screens if scene.name == name and not code]
    assert "\n" in terminal.text and "Traceback" not in terminal.text
    # What was typed is not ours to break: its last word is, on a screen as narrow as this.
    assert terminal.broken() <= {"num_i", "mages=2"}
    ElementTree.fromstring(terminal.svg(name))


async def test_a_server_at_a_terminal_says_what_it_waits_for_and_one_ctrl_c_ends_it():
    def go() -> tuple[str, int | None]:
        with scenes.home() as folder:
            terminal = Terminal(COLUMNS, scenes.environment(folder, ""), str(folder))
            code = terminal.run(scenes.program(folder), Typed("waits here", "\x03"))
            return terminal.text, code

    said, code = await anyio.to_thread.run_sync(go)
    assert "waits here for a host's messages" in said.replace("\n", " ") and "fal-mcp demo" in said and code == 130
    assert "Traceback" not in said


async def test_the_whole_help_is_told_at_sixty_columns():
    def go() -> list[str]:
        told: list[str] = []
        with scenes.home() as folder:
            for group in ([], ["jobs"], ["models"], ["webhook"], ["ledger"]):
                terminal = Terminal(COLUMNS, scenes.environment(folder, ""), str(folder))
                assert terminal.run([*scenes.program(folder), *group, "--help"]) == 0
                told.append(terminal.text.split("Commands:")[1])
        return told

    assert [text for text in await anyio.to_thread.run_sync(go) if "..." in text] == []
