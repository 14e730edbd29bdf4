"""Whose request it is by its address, through so many proxies as the operator has."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

_FORWARDED = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "x-real-ip", "via")

_LONGEST = 64
"""Characters: an IPv6 address with a zone."""


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """`address` is for logs alone: nobody is let in for it. `is_direct`: no proxy is between."""

    address: str
    is_direct: bool

    @property
    def is_this_machine(self) -> bool:
        """Whether a program of this machine asks, and not a proxy of this machine for somebody else."""
        return self.is_direct and _is_loopback(self.address)


def client_address(peer: str, headers: Sequence[tuple[str, str]], hops: int) -> ClientAddress:
    """The client's address: `hops` proxies back from `peer`, each of which has added whom it heard.

    What stands before that in X-Forwarded-For was written by whoever liked to.
    """
    is_direct = not any(name in _FORWARDED for name, _ in headers)
    if not hops:
        return ClientAddress(peer, is_direct)
    chain = [part.strip() for name, value in headers if name == "x-forwarded-for" for part in value.split(",")]
    address = chain[-hops] if len(chain) >= hops else peer
    return ClientAddress(address if _is_address(address) else peer, is_direct)


def _is_address(text: str) -> bool:
    # What is longer is kept by nobody: whoever likes to writes this header.
    return len(text) <= _LONGEST and _is_known_form(text)


# The same few callers, a hundred times a second.
@lru_cache(maxsize=1024)
def _is_known_form(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _is_loopback(text: str) -> bool:
    return _is_address(text) and ipaddress.ip_address(text).is_loopback
