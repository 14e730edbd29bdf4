"""Our entry goes into any host's file and out again, and nobody else's byte moves."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_mcp.install import json_text, text, toml_text, yaml_text
from fal_mcp.install.entry import Entry
from fal_mcp.install.hosts import HOSTS, NAME
from fal_mcp.install.refusal import NotInstalled

ENTRY = Entry("/home/a/.venv/bin/fal-mcp", ["--allow-dir", "/home/a/Pictures"], None, {})
BOM = "\ufeff"

ODD_JSON: Mapping[str, str] = {
    "two spaces": '{\n  "mcpServers": {\n    "a": {"command": "x"}\n  }\n}\n',
    "four spaces": '{\n    "mcpServers": {\n        "a": {\n            "command": "x"\n        }\n    }\n}\n',
    "tabs": '{\n\t"mcpServers": {\n\t\t"a": {\n\t\t\t"command": "x"\n\t\t}\n\t}\n}\n',
    "carriage returns": '{\r\n  "mcpServers": {\r\n    "a": {"command": "x"}\r\n  }\r\n}\r\n',
    "byte order mark": BOM + '{\n  "mcpServers": {\n    "a": {"command": "x"}\n  }\n}\n',
    "mark and one line": BOM + '{"mcpServers": {"a": {"command": "x"}}}',
    "one line": '{"mcpServers":{"a":{"command":"x"}}}',
    "no last line break": '{\n  "mcpServers": {\n    "a": {}\n  }\n}',
    "trailing comma": '{\n  "mcpServers": {\n    "a": {"command": "x"},\n  },\n}\n',
    "trailing comma, one line": '{"mcpServers": {"a": {},},}',
    "comment after the last": '{\n  "mcpServers": {\n    "a": {} // mine, { and , inside\n  }\n}\n',
    "comment after a trailing comma": '{\n  "mcpServers": {\n    "a": {}, // mine\n  }\n}\n',
    "comment below the last": '{\n  "mcpServers": {\n    "a": {}\n    // below, "fal": {}\n  }\n}\n',
    "block comment": '{\n  /* "mcpServers": {} */\n  "mcpServers": {\n    "a": {} /* , */\n  }\n}\n',
    "comment of several lines": '{\n  /* one\n   two } */\n  "mcpServers": {\n    "a": {}\n  }\n}\n',
    "comment on top": '// settings\n{\n  "mcpServers": {\n    "a": {}\n  }\n}\n// end\n',
    "others around": '{\n  "theme": "dark",\n  "mcpServers": {\n    "a": {}\n  },\n  "z": [1, 2, {"q": null}]\n}\n',
    "braces in texts": '{\n  "mcpServers": {\n    "a": {"command": "}{,\\" //"}\n  }\n}\n',
    "other scripts": '{\n  "mcpServers": {\n    "größe": {"command": "x"}, "日本": {}\n  }\n}\n',
    "emoji": '{\n  "a": "😀😀",\n  "mcpServers": {"b": {"command": "😀"}}\n}\n',
    "our name inside a text": '{\n  "mcpServers": {\n    "a": {"args": ["\\"fal\\": {}"]}\n  }\n}\n',
    "our name elsewhere": '{\n  "fal": 1,\n  "mcpServers": {\n    "a": {"fal": {}}\n  }\n}\n',
    "blank lines": '{\n\n  "mcpServers": {\n\n    "a": {}\n\n  }\n\n}\n\n\n',
    "odd indents": '{\n "mcpServers": {\n       "a": {}\n   }\n}\n',
    "big numbers": '{\n  "n": 12345678901234567890.123,\n  "mcpServers": {\n    "a": {}\n  }\n}\n',
    "escapes": '{\n  "p": "C:\\\\Users\\\\a\\u0041\\/",\n  "mcpServers": {\n    "a": {}\n  }\n}\n',
    "single quotes": "{\n  'mcpServers': {\n    'a': {}\n  }\n}\n",
    "names without quotes": "{\n  mcpServers: {\n    a: {}\n  }\n}\n",
}
NO_HOLDER: Mapping[str, str] = {
    "nothing": "",
    "blanks": "  \n",
    "only a mark": BOM,
    "an empty object": "{}",
    "an empty object over lines": "{\n}\n",
    "others only": '{\n  "theme": "dark"\n}\n',
    "others, one line": '{"theme": "dark"}',
    "an empty holder": '{\n  "mcpServers": {}\n}\n',
    "an empty holder with a comment": '{\n  "mcpServers": {\n    // none yet\n  }\n}\n',
}
BROKEN_JSON: Mapping[str, str] = {
    "cut off": '{\n  "mcpServers": {\n',
    "a list": "[]",
    "a text": '"x"',
    "no commas": '{"a": 1 "b": 2}',
    "holder is a list": '{"mcpServers": []}',
    "holder is a text": '{"mcpServers": "x"}',
    "words": "hello",
    "nested too deep": '{"a":' * 3000,
}


@pytest.mark.parametrize("name", ODD_JSON)
def test_what_goes_in_comes_out_and_nothing_else_moves(name: str):
    host, before = HOSTS["cursor"], ODD_JSON[name]
    after = text.with_entry(before, host, ENTRY)
    assert text.entry_in(after, host) == host.shape(ENTRY)
    assert text.with_entry(after, host, ENTRY) == after, "a second time changes nothing"
    assert text.without_entry(after, host) == before
    kept = iter(after)
    assert all(character in kept for character in before), "each character is still there, in its order"


@pytest.mark.parametrize("name", NO_HOLDER)
def test_a_holder_is_made_where_there_is_none(name: str):
    host, before = HOSTS["claude-desktop"], NO_HOLDER[name]
    after = text.with_entry(before, host, ENTRY)
    assert json_text.read(after)["mcpServers"] == {NAME: host.shape(ENTRY)}
    assert json_text.read(after).get("theme") == json_text.read(before).get("theme")
    assert text.entry_in(text.without_entry(after, host), host) is None


@pytest.mark.parametrize("name", BROKEN_JSON)
def test_what_cannot_be_read_is_left_alone(name: str):
    with pytest.raises(NotInstalled):
        text.with_entry(BROKEN_JSON[name], HOSTS["cursor"], ENTRY)


@pytest.mark.parametrize("ours", ['"fal": {"command": "old", "args": [1]}', '"fal": 3', '"fal": {}', '"fal": null'])
@pytest.mark.parametrize("layout", ["%s", '%s, "a": {}', '"a": {}, %s', '\n  // mine\n  %s,\n  "a": {}\n'])
def test_an_older_entry_is_put_in_its_place(ours: str, layout: str):
    before = '{"x": 1, "mcpServers": {' + layout % ours + "}}"
    after = text.with_entry(before, HOSTS["cursor"], ENTRY)
    assert text.entry_in(after, HOSTS["cursor"]) == HOSTS["cursor"].shape(ENTRY)
    assert after.startswith('{"x": 1, "mcpServers": {') and after.count('"fal"') == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=5), VALUES, max_size=4),
    st.dictionaries(st.text(max_size=5).filter(lambda name: name != NAME), VALUES, min_size=1, max_size=4),
    st.sampled_from([None, 1, 2, 4, "\t"]),
    st.booleans(),
)
def test_any_file_comes_back_to_the_byte(
    others: dict[str, object], servers: dict[str, object], indent: int | str | None, is_last: bool
):
    whole = {**others, "mcpServers": servers} if is_last else {"mcpServers": servers, **others, "mcpServers ": 0}
    whole["mcpServers"] = servers
    before = json.dumps(whole, indent=indent, ensure_ascii=False)
    after = text.with_entry(before, HOSTS["cursor"], ENTRY)
    assert json.loads(after) == {**whole, "mcpServers": {**servers, NAME: HOSTS["cursor"].shape(ENTRY)}}
    assert text.without_entry(after, HOSTS["cursor"]) == before


ODD_TOML: Mapping[str, str] = {
    "nothing": "",
    "others": '# mine\nmodel = "gpt-5"   # best\n\n[mcp_servers.a]\ncommand = "x"\nargs = []\n',
    "no last line break": 'model = "x"',
    "carriage returns": 'model = "x"\r\n\r\n[mcp_servers.a]\r\ncommand = "x"\r\n',
    "tables after": '[mcp_servers.a]\ncommand = "x"\n\n[profiles.b]\nmodel = "y"\n\n# the end\n',
    "arrays of tables": '[[hooks]]\nname = "a"\n\n[[hooks]]\nname = "b"\n',
    "a text of several lines": 'notes = """\n[mcp_servers.fal]\ncommand = "no"\n"""\n',
    "dates and numbers": "when = 2026-11-26T10:00:00Z\nn = 1_000\nf = 1e3\n",
    "inner tables": '[mcp_servers.a]\ncommand = "x"\n[mcp_servers.a.env]\nA = "b"\n',
    "dotted": 'tui.theme = "dark"\n',
}


@pytest.mark.parametrize("name", ODD_TOML)
def test_a_table_goes_into_toml_and_out_again(name: str):
    host, before = HOSTS["codex"], ODD_TOML[name]
    entry = Entry("/x/fal-mcp", [], "FAL_KEY", {"HTTPS_PROXY": "http://p:1"})
    after = text.with_entry(before, host, entry)
    assert toml_text.read(after)["mcp_servers"][NAME]["env_vars"] == ["FAL_KEY"]
    assert after.startswith(before) and text.with_entry(after, host, entry) == after
    ending = "" if not before or before.endswith("\n") else before[-1:] and "\n"
    assert text.without_entry(after, host) == before + ending


def test_an_older_table_is_put_anew():
    before = (
        'a = 1\n[mcp_servers.fal]\ncommand = "old"\n[mcp_servers.fal.env]\nFAL_KEY = "x"\n\n# about b\n[b]\nc = 2\n'
    )
    after = text.with_entry(before, HOSTS["codex"], Entry("/x/fal-mcp", [], "FAL_KEY"))
    assert toml_text.read(after)["mcp_servers"][NAME]["command"] == "/x/fal-mcp" and "# about b\n[b]\nc = 2" in after


@pytest.mark.parametrize(
    "broken", ["a = ", "[x\n", "a = 1\na = 2\n", '[mcp_servers]\nfal = {command = "x"}\n', "mcp_servers = 3\n"]
)
def test_toml_for_a_person_is_left_to_a_person(broken: str):
    with pytest.raises(NotInstalled):
        text.with_entry(broken, HOSTS["codex"], ENTRY)


ODD_GOOSE: Mapping[str, str] = {
    "nothing": "",
    "others": "GOOSE_MODEL: x  # mine\nextensions:\n  developer:\n    enabled: true\n    type: builtin\n",
    "more after": "extensions:\n  developer:\n    enabled: true\n\n# about\nother: 1\n",
    "four spaces": "extensions:\n    developer:\n        enabled: true\n",
    "carriage returns": "a: 1\r\nextensions:\r\n  developer:\r\n    enabled: true\r\n",
    "no holder": "a: 1\nb:\n  - 2\n",
    "comments inside": "extensions:\n  # first\n  developer:  # dev\n    enabled: true\n  # last\n",
    "quoted": 'extensions:\n  "developer":\n    enabled: "yes"\n',
}


@pytest.mark.parametrize("name", ODD_GOOSE)
def test_a_member_goes_into_yaml_and_out_again(name: str):
    host, before = HOSTS["goose"], ODD_GOOSE[name]
    entry = Entry("/x/fal-mcp", ["--only", "a:b, #c"], "FAL_KEY")
    after = text.with_entry(before, host, entry)
    assert yaml_text.read(after)["extensions"][NAME] == host.shape(entry)
    assert text.with_entry(after, host, entry) == after and text.without_entry(after, host) == before


ODD_CONTINUE: Mapping[str, str] = {
    "nothing": "",
    "others": "name: mine\nmcpServers:\n  - name: a\n    command: x\nmodels: []\n",
    "not indented": "mcpServers:\n- name: a\n  command: x\n- name: b\n  command: y\nmodels: []\n",
    "no holder": "name: mine\n",
}


@pytest.mark.parametrize("name", ODD_CONTINUE)
def test_an_item_goes_into_a_yaml_list_and_out_again(name: str):
    host, before = HOSTS["continue"], ODD_CONTINUE[name]
    after = text.with_entry(before, host, ENTRY)
    assert yaml_text.read(after)["mcpServers"][-1] == host.shape(ENTRY)
    assert text.with_entry(after, host, ENTRY) == after and text.without_entry(after, host) == before


@pytest.mark.parametrize(
    "broken", ["a: [", "- a\n", "extensions: {developer: {enabled: true}}\n", "a: b: c\n", "extensions: 3\n"]
)
def test_yaml_for_a_person_is_left_to_a_person(broken: str):
    with pytest.raises(NotInstalled):
        text.with_entry(broken, HOSTS["goose"], ENTRY)


def test_vs_code_is_told_to_ask_for_the_key_once():
    entry = Entry("/x/fal-mcp", [], "${input:fal-key}")
    before = '{\n  // mine\n  "servers": {},\n  "inputs": [{"id": "other", "type": "promptString"}]\n}\n'
    after = text.with_entry(before, HOSTS["vscode"], entry)
    assert [item["id"] for item in json_text.read(after)["inputs"]] == ["other", "fal-key"] and "// mine" in after
    assert text.with_entry(after, HOSTS["vscode"], entry) == after


@pytest.mark.parametrize("host", HOSTS.values(), ids=list(HOSTS))
def test_every_host_takes_the_entry(host: object):
    from fal_mcp.install.hosts import Host

    assert isinstance(host, Host)
    entry = Entry("/x/fal-mcp", ["--a"], host.reference, {"HTTPS_PROXY": "http://p:1"})
    assert text.entry_in(text.with_entry("", host, entry), host) == host.shape(entry)
