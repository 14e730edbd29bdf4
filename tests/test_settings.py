"""Every setting is declared once: what is wrong with a value is said with the name that was typed, and a misspelt limit
is no missing one."""

import math
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as within
from hypothesis import strategies as st

from fal_mcp.config import MORE_TOOLSETS, TOOLSETS, Hosts, Settings
from fal_mcp.key import in_file
from fal_mcp.settings_table import TABLE, Setting

BOUND = 60
PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
NUMBERS = [setting for setting in TABLE if setting.kind in ("number", "count", "money")]
COUNTS = [setting for setting in TABLE if setting.kind == "count"]
SWITCHES = [setting for setting in TABLE if setting.kind == "switch"]
NO_NUMBER = [
    "nan",
    "NaN",
    "inf",
    "-inf",
    "Infinity",
    "-1",
    "-0.0001",
    "1e999",
    "abc",
    "0,5",
    "$5",
    "5 USD",
    "1e",
    "--",
    "None",
]


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda setting: setting.name)
@pytest.mark.parametrize("value", NO_NUMBER)
def test_a_bound_is_a_finite_number_and_not_negative(setting: Setting, value: str):
    with pytest.raises(ValueError, match=rf"^{setting.variable} is '.*' and should be .* from 0 to [\d,]+\.$"):
        Settings.from_env({setting.variable: value})


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda setting: setting.name)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 1e12])
def test_so_it_is_as_an_option(setting: Setting, value: float):
    with pytest.raises(ValueError, match=rf"^{setting.option} is .* and should be"):
        Settings.from_env({}, **{setting.name: value})


@pytest.mark.parametrize("setting", COUNTS, ids=lambda setting: setting.name)
@pytest.mark.parametrize("value", ["0.5", "1.5", "2.000001", "1e-9"])
def test_what_is_counted_is_no_fraction(setting: Setting, value: str):
    """Cut to whole numbers, a limit of a half would be none, or a server in which nothing ever runs."""
    with pytest.raises(
        ValueError, match=rf"^{setting.variable} is '.*' and should be a whole number from 0 to [\d,]+\.$"
    ):
        Settings.from_env({setting.variable: value})
    assert getattr(Settings.from_env({setting.variable: "2.0"}), setting.field or setting.name) == 2


@pytest.mark.parametrize("value", ["0.0001", "1e-300", "0.0999"])
def test_the_catalog_is_not_fetched_several_times_a_second(value: str):
    expected = rf"^FAL_MCP_REFRESH_HOURS is '{value}' and should be 0, or a number from 0.1 on\.$"
    with pytest.raises(ValueError, match=expected):
        Settings.from_env({"FAL_MCP_REFRESH_HOURS": value})
    assert Settings.from_env({"FAL_MCP_REFRESH_HOURS": "0.1"}).refresh_hours == 0.1


@within(deadline=None)
@given(st.sampled_from(NUMBERS), st.floats() | st.text(max_size=20) | st.integers())
def test_whatever_is_given_as_a_number_is_one_in_its_bounds_or_refused(setting: Setting, value: Any):
    try:
        settings = Settings.from_env({}, **{setting.name: value})
    except ValueError as error:
        assert setting.option in str(error)
        return
    read = getattr(settings, setting.field or setting.name)
    assert read is None or read == 0 or setting.least <= read <= setting.most or value == ""


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("FAL_MCP_MAX_COTS", "FAL_MCP_MAX_COST"),
        ("FAL_MCP_MAXCOST", "FAL_MCP_MAX_COST"),
        ("FAL_MCP_DAILY_BUGDET", "FAL_MCP_DAILY_BUDGET"),
        ("FAL_MCP_SESION_BUDGET", "FAL_MCP_SESSION_BUDGET"),
        ("FAL_MCP_READONLY", "FAL_MCP_READ_ONLY"),
        ("fal_mcp_read_only", "FAL_MCP_READ_ONLY"),
        ("FAL_MCP_ALLOW_DIRS", "FAL_MCP_ALLOW_DIR"),
        ("FAL_MCP_APROVE_OVER", "FAL_MCP_APPROVE_OVER"),
        ("FAL_MCP_TOOLSET", "FAL_MCP_TOOLSETS"),
        ("FAL_MCP_FAL_URL", "FAL_MCP_URL"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_nearest(name: str, means: str):
    with pytest.raises(ValueError, match=f"^{name} is no setting of this server. Did you mean {means}\\?$"):
        Settings.from_env({name: "0.1"})


@within(deadline=None)
@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ_", min_size=1, max_size=20))
def test_no_name_of_this_server_is_ignored(name: str):
    variable = f"FAL_MCP_{name}"
    if variable not in {setting.variable for setting in TABLE}:
        with pytest.raises(ValueError, match=variable):
            Settings.from_env({variable: "x"})


@pytest.mark.parametrize("setting", SWITCHES, ids=lambda setting: setting.name)
@pytest.mark.parametrize("word", ["maybe", "2", "tru", "enabled", "-", "null"])
def test_a_switch_is_on_or_off_and_nothing_between(setting: Setting, word: str):
    with pytest.raises(ValueError, match=f"^{setting.variable} is '{word}' and should be on or off.$"):
        Settings.from_env({setting.variable: word})


@pytest.mark.parametrize(
    ("word", "is_on"),
    [("1", True), ("TRUE", True), ("Yes", True), (" on ", True), ("0", False), ("no", False), ("OFF", False)],
)
def test_a_switch_takes_the_usual_words(word: str, is_on: bool):
    assert Settings.from_env({"FAL_MCP_READ_ONLY": word}).read_only is is_on


@pytest.mark.parametrize("setting", TABLE, ids=lambda setting: setting.name)
def test_an_empty_variable_is_none_and_one_that_was_not_filled_in_is_refused(setting: Setting):
    """Hosts hand over empty texts for what was left out, and templates for what they do not know."""
    assert Settings.from_env({setting.variable: "  "}).max_cost is None
    with pytest.raises(ValueError, match=r"did not fill it in"):
        Settings.from_env({setting.variable: "${user_config.x}"})


def test_every_problem_is_said_at_once():
    with pytest.raises(ValueError) as refused:
        Settings.from_env({"FAL_MCP_WAIT": "x", "FAL_MCP_LIMT": "1", "FAL_KEY": '"a:b"', "FAL_MCP_READ_ONLY": "maybe"})
    assert all(name in str(refused.value) for name in ("FAL_MCP_WAIT", "FAL_MCP_LIMT", "FAL_KEY", "FAL_MCP_READ_ONLY"))


def test_an_option_wins_over_its_variable(tmp_path: Path):
    env = {
        "FAL_MCP_MAX_COST": "1",
        "FAL_MCP_ALLOW_DIR": str(tmp_path),
        "FAL_MCP_TOOLSETS": "all",
        "FAL_MCP_URL": "http://a.test/",
    }
    settings = Settings.from_env(env, max_cost=2, fal_url="http://b.test")
    assert settings.max_cost == 2 and settings.allow_dirs == (tmp_path,) and settings.hosts == Hosts.at("http://b.test")
    assert settings.toolsets == (*TOOLSETS, *MORE_TOOLSETS)


@pytest.mark.parametrize(
    "value", ["x", "http://", "http://[x", "ftp://a.b", "http://a:99999", "http://a?b=c", "//a.b", "http://a:x"]
)
def test_a_stand_ins_address_is_an_address(value: str):
    with pytest.raises(ValueError, match=r"^FAL_MCP_URL is"):
        Settings.from_env({"FAL_MCP_URL": value})


def test_a_folder_is_named_with_what_named_it(tmp_path: Path):
    file = tmp_path / "a.txt"
    file.write_text("x")
    for env, says in (
        ({"FAL_MCP_MODELS": "/nowhere"}, "FAL_MCP_MODELS names the folder '/nowhere', which does not exist"),
        ({"FAL_MCP_ALLOW_DIR": f"{tmp_path}{os.pathsep}/nowhere"}, "FAL_MCP_ALLOW_DIR names the folder '/nowhere'"),
        ({"FAL_MCP_DATA_DIR": str(file)}, "is a file and no folder"),
        ({"FAL_MCP_OUTPUT_DIR": "~nobody-of-this-name/x"}, "cannot be found"),
        ({"FAL_MCP_OUTPUT_DIR": "x" * 5000}, "cannot be found"),
    ):
        with pytest.raises(ValueError, match=r".") as refused:
            Settings.from_env(env)
        assert says in str(refused.value)


def test_home_is_meant_by_its_sign():
    assert Settings.from_env({"FAL_MCP_OUTPUT_DIR": "~/out"}).output_dir == Path.home() / "out"


KEYS = [
    ('"a:b"', "quotes"),
    ("'a:b'", "quotes"),
    ("a:b'", "quotes"),
    ("\u201ca:b\u201d", "quotes"),
    ("`a:b`", "quotes"),
    ("${FAL_KEY}", "nobody filled it in"),
    ("$FAL_KEY", "nobody filled it in"),
    ("${env:FAL_KEY}", "nobody filled it in"),
    ("${user_config.fal_key}", "nobody filled it in"),
    ("%FAL_KEY%", "nobody filled it in"),
    ("{{fal_key}}", "nobody filled it in"),
    ("<your key>", "nobody filled it in"),
    ("your key", "nobody filled it in"),
    ("your-api-key", "nobody filled it in"),
    ("YOUR_FAL_KEY", "nobody filled it in"),
    ("Key a:b", "begins with 'Key'"),
    ("key a:b", "begins with 'key'"),
    ("Bearer a:b", "begins with 'Bearer'"),
    ("Authorization: Key a:b", "begins with"),
    ("FAL_KEY=a:b", "begins with 'FAL_KEY='"),
    ("export FAL_KEY=a:b", "begins with"),
    ("a: b", "a blank or a line break"),
    ("a:b\nc", "a blank or a line break"),
    ("a:b\r\nX-Evil: 1", "a blank or a line break"),
    ("a:b\tc", "a blank or a line break"),
    ("a:b\u00a0c", "a blank or a line break"),
    ("a:b\u200bc", "a character"),
    ("a:b\x00c", "a character"),
    ("a:b\x1b[2K", "a character"),
    ("ключ:b", "a character"),
    ("a" * 2000, "characters long"),
]


@pytest.mark.parametrize("name", ["FAL_KEY", "FAL_ADMIN_KEY"])
@pytest.mark.parametrize(("value", "says"), KEYS)
def test_what_is_wrong_with_a_key_is_one_sentence_that_names_the_variable(name: str, value: str, says: str):
    with pytest.raises(ValueError) as refused:
        Settings.from_env({name: value})
    said = str(refused.value)
    assert said.startswith(name) and says in said and said.isprintable() and said.count(". ") <= 1


@within(deadline=None)
@given(st.text(min_size=3, max_size=60))
def test_a_key_is_sent_as_it_is_or_refused_and_never_shown(value: str):
    try:
        key = Settings.from_env({"FAL_KEY": f"id{value}:secret-of-mine"}).key
    except ValueError as error:
        assert "secret-of-mine" not in str(error)
        return
    assert key is not None and key.isascii() and key.isprintable() and " " not in key


def test_blanks_around_a_key_are_nothing(tmp_path: Path):
    assert Settings.from_env({"FAL_KEY": " a:b\n"}).key == "a:b"
    file = tmp_path / "key"
    file.write_bytes(b"\xef\xbb\xbfa:b\r\n")
    assert Settings.from_env({"FAL_KEY_FILE": str(file)}).key == "a:b"
    assert Settings.from_env({"FAL_KEY": "c:d", "FAL_KEY_FILE": str(file)}).key == "c:d"
    assert Settings.from_env({"FAL_KEY_ID": "a", "FAL_KEY_SECRET": "b"}).key == "a:b"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"\xff\xfe\x00", "is no text"),
        (b'"a:b"', "quotes"),
        (b"a:b\nc:d", "line break"),
    ],
)
def test_a_key_file_that_is_none_is_named(tmp_path: Path, content: bytes, says: str):
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"FAL_KEY_FILE") as refused:
        Settings.from_env({"FAL_KEY_FILE": str(file)})
    assert says in str(refused.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_key_may_come_through_a_pipe_and_is_not_waited_for_without_an_end(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match=r"FAL_KEY_FILE names .* nobody wrote to this pipe"):
        in_file("FAL_KEY_FILE", str(pipe), 0.1)
    with os.fdopen(os.open(pipe, os.O_RDWR), "wb", buffering=0) as other_end:
        other_end.write(b"a:b\n")
        assert in_file("FAL_KEY_FILE", str(pipe), 0.1) == "a:b"
    written = threading.Thread(target=pipe.write_bytes, args=(b"c:d\n",))
    written.start()
    assert in_file("FAL_KEY_FILE", str(pipe), BOUND) == "c:d"
    written.join(BOUND)


@pytest.mark.parametrize("name", ["/nowhere/key", "${HOME}/key", "~nobody-of-this-name/x", "/", "a\0b", "x" * 5000])
def test_a_key_file_that_is_not_there_is_one_sentence(name: str):
    with pytest.raises(ValueError, match=r"^FAL_KEY_FILE"):
        Settings.from_env({"FAL_KEY_FILE": name})


def test_half_a_key_is_none():
    with pytest.raises(ValueError, match=r"FAL_KEY_ID is set without its other half"):
        Settings.from_env({"FAL_KEY_ID": "a"})


def page() -> str:
    """`docs/settings.md`, made from the table."""
    rows = [
        f"| {_option(setting)} | `{setting.variable}` | {_help(setting)} | {setting.default} |" for setting in TABLE
    ]
    return HEAD + "\n".join(rows) + "\n"


def _option(setting: Setting) -> str:
    return f"`{setting.option}`" if setting.commands else ""


def _help(setting: Setting) -> str:
    bounds = f" From 0 to {setting.most:,.0f}." if setting.most else ""
    choices = f" One of: {', '.join(f'`{choice}`' for choice in setting.choices)}." if setting.choices else ""
    return f"{setting.help}{bounds}{choices}"


HEAD = """\
# Settings

Made from the code by `UPDATE_SNAPSHOTS=1 pytest tests/test_settings.py`; a test holds it to it.

A setting is an option of the command or a variable; the option wins. An empty variable counts as unset. A value that
cannot be used, and a variable that begins with `FAL_MCP_` and is none of these, is refused with a sentence that names
it. A list is separated by commas, folders by `:` (`;` on Windows), and an option that takes several is repeated. A
switch takes `on` or `off` as a variable, and is `--name` or `--no-name` as an option.

| variable | what |
|---|---|
| `FAL_KEY` | fal's key, of scope API. Or `FAL_KEY_ID` and `FAL_KEY_SECRET`, its two halves |
| `FAL_KEY_FILE` | a file with the key in it, where `FAL_KEY` is not set |
| `FAL_ADMIN_KEY` | a key of scope ADMIN, for what fal asks one for: costs, keys, machines |

Without these the key is the one that `fal-mcp login` stored. Of the environment besides, `HTTPS_PROXY`, `NO_PROXY`,
`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured, and `NO_COLOR`.

| option | variable | what | default |
|---|---|---|---|
"""


def test_the_page_says_what_there_is():
    if os.environ.get("UPDATE_SNAPSHOTS"):
        PAGE.write_text(page(), "utf-8")
    assert PAGE.read_text("utf-8") == page()
