"""The servers that are measured beside this one, each in an environment of its own from its registry."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fal_mcp import __version__

FOLDER = Path(os.environ.get("BENCHMARK_PEERS") or Path.home() / ".cache" / "fal-mcp-peers")
MODEL = "fal-ai/flux/dev"
_ABOUT = {
    "fal-mcp-server==1.18.0": "runs pictures without the queue; the local fal answers such a run at once",
    "fal-ai-mcp-server==0.1.2": "waits for a job in its event loop, so that calls come one after another",
}
_PREVIEWS = "each call also fetches what came out and makes a small picture of it for the model, as no other here does"
_BARE = """
import anyio
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server

async def list_tools(ctx, params):
    return {"resultType": "complete", "tools": [{"name": "one", "inputSchema": {"type": "object"}}]}

async def call_tool(ctx, params):
    return {"resultType": "complete", "content": [{"type": "text", "text": "done"}]}

async def main():
    server = Server("bare", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())

anyio.run(main)
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A server, and the call of it that makes a picture."""

    title: str
    command: list[str]
    tool: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    waits: bool = True
    """Whether the call answers with the picture, and not with a request that is to be asked about."""
    has_fal: bool = True
    about: str = ""

    def arguments_of(self, number: int) -> dict[str, Any]:
        """Its arguments with a prompt of their own, so that no two calls are the same."""
        return json.loads(json.dumps(self.arguments).replace("PROMPT", f"pier {number}"))


def everyone() -> tuple[list[Peer], list[str]]:
    """Those that can be had, and a sentence about each that cannot."""
    prompt, own = {"prompt": "PROMPT"}, [sys.executable, "-m", "fal_mcp"]
    peers = [
        Peer(
            "bare SDK server", [sys.executable, "-c", _BARE], "one", has_fal=False, about="one tool that does nothing"
        ),
        Peer(f"fal-mcp {__version__}", own, "fal-ai_flux_dev", prompt, about=_PREVIEWS),
        Peer("the same, --no-previews", own, "fal-ai_flux_dev", prompt, {"FAL_MCP_PREVIEWS": "0"}),
    ]
    missing: list[str] = []
    for package, script, tool, arguments in (
        ("fal-mcp-server==1.18.0", "fal-mcp", "generate_image", {**prompt, "model": MODEL, "output_format": "png"}),
        ("fal-ai-mcp-server==0.1.2", "fal-ai-mcp-server", "generate_image", prompt),
    ):
        try:
            command = [str(_python_package(package) / "bin" / script)]
        except (OSError, subprocess.CalledProcessError) as error:
            missing.append(f"{package} (PyPI) cannot be had: {error}")
            continue
        about = _ABOUT.get(package, "")
        peers.append(Peer(f"{package.replace('==', ' ')} (PyPI)", command, tool, arguments, about=about))
    try:
        node = _node_package("fal-ai-mcp-server@2.1.4")
    except (OSError, subprocess.CalledProcessError) as error:
        missing.append(f"fal-ai-mcp-server@2.1.4 (npm) cannot be had: {error}")
    else:
        command = [str(node / ".bin" / "node"), str(node / "fal-ai-mcp-server" / "dist" / "index.js")]
        asked = {"app_id": MODEL, "input_data": prompt}
        about = "answers once the request is in the queue; status and result are calls of their own"
        peers.append(Peer("fal-ai-mcp-server 2.1.4 (npm)", command, "generate", asked, waits=False, about=about))
    return peers, missing


def _python_package(package: str) -> Path:
    folder = FOLDER / package.replace("==", "-")
    if not (folder / "is-ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        # Both were written for the first version of the SDK.
        wanted = [str(folder / "bin" / "pip"), "install", "--quiet", package, "mcp<2"]
        subprocess.run(wanted, check=True, stderr=subprocess.DEVNULL)
        (folder / "is-ready").touch()
    return folder


def _node_package(package: str) -> Path:
    folder = FOLDER / package.replace("@", "-")
    if not (folder / "is-ready").exists():
        quiet = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(folder)]
        subprocess.run([*quiet, "node@22", package], check=True)
        (folder / "is-ready").touch()
    return folder / "node_modules"
