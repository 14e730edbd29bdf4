"""Where the hosts are, as `.ci/hosts` prepared them, and the table of what each did."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.hosts import table

PREPARED = "FAL_MCP_HOSTS"
_rows: dict[str, table.Row] = {}
_passed: dict[str, table.Row] = {}


@pytest.fixture(scope="session")
def prepared() -> Path:
    folder = os.environ.get(PREPARED)
    if not folder:
        pytest.skip("hosts are fetched by `.ci/hosts`, and were not")
    return Path(folder)


@pytest.fixture
def cells(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The row of this host in this way, to be filled in; what it says has to be what was written down."""
    host, way = (request.getfixturevalue(name) for name in ("host", "way"))
    # Taken into the report, which reaches the process that prints the table.
    row: dict[str, str] = {}
    request.node.user_properties.append(("cells", (host, way, row)))
    yield row
    if not os.environ.get("UPDATE_SNAPSHOTS") and row:
        (name,) = table.named({host: {}})
        assert table.kept().get(name, {}).get(way, row) == row, (
            "UPDATE_SNAPSHOTS=1 .ci/hosts writes the table down anew"
        )


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        for name, value in report.user_properties:
            if name == "cells":
                host, way, row = cast("tuple[str, str, dict[str, str]]", value)
                for rows in (_rows, _passed) if report.passed else (_rows,):
                    rows.setdefault(host, {})[way] = row


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _rows:
        return
    terminalreporter.section("what each host does, and what its model is handed")
    for line in table.lines(table.named(_rows)):
        terminalreporter.line(line)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        table.keep(_passed)
