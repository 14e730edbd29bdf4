"""Cleans text that others wrote: logs, captions, catalog text, error bodies. Says sizes as people do.

What comes out is safe to show in a terminal and to a model: no escape sequences, no control, zero-width or
direction-changing characters, and never longer than asked.
"""

import json
import re
import unicodedata

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_SPACES = re.compile(r"[ \t\r\f\v\u00a0\u2028\u2029]+")
_BLANK_LINES = re.compile(r"\n{3,}")
_HIDDEN = re.compile(
    r"[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_KEPT_JOINERS = "\u200d"
"""The joiner of emoji and of Indic scripts carries meaning and hides nothing."""


def clean(text: str, limit: int) -> str:
    """`text` without anything invisible, at most `limit` characters, with an ellipsis where it was cut."""
    lines = [_SPACES.sub(" ", line).strip() for line in visible(text).split("\n")]
    return cut(_BLANK_LINES.sub("\n\n", "\n".join(lines)).strip(), limit)


def visible(text: str) -> str:
    """`text` without anything invisible, its spaces and line breaks as they were."""
    return text if text.isprintable() else "".join(c for c in _ESCAPES.sub("", text) if c in "\n\t\r" or _is_visible(c))


def escaped(json_text: str) -> str:
    """JSON text with everything invisible in its strings written as an escape, so that it reads the same and shows."""
    return _HIDDEN.sub(lambda found: json.dumps(found[0])[1:-1], json_text)


def one_line(text: str, limit: int) -> str:
    """As `clean`, with line breaks turned into spaces."""
    return cut(" ".join(clean(text, len(text) + 1).split()), limit)


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
    decimals = 4 if usd >= 0.01 else 12
    text = f"{usd:,.{decimals}f}" if decimals == 4 else f"{float(f'{usd:.3g}'):.{decimals}f}"
    whole, _, rest = text.partition(".")
    return f"${whole}.{rest.rstrip('0').ljust(2, '0')}" if usd else "$0"


def _is_visible(character: str) -> bool:
    # Cc: control, Cf: zero-width and bidi marks and tags, Cs: lone surrogates, Co: private use.
    return character in _KEPT_JOINERS or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co"}
