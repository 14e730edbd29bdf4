"""nginx with the configuration of `deploy`, before servers of this machine."""

import os
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import trustme

from tests.team.image import AS_NOBODY, NOBODY, ROOT

NAME = "fal.example.com"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_BOUND = 60


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that runs, and what trusts its certificate."""

    port: int
    trusts: ssl.SSLContext
    process: int
    """The number of its first process, whose children do the work."""

    def client(self) -> httpx.AsyncClient:
        """A client that trusts and reaches it."""
        url = f"https://127.0.0.1:{self.port}"
        return httpx.AsyncClient(headers={"host": NAME}, verify=self.trusts, timeout=_BOUND, base_url=url)


@contextmanager
def proxy(servers: list[int]) -> Generator[Proxy]:
    """nginx before servers on these ports, as nobody where that can be had."""
    authority = trustme.CA()
    certificate = authority.issue_cert(NAME, "127.0.0.1")
    folder = Path(tempfile.mkdtemp(prefix="proxy"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    file = _configuration(folder, servers, port)
    certificate.private_key_pem.write_to_path(folder / "tls_key")
    (folder / "tls_certificate").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    is_root = os.geteuid() == 0
    if is_root:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    command = [*(AS_NOBODY if is_root else ()), str(NGINX), "-e", "stderr", "-c", str(file)]
    trusts = ssl.create_default_context()
    authority.configure_trust(trusts)  # pyright: ignore[reportUnknownMemberType]
    try:
        # It comes back once it listens, and goes on in the background.
        subprocess.run(command, check=True, timeout=_BOUND, cwd="/")
        yield Proxy(port, trusts, int((folder / "t" / "nginx.pid").read_text()))
    finally:
        subprocess.run([*command, "-s", "stop"], check=False, timeout=_BOUND, cwd="/")
        shutil.rmtree(folder, ignore_errors=True)


def _configuration(folder: Path, servers: list[int], port: int) -> Path:
    """The proxy's own file, with other addresses, and a certificate of ours where it looks for one."""
    text = (ROOT / "deploy" / "nginx.conf").read_text("utf-8")
    for number, server in enumerate(servers, 11):
        text = text.replace(f"10.83.16.{number}:8080", f"127.0.0.1:{server}")
    text = text.replace("listen 8443 ", f"listen 127.0.0.1:{port} ")
    text = text.replace("/tmp/", f"{folder}/t/").replace("/run/secrets/", f"{folder}/")
    (folder / "nginx.conf").write_text(text)
    (folder / "t").mkdir()
    return folder / "nginx.conf"
