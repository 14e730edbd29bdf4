"""`docs/hosts.md`, made from the hosts' table and held to it.

`UPDATE_SNAPSHOTS=1 pytest tests/install/test_hosts_page.py` writes it anew.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from fal_mcp.install import text
from fal_mcp.install.entry import Entry
from fal_mcp.install.hosts import HOSTS, Host, Machine
from tests.hosts import table

PAGE = Path(__file__).parents[2] / "docs" / "hosts.md"
HEAD = """\
# In your host

Made from the installer's table by `UPDATE_SNAPSHOTS=1 pytest tests/install/test_hosts_page.py`; a test holds it to it.

    fal-mcp install              # finds the hosts on this machine and asks about each
    fal-mcp install cursor       # one of them
    fal-mcp install cursor --project .    # a project's own file, where the host has such a thing
    fal-mcp install cursor --print        # only shows what belongs there
    fal-mcp install cursor --uninstall    # takes it out again

It writes an absolute path of a launcher that ran a moment before, shows the lines that change and asks, keeps comments
and everything else in the file byte for byte, leaves a copy beside it, and shakes hands with what it wrote. The key is
written by reference where the host knows references; otherwise store it once with `fal-mcp login`, which puts it where
the server finds it. What follows is for those who would rather write the entry themselves.

Another package also installs a program called `fal-mcp`. Where both are installed, this one is `fal-mcp-server` too.
"""
SYSTEMS = {"darwin": "macOS", "win32": "Windows", "linux": "Linux"}
FENCE = {"json": "json", "toml": "toml", "yaml": "yaml"}


def places(host: Host) -> Iterator[str]:
    """Where its file is, on each system."""
    seen: list[tuple[str, str]] = []
    for platform, title in SYSTEMS.items():
        machine = Machine(platform, Path("~"), {})
        file = host.files(machine)[0].as_posix()
        if platform == "win32":
            file = file.replace("~/AppData/Roaming", "%APPDATA%").replace("~", "%USERPROFILE%").replace("/", "\\")
        seen.append((title, file))
    mac, windows, linux = (file for _, file in seen)
    if mac == linux:
        yield f"* macOS and Linux: `{mac}`"
    else:
        yield from (f"* macOS: `{mac}`", f"* Linux: `{linux}`")
    yield f"* Windows: `{windows}`"
    if host.name == "claude-desktop":
        yield "* Windows, since February 2026: `%LOCALAPPDATA%\\Packages\\Claude_…\\LocalCache\\Roaming\\Claude\\`"
    if host.project_file:
        yield f"* a project: `{host.project_file}`"


def section(host: Host) -> Iterator[str]:
    """One host's part of the page."""
    yield f"## {host.title}\n"
    yield f"`fal-mcp install {host.name}`, or by hand in\n"
    yield from places(host)
    entry = Entry("/path/to/fal-mcp", [], host.reference)
    yield f"\n```{FENCE[host.format]}\n{text.with_entry('', host, entry).strip()}\n```\n"
    yield " ".join(filter(None, (host.afterwards, host.note))) + "\n"


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(line for host in HOSTS.values() for line in section(host)), table.section()])


def test_the_page_says_what_the_installer_writes():
    if os.environ.get("UPDATE_SNAPSHOTS"):
        PAGE.write_text(page(), "utf-8")
    assert PAGE.read_text("utf-8") == page()


def test_what_hosts_do_was_seen_with_the_versions_that_are_fetched():
    """A host at another version may do otherwise: whoever changes a version runs `.ci/hosts` and writes it down."""
    assert set(table.kept()) <= set(table.named({host: {} for host in table.PACKAGES}))
    without = {
        name.rpartition(" ")[0]
        for name, row in table.kept().items()
        for cells in row.values()
        if cells["pictures"] == "no"
    }
    assert without == set(table.WITHOUT_PICTURES)
