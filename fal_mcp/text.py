"""Cleans text that others wrote: logs, captions, catalog text, error bodies. Says sizes as people do.

What comes out is safe to show in a terminal and to a model: no escape sequences, nothing that is invisible or changes
the direction of what is, no key of fal's, and never longer than asked.
"""

import base64
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache

# With their contents: a title that a log sets, or a link's address, would else stay as text.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]{0,500}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
_SPACES = re.compile(r"[ \t\r\f\v\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_BLANK_LINES = re.compile(r"\n{3,}")
_INVISIBLE = (
    r"\x7f-\x9f\u00ad\u061c\u2028-\u202e\ufeff\ufff0-\ufffb\ufffe\uffff"
    # Joiners, marks of direction, and what is ignored wherever it stands.
    r"\u034f\u180e\u200b-\u200f\u2060-\u206f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U0001d159"
    # Variation selectors and tags, which carry any bytes.
    r"\ufe00-\ufe0f\u180b-\u180d\u180f\U000e0000-\U000e0fff"
    # Letters and signs without a shape: fillers, inherent vowels, the empty Braille cell, controls of other scripts.
    r"\u115f\u1160\u3164\uffa0\u17b4\u17b5\u2800\U00016fe4\U00013430-\U0001343f"
    # What is set aside never to be a character.
    r"\ufdd0-\ufdef"
    + "".join(f"\\U{plane:04x}fffe\\U{plane:04x}ffff" for plane in range(1, 15))
    +
    # Halves of characters, and what is private.
    r"\ud800-\udfff\ue000-\uf8ff\U000f0000-\U0010ffff"
)
_HIDDEN = re.compile(f"[{_INVISIBLE}]")
_REMOVED = re.compile(f"[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f{_INVISIBLE}]")
_JOINER = "\u200d"
_MOST_MARKS = 4
"""Marks on one letter: Vedic and Hebrew have as many, and only floods have more."""
_MARKS = re.compile(r"[^\x00-\u02ff\u0370-\u0482]{5,}")
"""Where so many could be."""
_KEY = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9a-z]{16,}", re.ASCII | re.IGNORECASE)
"""A key of fal's: an id and a secret."""
_NO_KEY = "(a key)"
_SHORTEST_SECRET = 12
_SPLIT = r"(?:\s|\\[nrt])*"
"""What a key is broken by where it is too long for a line, in a text or in JSON."""
_secrets: list[str] = []
"""In small letters, in each form that a text may have them in; the longest first, or the id of a key would be left
beside what stands for its secret."""


def hide(secret: str | None) -> None:
    """Never show this text again, nor its secret half, nor what is made of them by base64 or in hexadecimal: whoever
    opens a way to fal names its keys here."""
    # The secret half alone opens the account as well.
    parts = {part for part in (secret or "", (secret or "").rpartition(":")[2]) if len(part) >= _SHORTEST_SECRET}
    forms = {form.lower() for part in parts for form in (part, part.encode().hex(), *_base64_of(part))}
    _secrets[:] = sorted({*_secrets, *forms}, key=lambda form: (-len(form), form))


def _base64_of(secret: str) -> Iterator[str]:
    """What of base64 holds all of a secret wherever it begins in what was encoded, in both alphabets."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret.encode()).decode().rstrip("=")
        # The first and the last sign are made of what stands beside it too.
        whole = encoded[(0, 2, 3)[before] : -1]
        yield from (whole, whole.replace("+", "-").replace("/", "_"))


def clean(text: str, limit: int) -> str:
    """`text` without anything invisible, at most `limit` characters, with an ellipsis where it was cut."""
    shown = visible(text)
    if _is_plain(shown):
        return cut(" ".join(shown.split()), limit)
    lines = [_SPACES.sub(" ", line).strip() for line in shown.split("\n")]
    return cut(_BLANK_LINES.sub("\n\n", "\n".join(lines)).strip(), limit)


def visible(text: str) -> str:
    """`text` without anything invisible and without a key, its spaces and line breaks as they were."""
    text = _without_keys(text)
    if _is_plain(text):
        return text
    # A key may have been broken up by what was taken out.
    return _without_keys(_without_floods(_REMOVED.sub(_joined, _ESCAPES.sub("", text))))


def escaped(json_text: str) -> str:
    """JSON text with everything invisible in its strings written as an escape, so that it reads the same and shows."""
    plain = _without_keys(json_text)
    if plain.isascii():
        return plain.replace("\x7f", "\\u007f")
    shown = _HIDDEN.sub(lambda match: _as_escape(match[0]), plain)
    return _MARKS.sub(lambda match: _thinned(match[0], _as_escape), shown)


def one_line(text: str, limit: int) -> str:
    """As `clean`, with line breaks turned into spaces."""
    shown = visible(text)
    return cut(" ".join((shown if _is_plain(shown) else clean(text, len(text) + 1)).split()), limit)


def cut(text: str, limit: int) -> str:
    """`text` if it is short enough, else its beginning and an ellipsis, `limit` characters together."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip() + "…"


def readable_size(count: int) -> str:
    """A number of bytes in the largest unit that leaves a whole one."""
    for unit, whole in (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)):
        if count >= whole:
            return f"{count / whole:.1f} {unit}"
    return f"{count} bytes"


def money(usd: float) -> str:
    """Dollars as people write them: two decimals, and more where the first two say too little."""
    # A model may cost a hundredth of a cent, and "$0.00" would read as free.
    decimals = 4 if usd >= 0.01 else 12
    text = f"{usd:,.{decimals}f}" if decimals == 4 else f"{float(f'{usd:.3g}'):.{decimals}f}"
    whole, _, rest = text.partition(".")
    return f"${whole}.{rest.rstrip('0').ljust(2, '0')}" if usd else "$0"


def _is_plain(text: str) -> bool:
    """Whether nothing has to be looked for in it: one line of what every keyboard has. Nearly all texts are so."""
    return text.isascii() and text.isprintable()


def _without_keys(text: str) -> str:
    if len(text) >= _SHORTEST_SECRET and _secrets:
        spaced = text.replace("\\n", " ").replace("\\r", " ").replace("\\t", " ") if "\\" in text else text
        whole = "".join(spaced.split()).lower()
        for secret in _secrets:
            if secret in whole:
                text = _anywhere(secret).sub(_NO_KEY, text)
    return _KEY.sub(_NO_KEY, text) if ":" in text else text


@lru_cache(maxsize=64)
def _anywhere(secret: str) -> re.Pattern[str]:
    return re.compile(_SPLIT.join(map(re.escape, secret)), re.IGNORECASE)


def _joined(match: re.Match[str]) -> str:
    """Nothing, or the one joiner between two parts of an emoji or of a conjunct, where it carries meaning."""
    whole, start, end = match.string, match.start(), match.end()
    if match[0] != _JOINER or not 0 < start < end < len(whole):
        return ""
    before, after = whole[start - 1], whole[end]
    # An emoji's own variation selector may stand between; it goes, and the joiner stays.
    if before == "\ufe0f" and start > 1:
        before = whole[start - 2]
    is_emoji = unicodedata.category(before) in ("So", "Sk") and unicodedata.category(after) in ("So", "Sk")
    return _JOINER if is_emoji or unicodedata.combining(before) == 9 else ""


def _without_floods(text: str) -> str:
    return text if text.isascii() else _MARKS.sub(lambda match: _thinned(match[0], lambda mark: ""), text)


def _thinned(text: str, rest: Callable[[str], str]) -> str:
    """`text` with `rest` of each mark that is one too many on its letter."""
    shown: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        shown.append(character if marks <= _MOST_MARKS else rest(character))
    return "".join(shown)


def _as_escape(character: str) -> str:
    return json.dumps(character)[1:-1]
