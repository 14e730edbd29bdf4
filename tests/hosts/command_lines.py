"""How each command line host is told of this server and of the scripted model, and started without a person.

Each gets a home of its own; what it would send anywhere but to loopback is switched off by its own settings.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.hosts.ways import Server

KEY = "no-key"
PROMPT = "Do what the script says."


@dataclass(frozen=True, slots=True)
class Run:
    """A command and its variables."""

    command: list[str]
    environment: Mapping[str, str]


def claude(binary: Path, home: Path, url: str, server: Server) -> Run:
    config = home / "mcp.json"
    remote = {"type": "http", "url": server.url, "headers": server.headers}
    config.write_text(json.dumps({"mcpServers": {"fal": remote if server.url else {"type": "stdio", **server.entry}}}))
    command = [str(binary / "claude"), "-p", PROMPT, "--mcp-config", str(config), "--strict-mcp-config"]
    command += ["--allowedTools", "mcp__fal", "--model", "claude-sonnet-4-5"]
    off = ("DISABLE_TELEMETRY", "DISABLE_AUTOUPDATER", "DISABLE_ERROR_REPORTING", "DISABLE_BUG_COMMAND")
    return Run(
        command,
        {
            **dict.fromkeys((*off, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"), "1"),
            **{"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": KEY, "CLAUDE_CONFIG_DIR": str(home)},
            # It would look tools up by words before it calls them, and the script would have to do so as well.
            **{"ENABLE_TOOL_SEARCH": "false", "MCP_CONNECTION_NONBLOCKING": "false"},
        },
    )


def codex(binary: Path, home: Path, url: str, server: Server) -> Run:
    environment = ", ".join(f"{name} = {json.dumps(value)}" for name, value in server.environment.items())
    local = [f"command = {json.dumps(server.command)}", f"args = {json.dumps(server.arguments)}"]
    remote = [f"url = {json.dumps(server.url)}", 'bearer_token_env_var = "FAL_TOKEN"' if server.token else ""]
    # What it does in the second that it waits otherwise is tested over standard input.
    entry = [*remote, "required = true"] if server.url else [*local, f"env = {{ {environment} }}"]
    (home / "config.toml").write_text(
        "\n".join(
            [
                'model = "scripted"\nmodel_provider = "local"\napproval_policy = "never"',
                'sandbox_mode = "danger-full-access"\ncheck_for_update_on_startup = false',
                "[analytics]\nenabled = false",
                f'[model_providers.local]\nname = "local"\nbase_url = "{url}/v1"\nwire_api = "responses"',
                "[mcp_servers.fal]",
                *entry,
                'default_tools_approval_mode = "approve"',
            ]
        )
    )
    command = [str(binary / "codex"), "exec", "--skip-git-repo-check", PROMPT]
    return Run(command, {"CODEX_HOME": str(home), "FAL_TOKEN": server.token})


def gemini(binary: Path, home: Path, url: str, server: Server) -> Run:
    # It keeps PYTHONPATH from servers, and a checkout is found from its own folder as well.
    local = {**server.entry, "cwd": server.environment["PYTHONPATH"]}
    entry = {"httpUrl": server.url, "headers": server.headers} if server.url else local
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
        "telemetry": {"enabled": False},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"enableAutoUpdate": False, "disableAutoUpdate": True},
        "mcpServers": {"fal": {**entry, "trust": True}},
    }
    (home / ".gemini").mkdir()
    (home / ".gemini" / "settings.json").write_text(json.dumps(settings))
    command = [str(binary / "gemini"), "-p", PROMPT, "--model", "gemini-2.5-flash", "--approval-mode", "yolo"]
    return Run(
        command,
        {"GEMINI_API_KEY": KEY, "GOOGLE_GEMINI_BASE_URL": url, "HOME": str(home), "GEMINI_CLI_TRUST_WORKSPACE": "true"},
    )


def opencode(binary: Path, home: Path, url: str, server: Server) -> Run:
    local = {"npm": "@ai-sdk/openai-compatible", "name": "local", "options": {"baseURL": f"{url}/v1", "apiKey": KEY}}
    # Of a model that it does not know to look at pictures, it shows it none.
    scripted = {"name": "scripted", "tool_call": True, "attachment": True}
    models = {"scripted": {**scripted, "modalities": {"input": ["text", "image"], "output": ["text"]}}}
    entry = {"type": "local", "command": [server.command, *server.arguments], "environment": server.environment}
    if server.url:
        entry = {"type": "remote", "url": server.url, "headers": server.headers, "oauth": False}
    config = {
        "provider": {"local": {**local, "models": models}},
        "mcp": {"fal": {**entry, "enabled": True}},
        "autoupdate": False,
        "share": "disabled",
        "permission": "allow",
        "small_model": "local/scripted",
    }
    (home / "opencode.json").write_text(json.dumps(config))
    off = ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "DEFAULT_PLUGINS", "SHARE")
    return Run(
        [str(binary / "opencode"), "run", "--model", "local/scripted", PROMPT],
        {
            **{f"OPENCODE_DISABLE_{name}": "true" for name in off},
            **{"OPENCODE_CONFIG": str(home / "opencode.json"), "HOME": str(home)},
            **{f"XDG_{name}_HOME": str(home / name.lower()) for name in ("CONFIG", "DATA", "CACHE", "STATE")},
        },
    )


HOSTS: dict[str, tuple[str, Callable[[Path, Path, str, Server], Run]]] = {
    "Claude Code": ("claude", claude),
    "Codex": ("codex", codex),
    "Gemini CLI": ("gemini", gemini),
    "opencode": ("opencode", opencode),
}
