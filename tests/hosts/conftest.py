"""Where the hosts are, as `.ci/hosts` prepared them, and the table of what each did."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

PREPARED = "FAL_MCP_HOSTS"
COLUMNS = ("connects", "tools", "finds and reads", "runs", "refusal", "long call", "pictures")
_table: dict[str, dict[str, str]] = {}


@pytest.fixture(scope="session")
def prepared() -> Path:
    folder = os.environ.get(PREPARED)
    if not folder:
        pytest.skip("hosts are fetched by `.ci/hosts`, and were not")
    return Path(folder)


@pytest.fixture
def cells(request: pytest.FixtureRequest) -> dict[str, str]:
    """The row of the host under test, to be filled in."""
    name = str(request.node.callspec.id) if hasattr(request.node, "callspec") else request.node.name
    return _table.setdefault(name, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None] | None:
    if not _table:
        return
    terminalreporter.section("what each host does, and what its model is handed")
    terminalreporter.line(f"| host | {' | '.join(COLUMNS)} |")
    terminalreporter.line("|---" * (len(COLUMNS) + 1) + "|")
    for name, row in _table.items():
        terminalreporter.line(f"| {name} | {' | '.join(row.get(column, '-') for column in COLUMNS)} |")
