"""The one door of httpx and of all that it stands on: what is raised behind it leaves as one of this project's errors.

What was sent decides the kind. Before anything was sent it is `Unreachable`; after that nothing proves that fal did not
act, and it is `MaybeReceived`. Faults of this machine's surroundings name the variable that is at fault.
"""

import importlib.util
import logging
import re
import ssl
import urllib.request
import zlib

import httpx

from fal_mcp.addresses import host_of, parts_of
from fal_mcp.errors import FalError, MaybeReceived, Unreachable

BEFORE_SENDING = (
    *(httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError),
    *(httpx.UnsupportedProtocol, httpx.InvalidURL),
)
"""What httpx raises only where no byte of the request has left."""
EXPECTED = (
    *(httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict),
    # SSLError, TimeoutError and socket errors are OSErrors; CertificateError is a ValueError too.
    *(OSError, UnicodeError, ValueError, zlib.error, EOFError, ImportError),
)
"""What is known to come through. Anything else is translated too, and logged, so that a fault here is not hidden."""
_PLAIN = re.compile(r"https?://[\w.-]+(?::\d+)?(?:/[\w./-]*)?", re.ASCII)
"""Addresses that no two parsers read differently."""
_PROXIES = frozenset({"http", "https", "socks5", "socks5h"})
_CERTIFICATE_HINT = (
    "The certificate that was shown is not trusted here. Behind a proxy that opens connections, SSL_CERT_FILE has to "
    "name the file with that proxy's certificate."
)

logger = logging.getLogger("fal_mcp")


class _Door:
    # No generator: a request passes a dozen doors, and one of `contextlib`'s takes three times as long.
    __slots__ = ("_is_answered", "_is_sent", "_url")

    def __init__(self, url: httpx.URL | str, is_sent: bool, is_answered: bool) -> None:
        self._url = url
        self._is_sent = is_sent
        self._is_answered = is_answered

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # Whoever reads a file while it is sent speaks of it in our words already.
        if not isinstance(error, Exception) or isinstance(error, FalError):
            return
        # Translated all the same: a raw exception would end a follower, and with it the sight of a job that is paid
        # for.
        if not isinstance(error, EXPECTED):
            logger.warning("An unexpected error came from the HTTP library.", exc_info=error)
        raise meaning(error, str(self._url), is_sent=self._is_sent, is_answered=self._is_answered) from error


def door(url: httpx.URL | str, *, is_sent: bool = True, is_answered: bool = False) -> _Door:
    """Everything that httpx may raise about `url`, as ours. With `is_sent` a request may have left in this block; with
    `is_answered` its answer has begun.

    Raises:
        Unreachable: nothing was sent.
        MaybeReceived: something may have been, and there is no answer that can be read.
    """
    return _Door(url, is_sent, is_answered)


def is_address(url: str) -> bool:
    """Whether it is an address with a host; no text is too strange to be asked about."""
    try:
        # Asked of both parsers: an address that they read differently could carry the key to a host that only one of
        # them sees. Where they cannot, the slow one is left out.
        return parts_of(url) is not None and bool(_PLAIN.fullmatch(url) or httpx.URL(url).host)
    except (httpx.InvalidURL, ValueError):
        return False


def meaning(error: Exception, url: str, *, is_sent: bool, is_answered: bool = False) -> Unreachable:
    """What an exception of the HTTP library's says about a request to `url`."""
    where = host_of(url) or "an address that is none"
    # Which of both kinds it is decides whether a paid request may be sent again, so that the list errs on the safe
    # side: what is not known to come before sending counts as sent.
    if not is_sent or (isinstance(error, BEFORE_SENDING) and not is_answered):
        return Unreachable(f"fal could not be reached at {where}.", hint=_hint(error))
    if is_answered and isinstance(error, (httpx.DecodingError, zlib.error, UnicodeError)):
        return MaybeReceived(f"The answer of {where} cannot be read: its compression is broken.")
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return MaybeReceived(f"{where} did not answer in time.")
    return MaybeReceived(f"The connection to {where} broke before fal answered.")


class _NoCookies(httpx.Cookies):
    def extract_cookies(self, response: httpx.Response) -> None:
        """Keep none: fal's hosts need none, one caller's would go with another's requests, and to look for them takes
        longer than to send a request."""


class _Client(httpx.AsyncClient):
    @property
    def cookies(self) -> httpx.Cookies:
        return _NoCookies()

    @cookies.setter
    def cookies(self, cookies: object) -> None:
        raise NotImplementedError


def made_client(
    transport: httpx.AsyncBaseTransport | None,
    timeout: httpx.Timeout,
    headers: dict[str, str],
    tls: ssl.SSLContext | None,
    most_idle: int = 64,
) -> httpx.AsyncClient:
    """A pool of connections that follows no redirect and keeps no cookie.

    Raises:
        Unreachable: a variable of the environment stands in the way; the message names it.
    """
    # Looked at before httpx does: its own errors about proxies name no variable, and one of them comes only at the
    # first request.
    if transport is None and (fault := _proxy_fault()):
        raise fault
    # No bound on connections: a stream holds one for as long as its job runs, and sixty jobs must not starve a cancel.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=most_idle, keepalive_expiry=30.0)
    try:
        return _Client(
            transport=transport,
            timeout=timeout,
            limits=limits,
            follow_redirects=False,
            headers=headers,
            # False only where nothing is encrypted: without a context httpx would read this machine's certificates, for
            # 20 ms.
            verify=tls or False,
        )
    except Exception as error:
        # No proxy is at fault, so it is what is said of hosts that need none.
        why = "holds something that is no host; IPv6 addresses stand there without brackets"
        raise _fault_of("NO_PROXY", why) from error


def made_tls() -> ssl.SSLContext:
    """Whom this machine trusts; SSL_CERT_FILE and SSL_CERT_DIR are honoured.

    Raises:
        Unreachable: they cannot be read; the message names them.
    """
    try:
        return httpx.create_ssl_context()
    except Exception as error:
        raise Unreachable(
            "Nothing was sent: the environment variable SSL_CERT_FILE names no file of certificates that can be read.",
            hint="Correct SSL_CERT_FILE (or SSL_CERT_DIR) where this server is configured, or unset it.",
            retryable=False,
        ) from error


def _proxy_fault() -> Unreachable | None:
    """Which proxy variable cannot be used. Its value is not repeated: it may hold a password."""
    proxies = urllib.request.getproxies()
    for scheme in ("http", "https", "all"):
        if (value := proxies.get(scheme)) and (why := _against(value)):
            return _fault_of(f"{scheme.upper()}_PROXY", why)
    return None


def _against(proxy: str) -> str | None:
    parts = parts_of(proxy if "://" in proxy else f"http://{proxy}")
    if parts is None or not parts.hostname or parts.scheme not in _PROXIES:
        return "is no address of a proxy, such as http://proxy.example:3128"
    # httpx finds this out while it sends, and says it in the words of an ImportError.
    if parts.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        return "names a SOCKS proxy, for which the package socksio is missing (pip install 'httpx[socks]')"
    return None


def _fault_of(name: str, why: str) -> Unreachable:
    return Unreachable(
        f"Nothing was sent: the environment variable {name} {why}.",
        hint=f"Correct {name} where this server is configured, in capitals or small letters, or unset it.",
        retryable=False,
    )


def _hint(error: Exception) -> str | None:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return _CERTIFICATE_HINT
    named = [
        f"{scheme.upper()}_PROXY" for scheme in ("https", "http", "all") if urllib.request.getproxies().get(scheme)
    ]
    if named and isinstance(error, (httpx.ProxyError, httpx.ConnectError, httpx.ConnectTimeout)):
        return (
            f"The way there leads through the proxy that {' and '.join(named)} names: check that it is right and runs."
        )
    return None
