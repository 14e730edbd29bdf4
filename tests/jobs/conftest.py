"""Where a ledger is kept: each engine in turn."""

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests import postgres

Where = Path | str


@pytest.fixture(scope="session")
def cluster() -> Generator[postgres.Cluster]:
    with postgres.cluster() as made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    """Where a new ledger is kept."""
    return new_place(request, tmp_path)


@pytest.fixture(params=["sqlite", "postgres"])
def places(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Where]:
    """Places for as many new ledgers as are asked for."""
    return lambda: new_place(request, tmp_path_factory.mktemp("ledger"))


def new_place(request: pytest.FixtureRequest, folder: Path) -> Where:
    if request.node.callspec.params.get("where", request.node.callspec.params.get("places")) == "sqlite":
        return folder / "l.sqlite3"
    cluster: postgres.Cluster = request.getfixturevalue("cluster")
    return cluster.database()
