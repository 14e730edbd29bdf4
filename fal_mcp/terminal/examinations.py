"""What `fal-mcp doctor` examines, one function a subject. Each may raise: that is a finding too."""

import json
import os
import platform
import shutil
import ssl
import sys
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path

import anyio
import anyio.to_thread

from fal_mcp import __version__, bundled
from fal_mcp.catalog.cache import Cache
from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog_source import source_of
from fal_mcp.config import Hosts
from fal_mcp.errors import FalError, NotAuthorised, NotRecorded
from fal_mcp.jobs import ledger_health
from fal_mcp.machine import reach as network
from fal_mcp.machine.key_store import KeyStore
from fal_mcp.openapi.corrections import differences
from fal_mcp.settings_table import TABLE
from fal_mcp.terminal import environment, folders, hosts_here
from fal_mcp.terminal.finding import Examination, Examined, Finding
from fal_mcp.terminal.login import account_of
from fal_mcp.text import readable_size
from fal_mcp.ways_to_fal import fal_of

_KEYS = "https://fal.ai/dashboard/keys"
_MOST_NAMED = 5
_MOST_SHOWN = 30
_OLD_CATALOG_HOURS = 24 * 7
_MOST_CLOCK_SECONDS = 240


def version(_: Examined) -> Finding:
    """This program, its Python and system."""
    return Finding(
        "version", "good", f"fal-mcp {__version__}, Python {platform.python_version()}, {platform.platform()}"
    )


def settings(examined: Examined) -> Iterator[Finding]:
    """What was wrong with the settings, and which are set."""
    for problem in examined.problems:
        yield Finding("settings", "bad", problem, "docs/settings.md has every setting.")
    names = [setting.variable for setting in TABLE if examined.env.get(setting.variable, "").strip()]
    if names:
        yield Finding("settings", "good", f"set in the environment: {', '.join(names)}")


async def key(examined: Examined) -> Finding:
    """Whether fal takes the key, whose it is, and what it may."""
    if examined.settings.key is None:
        advice = f"Create one at {_KEYS}, then fal-mcp login, or set FAL_KEY."
        return Finding("key", "bad", "not set, or not usable; without one nothing can be run", advice)
    if ":" not in examined.settings.key:
        return Finding(
            "key",
            "bad",
            f"{examined.source_of_key} has no colon in it; keys are id:secret",
            f"Copy it again from {_KEYS}.",
        )
    if not await _is_there(examined):
        return Finding("key", "note", f"set by {examined.source_of_key}; fal could not be asked about it")
    try:
        account = await account_of(examined.settings)
    except NotAuthorised as error:
        return Finding(
            "key", "bad", f"fal does not take it: {error.message}", f"Create one at {_KEYS}, then fal-mcp login."
        )
    owner = f", account {account['owner']}" if account["owner"] else ""
    return Finding(
        "key", "good", f"fal knows it: {account['key_id']}, scope {account['scope']}{owner} ({examined.source_of_key})"
    )


def key_file(examined: Examined) -> Finding | None:
    """Whether others can read the stored key."""
    store = KeyStore(examined.settings.config)
    if not store.is_open_to_others():
        return None
    return Finding("key file", "bad", f"others on this machine can read {store.file}", f"chmod 600 {store.file}")


def admin_key(examined: Examined) -> Finding:
    """Whether there is an admin key."""
    if examined.settings.admin_key:
        return Finding("admin key", "good", "set")
    return Finding(
        "admin key", "note", "not set; needed only for billed costs, keys and machines", "FAL_ADMIN_KEY sets one."
    )


def network_settings(examined: Examined) -> Iterator[Finding]:
    """Proxies and certificates, and what is wrong with them."""
    for fault in environment.faults(examined.env):
        yield Finding("environment", "bad", fault, "Unset it or put it right, where fal-mcp is started.")
    if used := environment.in_use(examined.env):
        yield Finding("proxy and certificates", "note", ", ".join(used))
    else:
        yield Finding("proxy and certificates", "good", f"none set; {ssl.OPENSSL_VERSION}")


async def reach(examined: Examined) -> list[Finding]:
    """Whether each of fal's hosts answers, and whether the clocks agree."""
    urls = examined.settings.hosts
    if environment.faults(examined.env):
        return [Finding("network", "note", "not tried: the environment keeps requests from being sent")]
    findings: dict[str, Finding] = {}

    async def one(name: str, url: str) -> None:
        findings[name] = await _reached(name, url, examined)

    async with anyio.create_task_group() as tasks:
        for name in ("queue", "run", "rest", "api", "cdn"):
            tasks.start_soon(one, name, getattr(urls, name))
    return [findings[name] for name in sorted(findings)]


async def _is_there(examined: Examined) -> bool:
    """Whether fal answers at all: what is asked of it besides would only be tried again and again."""
    if environment.faults(examined.env):
        return False
    try:
        await network.answered(examined.settings.hosts.api)
    except Exception:
        return False
    return True


async def _reached(name: str, url: str, examined: Examined) -> Finding:
    with anyio.move_on_after(3.0):
        try:
            seconds, date = await network.answered(url)
        except Exception as error:
            reason = f"{type(error).__name__} {error}".strip()
            return Finding(
                f"host {name}", "bad", f"{url} cannot be reached: {reason}", "Check the network and its proxy."
            )
        # A clock that is wrong makes certificates invalid and callbacks too old, and neither error names it.
        skew = abs(time.time() - parsedate_to_datetime(date).timestamp()) if date else 0.0
        if skew > _MOST_CLOCK_SECONDS:
            return Finding(
                f"host {name}",
                "bad",
                f"its clock and this machine's are {skew:.0f} s apart",
                "Set this machine's clock.",
            )
        return Finding(f"host {name}", "good", f"{url} answers in {seconds * 1000:.0f} ms")
    return Finding(f"host {name}", "bad", f"{url} does not answer", "Check the network and its proxy.")


def clock(_: Examined) -> Finding | None:
    """Whether this machine's clock can be right at all; the hosts' answers say more."""
    year = time.gmtime().tm_year
    if 2025 <= year <= 2100:
        return None
    return Finding(
        "clock", "bad", f"this machine thinks it is the year {year}", "Set its clock: certificates depend on it."
    )


def home(examined: Examined) -> Finding | None:
    """Whether home is a folder that can be written."""
    fault = environment.home_fault(examined.env)
    return Finding("home", "bad", fault, "FAL_MCP_DATA_DIR names another place for the ledger.") if fault else None


def data(examined: Examined) -> Iterator[Finding]:
    """Whether the ledger can be written and read."""
    folder = examined.settings.data
    if folder is None:
        return
    if fault := folders.fault(folder):
        yield Finding("data folder", "bad", fault, "--data-dir or FAL_MCP_DATA_DIR names another.")
        return
    yield Finding("data folder", "good", str(folder))
    file = examined.settings.ledger_file
    if examined.settings.store is None and file is not None and file.exists():
        yield _ledger(file)


async def store(examined: Examined) -> Finding | None:
    """Whether a team's ledger answers."""
    address = examined.settings.store
    if address is None:
        return None
    try:
        version = await anyio.to_thread.run_sync(ledger_health.reached, address)
    except NotRecorded as error:
        return Finding("ledger", "bad", error.message, error.hint)
    return Finding("ledger", "good", f"in PostgreSQL {version}, which answers")


def _ledger(file: Path) -> Finding:
    count, trouble = ledger_health.looked_at(file)
    if trouble:
        advice = "End other programs that hold it; keep a copy of it before anything else."
        return Finding("ledger", "bad", f"{file} cannot be read: {trouble}", advice)
    return Finding("ledger", "good", f"{count} jobs, {readable_size(file.stat().st_size)}")


def output(examined: Examined) -> Finding:
    """Whether results can be saved."""
    folder = examined.settings.output_dir
    if folder is None:
        return Finding(
            "output folder", "note", "none set; results are links", "--output-dir names one that files are saved in."
        )
    fault = folders.fault(folder)
    if fault:
        return Finding("output folder", "bad", fault, "--output-dir or FAL_MCP_OUTPUT_DIR names another.")
    return Finding("output folder", "good", str(folder))


def readable(examined: Examined) -> Finding:
    """Which files may be read."""
    allowed = examined.settings.allow_dirs
    if not allowed:
        advice = '"args": ["--allow-dir", "/path/to/pictures"] in the host\'s configuration names one.'
        return Finding("readable folders", "note", "none named; else the folder the server is started in", advice)
    return Finding("readable folders", "good", ", ".join(map(str, allowed)))


def catalog(examined: Examined) -> Iterator[Finding]:
    """Which models are known, how old that is, and which documents are of no use."""
    source = source_of(examined.settings)
    models = Catalog(source)
    problems = models.problems()
    size = f"{len(models)} models"
    if isinstance(source, Cache):
        hours = (time.time() - source.fetched_at) / 3600
        state = "note" if hours > _OLD_CATALOG_HOURS else "good"
        yield Finding(
            "catalog", state, f"{size} of fal's, fetched {hours:.0f} hours ago, in {examined.settings.catalog_folder}"
        )
    elif examined.settings.models:
        yield Finding("catalog", "good", f"{size}, in {examined.settings.models}")
    else:
        yield Finding(
            "catalog", "note", f"{size}, those that came along", "fal-mcp models refresh fetches all of fal's."
        )
    if oddities := models.oddities():
        mended = f"{len(oddities)} with a part that was mended or left open: {', '.join(list(oddities)[:_MOST_NAMED])}"
        yield Finding("model documents", "note", mended)
    if problems:
        yield Finding("model documents", "note", f"{len(models) - len(problems)} usable, {len(problems)} not")
        for endpoint_id, reason in list(problems.items())[:_MOST_SHOWN]:
            yield Finding("model document", "note", f"{endpoint_id}: {reason}")


async def platform_document(examined: Examined) -> Finding | list[Finding] | None:
    """What fal changed in its Platform API."""
    if environment.faults(examined.env):
        return None
    if not await _is_there(examined):
        return Finding("Platform API", "note", "not compared with fal's document, which cannot be had now")
    file = anyio.Path(bundled.schemas() / "platform.json")
    ours = json.loads(await file.read_text("utf-8"))
    try:
        async with fal_of(examined.settings) as fal:
            theirs = await fal.platform.document()
    except FalError as error:
        return Finding("Platform API", "note", f"not compared with fal's document. {error.message}")
    changed = differences(ours, theirs)
    if not changed:
        return Finding("Platform API", "good", "no difference from fal's document")
    first = Finding("Platform API", "note", f"fal's document differs from what this version knows ({len(changed)})")
    return [first, *(Finding("Platform API", "note", sentence) for sentence in changed[:_MOST_SHOWN])]


def programs(examined: Examined) -> Iterator[Finding]:
    """Programs that are of use."""
    has_ffmpeg = shutil.which("ffmpeg", path=examined.env.get("PATH"))
    if has_ffmpeg:
        yield Finding("ffmpeg", "good", "found")
    else:
        yield Finding("ffmpeg", "note", "not found; films are shown without a frame of them")
    if examined.settings.fal_cli:
        yield Finding("fal's command line", "good", "found")
    else:
        yield Finding(
            "fal's command line",
            "note",
            "not found; apps are not deployed from here",
            "pip install 'fal-mcp[serverless]'",
        )


def hosts(examined: Examined) -> Iterator[Finding]:
    """Programs on this machine that could use this server, and whether they know it."""
    for host in hosts_here.found(examined.env):
        if host.trouble:
            yield Finding(host.name, "note", f"{host.file} cannot be read: {host.trouble}")
        elif host.has_entry:
            yield Finding(host.name, "good", f"has an entry for fal in {host.file}")
        else:
            yield Finding(host.name, "note", f"is here and has no entry for fal ({host.file})")


def launcher(_: Examined) -> Finding:
    """The command that a host is to start."""
    command = shutil.which("fal-mcp") or sys.argv[0]
    return Finding("command", "good", os.path.abspath(command))


def stand_in(examined: Examined) -> Finding | None:
    """Whether something stands in for fal."""
    if examined.settings.hosts == Hosts():
        return None
    return Finding("fal", "note", f"a stand-in: {examined.settings.hosts.api.removesuffix('/api')}")


EXAMINATIONS: Mapping[str, Examination] = {
    **{
        "version": version,
        "command": launcher,
        "settings": settings,
        "fal": stand_in,
        "key": key,
        "key file": key_file,
    },
    **{"admin key": admin_key, "environment": network_settings, "network": reach, "clock": clock, "home": home},
    **{"data folder": data, "ledger": store, "output folder": output, "readable folders": readable, "catalog": catalog},
    **{"programs": programs, "hosts": hosts, "Platform API": platform_document},
}
