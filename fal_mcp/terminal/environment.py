"""What is wrong with the environment, by itself: proxies, certificates, home. One sentence each, naming the variable.

Pure but for looking at the files that are named.
"""

import ipaddress
import os
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path

from fal_mcp.addresses import parts_of

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_SCHEMES = ("http", "https")


def faults(env: Mapping[str, str]) -> list[str]:
    """A sentence on each variable that keeps requests from being sent."""
    return [*_proxies(env), *_exceptions(env), *_certificates(env)]


def in_use(env: Mapping[str, str]) -> list[str]:
    """The proxies and certificates that are set, without their passwords."""
    # Both spellings are read by the libraries, the small one first on most systems.
    names = [name for proxy in (*_PROXIES, "NO_PROXY") for name in (proxy, proxy.lower())]
    names += ["SSL_CERT_FILE", "SSL_CERT_DIR"]
    return [f"{name}={_without_password(env[name])}" for name in names if env.get(name)]


def home_fault(env: Mapping[str, str]) -> str | None:
    """What is wrong with the home folder, in which data and settings are kept unless told otherwise."""
    home = env.get("HOME") if os.name != "nt" else env.get("USERPROFILE")
    if not home:
        return None
    if not os.path.isabs(home):
        return f"HOME is {home!r}, which is no absolute path."
    if not Path(home).is_dir():
        return f"HOME is {home!r}, which is no folder."
    return None if os.access(home, os.W_OK) else f"HOME is {home!r}, in which nothing can be written."


def _proxies(env: Mapping[str, str]) -> Iterator[str]:
    for name in (variant for proxy in _PROXIES for variant in (proxy, proxy.lower())):
        if value := env.get(name, "").strip():
            if trouble := _proxy_fault(value):
                yield f"{name} {trouble}"


def _proxy_fault(value: str) -> str | None:
    parts = parts_of(value if "://" in value else f"http://{value}")
    if parts is None or not parts.hostname:
        return f"is {_without_password(value)!r}, which is no address of a proxy such as http://proxy:8080."
    if parts.scheme.startswith("socks"):
        return f"names a SOCKS proxy ({parts.scheme}), which is not supported: unset it, or name an HTTP proxy."
    if parts.scheme not in _SCHEMES:
        return f"names a proxy of the kind {parts.scheme!r}; only http and https are supported."
    return None


def _exceptions(env: Mapping[str, str]) -> Iterator[str]:
    for name in ("NO_PROXY", "no_proxy"):
        for entry in filter(None, (part.strip() for part in env.get(name, "").split(","))):
            if not _is_exception(entry):
                yield f"{name} has {entry!r}, which is no host; an IPv6 address stands there without brackets."


def _is_exception(entry: str) -> bool:
    if entry.startswith("[") or entry.endswith("]"):
        return False
    try:
        ipaddress.ip_network(entry, strict=False)
        return True
    except ValueError:
        address = entry if "://" in entry else f"all://{entry}"
        return parts_of(address) is not None


def _certificates(env: Mapping[str, str]) -> Iterator[str]:
    if file := env.get("SSL_CERT_FILE"):
        if trouble := _file_fault(file):
            yield f"SSL_CERT_FILE names {file!r}, {trouble}"
    if (folder := env.get("SSL_CERT_DIR")) and not any(Path(part).is_dir() for part in folder.split(os.pathsep)):
        yield f"SSL_CERT_DIR names {folder!r}, which is no folder."


def _file_fault(file: str) -> str | None:
    try:
        content = Path(file).read_bytes()
    except (OSError, ValueError) as error:
        return f"which cannot be read: {getattr(error, 'strerror', None) or error}."
    if not content.strip():
        return "which is empty."
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except (OSError, ValueError):
        return "which holds no certificates."
    return None


def _without_password(value: str) -> str:
    before, at, after = value.rpartition("@")
    if not at:
        return value
    scheme, separator, _ = before.partition("://")
    return f"{scheme}{separator}…@{after}" if separator else f"…@{after}"
