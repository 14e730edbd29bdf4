"""The hosts: where each keeps its servers, in which form, and how it is told of a key without the key itself.

Each row is what the host's own documentation or source says; where two places are in use, both are written if they are
there, because only one of them is read and which one differs by version.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fal_mcp.install import entry
from fal_mcp.json_values import JsonObject

Format = Literal["json", "toml", "yaml"]
NAME = "fal"
"""Short: hosts put it before every tool's name, and the whole has to stay below 60 or 64 characters."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Whose configuration it is."""

    platform: str
    """As `sys.platform` says: darwin, win32, linux."""
    home: Path
    environment: Mapping[str, str]

    def folder(self, variable: str, *default: str) -> Path:
        """The folder that a variable names, else one below home."""
        return Path(self.environment[variable]) if self.environment.get(variable) else self.home.joinpath(*default)

    @property
    def roaming(self) -> Path:
        """Where Windows programs keep settings."""
        return self.folder("APPDATA", "AppData", "Roaming")

    @property
    def config(self) -> Path:
        """Where Linux programs keep settings."""
        return self.folder("XDG_CONFIG_HOME", ".config")

    @property
    def support(self) -> Path:
        """Where macOS programs keep settings."""
        return self.home / "Library" / "Application Support"


@dataclass(frozen=True, slots=True)
class Host:
    """One program that starts MCP servers."""

    name: str
    title: str
    format: Format
    keys: tuple[str, ...]
    """Where in its file the servers are."""
    shape: Callable[[entry.Entry], JsonObject]
    files: Callable[[Machine], Sequence[Path]]
    """The files that it may read for one user; the first is the one to make where there is none."""
    project_file: str | None = None
    """The file below a project's folder."""
    reference: str | None = None
    """What stands for the key; None where the host has no such thing."""
    is_list: bool = False
    """Whether its servers are a list of items with names."""
    needs_plain_json: bool = False
    """Whether comments make the host refuse its own file."""
    command: str | None = None
    """The host's own command, where its file is not for other programs to write."""
    afterwards: str = "Restart it, or reload its MCP servers."
    note: str = ""
    """What its users should know, for its page."""


def _claude_desktop(machine: Machine) -> Sequence[Path]:
    name = "claude_desktop_config.json"
    if machine.platform == "darwin":
        return [machine.support / "Claude" / name]
    if machine.platform == "win32":
        # Since February 2026 the app comes as a package with a folder of its own, and no longer reads the older one.
        packages = machine.folder("LOCALAPPDATA", "AppData", "Local") / "Packages"
        packaged = [folder / "LocalCache" / "Roaming" / "Claude" / name for folder in packages.glob("Claude_*")]
        return [*packaged, machine.roaming / "Claude" / name]
    return [machine.config / "Claude" / name]


def _vs_code(machine: Machine) -> Sequence[Path]:
    base = {"darwin": machine.support, "win32": machine.roaming}.get(machine.platform, machine.config)
    return [base / "Code" / "User" / "mcp.json"]


def _lm_studio(machine: Machine) -> Sequence[Path]:
    # Some versions for macOS keep it below the cache.
    return [machine.home / ".lmstudio" / "mcp.json", machine.home / ".cache" / "lm-studio" / "mcp.json"]


def _zed(machine: Machine) -> Sequence[Path]:
    if machine.platform == "win32":
        return [machine.roaming / "Zed" / "settings.json"]
    return [machine.home / ".config" / "zed" / "settings.json"]


def _cline(machine: Machine) -> Sequence[Path]:
    base = {"darwin": machine.support, "win32": machine.roaming}.get(machine.platform, machine.config)
    older = base / "Code" / "User" / "globalStorage" / "saoudrizwan.claude-dev" / "settings"
    return [
        machine.home / ".cline" / "data" / "settings" / "cline_mcp_settings.json",
        older / "cline_mcp_settings.json",
        machine.home / ".cline" / "mcp.json",
    ]


def _goose(machine: Machine) -> Sequence[Path]:
    if machine.platform == "win32":
        return [machine.roaming / "Block" / "goose" / "config" / "config.yaml"]
    return [machine.home / ".config" / "goose" / "config.yaml"]


def _opencode(machine: Machine) -> Sequence[Path]:
    folder = machine.config / "opencode"
    return [folder / "opencode.json", folder / "opencode.jsonc"]


HOSTS: Mapping[str, Host] = {
    host.name: host
    for host in (
        Host(
            "claude-desktop",
            "Claude Desktop",
            "json",
            ("mcpServers",),
            entry.plain,
            _claude_desktop,
            needs_plain_json=True,
            afterwards="Quit it altogether and start it again.",
            note=(
                "It ends a call after about a minute: a run that takes longer answers with a job, "
                "which the model then waits for. It starts servers with a short search path and "
                "expands no variables, so the command is an absolute path and the key is best stored "
                "with `fal-mcp login`. Since February 2026 its Windows version reads the file below "
                "`Packages`."
            ),
        ),
        Host(
            "claude-code",
            "Claude Code",
            "json",
            ("mcpServers",),
            entry.plain,
            lambda machine: [machine.home / ".claude.json"],
            project_file=".mcp.json",
            reference="${FAL_KEY}",
            needs_plain_json=True,
            command="claude",
            afterwards="It is there in the next session.",
            note=(
                "It hands its model the data of an answer and not the text, and shows progress. A "
                "call of more than two minutes goes to the background by itself."
            ),
        ),
        Host(
            "cursor",
            "Cursor",
            "json",
            ("mcpServers",),
            entry.typed,
            lambda machine: [machine.home / ".cursor" / "mcp.json"],
            project_file=".cursor/mcp.json",
            reference="${env:FAL_KEY}",
            note=(
                "A server's and a tool's name together must stay within 60 characters, which is why "
                "the server is called `fal`."
            ),
        ),
        Host(
            "vscode",
            "VS Code",
            "json",
            ("servers",),
            entry.typed,
            _vs_code,
            project_file=".vscode/mcp.json",
            reference="${input:fal-key}",
            afterwards="It asks for the key when the server first starts.",
            note="Its chat takes 128 tools a request: keep to the default list.",
        ),
        Host(
            "windsurf",
            "Windsurf",
            "json",
            ("mcpServers",),
            entry.plain,
            lambda machine: [machine.home / ".codeium" / "windsurf" / "mcp_config.json"],
            reference="${env:FAL_KEY}",
            afterwards="Press Refresh in its MCP settings.",
        ),
        Host(
            "codex",
            "Codex",
            "toml",
            ("mcp_servers",),
            entry.codex,
            lambda machine: [machine.folder("CODEX_HOME", ".codex") / "config.toml"],
            project_file=".codex/config.toml",
            reference=entry.KEY,
            afterwards="It is there in the next session.",
            note=(
                "It gives a server about a second in the first turn. With `required = true` in the "
                "entry it waits for the whole list. It hands its model the data of an answer and not "
                "the text; where there are pictures it gets those and the text, and no data."
            ),
        ),
        Host(
            "gemini",
            "Gemini CLI",
            "json",
            ("mcpServers",),
            entry.plain,
            lambda machine: [machine.home / ".gemini" / "settings.json"],
            project_file=".gemini/settings.json",
            reference="$FAL_KEY",
            afterwards="It is there in the next session.",
            note=("It removes variables with `KEY` in their names unless the entry lists them, as this one does."),
        ),
        Host(
            "lm-studio",
            "LM Studio",
            "json",
            ("mcpServers",),
            entry.plain,
            _lm_studio,
            note="Small local models choose better from a short list: add `--list search`.",
        ),
        Host("zed", "Zed", "json", ("context_servers",), entry.plain, _zed, project_file=".zed/settings.json"),
        Host("cline", "Cline", "json", ("mcpServers",), entry.plain, _cline, reference="${env:FAL_KEY}"),
        Host(
            "goose",
            "Goose",
            "yaml",
            ("extensions",),
            entry.goose,
            _goose,
            reference=entry.KEY,
            note="The key is asked for once and kept in the system's keyring.",
        ),
        Host(
            "opencode",
            "opencode",
            "json",
            ("mcp",),
            entry.opencode,
            _opencode,
            project_file="opencode.json",
            reference="{env:FAL_KEY}",
            afterwards="It is there in the next session.",
            note=(
                "It waits five seconds for the list of tools. It hands its model the text of an "
                "answer and not the data, and pictures where the model is set up to take them."
            ),
        ),
        Host(
            "continue",
            "Continue",
            "yaml",
            ("mcpServers",),
            entry.listed,
            lambda machine: [machine.home / ".continue" / "config.yaml"],
            reference="${{ secrets.FAL_KEY }}",
            is_list=True,
        ),
    )
}


def files_of(host: Host, machine: Machine, project: Path | None) -> list[Path]:
    """The files to write: a project's, else every one that is there, else the first."""
    if project is not None:
        return [project / host.project_file] if host.project_file else []
    files = list(host.files(machine))
    return [file for file in files if file.exists()] or files[:1]


def is_here(host: Host, machine: Machine) -> bool:
    """Whether the host has been used on this machine: its file or the folder of it is there."""
    files = host.files(machine)
    # Home itself is always there, and says nothing of a host whose file lies right in it.
    return any(file.exists() or (file.parent != machine.home and file.parent.is_dir()) for file in files)
