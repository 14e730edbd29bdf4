"""Folders that hold too much are no default and nobody is asked about them, by whatever name they are reached."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as within
from hypothesis import strategies as st

from fal_mcp.errors import NotReadable
from fal_mcp.machine.broad_folders import SYSTEM, default_folders, is_broad, is_forbidden
from fal_mcp.machine.readable import Readable, escaped, path_in

HOME = Path.home()
BROAD = [
    *(
        "/",
        "/.",
        "/..",
        "//",
        "/home",
        "/home/",
        "/home/../home",
        "/root",
        "/usr",
        "/usr/../usr",
        "/mnt",
        "/media",
        "/opt",
    ),
    *("/var", "/srv", "/tmp", "/proc", "/proc/self", "/proc/self/root", "/proc/self/root/home", "/proc/1/root", "/sys"),
    *(
        "/dev",
        "/dev/shm",
        "/etc",
        "/etc/ssl",
        "/run",
        "/boot",
        "/bin",
        "/lib",
        "/usr/bin",
        "/usr/lib/python3",
        "/var/lib",
    ),
    *("/var/log", "/var/run", "/usr/share/..", "/data", "/PROC/self", "/nowhere/.ssh", "/nowhere/.config/x"),
    *(f"{HOME}", f"{HOME}/", f"{HOME}/.", f"{HOME}/x/..", f"{HOME.parent}", f"/proc/self/root{HOME}", f"{HOME}/.ssh"),
    *(f"{HOME}/.aws", f"{HOME}/.config", f"{HOME}/.config/gcloud", f"{HOME}/Pictures/.hidden", "a\0b"),
]
NARROW = [
    "/data/pictures",
    "/mnt/disk/pictures",
    "/media/user/stick",
    "/run/media/user/stick",
    "/home/somebody/Pictures",
]
NARROW_TOO = [f"{HOME}/Pictures", "/srv/media", "/Volumes/Stick/Photos", "/usr/share/backgrounds", "/tmp/work"]


@pytest.mark.parametrize("folder", BROAD)
def test_what_holds_everything_is_broad_however_it_is_written(folder: str):
    assert is_broad(Path(folder))


@pytest.mark.parametrize("folder", NARROW + NARROW_TOO)
def test_a_folder_of_somebodys_own_is_not(folder: str):
    assert not is_broad(Path(folder))


@pytest.mark.parametrize("folder", [folder for folder in SYSTEM if folder.startswith("/") and Path(folder).is_dir()])
def test_a_link_to_a_broad_folder_is_broad(tmp_path: Path, folder: str):
    (tmp_path / "link").symlink_to(folder)
    assert is_broad(tmp_path / "link") and not is_broad(tmp_path)


@pytest.mark.parametrize(
    "folder", ["/", "/home", "/root", "/usr", "/mnt", str(HOME), f"{HOME}/.ssh", f"{HOME}/.gnupg", "/etc"]
)
def test_nobody_is_asked_about_a_broad_folder(folder: str):
    readable = Readable(may_ask=True)
    assert readable.folder_of(f"{folder}/x.png") is None
    assert readable.folder_of(f"/proc/self/root/{folder}/x.png") is None


def test_home_by_another_name_is_broad_and_no_default(tmp_path: Path):
    """As a bind mount or a disk that makes no difference between capitals shows it: the same folder, another name."""
    home, other = tmp_path / "people" / "me", tmp_path / "other"
    home.mkdir(parents=True)
    other.symlink_to(home)
    code = (
        "from fal_mcp.machine.broad_folders import default_folders, is_broad\nfrom pathlib import Path\n"
        f"print(is_broad(Path({str(other)!r})), is_broad(Path({str(home)!r})), is_broad(Path({str(home.parent)!r})), "
        f"is_broad(Path({str(home / 'Pictures')!r})), default_folders())"
    )
    environment = {"HOME": str(other), "PYTHONPATH": os.pathsep.join(sys.path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=home, env=environment, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.split() == ["True", "True", "True", "False", "()"]


def test_a_bind_mount_of_home_is_home(tmp_path: Path):
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root may mount")
    home, mounted = tmp_path / "home" / "me", tmp_path / "mounted"
    home.mkdir(parents=True)
    mounted.mkdir()
    code = "import sys; from pathlib import Path; from fal_mcp.machine.broad_folders import is_broad; "
    code += "print(*(is_broad(Path(folder)) for folder in sys.argv[1:]))"
    script = 'mount --bind "$1" "$2" && "$3" -c "$4" "$2" "$2/me"'
    steps = ["unshare", "-m", "sh", "-c", script, "sh", str(home.parent), str(mounted), sys.executable, code]
    environment = {"HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    done = subprocess.run(
        steps,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    if done.returncode and "unshare" in done.stderr:
        pytest.skip("mounts cannot be made here")
    assert done.stdout.split() == ["True", "True"], done.stderr


def test_the_folder_one_stands_in_is_the_default():
    assert default_folders() in ((Path.cwd(),), ())


@within(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_a_folder_or_none_and_never_an_error(text: str):
    assert is_broad(Path(text)) in (True, False) and is_forbidden(Path(text)) in (True, False)


HOSTILE = [
    *("file://[x", "file://[::1/x", "file://[/x", "file://a:b:c/x", "file://localhost:99999/x", "file://localhost:x/y"),
    *("file://\u2100/x", "file:///%00", "file:///a%00b", "file:", "file://", "file:///", "file://%5b/x", "FILE://[X"),
    *(
        "\ud800",
        "a\udcffb",
        "/a\ud800/b.png",
        "~nobody/x",
        "~/\ud800",
        "x" * 300,
        "/" + "y" * 300 + ".png",
        "/a" * 3000,
    ),
    *(
        "\n",
        "/a\nb/c.png",
        "nul",
        "con",
        "/dev/null",
        "/dev/fd/0",
        "/proc/self/fd/1",
        "/proc/self/cwd/x",
        "..",
        "../../..",
    ),
    *(
        "C:\\x\\..\\y",
        "\\\\.\\pipe\\x",
        "\\\\?\\GLOBALROOT\\x",
        "//server/share",
        "/\u202egnp.exe",
        "file:///C:/Windows/x",
    ),
]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_malformed_address_or_path_is_refused_in_a_sentence(tmp_path: Path, value: str):
    path = path_in(value)
    if path is None:
        return
    for readable in (Readable([tmp_path]), Readable(), Readable([tmp_path, Path("/usr")], may_ask=True)):
        with pytest.raises(NotReadable) as refused, readable.opened(path):
            pass
        assert refused.value.message.isprintable() and refused.value.message.endswith(".")
        assert readable.allows(path) in (True, False)
        readable.folder_of(path)


@within(deadline=None)
@given(st.text(max_size=60), st.sampled_from(["", "file:", "file://", "file:///", "/", "~/", "C:\\", "../"]))
def test_whatever_is_given_is_a_path_an_address_or_a_refusal(text: str, before: str):
    path = path_in(before + text)
    if path is not None:
        readable = Readable([Path("/nowhere/at/all")])
        with pytest.raises(NotReadable), readable.opened(path):
            pass
        readable.folder_of(path)


@within(deadline=None)
@given(st.text(min_size=1))
def test_a_folder_in_a_question_is_one_line_that_hides_nothing(text: str):
    assert escaped(Path(text)).isprintable()


def test_a_line_break_in_a_folders_name_is_seen_in_the_question():
    assert escaped(Path("/data/a\nAllow everything?\x1b[2K")) == "/data/a\\nAllow everything?\\x1b[2K"
    assert escaped(Path("/data/" + "x" * 900 + "/end")).endswith("/end")


def test_the_servers_own_folder_is_never_read_or_asked_about(tmp_path: Path):
    data = tmp_path / "data"
    (data / "files").mkdir(parents=True)
    for name in ("note.txt", "files/a.png"):
        (data / name).write_text("x")
    for readable in (Readable([tmp_path], own=[data]), Readable(may_ask=True, own=[data])):
        for name in ("note.txt", "files/a.png", "new.png", "../data/note.txt"):
            path = str(data / name)
            assert not readable.allows(path) and readable.folder_of(path) is None
    assert Readable([data / "files"], own=[data]).allows(str(data / "files" / "a.png")), "what was named is meant"


def test_a_folder_that_became_a_link_between_the_look_and_the_opening_leads_nowhere(tmp_path: Path):
    allowed, outside = tmp_path / "allowed", tmp_path / "outside"
    for folder in (allowed / "sub", outside):
        folder.mkdir(parents=True)
        (folder / "a.png").write_text("x")

    class Swapping(Readable):
        """Swaps the folder for a link after the path was found to be allowed."""

        def _folder_with(self, place: Path) -> Path | None:
            folder = super()._folder_with(place)
            (allowed / "sub").rename(tmp_path / "moved")
            (allowed / "sub").symlink_to(outside)
            return folder

    with (
        pytest.raises(NotReadable, match="cannot be opened"),
        Swapping([allowed]).opened(str(allowed / "sub" / "a.png")),
    ):
        pass


def test_a_key_under_an_innocent_name_is_not_read(tmp_path: Path):
    (tmp_path / "holiday.png").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA")
    with (
        pytest.raises(NotReadable, match="may not be read"),
        Readable([tmp_path]).opened(str(tmp_path / "holiday.png")),
    ):
        pass


def test_a_refusal_has_the_line_that_allows_the_folder():
    with pytest.raises(NotReadable) as refused, Readable().opened("/Users/me/Pictures/a.png"):
        pass
    assert '"--allow-dir", "/Users/me/Pictures"' in refused.value.hint
