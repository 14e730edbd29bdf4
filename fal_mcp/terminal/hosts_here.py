"""Hosts on this machine whose configuration is where they keep it, and whether it has an entry for this server."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_MOST_BYTES = 5_000_000
_PLACES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Claude Desktop",
        (
            "~/Library/Application Support/Claude/claude_desktop_config.json",
            "%APPDATA%/Claude/claude_desktop_config.json",
            "~/.config/Claude/claude_desktop_config.json",
        ),
    ),
    ("Claude Code", ("~/.claude.json",)),
    ("Cursor", ("~/.cursor/mcp.json",)),
    (
        "VS Code",
        (
            "~/Library/Application Support/Code/User/mcp.json",
            "%APPDATA%/Code/User/mcp.json",
            "~/.config/Code/User/mcp.json",
        ),
    ),
    ("Windsurf", ("~/.codeium/windsurf/mcp_config.json",)),
    ("Codex", ("~/.codex/config.toml",)),
    ("Gemini CLI", ("~/.gemini/settings.json",)),
    ("LM Studio", ("~/.lmstudio/mcp.json", "~/.cache/lm-studio/mcp.json")),
    ("Zed", ("~/.config/zed/settings.json", "%APPDATA%/Zed/settings.json")),
    ("Goose", ("~/.config/goose/config.yaml", "%APPDATA%/Block/goose/config/config.yaml")),
    ("opencode", ("~/.config/opencode/opencode.json", "~/.config/opencode/opencode.jsonc")),
    ("Continue", ("~/.continue/config.yaml", "~/.continue/config.json")),
)


@dataclass(frozen=True, slots=True)
class HostHere:
    """One host: its configuration file, and whether that names this server."""

    name: str
    file: Path
    has_entry: bool = False
    trouble: str = ""


def found(env: Mapping[str, str]) -> Iterator[HostHere]:
    """The hosts whose file exists, the first of its places each."""
    for name, places in _PLACES:
        for place in places:
            file = _file(place, env)
            if file is not None and file.is_file():
                yield _looked_at(name, file)
                break


def _file(place: str, env: Mapping[str, str]) -> Path | None:
    if place.startswith("%APPDATA%"):
        folder = env.get("APPDATA")
        return Path(folder + place.removeprefix("%APPDATA%")) if folder else None
    folder = env.get("HOME") or env.get("USERPROFILE")
    return Path(folder + place[1:]) if folder and os.path.isabs(folder) else None


def _looked_at(name: str, file: Path) -> HostHere:
    try:
        if file.stat().st_size > _MOST_BYTES:
            return HostHere(name, file, trouble="it is too large")
        text = file.read_text("utf-8", "replace")
    except OSError as error:
        return HostHere(name, file, trouble=error.strerror or str(error))
    # Seven formats, and comments in most: the command's name is in an entry in all of them.
    return HostHere(name, file, has_entry="fal-mcp" in text or "fal_mcp" in text)
