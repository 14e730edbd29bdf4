"""A PostgreSQL of the tests' own: a private cluster in a temporary folder, on a socket and a port of loopback."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

_FOLDERS = ("usr/lib/postgresql/*/bin", "usr/local/pgsql/bin", "opt/homebrew/opt/postgresql*/bin")
_BOUND = 60


def programs() -> Path | None:
    """Where PostgreSQL's programs are; None where there are none, or none that would run here."""
    folders = [folder for pattern in _FOLDERS for folder in sorted(Path("/").glob(pattern), reverse=True)]
    if on_path := shutil.which("initdb"):
        folders.append(Path(on_path).resolve().parent)
    found = next((folder for folder in folders if (folder / "pg_ctl").exists()), None)
    return found if os.geteuid() != 0 or _user() else None


def _user() -> "pwd.struct_passwd | None":
    """It refuses to run as root, and is run as its own user then."""
    try:
        return pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    except KeyError:
        return None


class Cluster:
    """One running server, with a database for whoever asks for one."""

    def __init__(self, folder: Path, bin_folder: Path, fsync: str) -> None:
        self.folder = folder
        self._bin = bin_folder
        # What is lost with the machine's power is no matter here, and each commit is ten times as fast.
        self._fsync = fsync
        user = _user()
        self._user = user.pw_uid if user else None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    def create(self) -> None:
        if self._user is not None:
            os.chown(self.folder, self._user, -1)
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories={self.folder}"
        options += f" -c fsync={self._fsync} -c max_connections=200"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", str(_BOUND), "-l", log, "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", "immediate", "stop")

    @property
    def pid(self) -> int:
        """The number of its first process, whose children do the work."""
        return int((self._data / "postmaster.pid").read_text().splitlines()[0])

    def database(self) -> str:
        """The address of a new, empty database."""
        name = f"t{uuid.uuid4().hex[:12]}"
        with psycopg.connect(
            f"postgresql://postgres@127.0.0.1:{self.port}/postgres",
            autocommit=True,
            connect_timeout=_BOUND,
            options=f"-c statement_timeout={_BOUND}s",
        ) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _run(self, program: str, *arguments: str) -> None:
        # A server that is started holds on to its output: into a file, or this would wait for its end.
        with (self.folder.parent / f"{self.folder.name}.out").open("ab") as out:
            done = subprocess.run(
                [str(self._bin / program), *arguments],
                stdout=out,
                stderr=out,
                cwd="/",
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
                timeout=_BOUND,
                check=False,
                user=self._user,
            )
        assert done.returncode == 0, f"{program} {arguments}: {Path(out.name).read_text()[-2000:]}"


@contextmanager
def cluster(fsync: str = "off") -> Generator[Cluster]:
    """One for as long as this lasts."""
    bin_folder = programs()
    if bin_folder is None:
        pytest.skip("There is no PostgreSQL on this machine.")
    outer = Path(tempfile.mkdtemp(prefix="pg"))
    outer.chmod(0o755)
    folder = outer / "c"
    folder.mkdir()
    made = Cluster(folder, bin_folder, fsync)
    try:
        made.create()
        made.start()
        yield made
    finally:
        try:
            made.stop()
        finally:
            shutil.rmtree(outer, ignore_errors=True)
