"""What is looked at before the server opens itself to a network, and refused where it would be too open."""

import ipaddress
from dataclasses import replace

from fal_mcp.addresses import parts_of
from fal_mcp.cli.start import wrong
from fal_mcp.config import Settings
from fal_mcp.server.web.names import host_fault, origin_fault

_HERE = "127.0.0.1"


def check_http(settings: Settings, where: str) -> tuple[Settings, str, int]:
    """The settings for HTTP, the address to listen on, and the port; ends the program where they are unsafe."""
    host, port = _address(where)
    if faults := [*_faults(settings, host)]:
        wrong(f"fal-mcp cannot start: {' '.join(faults)}")
    # Whoever calls brings the key: this server's own must not stand in for one.
    return (replace(settings, key=None, admin_key=None) if settings.own_keys else settings), host, port


def _address(where: str) -> tuple[str, int]:
    host, _, port = where.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    host = _HERE if host in ("", "localhost") else host
    try:
        ipaddress.ip_address(host)
        if 0 <= int(port) <= 65535 and port.isdecimal():
            return host, int(port)
    except ValueError:
        pass
    wrong(f"--http is {where!r} and should be a port, or an address and a port: 8000, 0.0.0.0:8000 or [::]:8000.")
    raise AssertionError


def _faults(settings: Settings, host: str) -> list[str]:
    faults = [
        *filter(None, map(host_fault, settings.allow_hosts)),
        *filter(None, map(origin_fault, settings.allow_origins)),
    ]
    if not ipaddress.ip_address(host).is_loopback:
        faults += _faults_beyond(settings, host)
    if settings.own_keys and (settings.tokens or settings.issuer):
        faults.append("Either this server pays (--tokens, --issuer) or each caller does (--own-keys), and not both.")
    if (settings.issuer is None) != (settings.public_url is None):
        faults.append("--issuer and --public-url go together: its tokens have to be for that address.")
    if settings.issuer and settings.issuer.startswith("http:") and not _is_here(settings.issuer):
        faults.append("--issuer has to be https: whoever stands between could give it other keys.")
    if settings.is_shared:
        faults += _faults_shared(settings)
    return faults


def _is_here(url: str) -> bool:
    parts = parts_of(url)
    return parts is not None and parts.hostname in ("127.0.0.1", "localhost", "::1")


def _faults_beyond(settings: Settings, host: str) -> list[str]:
    faults: list[str] = []
    if not settings.is_shared:
        faults.append(
            f"On {host} anybody who reaches it would spend your money. Say who may call: --tokens, --issuer or "
            "--own-keys."
        )
    if not settings.allow_hosts:
        faults.append(f"On {host} it has to know its name: --allow-host fal.example.com.")
    return faults


def _faults_shared(settings: Settings) -> list[str]:
    """What belongs to one person at this machine, and means something else where others call."""
    faults: list[str] = []
    if settings.allow_dirs:
        faults.append("--allow-dir would let every caller read files of this machine; callers give URLs.")
    if settings.output_dir is not None:
        faults.append("--output-dir would save every caller's files in one folder here, which none of them can open.")
    if settings.secret_env:
        faults.append("--secret-env would let callers send variables of this machine to fal.")
    if settings.own_keys and settings.fal_cli and "serverless" in settings.toolsets:
        faults.append("The toolset 'serverless' runs fal's command line as this machine's user; not with --own-keys.")
    return faults
