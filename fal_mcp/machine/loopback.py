"""A listening socket: on this machine only, unless somebody says where else."""

import socket
from collections.abc import Generator
from contextlib import contextmanager

_BACKLOG = 512


@contextmanager
def listener(port: int, host: str = "127.0.0.1") -> Generator[socket.socket]:
    """A socket that listens on `host`, an address of this machine's, and `port`; 0 takes any that is free.

    Raises:
        OSError: the port is taken, or there is no such address here.
    """
    # asyncio switches Nagle's algorithm off only for sockets that say they are TCP; without that, an answer in two
    # pieces waits 40 ms for the other side's delayed acknowledgement.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
        yield listening


def port_of(listening: socket.socket) -> int:
    """The port it listens on."""
    return listening.getsockname()[1]
