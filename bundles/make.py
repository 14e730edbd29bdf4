"""Writes every bundle and registry file anew: `python -m bundles.make`. A test holds them to what this would write.

One source: the version and description of `pyproject.toml`, and the table of settings.
"""

import base64
import json
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fal_mcp.settings_table import TABLE, Setting

ROOT = Path(__file__).parents[1]
OWNER = "fal-mcp"
"""Whose GitHub account the repository is under."""
REPOSITORY = f"https://github.com/{OWNER}/fal-mcp"
KEYS_PAGE = "https://fal.ai/dashboard/keys"
OFFERED = ("output_dir", "allow_dir", "daily_budget", "max_cost", "approve_over", "read_only", "list", "toolsets")
"""The settings that a form asks about; every other one has a good default."""
MOST_DESCRIPTION = 100

Json = Mapping[str, Any]


def project() -> Json:
    """The `project` table of `pyproject.toml`."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def offered() -> list[Setting]:
    """The settings of a form, in its order."""
    return [next(setting for setting in TABLE if setting.name == name) for name in OFFERED]


def title(setting: Setting) -> str:
    """A setting's name as a form shows it."""
    return setting.name.replace("_", " ").replace("dir", "folder").capitalize()


def mcpb() -> Json:
    """Claude Desktop's extension, of type uv: Desktop brings Python and installs before it connects."""
    configured = {setting.variable: f"${{user_config.{setting.name}}}" for setting in offered()}
    about = project()
    return {
        "manifest_version": "0.4",
        "name": "fal-mcp",
        "display_name": "fal",
        "version": about["version"],
        "description": about["description"],
        "author": {"name": "the fal-mcp authors", "url": REPOSITORY},
        "repository": {"type": "git", "url": REPOSITORY},
        "license": about["license"],
        "keywords": about["keywords"],
        "server": {
            "type": "uv",
            "entry_point": "src/server.py",
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", "src/server.py"],
                "env": {"FAL_KEY": "${user_config.fal_key}", **configured},
            },
        },
        "tools_generated": True,
        "prompts_generated": True,
        "privacy_policies": ["https://fal.ai/privacy-policy"],
        "compatibility": {"platforms": ["darwin", "win32", "linux"], "runtimes": {"python": ">=3.11 <3.15"}},
        "user_config": {
            "fal_key": {
                "type": "string",
                "title": "fal key",
                "description": f"A key of scope API from {KEYS_PAGE}.",
                "sensitive": True,
                "required": True,
            },
            **{setting.name: _field(setting) for setting in offered()},
        },
    }


def _field(setting: Setting) -> Json:
    """Every one has a default: what is left open would arrive as an empty text, which counts as unset here."""
    kinds = {"folder": "directory", "folders": "directory", "switch": "boolean"}
    kind = kinds.get(setting.kind, "string")
    default: str | bool = False if kind == "boolean" else ""
    if setting.name == "output_dir":
        default = "${HOME}/Downloads"
    return {
        "type": kind,
        "title": title(setting),
        "description": f"{setting.help} Left open: {setting.default or 'none'}.",
        "required": False,
        "default": default,
    }


def mcpb_project() -> str:
    """The extension's own project: this package, of this version."""
    version = project()["version"]
    lines = [
        "[project]",
        'name = "fal-mcp-extension"',
        f'version = "{version}"',
        'requires-python = ">=3.11,<3.15"',
        f'dependencies = ["fal-mcp=={version}"]',
        "",
    ]
    return "\n".join(lines)


def server_json() -> Json:
    """The entry of the official registry."""
    about = project()
    variables = [
        {"name": "FAL_KEY", "description": "fal's key, of scope API", "isRequired": True, "isSecret": True},
        *({"name": setting.variable, "description": setting.help, "format": _format(setting)} for setting in TABLE),
    ]
    return {
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": f"io.github.{OWNER}/fal-mcp",
        "title": "fal",
        "description": about["description"][:MOST_DESCRIPTION],
        "version": about["version"],
        "repository": {"url": REPOSITORY, "source": "github"},
        "packages": [
            {
                "registryType": "pypi",
                "identifier": "fal-mcp",
                "version": about["version"],
                "runtimeHint": "uvx",
                "transport": {"type": "stdio"},
                "environmentVariables": variables,
            }
        ],
    }


def _format(setting: Setting) -> str:
    return {"number": "number", "count": "number", "money": "number", "switch": "boolean", "folder": "filepath"}.get(
        setting.kind, "string"
    )


def plugin() -> Json:
    """Claude Code's plugin; its key goes to the system's keychain."""
    about = project()
    return {
        "name": "fal",
        "version": about["version"],
        "description": about["description"],
        "author": {"name": "the fal-mcp authors"},
        "repository": REPOSITORY,
        "license": about["license"],
        "keywords": about["keywords"],
        "mcpServers": {"fal": {"command": "uvx", "args": ["fal-mcp"], "env": {"FAL_KEY": "${user_config.fal_key}"}}},
        "userConfig": {
            "fal_key": {
                "type": "string",
                "title": "fal key",
                "description": f"A key of scope API from {KEYS_PAGE}.",
                "sensitive": True,
                "required": True,
            }
        },
    }


def marketplace() -> Json:
    """The list that `/plugin marketplace add` reads: this repository has one plugin."""
    about = project()
    row = {"name": "fal", "source": "./", "description": about["description"], "version": about["version"]}
    return {"name": "fal-mcp", "owner": {"name": "the fal-mcp authors"}, "plugins": [row]}


def gemini_extension() -> Json:
    """Gemini CLI's extension; its key goes to the system's keychain."""
    about = project()
    return {
        "name": "fal",
        "version": about["version"],
        "description": about["description"],
        "mcpServers": {"fal": {"command": "uvx", "args": ["fal-mcp"], "env": {"FAL_KEY": "$FAL_KEY"}}},
        "settings": [
            {
                "name": "fal key",
                "description": f"A key of scope API from {KEYS_PAGE}.",
                "envVar": "FAL_KEY",
                "sensitive": True,
            }
        ],
    }


def glama() -> Json:
    """Who looks after the server on Glama."""
    return {"$schema": "https://glama.ai/mcp/schemas/server.json", "maintainers": [OWNER]}


def links() -> str:
    """Links that install with one click. None carries a key: a placeholder would be saved as it is."""
    entry = {"command": "uvx", "args": ["fal-mcp"]}
    cursor_entry = json.dumps({"type": "stdio", **entry, "env": {"FAL_KEY": "${env:FAL_KEY}"}})
    cursor = {"name": "fal", "config": base64.b64encode(cursor_entry.encode()).decode()}
    asked = [{"type": "promptString", "id": "fal-key", "description": "fal API key", "password": True}]
    code_entry = json.dumps({"type": "stdio", **entry, "env": {"FAL_KEY": "${input:fal-key}"}})
    code = {"name": "fal", "config": code_entry, "inputs": json.dumps(asked)}
    studio = {"name": "fal", "config": base64.b64encode(json.dumps(entry).encode()).decode()}
    goose = "cmd=uvx&arg=fal-mcp&id=fal&name=fal&description=" + quote(project()["description"]) + "&timeout=300"
    rows = {
        "Cursor": f"cursor://anysphere.cursor-deeplink/mcp/install?{urlencode(cursor)}",
        "Cursor, from a web page": f"https://cursor.com/en/install-mcp?{urlencode(cursor)}",
        "VS Code": f"https://insiders.vscode.dev/redirect/mcp/install?{urlencode(code, quote_via=quote)}",
        "LM Studio": f"https://lmstudio.ai/install-mcp?{urlencode(studio)}",
        "Goose": f"goose://extension?{goose}",
    }
    lines = ["# Links that install", "", "Made by `python -m bundles.make`. They need `uvx` on the path.", ""]
    return "\n".join([*lines, *(f"* {name}:\n\n    {address}\n" for name, address in rows.items())])


def files() -> dict[str, str]:
    """Every file, by its place in the repository."""

    def written(content: Json) -> str:
        return json.dumps(content, ensure_ascii=False, indent=2) + "\n"

    return {
        "server.json": written(server_json()),
        "gemini-extension.json": written(gemini_extension()),
        "glama.json": written(glama()),
        ".claude-plugin/plugin.json": written(plugin()),
        ".claude-plugin/marketplace.json": written(marketplace()),
        "bundles/mcpb/manifest.json": written(mcpb()),
        "bundles/mcpb/pyproject.toml": mcpb_project(),
        "bundles/mcpb/.python-version": "3.12\n",
        "bundles/mcpb/src/server.py": "from fal_mcp.entry import main\n\nmain()\n",
        "docs/links.md": links(),
    }


def main() -> int:
    """Write them."""
    for name, content in files().items():
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(content, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
