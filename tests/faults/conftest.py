"""How long, and where to begin."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", type=float, default=0.0, help="Play scenarios for so many seconds.")
    parser.addoption("--seed", type=int, default=None, help="Play the scenario of this number only.")
    parser.addoption("--kills", type=int, default=6, help="Kill the server so many times at random moments.")
