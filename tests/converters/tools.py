"""Writes every tool as it is listed, one JSON list: all toolsets, and a tool for each model there is a document for."""

import json
import sys
from pathlib import Path
from typing import Any

from fal_mcp import bundled
from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.source import Folder
from fal_mcp.server.calls import listed
from fal_mcp.tools import from_endpoint
from fal_mcp.tools.tool import Tool
from fal_mcp.toolset_table import TABLE
from fal_mcp.toolsets.selection import Selection
from fal_mcp.toolsets.toolbox import Toolbox
from tests.documents import CORPUS

FOLDER = CORPUS / "models" if CORPUS.is_dir() else bundled.schemas() / "models"


def own_tools() -> list[Tool]:
    """Every tool that is no model's, with both keys."""
    catalog = Catalog(Folder(FOLDER))
    box = Toolbox(catalog, Selection(("search",), ()), tuple(TABLE), has_admin_key=True)
    return [tool for name in box.names() if (tool := box.get(name))]


def all_tools() -> list[dict[str, Any]]:
    """Every tool that there is, as it is listed."""
    models = map(from_endpoint.tool, Catalog(Folder(FOLDER)).endpoints())
    return [listed(tool) for tool in (*own_tools(), *models)]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(all_tools(), ensure_ascii=False), "utf-8")
