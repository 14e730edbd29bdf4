"""A listening socket on this machine only."""

import socket
from collections.abc import Generator
from contextlib import contextmanager

_BACKLOG = 512


@contextmanager
def listener(port: int) -> Generator[socket.socket]:
    """A socket that listens on 127.0.0.1:`port`; 0 takes any that is free.

    Raises:
        OSError: the port is taken.
    """
    # asyncio switches Nagle's algorithm off only for sockets that say they are TCP; without that, an answer in two
    # pieces waits 40 ms for the other side's delayed acknowledgement.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(_BACKLOG)
        yield listening


def port_of(listening: socket.socket) -> int:
    """The port it listens on."""
    return listening.getsockname()[1]
