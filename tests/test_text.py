"""Text from elsewhere, as people and models are shown it: what cannot be seen carries nothing, and no key is told."""

import base64
import json
import re
import sys
import unicodedata
import urllib.parse
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_mcp import text
from tests.conftest import KEY

CARRIERS = {
    "escape of a terminal": ["\x1b[31m", "\x1b]0;title\x07", "\x1b]8;;https://e.x\x1b\\", "\x9b31m", "\x1bPq#0\x1b\\"],
    "control": ["\x00", "\x07", "\x08", "\x0b", "\x7f", "\x85", "\x9f"],
    "direction": ["\u200e", "\u200f", "\u061c", "\u202a", "\u202e", "\u2066", "\u2069"],
    "zero width": ["\u200b", "\u200c", "\u2060", "\ufeff", "\u00ad", "\u180e", "\u2063", "\u206a"],
    "joiners in a run": ["\u200d\u200d", "\u200d\u200c\u200d", "\u200d" * 50],
    "variation selectors": ["\ufe00", "\ufe0f", "\U000e0100", "\U000e01ef", "\u180b", "\u180d", "\u180f"],
    "tags": ["\U000e0001", "\U000e0041", "\U000e007f"],
    "fillers": ["\u115f", "\u1160", "\u3164", "\uffa0", "\u2800", "\u034f", "\u17b4", "\u17b5"],
    "private and half": ["\ue000", "\U000f0000", "\U0010fffd", "\ud800", "\udfff"],
    "never characters": ["\ufdd0", "\ufdef", "\U0001fffe", "\U000affff", "\U000efffe"],
    "shapeless": ["\U0001d159", "\U0001d173", "\U0001bca0", "\U00013430"],
}


@pytest.mark.parametrize("carrier", [one for kind in CARRIERS.values() for one in kind])
def test_what_cannot_be_seen_is_gone(carrier: str):
    for shown in (text.visible(f"a{carrier}b"), text.clean(f"a{carrier}b", 50), text.one_line(f"a{carrier}b", 50)):
        assert shown.replace(" ", "") == "ab"


@given(st.text(st.characters(), max_size=80))
def test_whatever_is_cleaned_shows_what_it_is_and_stays_as_it_is(given_: str):
    shown = text.visible(given_)
    shown.encode()
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Co") and c not in "\n\t\r" for c in shown)
    assert text.visible(shown) == shown
    assert len(text.one_line(given_, 20)) <= 20 and "\n" not in text.one_line(given_, 20)


def test_every_character_that_unicode_calls_ignorable_is_gone():
    """By category Cf; signs of Arabic, Syriac and Kaithi that have a shape are not meant."""
    shaped = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    left = [
        hex(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) == "Cf" and code not in shaped and len(text.visible(f"a{chr(code)}b")) > 2
    ]
    assert left == []


SECRET = "12ab34cd-1234-1234-1234-123456789012:feedfacefeedface0123456789abcdef"
HALF = SECRET.partition(":")[2]
FORMS: dict[str, str] = {
    "plain": SECRET,
    "half": HALF,
    "capitals": HALF.upper(),
    "for an address": urllib.parse.quote(SECRET, safe=""),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "basic": base64.b64encode(f"user:{SECRET}".encode()).decode(),
    "base64 after one": base64.urlsafe_b64encode(f"x{SECRET}y".encode()).decode(),
    "base64 after two": base64.b64encode(f"xy{HALF}".encode()).decode(),
    "hexadecimal": SECRET.encode().hex().upper(),
    "two lines": f"{SECRET[:50]}\n{SECRET[50:]}",
    "indented lines": f"{SECRET[:50]}\r\n    {SECRET[50:]}",
    "spaces": " ".join(HALF),
    "lines in JSON": json.dumps(f"{SECRET[:45]}\n{SECRET[45:]}"),
    "carriers": "\u200b".join(HALF),
    "escapes": f"{SECRET[:50]}\x1b[0m{SECRET[50:]}",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_hidden_in_every_form_that_it_is_written_in(form: str):
    text.hide(SECRET)
    for around in ("{}", "said {} and more", "(x={})"):
        written = around.format(FORMS[form])
        for shown in (text.visible(written), text.clean(written, 900), text.one_line(written, 900)):
            bare = "".join(shown.split()).replace("\\n", "").lower()
            assert HALF not in bare and HALF.encode().hex() not in bare and "(akey)" in bare
            for part in _encoded(shown):
                assert HALF.encode() not in part
    if form not in ("carriers", "escapes"):
        assert "(a key)" in text.escaped(FORMS[form])


@pytest.mark.parametrize("number", range(12))
def test_a_whole_key_leaves_nothing_of_itself(number: int):
    """Its id too, whichever of the many forms that are looked for comes first."""
    key = f"account{number:04}-of-somebody:{number:02}secret-half-{number * 7919}"
    text.hide(key)
    assert text.visible(f"signed in with {key} and {key.partition(':')[2]}") == "signed in with (a key) and (a key)"


def _encoded(shown: str) -> Iterator[bytes]:
    for part in re.findall(r"[A-Za-z0-9+/_-]{20,}", shown):
        plain = part.replace("-", "+").replace("_", "/")
        yield base64.b64decode(plain[: len(plain) // 4 * 4])


@pytest.mark.parametrize(
    "plain",
    ["👩\u200d🚀", "👨\u200d👩\u200d👧", "क\u094d\u200dष", "naïve café", "e\u0301", "日本語", "שָׁלוֹם", "a\n\tb", "ทั้งนี้"],
)
def test_what_carries_meaning_stays(plain: str):
    assert text.visible(plain) == plain


def test_a_flood_of_marks_is_a_few():
    assert len(text.visible("a" + "\u0301" * 500)) <= 5
    assert text.visible("x\u0301y" * 100) == "x\u0301y" * 100


@pytest.mark.parametrize(
    "said",
    [
        KEY,
        f"Authorization: Key {KEY}",
        f"https://e.x/?key={KEY}&x=1",
        KEY.upper(),
        f"{KEY[:20]}\u200b{KEY[20:]}",
        "99999999-aaaa-4bbb-8ccc-dddddddddddd:0123456789abcdef0123456789abcdef",
    ],
)
def test_no_key_is_shown_in_any_text(said: str):
    for shown in (text.clean(said, 500), text.one_line(said, 500), text.visible(said)):
        assert "0123456789abcdef" not in shown.casefold()
    assert "0123456789abcdef" not in text.escaped(f'"{said}"').replace("\\u200b", "").casefold() or "\u200b" in said


def test_a_key_of_another_form_is_hidden_once_it_is_known():
    text.hide("a-key-of-some-other-form")
    assert text.one_line("Key a-key-of-some-other-form was refused", 200) == "Key (a key) was refused"
    text.hide(None)
    text.hide("short")
    assert text.one_line("short", 20) == "short"
