"""Any file that somebody may have: our entry goes in and nothing else changes, and out again to the byte."""

import os
import stat
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as within
from hypothesis import strategies as st

from fal_mcp.install import files, json_text, plan, text
from fal_mcp.install.entry import Entry
from fal_mcp.install.hosts import HOSTS, Host, Machine
from fal_mcp.install.refusal import NotInstalled
from tests.install.somebodys_files import files_for

WITH_FILES = [name for name, host in HOSTS.items() if host.command is None]
GIVEN = st.data()


def entry_of(host: Host, *arguments: str) -> Entry:
    return Entry("/x/fal-mcp", arguments, host.reference, {"HTTPS_PROXY": "http://p:1"})


@contextmanager
def file_with(host: Host, content: str) -> Generator[tuple[Machine, Path]]:
    """A home in which the host's file is somebody's."""
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(sys.platform, Path(folder), {})
        file = next(iter(host.files(machine)))
        file.parent.mkdir(parents=True)
        file.write_bytes(content.encode("utf-8"))
        yield machine, file


def put(host: Host, machine: Machine, entry: Entry) -> None:
    for change in plan.installing(host, machine, entry, None).changes:
        files.write(change)


def take_out(host: Host, machine: Machine) -> None:
    for change in plan.uninstalling(host, machine, None).changes:
        files.write(change)


def without_a_holder(character: str, host: Host) -> bool:
    # YAML has to write an empty holder in another way to put something into it.
    return host.format != "yaml" or character not in "{}[]"


@pytest.mark.parametrize("name", WITH_FILES)
@within(max_examples=25)
@given(GIVEN)
def test_any_file_comes_back_to_the_byte(name: str, data: st.DataObject):
    host = HOSTS[name]
    before = data.draw(files_for(host))
    with file_with(host, before) as (machine, file):
        put(host, machine, entry_of(host))
        after = file.read_bytes().decode("utf-8")
        assert text.entry_in(after, host) == host.shape(entry_of(host))
        kept = iter(after)
        assert all(character in kept for character in before if without_a_holder(character, host))
        assert plan.installing(host, machine, entry_of(host), None).is_done, "a second time changes nothing"
        take_out(host, machine)
        assert file.read_bytes().decode("utf-8") == before


@pytest.mark.parametrize("name", WITH_FILES)
@within(max_examples=25)
@given(GIVEN)
def test_what_was_changed_since_stays(name: str, data: st.DataObject):
    """Who has worked in the file since loses nothing of that work: no copy comes back over it."""
    host = HOSTS[name]
    before = data.draw(files_for(host))
    end = {"json": "\n\n\n", "toml": "\n# mine\n", "yaml": "\n# mine\n"}[host.format]
    with file_with(host, before) as (machine, file):
        put(host, machine, entry_of(host, "--read-only"))
        put(host, machine, entry_of(host))
        file.write_bytes(file.read_bytes() + end.encode())
        take_out(host, machine)
        left = file.read_bytes().decode("utf-8")
    assert left.endswith(end) and text.entry_in(left, host) is None
    assert text.with_entry(left, host, entry_of(host)), "and it can still be read"


def test_a_question_of_ours_goes_with_the_entry_and_others_stay():
    host = HOSTS["vscode"]
    before = '{\n  "servers": {"a": {}},\n  "inputs": [\n    {"id": "b"} // mine\n  ]\n}\n'
    after = text.with_entry(before, host, entry_of(host))
    assert "// mine" in after and [each["id"] for each in json_text.read(after)["inputs"]] == ["b", "fal-key"]
    assert text.without_entry(after, host) == before
    shared = after.replace('"a": {}', '"a": {"env": {"K": "${input:fal-key}"}}')
    assert "fal-key" in text.without_entry(shared, host).partition("inputs")[2], "another server asks it too"


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("cursor", "// mine\n{}\n"),
        ("cursor", "{} // mine"),
        ("cursor", "{\n  /* mine */\n}"),
        ("cursor", '{"mcpServers": {"a": 1, "a": 2}, "mcpServers": {"b": 1, "b": 2}}'),
        ("codex", "\ufeff"),
        ("codex", "\ufeffa = 1"),
        ("goose", "\ufeffextensions:\n  a:\n    b: 1\n"),
        ("goose", "extensions:  # none yet\na: 1\n"),
        ("goose", "extensions: {}  # none yet\na: 1\n"),
        ("continue", "mcpServers: []\nmodels: []"),
    ],
)
def test_what_was_lost_or_refused_once_is_neither(name: str, before: str):
    host = HOSTS[name]
    with file_with(host, before) as (machine, file):
        put(host, machine, entry_of(host))
        after = file.read_bytes().decode("utf-8")
        assert "mine" not in before or "mine" in after
        assert "none yet" not in before or "none yet" in after
        assert plan.installing(host, machine, entry_of(host), None).is_done
        take_out(host, machine)
        assert file.read_bytes().decode("utf-8") == before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"mcpServers": { // mine\n"fal": {}}}', '{"mcpServers": { // mine\n}}'),
        ('{"mcpServers": { // mine\n  "fal": {}, "a": 1}}', '{"mcpServers": { // mine\n   "a": 1}}'),
        ('{"mcpServers": { // mine\r\n  "fal": {},\r\n  "a": 1}}', '{"mcpServers": { // mine\r\n  "a": 1}}'),
    ],
)
def test_a_comment_before_a_hand_written_entry_covers_nothing_after_it(before: str, after: str):
    assert text.without_entry(before, HOSTS["cursor"]) == after


def test_a_long_file_takes_no_minutes():
    servers = ",\n".join(f'    "s{number}": {{"command": "x", "args": ["a", "b"]}}' for number in range(2000))
    before = f'{{\n  "mcpServers": {{\n{servers}\n  }}\n}}\n'
    began = time.process_time()
    after = text.with_entry(before, HOSTS["cursor"], entry_of(HOSTS["cursor"]))
    assert text.without_entry(after, HOSTS["cursor"]) == before and len(before) > 80_000
    assert time.process_time() - began < 30, "of one processor; by counting from the top for each it was minutes"


def test_a_linked_file_stays_linked_and_comes_back(tmp_path: Path):
    host, machine = HOSTS["cursor"], Machine(sys.platform, tmp_path, {})
    real, link = tmp_path / "dotfiles.json", tmp_path / ".cursor" / "mcp.json"
    real.write_text("{}")
    real.chmod(0o640)
    link.parent.mkdir()
    link.symlink_to(real)
    put(host, machine, entry_of(host))
    take_out(host, machine)
    assert link.is_symlink() and real.read_text() == "{}" and stat.S_IMODE(real.stat().st_mode) == 0o640


def test_what_another_program_wrote_meanwhile_stays(tmp_path: Path):
    host, machine = HOSTS["cursor"], Machine(sys.platform, tmp_path, {})
    file = tmp_path / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_text("{}")
    for planned in (plan.installing(host, machine, entry_of(host), None), plan.uninstalling(host, machine, None)):
        file.write_text(theirs := file.read_text() + " ")
        with pytest.raises(NotInstalled, match="another program"):
            for change in planned.changes:
                files.write(change)
        assert file.read_text() == theirs and os.listdir(file.parent) == ["mcp.json"]


def test_a_folder_that_cannot_be_written_is_named():
    with pytest.raises(NotInstalled, match=r"/proc/nowhere/mcp\.json"):
        files.write(files.Change(Path("/proc/nowhere/mcp.json"), "", "{}"))
