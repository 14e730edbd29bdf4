"""Words for people: no tool's name, money with its sign, nothing that draws on the screen, nothing broken."""

import io
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as within
from hypothesis import strategies as st
from rich.console import Console

from fal_mcp import errors
from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.source import Folder
from fal_mcp.config import MORE_TOOLSETS, TOOLSETS, Settings
from fal_mcp.machine.readable import refusal
from fal_mcp.terminal import screen
from fal_mcp.terminal.words import for_people, money
from fal_mcp.toolsets.selection import Selection
from fal_mcp.toolsets.toolbox import Toolbox

README = Path(__file__).parents[1] / "README.md"


def usual_tools(starter: Path) -> set[str]:
    box = Toolbox(Catalog(Folder(starter)), Selection(("search",), Settings().pins), TOOLSETS)
    return set(box.names())


def hints() -> list[str]:
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.FalError)]
    return [each.hint for each in classes if each.hint]


SAID = [
    "fal-ai/x waits in fal's queue; about 0.01966 USD. It goes on by itself and is not to be run again: call "
    "wait_for_job with job_id 'job_1' for its result.",
    "the same was asked for a moment ago, so this is that job, and nothing was paid twice; run_model with fresh: true "
    "runs fal-ai/x again",
    "There is no job 'x'. list_jobs shows the jobs there are.",
    "fal's catalog has no model 'x'. Ask search_models what there is.",
    "Not all of the output is told here: get_job with part, 1 to 3, gives all of it.",
    "fal says it is completed already; it is billed, and get_job has its result.",
    "Run x for about 0.04 USD? This needs the user's approval, and this client cannot ask.",
    "Nothing was sent. Ask the user to raise the server's --approve-over, or choose a cheaper one.",
    "Nothing was sent. Choose a cheaper model or smaller arguments, or ask the user to raise --max-cost.",
    "Nothing was sent. The server's --allow-unpriced lets such calls through.",
    "Nothing was sent. Do not ask again unless told to.",
    "This server saves no files: it has no --output-dir.",
]


@pytest.mark.parametrize("text", [*SAID, *hints(), refusal("/a/b/c.png").hint])
def test_no_word_for_a_model_is_shown_to_a_person(starter: Path, text: str):
    said = for_people(text)
    for name in usual_tools(starter):
        assert not re.search(rf"\b{name}\b", said), said
    assert " USD" not in said and "the user" not in said and "call the tool" not in said.lower(), said
    assert "this server" not in said.lower() and "the server's" not in said.lower(), said


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        *[
            (0.01966, "$0.02"),
            (0.0, "$0.00"),
            (0.025, "$0.025"),
            (0.0031254, "$0.0031"),
            (0.0001, "$0.0001"),
            (1.5, "$1.50"),
        ],
        *[
            (1234.5, "$1,234.50"),
            (0.1, "$0.10"),
            (12.0, "$12.00"),
            (None, "price not known"),
            (-0.5, "-$0.50"),
            (1e-9, "$1e-09"),
        ],
    ],
)
def test_money_is_written_as_people_write_it(amount: float | None, text: str):
    assert money(amount) == text


@within(deadline=None)
@given(st.floats(0, 1e6))
def test_any_amount_is_said_within_a_cent_or_a_tenth(amount: float):
    said = float(money(amount).replace("$", "").replace(",", ""))
    assert abs(said - amount) <= max(0.005 + 1e-9, 0.1 * amount if amount < 0.01 else 0)


@within(deadline=None)
@given(st.text())
def test_nothing_that_is_said_draws_on_the_screen(text: str):
    said = for_people(text)
    hidden = {"Cc", "Cf", "Cs", "Co"}
    assert not [each for each in said if each not in "\n\t\r\u200d" and unicodedata.category(each) in hidden]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_address_and_no_path_is_broken_at_a_narrow_terminal(width: int):
    url, path = (
        "https://v3.fal.media/files/b/0123456789abcdef/" + "x" * 40 + ".png",
        "/home/me/" + "deep/" * 14 + "a.png",
    )
    target = io.StringIO()
    console = Console(file=target, width=width, force_terminal=True, highlight=False, color_system=None)
    screen.say(
        console, f"fal-ai/flux/dev ran for 1.0 s after 0.3 s in the queue; about $0.04, and this goes on and on.\n{url}"
    )
    screen.say(console, f"Saved as {path}")
    lines = target.getvalue().splitlines()
    assert url in lines and any(path in line for line in lines)
    assert all(len(line) <= width for line in lines if "/" not in line or len(line.split("/")[0]) > width)
    words = {word for line in lines for word in line.split()}
    assert {"queue;", "$0.04,", "fal-ai/flux/dev"} <= words, "no word is broken"


def test_every_command_of_the_readme_is_one(starter: Path):
    """Each command is read by the command line's own parser, with its options; nothing is run."""
    import typer

    from fal_mcp.cli import app

    root = typer.main.get_command(app)
    lines = [line.strip() for line in README.read_text("utf-8").splitlines() if line.startswith("    ")]
    commands = re.findall(r"`(fal-mcp [^`]+)`", README.read_text("utf-8")) + [
        line for line in lines if line.startswith("fal-mcp ")
    ]
    assert len(commands) >= 14
    for command in commands:
        parsed(root, command)


def parsed(root: Any, command: str) -> None:
    import shlex

    words = [word for word in shlex.split(command)[1:] if not word.startswith("--install")]
    context = root.make_context("fal-mcp", [], resilient_parsing=True)
    here: Any = root
    while words and hasattr(here, "get_command") and not words[0].startswith("-"):
        following = here.get_command(context, words[0])
        assert following is not None, f"{command!r} names no command"
        here, words = following, words[1:]
    known = {option for each in here.params for option in getattr(each, "opts", [])}
    for word in words:
        if word.startswith("--"):
            assert word in known, f"{command!r} has {word}, which is none of its options"


def test_every_option_of_the_readme_is_a_setting_or_an_option():
    from fal_mcp.settings_table import TABLE

    settings = {setting.option for setting in TABLE}
    others = {"--json", "--yes", "--batch", "--help", "--install-completion", "--speed", "--detach", "--days", "--http"}
    others |= {"--quiet", "--editable", "--check", "--long"}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README.read_text("utf-8")))
    assert named <= settings | others


def test_the_readme_is_short_and_its_configuration_is_json():
    import json

    text = README.read_text("utf-8")
    assert len(text.splitlines()) <= 180
    (block,) = re.findall(r"```json\n(.*?)```", text, re.S)
    entry = json.loads(block)["mcpServers"]["fal"]
    assert entry["command"].endswith("fal-mcp") and "--allow-dir" in entry["args"]
    assert all(name in text for name in MORE_TOOLSETS)


def test_every_page_that_the_readme_links_to_is_there():
    for link in re.findall(r"\]\((docs/[^)]+)\)", README.read_text("utf-8")):
        assert (README.parent / link).is_file(), link
