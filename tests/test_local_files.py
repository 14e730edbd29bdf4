"""What may be read is read; what may not is refused in the same words, whether it exists or not."""

import os
import socket
import sys
from pathlib import Path

import pytest

from fal_mcp.errors import NotReadable
from fal_mcp.machine.readable import Readable, path_in

BACKSLASH_PATHS = [
    "C:\\Windows\\win.ini",
    "c:/Windows/win.ini",
    "\\\\server\\share\\a.png",
    "\\\\?\\C:\\a.png",
    "D:\\x",
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An allowed folder with one picture, and things beside it that nobody should get."""
    allowed, outside = tmp_path / "allowed", tmp_path / "outside"
    for folder in (allowed / "sub", allowed / ".git", allowed / ".ssh", outside):
        folder.mkdir(parents=True)
    (allowed / "a picture ü.png").write_bytes(b"picture")
    (allowed / "sub" / "b.png").write_bytes(b"picture")
    (outside / "secret.txt").write_text("secret")
    for name in ("id_rsa", "server.pem", "tls.key", "my.p12", ".env", "prod.env", "credentials.json", "id_ed25519.pub"):
        (allowed / name).write_text("secret")
    (allowed / ".git" / "config").write_text("secret")
    (allowed / ".ssh" / "x.png").write_text("secret")
    (allowed / "link.txt").symlink_to(outside / "secret.txt")
    (allowed / "linked").symlink_to(outside)
    (allowed / "proc").symlink_to("/proc")
    (allowed / "loop").symlink_to(allowed / "loop")
    (allowed / "dotted.png").symlink_to(allowed / ".ssh" / "x.png")
    return tmp_path


def hostile(home: Path) -> list[str]:
    inside = home / "allowed"
    relative = [
        *(
            "../outside/secret.txt",
            "sub/../../outside/secret.txt",
            "link.txt",
            "linked/secret.txt",
            "loop",
            "dotted.png",
        ),
        *("id_rsa", "server.pem", "tls.key", "my.p12", ".env", "prod.env", "credentials.json", "id_ed25519.pub"),
        *(
            ".git/config",
            ".ssh/x.png",
            "sub/../.env",
            "./.env",
            "proc/self/environ",
            "proc/1/cmdline",
            "ID_RSA",
            "X.PEM",
        ),
        *(
            "..",
            ".",
            "../allowed-not/x",
            "nothing/../../outside/secret.txt",
            "a\0.png",
            "sub/./../../outside/secret.txt",
        ),
    ]
    absolute = [
        *(
            "/etc/passwd",
            "/etc/shadow",
            "/etc/hosts",
            "/proc/self/environ",
            "/proc/self/mem",
            "/proc/self/fd/0",
            "/dev/zero",
        ),
        *("/dev/random", "/dev/stdin", "/dev/tty", "/sys/kernel/notes", "/run/keys/x", "/home/user/.ssh/id_rsa", "/"),
        *(
            "//etc/passwd",
            "/./etc/passwd",
            "/allowed/../etc/passwd",
            "~/.ssh/id_rsa",
            "~root/x",
            "~/.bashrc",
            "~/.aws/x",
        ),
        *("file:///etc/passwd", "file://localhost/etc/passwd", "file://server/share/x", "file:///%65tc/passwd"),
        *("FILE:///etc/passwd", "file:/etc/passwd", "file:////etc/passwd", "file:///proc/self/environ"),
        *("/var/log/syslog", "/home/user/.netrc", "/tmp/../etc/passwd", "x" * 5000),
    ]
    return [*(str(inside / one) if "\0" not in one else one for one in relative), *absolute, *BACKSLASH_PATHS]


def test_sixty_hostile_paths_are_refused_and_none_reveals_anything(home: Path):
    """The same words for what exists and what does not."""
    readable, table = Readable([home / "allowed"]), hostile(home)
    assert len(table) >= 60
    for value in table:
        path = path_in(value)
        assert path is not None, value
        with pytest.raises(NotReadable) as refused, readable.opened(path):
            pass
        assert "secret" not in refused.value.message.replace(str(home), "").replace("secret.txt", ""), value


def test_outside_the_folders_what_exists_and_what_does_not_get_one_answer(home: Path):
    readable = Readable([home / "allowed"])
    said: list[str] = []
    for name in ("secret.txt", "no-such.txt"):
        with pytest.raises(NotReadable) as refused, readable.opened(str(home / "outside" / name)):
            pass
        said.append(refused.value.message.replace(name, "*") + refused.value.hint)
    assert said[0] == said[1]


@pytest.mark.parametrize("form", ["{0}", "file://{0}", "file://localhost{0}"])
def test_what_is_allowed_is_read_however_it_is_written(home: Path, form: str):
    plain = str(home / "allowed" / "a picture ü.png")
    encoded = plain.replace(" ", "%20").replace("ü", "%C3%BC")
    value = form.format(encoded if form != "{0}" else plain)
    with Readable([home / "allowed"]).opened(path_in(value) or "") as file:
        assert file.stream.read() == b"picture" and file.name == "a picture ü.png" and file.size == 7


def test_a_relative_path_means_the_one_folder_there_is(home: Path):
    with Readable([home / "allowed"]).opened("sub/b.png") as file:
        assert file.size == 7
    with pytest.raises(NotReadable, match="absolute"), Readable([home / "allowed", home]).opened("sub/b.png"):
        pass


def test_pipes_sockets_and_folders_are_no_files(home: Path):
    os.mkfifo(home / "allowed" / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(home / "allowed" / "s.png"))
        for name in ("pipe.png", "s.png", "sub"):
            with pytest.raises(NotReadable), Readable([home / "allowed"]).opened(str(home / "allowed" / name)):
                pass


def test_an_empty_file_is_said_to_be_empty(home: Path):
    (home / "allowed" / "empty.png").touch()
    with (
        pytest.raises(NotReadable, match="empty"),
        Readable([home / "allowed"]).opened(str(home / "allowed/empty.png")),
    ):
        pass


def test_nothing_is_allowed_where_nothing_was_named(home: Path):
    assert not Readable().allows(str(home / "allowed" / "sub" / "b.png"))


def test_home_and_the_root_are_never_offered_to_a_person():
    readable = Readable(may_ask=True)
    assert readable.folder_of(str(Path.home() / "x.png")) is None
    assert readable.folder_of("/x.png") is None and readable.folder_of("/etc/passwd") is None
    assert readable.folder_of("/data/pictures/x.png") == Path("/data/pictures")


@pytest.mark.parametrize(
    "value", ["https://e.x/a.png", "http://e.x", "data:image/png;base64,AA", "fal://jobs/x/files/1"]
)
def test_addresses_are_no_paths(value: str):
    assert path_in(value) is None


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_a_name_that_is_no_text_is_sent_as_one(home: Path):
    folder = home / "named"
    folder.mkdir()
    (folder / os.fsdecode(b"\xff.png")).write_bytes(b"x")
    path = path_in(f"file://{folder}/%FF.png")
    assert path
    with Readable([folder]).opened(path) as opened:
        assert opened.name == "\ufffd.png"
