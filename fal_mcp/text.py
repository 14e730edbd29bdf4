"""Cleans text that others wrote: logs, captions, catalog text, error bodies.

What comes out is safe to show in a terminal and to a model: no escape sequences, no control, zero-width or
direction-changing characters, and never longer than asked.
"""

import re
import unicodedata

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_SPACES = re.compile(r"[ \t\r\f\v\u00a0\u2028\u2029]+")
_BLANK_LINES = re.compile(r"\n{3,}")
_KEPT_JOINERS = "\u200d"
"""The joiner of emoji and of Indic scripts carries meaning and hides nothing."""


def clean(text: str, limit: int) -> str:
    """`text` without anything invisible, at most `limit` characters, with an ellipsis where it was cut."""
    visible = "".join(c for c in _ESCAPES.sub("", text) if c in "\n\t\r" or _is_visible(c))
    lines = [_SPACES.sub(" ", line).strip() for line in visible.split("\n")]
    return cut(_BLANK_LINES.sub("\n\n", "\n".join(lines)).strip(), limit)


def one_line(text: str, limit: int) -> str:
    """As `clean`, with line breaks turned into spaces."""
    return cut(" ".join(clean(text, len(text) + 1).split()), limit)


def cut(text: str, limit: int) -> str:
    """`text` if it is short enough, else its beginning and an ellipsis, `limit` characters together."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip() + "…"


def _is_visible(character: str) -> bool:
    # Cc: control, Cf: zero-width and bidi marks and tags, Cs: lone surrogates, Co: private use.
    return character in _KEPT_JOINERS or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co"}
