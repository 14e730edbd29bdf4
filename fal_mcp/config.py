"""What the person running the server decides, read once from a mapping.

Reads no environment itself: the command line hands it in.
"""

import hashlib
import importlib.util
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult

from fal_mcp import key, setting_values, standard_folders
from fal_mcp.addresses import parts_of
from fal_mcp.json_values import JsonObject
from fal_mcp.settings_table import BY_NAME
from fal_mcp.toolset_table import MORE_TOOLSETS, TOOLSETS

__all__ = ["DEFAULT_PINS", "MORE_TOOLSETS", "TOOLSETS", "Hosts", "Settings"]


@dataclass(frozen=True, slots=True)
class Hosts:
    """The base URL of each of fal's hosts, without a trailing slash. Fact F0.1."""

    queue: str = "https://queue.fal.run"
    run: str = "https://fal.run"
    rest: str = "https://rest.fal.ai"
    api: str = "https://api.fal.ai"
    cdn: str = "https://v3.fal.media"
    www: str = "https://fal.ai"
    docs: str = "https://docs.fal.ai"

    @classmethod
    def at(cls, url: str) -> "Hosts":
        """The hosts of a stand-in for fal: one path prefix per host below `url`.

        Raises:
            ValueError: `url` is not an http or https URL with a host.
        """
        parts = parts_of(url)
        if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"The stand-in's address {url!r} is not a URL such as 'http://127.0.0.1:8080'.")
        base = url.rstrip("/")
        return cls(**{role: f"{base}/{role}" for role in ("queue", "run", "rest", "api", "cdn", "www", "docs")})

    def takes_the_key(self, url: str) -> bool:
        """Whether `url` lies on a host, and below a path, that may be sent the key.

        The CDN, the website and the documentation are not among them: nothing there asks for it.
        """
        if parts_of(url) is None:
            return False
        return any(_is_below(url, base) for base in (self.queue, self.run, self.rest, self.api))


# Asked several times of each of a request's addresses, none of them long.
@lru_cache(maxsize=256)
def _is_below(url: str, base: str) -> bool:
    here, there = parts_of(url), parts_of(base)
    if here is None or there is None:
        return False
    has_user = here.username is not None or here.password is not None
    # A path that climbs may end above the prefix it begins with, once a server has resolved it.
    dotted = ".." in here.path.split("/") or "%2e" in here.path.lower()
    same_host = _origin(here) == _origin(there)
    return same_host and not has_user and not dotted and (here.path + "/").startswith(there.path + "/")


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    # With the port that is meant where none is written: `https://queue.fal.run:443` is the same host.
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)


DEFAULT_PINS = (
    "fal-ai/nano-banana",
    "fal-ai/flux/dev",
    "fal-ai/nano-banana-pro/edit",
    "fal-ai/birefnet/v2",
    "clarityai/crystal-upscaler",
    "fal-ai/veo3",
    "fal-ai/kling-video/v2.5-turbo/pro/image-to-video",
    "fal-ai/elevenlabs/tts/eleven-v3",
    "fal-ai/stable-audio-25/text-to-audio",
    "fal-ai/triposr",
    "fal-ai/whisper",
)
"""One or two models for each common task."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One server's settings; `key` never appears in its repr."""

    key: str | None = field(default=None, repr=False)
    admin_key: str | None = field(default=None, repr=False)
    """A key of scope ADMIN, for what a plain key may not ask: what a request was billed."""
    hosts: Hosts = field(default_factory=Hosts)
    listed: tuple[str, ...] = ("pinned",)
    """Which model tools are listed: `search` (none), `pinned`, `all`, `mine` (the account's own apps), or categories
    and globs over endpoint ids."""
    toolsets: tuple[str, ...] = TOOLSETS
    """Which other tools there are besides."""
    read_only: bool = False
    """Whether everything is left out and refused but what only reads."""
    pins: tuple[str, ...] = DEFAULT_PINS
    only: tuple[str, ...] = ("*",)
    """Globs over endpoint ids: what may be run at all."""
    page_size: float = 100
    """How many tools are on one page of the list; 0 is all of them."""
    models: Path | None = None
    """A folder of model documents, one a file, named after the endpoint id with `/` written `__`, in place of fal's
    live catalog."""
    cache: Path = field(default_factory=standard_folders.cache)
    config: Path = field(default_factory=standard_folders.config)
    """Where `fal-mcp login` keeps a key that no keychain takes."""
    refresh_hours: float = 6.0
    """How often fal's catalog is fetched anew; 0 is never."""

    data: Path | None = None
    """Where the ledger of paid work is kept; in memory where there is none."""
    wait: float = 50.0
    """Seconds for which a call waits for its job before it answers with the job's id."""
    task_grace: float = 12.0
    """The same for a client that takes MCP tasks: after that it gets a task."""
    on_disconnect: Literal["detach", "cancel"] = "detach"
    """What becomes of a running job whose call is broken off."""
    allow_dirs: tuple[Path, ...] = ()
    """Folders whose files may be read and uploaded."""
    may_ask_for_folders: bool = False
    """Whether the user may be asked about a folder besides; never over HTTP, where the disk is somebody else's."""
    variable: Callable[[str], str | None] = field(default=lambda name: None, repr=False, compare=False)
    """Looks an environment variable up."""
    secret_page_seconds: float = 300.0
    """How long a page that asks the user for a secret is there."""
    fal_cli: tuple[str, ...] | None = None
    """The command that is fal's own command line, where it is installed."""
    secret_env: tuple[str, ...] | None = ()
    """Variables whose values may become secrets of the account's apps; None is any but this server's keys, which is
    never so over HTTP, where the environment is somebody else's."""
    previews: bool = False
    """Whether small pictures of what came out are shown to the model."""
    allow_hosts: tuple[str, ...] = ()
    """Names that HTTP requests may be for, besides those of this machine."""
    allow_origins: tuple[str, ...] = ()
    """Origins whose pages may call over HTTP."""
    trust_proxy: float = 0
    """How many proxies stand before this server over HTTP."""
    tokens: Path | None = None
    """The file of tokens of those who may call over HTTP."""
    issuer: str | None = None
    """The OAuth 2.1 issuer whose tokens are taken over HTTP, exactly as it names itself."""
    public_url: str | None = None
    """The address of MCP here as its users have it, for which an issuer's tokens have to be."""
    own_keys: bool = False
    """Whether over HTTP each caller pays with a key of its own."""
    output_dir: Path | None = None
    """A folder that what comes out is saved in."""
    records_arguments: bool = True
    max_cost: float | None = None
    session_budget: float | None = None
    daily_budget: float | None = None
    daily_budget_each: float | None = None
    max_running: float = 0
    max_running_each: float = 0
    max_waiting: float = 500
    approve_over: float | None = None
    allow_unpriced: bool = False
    log_format: Literal["text", "json"] = "text"
    log_level: str | None = None
    """From where on the log tells; None is from what suits the way of serving."""
    state_keys: tuple[str, ...] = field(default=(), repr=False)
    """What the state of questions is sealed with: the first seals, all open."""
    store: str | None = field(default=None, repr=False)
    """The address of the PostgreSQL database that the ledger is kept in; it may have a password in it."""

    @property
    def is_shared(self) -> bool:
        """Whether many share this server, each behind a token or a key."""
        return self.tokens is not None or self.issuer is not None or self.own_keys

    @property
    def catalog_folder(self) -> Path:
        """Where fal's catalog is kept; each stand-in has its own."""
        return self.cache / f"catalog{self._stand_in}"

    @property
    def ledger_file(self) -> Path | None:
        """Where paid work is written down; what a stand-in is asked to do is no work of fal's."""
        return self.data / f"ledger{self._stand_in}.sqlite3" if self.data else None

    @property
    def is_recorded(self) -> bool:
        """Whether paid work outlives this server."""
        return self.store is not None or self.data is not None

    @property
    def kept_folder(self) -> Path:
        """Where bytes that came inside an answer are put: beside the saved files, or beside the ledger."""
        return self.output_dir or (self.data or Path(tempfile.gettempdir(), "fal-mcp")) / "files"

    @property
    def own_folders(self) -> tuple[Path, ...]:
        """Folders of this server's, of which no model reads anything."""
        return tuple(folder for folder in (self.data, self.cache, self.config, self.secrets_folder) if folder)

    @property
    def secrets_folder(self) -> Path:
        """Where new keys are written, each in a file that only its owner can read."""
        return (self.data or Path(tempfile.gettempdir(), "fal-mcp")) / "keys"

    @property
    def _stand_in(self) -> str:
        return "" if self.hosts == Hosts() else f"-{hashlib.sha256(self.hosts.api.encode()).hexdigest()[:12]}"

    @classmethod
    def from_env(cls, env: Mapping[str, str], **chosen: Any) -> "Settings":
        """Settings from environment variables; one that is given as an argument wins over its variable.

        Each setting of `settings_table` has a variable; the keys are FAL_KEY, or FAL_KEY_ID with FAL_KEY_SECRET, or
        FAL_KEY_FILE; and FAL_ADMIN_KEY.

        Raises:
            ValueError: settings cannot be used, or are none; the message names each.
        """
        settings, problems = cls.surveyed(env, **chosen)
        if problems:
            raise ValueError(" ".join(problems))
        return settings

    @classmethod
    def surveyed(cls, env: Mapping[str, str], **chosen: Any) -> "tuple[Settings, list[str]]":
        """As `from_env`, but what cannot be used is left at its default, and told in sentences."""
        values, problems = setting_values.read(env, chosen)
        keys: JsonObject = {}
        for name, read in (("key", key.key_of), ("admin_key", key.admin_key_of)):
            try:
                keys[name] = read(env)
            except ValueError as error:
                problems.append(str(error))
        address = values.pop("fal_url", None)
        if "all" in values.get("toolsets", ()):
            values["toolsets"] = (*TOOLSETS, *MORE_TOOLSETS)
        given = {BY_NAME[name].field or name: value for name, value in values.items() if value != ()}
        standard: JsonObject = {"data": standard_folders.data(), "previews": True}
        return cls(
            **{**standard, **given, **keys},
            hosts=Hosts.at(address) if address else Hosts(),
            # It would act on the real fal whatever stands in for it here.
            fal_cli=None if address else _fal_cli(),
            variable=lambda name: env.get(name),
        ), problems


def _fal_cli() -> tuple[str, ...] | None:
    spec = importlib.util.find_spec("fal")
    # A folder of this name has no origin. -P: nor is a fal.py that lies where it is started taken for it.
    return (sys.executable, "-P", "-m", "fal") if spec and spec.origin else None
