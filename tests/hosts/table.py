"""What each host does with this server, cell by cell, as the tests here saw it last; `docs/hosts.md` shows it.

`UPDATE_SNAPSHOTS=1 .ci/hosts` writes it down anew, and `UPDATE_SNAPSHOTS=1 pytest tests/install` then makes the page.
"""

import json
import re
from pathlib import Path

from tests.hosts.ways import WAYS

Row = dict[str, dict[str, str]]
"""The cells of one host, by the way in which it reached the server."""

_ROOT = Path(__file__).parents[2]
FILE = Path(__file__).parent / "seen.json"
PACKAGES = {
    "Claude Code": "@anthropic-ai/claude-code",
    "Codex": "@openai/codex",
    "Gemini CLI": "@google/gemini-cli",
    "opencode": "opencode-ai",
    "TypeScript SDK": "@modelcontextprotocol/sdk",
    "AI SDK": "@ai-sdk/mcp",
    "mcp 1.x": "mcp",
    "FastMCP": "fastmcp",
    "openai-agents": "openai-agents",
    "pydantic-ai": "pydantic-ai-slim",
    "LangChain": "langchain-mcp-adapters",
    "LlamaIndex": "llama-index-tools-mcp",
    "smolagents": "smolagents",
    "mcp-use": "mcp-use",
}
COLUMNS = ("tools", "finds and reads", "runs", "refused call is mended", "long call goes on", "pictures")
"""Beside whether it connects, which is a column for each way."""
WITHOUT_PICTURES = {
    "LlamaIndex": "LlamaIndex makes one text of an answer, the bytes of a picture included.",
    "smolagents": "smolagents takes the first part of an answer alone, which is the text.",
}
"""Why no picture reaches the model: each is the host's own doing, and no other answer would change it."""


def kept() -> dict[str, Row]:
    """The rows that were written down, with the host and its version as their names."""
    return json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}


def keep(rows: dict[str, Row]) -> None:
    """Write these rows down; those of hosts that could not be had stay."""
    every = {name: {**kept().get(name, {}), **row} for name, row in {**kept(), **named(rows)}.items()}
    hosts = [name for name in named({host: {} for host in PACKAGES}) if name in every]
    ordered = {name: {way: every[name][way] for way in WAYS if way in every[name]} for name in hosts}
    FILE.write_text(json.dumps(ordered, indent=1) + "\n", "utf-8")


def named(rows: dict[str, Row]) -> dict[str, Row]:
    """The same with each host's version, which is pinned in `.ci/hosts`."""
    pinned = (_ROOT / ".ci" / "hosts").read_text("utf-8")
    return {f"{host} {_version(PACKAGES[host], pinned)}": row for host, row in rows.items()}


def lines(rows: dict[str, Row]) -> list[str]:
    """The table in Markdown."""
    head = ("host", *(f"over {way}" for way in WAYS), *COLUMNS)
    told = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, row in rows.items():
        connects = [row[way].get("connects", "no") if way in row else "-" for way in WAYS]
        told.append(f"| {' | '.join([name, *connects, *(_cell(row, column) for column in COLUMNS)])} |")
    return told


def section() -> str:
    """The part of `docs/hosts.md` that shows the table."""
    return f"""\
## What each of them does

Programs of other people's, at the versions named, with a scripted model on loopback in place of a real one. Each
connected, listed the tools, found a model, read about it, ran it, had a call refused and mended it, left a long one and
found it in the list of jobs; what is said here is what its model was handed. `.ci/hosts` does it again and holds this
table to it.

{chr(10).join(lines(kept()))}

{chr(10).join(f"* {why}" for why in WITHOUT_PICTURES.values())}
* Claude Code, Codex, pydantic-ai hand on an answer's data, and most others its text: each says all that is needed.
"""


def _cell(row: Row, column: str) -> str:
    """What is so in every way, or what is so in each."""
    each = {way: cells[column] for way, cells in row.items() if column in cells}
    if len(set(each.values())) <= 1:
        return next(iter(each.values()), "-")
    return ", ".join(f"{said} over {way}" for way, said in each.items())


def _version(package: str, pinned: str) -> str:
    found = re.search(rf"(?<![\w/-]){re.escape(package)}(?:\[\w+\])?(?:@|==)([\d.]+)", pinned)
    assert found, f"{package} is not pinned in .ci/hosts"
    return found[1]
