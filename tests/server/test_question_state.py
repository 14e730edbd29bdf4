"""The state of a question is opened at whichever server its answer reaches, while keys are changed too."""

from itertools import pairwise

import pytest
from mcp.server.request_state import RequestStateSecurity

from fal_mcp.config import Settings
from fal_mcp.server import question_state

OLD, NEW = "o" * 32, "n" * 32
STORE = "postgresql://127.0.0.1/ledger"


def opens(sealed_at: RequestStateSecurity, opened_at: RequestStateSecurity) -> bool:
    sealed = sealed_at.codec.seal(b"the question")
    try:
        return opened_at.codec.unseal(sealed) == b"the question"
    except Exception:
        return False


def at(*keys: str, store: str | None = STORE, key: str | None = "id:secret") -> RequestStateSecurity:
    return question_state.security(Settings(key=key, store=store, state_keys=keys))


def test_each_step_of_a_change_of_keys_opens_what_the_one_before_sealed():
    steps = [(OLD,), (OLD, NEW), (NEW, OLD), (NEW,)]
    for before, after in pairwise(steps):
        assert opens(at(*before), at(*after)) and opens(at(*after), at(*before))
    assert not opens(at(OLD), at(NEW))


def test_servers_of_one_store_open_each_others_and_nobody_elses():
    assert opens(at(), at())
    assert not opens(at(), at(key="id:other"))
    assert not opens(at(store=None), at(store=None)), "one for each start"


def test_a_short_secret_is_refused_without_being_shown():
    with pytest.raises(ValueError, match=r"^FAL_MCP_STATE_KEYS: number 2") as refused:
        Settings.from_env({"FAL_MCP_STATE_KEYS": f"{OLD},short-one"})
    assert "short-one" not in str(refused.value)
    assert OLD not in repr(Settings.from_env({"FAL_MCP_STATE_KEYS": OLD}))
