"""What the person running the server decides, read once from a mapping.

Reads no environment itself: the command line hands it in.
"""

import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import platformdirs


@dataclass(frozen=True, slots=True)
class Hosts:
    """The base URL of each of fal's hosts, without a trailing slash. Fact sheet §0.1."""

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
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"The stand-in's address {url!r} is not a URL such as 'http://127.0.0.1:8080'.")
        base = url.rstrip("/")
        return cls(**{role: f"{base}/{role}" for role in ("queue", "run", "rest", "api", "cdn", "www", "docs")})

    def takes_the_key(self, url: str) -> bool:
        """Whether `url` lies on a host, and below a path, that may be sent the key.

        The CDN, the website and the documentation are not among them: nothing there asks for it.
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
TOOLSETS = ("models", "jobs", "storage", "usage")
"""Which toolsets there are unless told otherwise."""
MORE_TOOLSETS = (
    "realtime",
    "requests",
    "serverless",
    "compute",
    "keys",
    "account",
    "organization",
    "workflows",
    "assets",
    "docs",
)
_MOST_HOURS = 24 * 30
_LONGEST_WAIT = 3600.0
_MOST_MONEY = 1_000_000.0


@dataclass(frozen=True, slots=True)
class Settings:
    """One server's settings; `key` never appears in its repr."""

    key: str | None = field(default=None, repr=False)
    admin_key: str | None = field(default=None, repr=False)
    """A key of scope ADMIN, for what a plain key may not ask: what a request was billed."""
    hosts: Hosts = field(default_factory=Hosts)
    listed: tuple[str, ...] = ("pinned",)
    """Which model tools are listed: `search` (none), `pinned`, `all`, or categories and globs over endpoint ids."""
    toolsets: tuple[str, ...] = TOOLSETS
    """Which other tools there are besides."""
    read_only: bool = False
    """Whether everything is left out and refused but what only reads."""
    pins: tuple[str, ...] = DEFAULT_PINS
    only: tuple[str, ...] = ("*",)
    """Globs over endpoint ids: what may be run at all."""
    models: Path | None = None
    """A folder of model documents, one a file, named after the endpoint id with `/` written `__`, in place of fal's
    live catalog."""
    cache: Path = field(default_factory=lambda: platformdirs.user_cache_path("fal-mcp", appauthor=False))
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
    output_dir: Path | None = None
    """A folder that what comes out is saved in."""
    records_arguments: bool = True
    max_cost: float | None = None
    session_budget: float | None = None
    daily_budget: float | None = None
    approve_over: float | None = None
    allow_unpriced: bool = False

    @property
    def catalog_folder(self) -> Path:
        """Where fal's catalog is kept; each stand-in has its own."""
        return self.cache / f"catalog{self._stand_in}"

    @property
    def ledger_file(self) -> Path | None:
        """Where paid work is written down; what a stand-in is asked to do is no work of fal's."""
        return self.data / f"ledger{self._stand_in}.sqlite3" if self.data else None

    @property
    def kept_folder(self) -> Path:
        """Where bytes that came inside an answer are put: beside the saved files, or beside the ledger."""
        return self.output_dir or (self.data or Path(tempfile.gettempdir(), "fal-mcp")) / "files"

    @property
    def own_folders(self) -> tuple[Path, ...]:
        """Folders of this server's, of which no model reads anything."""
        return tuple(folder for folder in (self.data, self.cache, self.secrets_folder) if folder)

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

        FAL_KEY, or FAL_KEY_ID with FAL_KEY_SECRET (fact sheet §1.2); FAL_ADMIN_KEY; FAL_MCP_URL (`fal_url`); and
        FAL_MCP_ with the name of any other setting in capitals: LIST, TOOLSETS, READ_ONLY, PIN, ONLY, MODELS,
        REFRESH_HOURS, ALLOW_DIR, SECRET_ENV, DATA_DIR, OUTPUT_DIR, PREVIEWS, WAIT, TASK_GRACE, ON_DISCONNECT,
        RECORD_ARGUMENTS, MAX_COST, SESSION_BUDGET, DAILY_BUDGET, APPROVE_OVER, ALLOW_UNPRICED.

        Raises:
            ValueError: a setting cannot be used; the message names it.
        """

        def value(name: str) -> Any:
            given = chosen.get(name)
            return given if given is not None else env.get(f"FAL_MCP_{name.removeprefix('fal_').upper()}") or None

        default = cls()
        folder = Path(value("models")) if value("models") else None
        if folder is not None and not folder.is_dir():
            raise ValueError(f"The folder of model documents {str(folder)!r} does not exist.")
        return cls(
            key=_key(env),
            admin_key=_clean_key("FAL_ADMIN_KEY", env.get("FAL_ADMIN_KEY", "").strip()),
            hosts=Hosts.at(value("fal_url")) if value("fal_url") else Hosts(),
            listed=_parts(value("list")) or default.listed,
            read_only=_is_on(value("read_only"), False),
            toolsets=_toolsets(_parts(value("toolsets"))) or default.toolsets,
            pins=_parts(value("pin")) or default.pins,
            only=_parts(value("only")) or default.only,
            models=folder,
            refresh_hours=_number("refresh_hours", value("refresh_hours"), default.refresh_hours, _MOST_HOURS),
            data=Path(value("data_dir") or platformdirs.user_data_path("fal-mcp", appauthor=False)),
            wait=_number("wait", value("wait"), default.wait, _LONGEST_WAIT),
            task_grace=_number("task_grace", value("task_grace"), default.task_grace, _LONGEST_WAIT),
            on_disconnect=_one_of("on_disconnect", value("on_disconnect") or "detach", ("detach", "cancel")),
            allow_dirs=_folders(chosen.get("allow_dir") or env.get("FAL_MCP_ALLOW_DIR", "").split(os.pathsep)),
            # It would act on the real fal whatever stands in for it here.
            fal_cli=None if value("fal_url") else _fal_cli(),
            variable=lambda name: env.get(name),
            secret_env=tuple(chosen.get("secret_env") or ()) or _parts(env.get("FAL_MCP_SECRET_ENV")),
            previews=_is_on(value("previews"), True),
            output_dir=Path(value("output_dir")).expanduser() if value("output_dir") else None,
            records_arguments=_is_on(value("record_arguments"), True),
            max_cost=_money("max_cost", value("max_cost")),
            session_budget=_money("session_budget", value("session_budget")),
            daily_budget=_money("daily_budget", value("daily_budget")),
            approve_over=_money("approve_over", value("approve_over")),
            allow_unpriced=_is_on(value("allow_unpriced"), False),
        )


def _parts(value: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (value or "").split(",") if part.strip())


def _folders(given: Iterable[Any]) -> tuple[Path, ...]:
    folders = tuple(Path(one).expanduser() for one in given if str(one).strip())
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"The folder {str(folder)!r} that may be read does not exist.")
    return folders


def _toolsets(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in (*TOOLSETS, *MORE_TOOLSETS, "all"):
            raise ValueError(f"There is no toolset {name!r}; there are {', '.join((*TOOLSETS, *MORE_TOOLSETS))}, all.")
    return (*TOOLSETS, *MORE_TOOLSETS) if "all" in names else names


def _number(name: str, value: Any, default: float, most: float) -> float:
    if value is None:
        return default
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise ValueError(f"The setting {name!r} is {value!r} and should be a number from 0 to {most:g}.")
    return number


def _money(name: str, value: Any) -> float | None:
    return None if value is None else _number(name, value, 0.0, _MOST_MONEY)


def _fal_cli() -> tuple[str, ...] | None:
    found = importlib.util.find_spec("fal")
    # A folder of this name has no origin. -P: nor is a fal.py that lies where it is started taken for it.
    return (sys.executable, "-P", "-m", "fal") if found and found.origin else None


def _is_on(value: Any, default: bool) -> bool:
    if value is None or isinstance(value, bool):
        return default if value is None else value
    return str(value).strip().casefold() not in ("0", "false", "no", "off")


def _one_of(name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise ValueError(f"The setting {name!r} is {value!r} and should be one of {', '.join(map(repr, allowed))}.")
    return value


def _key(env: Mapping[str, str]) -> str | None:
    whole = env.get("FAL_KEY", "").strip()
    if not whole and env.get("FAL_KEY_ID") and env.get("FAL_KEY_SECRET"):
        whole = f"{env['FAL_KEY_ID'].strip()}:{env['FAL_KEY_SECRET'].strip()}"
    return _clean_key("FAL_KEY", whole)


def _clean_key(name: str, whole: str) -> str | None:
    if not whole:
        return None
    # A key with a line break in it would end the header and begin another.
    if not whole.isascii() or not whole.isprintable() or " " in whole:
        raise ValueError(f"{name} contains a space or a character that no key has; copy it again.")
    return whole
