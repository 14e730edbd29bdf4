"""What the person running the server decides, read once from a mapping.

Reads no environment itself: the command line hands it in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fal_mcp import bundled


@dataclass(frozen=True, slots=True)
class Hosts:
    """The base URL of each of fal's hosts, without a trailing slash. Fact sheet §0.1."""

    queue: str = "https://queue.fal.run"
    run: str = "https://fal.run"
    rest: str = "https://rest.fal.ai"
    api: str = "https://api.fal.ai"
    cdn: str = "https://v3.fal.media"
    www: str = "https://fal.ai"

    @classmethod
    def at(cls, url: str) -> "Hosts":
        """The hosts of a stand-in for fal: one path prefix per host below `url`.

        Raises:
            ValueError: `url` is not an http or https URL with a host.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"The stand-in's address {url!r} is not a URL such as 'http://127.0.0.1:8080'.")
        base = url.rstrip("/")
        return cls(**{role: f"{base}/{role}" for role in ("queue", "run", "rest", "api", "cdn", "www")})

    def takes_the_key(self, url: str) -> bool:
        """Whether `url` lies on a host, and below a path, that may be sent the key.

        The CDN and the website are not among them: nothing there asks for it.
        """
        return any(_is_below(url, base) for base in (self.queue, self.run, self.rest, self.api))


def _is_below(url: str, base: str) -> bool:
    here, there = urlsplit(url), urlsplit(base)
    same_host = (here.scheme, here.hostname, _port(here.scheme, here.port)) == (
        there.scheme,
        there.hostname,
        _port(there.scheme, there.port),
    )
    has_user = here.username is not None or here.password is not None
    dotted = ".." in here.path.split("/") or "%2e" in here.path.lower()
    return same_host and not has_user and not dotted and (here.path + "/").startswith(there.path + "/")


def _port(scheme: str, port: int | None) -> int:
    return port or {"http": 80, "https": 443}.get(scheme, 0)


@dataclass(frozen=True, slots=True)
class Settings:
    """One server's settings; `key` never appears in its repr."""

    key: str | None = field(default=None, repr=False)
    hosts: Hosts = field(default_factory=Hosts)
    listed: tuple[str, ...] = ("all",)
    """Which model tools are listed: `all`, or categories and globs over endpoint ids."""
    models: Path = field(default_factory=lambda: bundled.schemas() / "models")
    """A folder of model documents, one a file, named after the endpoint id with `/` written `__`."""

    @classmethod
    def from_env(
        cls,
        env: Mapping[str, str],
        *,
        fal_url: str | None = None,
        listed: str | None = None,
        models: Path | None = None,
    ) -> "Settings":
        """Settings from environment variables; an argument that is given wins over its variable.

        FAL_KEY, or FAL_KEY_ID with FAL_KEY_SECRET (fact sheet §1.2); FAL_MCP_URL, FAL_MCP_LIST, FAL_MCP_MODELS.

        Raises:
            ValueError: a setting cannot be used; the message names it.
        """
        default = cls()
        url = fal_url or env.get("FAL_MCP_URL")
        chosen = listed or env.get("FAL_MCP_LIST")
        folder = models or (Path(env["FAL_MCP_MODELS"]) if env.get("FAL_MCP_MODELS") else default.models)
        if not folder.is_dir():
            raise ValueError(f"The folder of model documents {str(folder)!r} does not exist.")
        return cls(
            key=_key(env),
            hosts=Hosts.at(url) if url else Hosts(),
            listed=tuple(part.strip() for part in chosen.split(",") if part.strip()) if chosen else default.listed,
            models=folder,
        )


def _key(env: Mapping[str, str]) -> str | None:
    whole = env.get("FAL_KEY", "").strip()
    if not whole and env.get("FAL_KEY_ID") and env.get("FAL_KEY_SECRET"):
        whole = f"{env['FAL_KEY_ID'].strip()}:{env['FAL_KEY_SECRET'].strip()}"
    if not whole:
        return None
    # A key with a line break in it would end the header and begin another.
    if not whole.isascii() or not whole.isprintable() or " " in whole:
        raise ValueError("FAL_KEY contains a space or a character that no key has; copy it again.")
    return whole
