"""A small HTTPS proxy that takes every CONNECT to one local port, so that fal's own host names lead to the emulator."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import trustme

HOSTS = ("queue.fal.run", "fal.run", "rest.fal.ai", "api.fal.ai", "v3.fal.media", "fal.ai")


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """An authority, and a certificate of fal's host names with its key, as files."""
    authority = trustme.CA()
    own = authority.issue_cert(*HOSTS)
    ca, cert, key = folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
    authority.cert_pem.write_to_path(ca)
    own.private_key_pem.write_to_path(key)
    cert.write_bytes(b"".join(blob.bytes() for blob in own.cert_chain_pems))
    return ca, cert, key


@asynccontextmanager
async def proxy(port: int) -> AsyncGenerator[str]:
    """The proxy's URL; all it connects to is 127.0.0.1:`port`."""

    async def answer(visitor: anyio.abc.SocketStream) -> None:
        async with visitor:
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += await visitor.receive()
            if asked.split(b":")[0].removeprefix(b"CONNECT ").decode() not in HOSTS:
                await visitor.send(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                return
            async with await anyio.connect_tcp("127.0.0.1", port) as emulator:
                await visitor.send(b"HTTP/1.1 200 OK\r\n\r\n")
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_pipe, visitor, emulator)
                    tasks.start_soon(_pipe, emulator, visitor)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer)
        yield f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
        tasks.cancel_scope.cancel()


async def _pipe(source: anyio.abc.SocketStream, target: anyio.abc.SocketStream) -> None:
    try:
        async for chunk in source:
            await target.send(chunk)
        await target.send_eof()
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        return
