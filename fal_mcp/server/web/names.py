"""By which names this server may be called, and which pages may call it: Host and Origin."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

# Whole and anchored: a page elsewhere can have its name resolve to this machine, but cannot send these names.
_HERE = r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?"
_HERE_HOST = re.compile(_HERE)
_HERE_ORIGIN = re.compile(rf"https?://{_HERE}")
_HOST = re.compile(r"([a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\])(:\d{1,5})?", re.I)
_ORIGIN = re.compile(rf"https?://{_HOST.pattern}", re.I)


@dataclass(frozen=True, slots=True)
class Names:
    """`hosts` are names, with or without a port: without one, any port will do. `origins` are exact."""

    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    pages_of_this_machine: bool = True
    """Whether a page that this machine serves may call: never where others reach the server, whose own machines
    serve such pages too."""

    def is_host(self, hosts: Iterable[str]) -> bool:
        """Whether a request with these Host headers is for this server: with one, and of its names."""
        match list(hosts):
            case [host]:
                return bool(_HERE_HOST.fullmatch(host)) or self._is_listed(host)
            case _:
                return False

    def is_origin(self, origins: Iterable[str]) -> bool:
        """Whether a request with these Origin headers may come: none is no browser's."""
        return all(self._may_call(origin) for origin in origins)

    def is_named(self, origins: Iterable[str]) -> bool:
        """Whether it is a page of an origin that was listed, which a browser may let read the answers."""
        listed = {name.lower() for name in self.origins}
        match list(origins):
            case [origin]:
                return origin.lower() in listed
            case _:
                return False

    def _is_listed(self, host: str) -> bool:
        if not (match := _HOST.fullmatch(host)):
            return False
        return {host.lower(), match[1].lower()} & {name.lower() for name in self.hosts} != set()

    def _may_call(self, origin: str) -> bool:
        if self.pages_of_this_machine and _HERE_ORIGIN.fullmatch(origin):
            return True
        return origin.lower() in {name.lower() for name in self.origins}


def host_fault(name: str) -> str | None:
    """What is wrong with a name that was listed; None where it may be a Host header."""
    return None if _HOST.fullmatch(name) else f"{name!r} is no host name such as 'fal.example.com'."


def origin_fault(origin: str) -> str | None:
    """What is wrong with an origin that was listed; None where it may be an Origin header."""
    return None if _ORIGIN.fullmatch(origin) else f"{origin!r} is no origin such as 'https://app.example.com'."
