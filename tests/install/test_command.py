"""`fal-mcp install` as a person uses it: what it writes works, what stood there is kept, and a no changes nothing."""

import os
import stat
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fal_mcp.install import files, json_text, launcher, plan
from fal_mcp.install.hosts import HOSTS, Machine, files_of, is_here
from fal_mcp.install.refusal import NotInstalled
from fal_mcp.terminal import install
from fal_mcp.terminal.install import Wish


def run(wish: Wish, home: Path, answer: bool = True, **variables: str) -> tuple[int, str]:
    said: list[str] = []
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], **variables}
    return install.run(wish, environment, said.append, lambda question: answer), "\n".join(said)


def test_an_entry_is_written_tried_and_taken_out_again(tmp_path: Path):
    file = tmp_path / ".cursor" / "mcp.json"
    file.parent.mkdir()
    before = '{\n  // mine\n  "mcpServers": {"a": {"command": "x"}}\n}\n'
    file.write_text(before)
    code, said = run(Wish(["cursor"]), tmp_path)
    entry = json_text.read(file.read_text())["mcpServers"]["fal"]
    assert code == 0 and "answers" in said and entry["env"]["FAL_KEY"] == "${env:FAL_KEY}"
    assert Path(entry["command"]).is_absolute() and Path(entry["command"]).exists()
    (backup,) = file.parent.glob("mcp.json.*.bak")
    assert backup.read_text() == before
    assert run(Wish(["cursor"]), tmp_path)[1].count("nothing to do") == 1
    assert run(Wish(["cursor"], is_removed=True), tmp_path)[0] == 0 and file.read_text() == before


def test_a_no_changes_nothing(tmp_path: Path):
    code, said = run(Wish(["gemini"]), tmp_path, answer=False)
    assert code == 1 and "left as it is" in said and not (tmp_path / ".gemini").exists()


def test_only_what_is_there_is_offered(tmp_path: Path):
    (tmp_path / ".codex").mkdir()
    (tmp_path / ".config" / "zed").mkdir(parents=True)
    machine = Machine(sys.platform, tmp_path, {})
    assert [name for name, host in HOSTS.items() if is_here(host, machine)] == ["codex", "zed"]
    code, said = run(Wish(needs_no_yes=True), tmp_path)
    assert code == 1 and "Codex" in said and "fal-mcp login" in said, "Zed has no references, so it says what to do"
    assert "[mcp_servers.fal]" in (tmp_path / ".codex" / "config.toml").read_text()


def test_nothing_found_says_what_to_name(tmp_path: Path):
    code, said = run(Wish(), tmp_path)
    assert code == 1 and "claude-desktop" in said


OWN_COMMANDS = {
    "#!/bin/sh\nkill -9 $$\n": "it ended with -9 and said nothing",
    "#!/bin/sh\necho no such scope >&2; exit 2\n": "no such scope",
    "#!/nowhere/sh\n": "does not start: No such file or directory",
    "\0\1": "does not start: Exec format error",
}


@pytest.mark.skipif(sys.platform == "win32", reason="needs scripts with a first line")
@pytest.mark.parametrize("program", OWN_COMMANDS)
def test_a_host_s_own_command_that_fails_is_told_and_hinders_no_other_host(program: str, tmp_path: Path):
    command = tmp_path / "bin" / "claude"
    command.parent.mkdir()
    command.write_text(program)
    command.chmod(0o755)
    code, said = run(Wish(["claude-code", "cursor"], needs_no_yes=True), tmp_path, PATH=str(command.parent))
    assert code == 1 and "Claude Code: Its own command" in said and OWN_COMMANDS[program] in said
    assert "Cursor: fal " in said and (tmp_path / ".cursor" / "mcp.json").exists()


def test_a_link_that_leads_in_a_circle_is_left_alone_and_hinders_no_other_host(tmp_path: Path):
    for name, target in (("mcp.json", "there"), ("there", "mcp.json")):
        (tmp_path / ".cursor").mkdir(exist_ok=True)
        (tmp_path / ".cursor" / name).symlink_to(target)
    code, said = run(Wish(["cursor", "codex"], needs_no_yes=True), tmp_path)
    assert code == 1 and "a link that leads in a circle" in said and "Codex: fal " in said
    assert (tmp_path / ".cursor" / "mcp.json").is_symlink()


def test_a_misspelt_host_is_named(tmp_path: Path):
    assert run(Wish(["curser"]), tmp_path) == (2, f"There is no host 'curser'. The hosts: {', '.join(HOSTS)}.")


@pytest.mark.parametrize("name", HOSTS)
def test_print_writes_nothing(name: str, tmp_path: Path):
    code, said = run(Wish([name], is_printed=True, key_by="stored"), tmp_path)
    assert code == 0 and "fal" in said and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [name for name, host in HOSTS.items() if host.project_file and name != "claude-code"])
def test_a_project_gets_a_file_of_its_own(name: str, tmp_path: Path):
    home, project = tmp_path / "home", tmp_path / "project"
    home.mkdir()
    project.mkdir()
    assert run(Wish([name], project=project, key_by="stored"), home)[0] == 0
    file = HOSTS[name].project_file
    # The server that was tried keeps its own folders there, and no host's.
    assert file and (project / file).exists() and {path.name for path in home.iterdir()} <= {".local", ".cache"}


def test_a_literal_key_is_written_only_when_asked(tmp_path: Path):
    run(Wish(["windsurf"]), tmp_path, FAL_KEY="id:secret")
    file = tmp_path / ".codeium" / "windsurf" / "mcp_config.json"
    assert "secret" not in file.read_text()
    run(Wish(["windsurf"], key_by="literal"), tmp_path, FAL_KEY="id:secret")
    assert "id:secret" in file.read_text() and stat.S_IMODE(file.stat().st_mode) == 0o600


def test_every_place_of_claude_desktop_on_windows_is_written(tmp_path: Path):
    packaged = tmp_path / "L" / "Packages" / "Claude_pzs8" / "LocalCache" / "Roaming" / "Claude"
    classic = tmp_path / "R" / "Claude"
    for folder in (packaged, classic):
        folder.mkdir(parents=True)
        (folder / "claude_desktop_config.json").write_text("{}")
    machine = Machine("win32", tmp_path, {"LOCALAPPDATA": str(tmp_path / "L"), "APPDATA": str(tmp_path / "R")})
    written = files_of(HOSTS["claude-desktop"], machine, None)
    assert [file.parent for file in written] == [packaged, classic]


def _not_text(folder: Path) -> None:
    (folder / "mcp.json").write_bytes(b"\xff\xfe{\x00")


def _folder_in_its_place(folder: Path) -> None:
    (folder / "mcp.json").unlink()
    (folder / "mcp.json").mkdir()


def _huge(folder: Path) -> None:
    (folder / "mcp.json").write_text("{" + " " * (9 * 1024 * 1024) + "}")


@pytest.mark.parametrize("spoil", [_not_text, _folder_in_its_place, _huge])
def test_what_cannot_be_read_is_said_in_one_sentence(spoil: Callable[[Path], None], tmp_path: Path):
    folder = tmp_path / ".cursor"
    folder.mkdir()
    (folder / "mcp.json").write_text("{}")
    spoil(folder)
    code, said = run(Wish(["cursor"]), tmp_path)
    assert code == 1 and said.startswith("Cursor: ") and "\n" not in said and "mcp.json" in said


def test_a_link_stays_a_link_and_rights_stay_rights(tmp_path: Path):
    real = tmp_path / "dotfiles" / "mcp.json"
    real.parent.mkdir()
    real.write_text("{}")
    real.chmod(0o640)
    link = tmp_path / ".cursor" / "mcp.json"
    link.parent.mkdir()
    link.symlink_to(real)
    assert run(Wish(["cursor"]), tmp_path)[0] == 0
    assert link.is_symlink() and stat.S_IMODE(real.stat().st_mode) == 0o640 and "fal" in real.read_text()


def test_a_file_that_changed_meanwhile_is_not_overwritten(tmp_path: Path):
    file = tmp_path / "a.json"
    file.write_text("{}")
    change = files.Change(file, "{}", '{"a": 1}')
    file.write_text('{"b": 2}')
    with pytest.raises(NotInstalled, match="another program"):
        files.write(change)
    assert file.read_text() == '{"b": 2}'


@pytest.mark.parametrize(
    "command", [["/nowhere/fal-mcp"], [sys.executable, "-c", "raise SystemExit(3)"], [sys.executable, "-c", "1/0"]]
)
def test_what_does_not_run_is_not_written(command: list[str]):
    with pytest.raises(NotInstalled):
        launcher.tried(command)


@pytest.mark.parametrize(
    "program",
    [
        *("print('hello')", "pass", "print('{}')", "print('[1]')"),
        # Gone, or deaf, before it is spoken to.
        *("import os; os._exit(0)", "import os, time; os.close(0); print('{}', flush=True); time.sleep(0.5)"),
    ],
)
def test_what_does_not_shake_hands_is_told(program: str):
    with pytest.raises(NotInstalled):
        launcher.handshake([sys.executable, "-c", program], {"PATH": os.environ["PATH"]})


@pytest.mark.skipif(sys.platform == "win32", reason="there is no sh")
def test_a_script_whose_server_is_deaf_is_given_up_with_all_it_began():
    """What the script began has its output: killed alone, it would be waited for as long as that lives."""
    began = time.monotonic()
    with pytest.raises(NotInstalled):
        launcher.handshake(["sh", "-c", "sleep 60 & wait"], {"PATH": os.environ["PATH"]}, longest=1.0)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("variables", [{"HTTPS_PROXY": "http://p:1"}, {"SSL_CERT_FILE": "/c.pem", "NO_PROXY": "x"}])
def test_what_hosts_do_not_hand_on_is_written(variables: Mapping[str, str]):
    entry = plan.entry_for(HOSTS["cursor"], ["/x"], [], "stored", variables)
    assert entry.environment == variables
