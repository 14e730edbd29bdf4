"""Regular expressions of documents, run in time that grows with the text and never with the square of it.

Python's own engine tries every way to match: `^(a+)+$` keeps it busy for half a minute over 28 letters. pydantic
brings Rust's along, which does not; what that cannot read (looking ahead, references back) is not checked here.
"""

from functools import lru_cache
from typing import Any

LONGEST = 500
_MOST_CHARACTERS = 100_000


def is_readable(pattern: str) -> bool:
    """Whether texts can be held against `pattern`."""
    return _compiled(pattern) is not None


def matches(pattern: str, text: str) -> bool:
    """Whether `pattern` is found in `text`; what cannot be told counts as a match, and fal will say."""
    validator = _compiled(pattern)
    if validator is None or len(text) > _MOST_CHARACTERS:
        return True
    try:
        return bool(validator.isinstance_python(text))
    except (ValueError, OverflowError):
        return True


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> Any:
    if len(pattern) > LONGEST:
        return None
    # Brought in with the first pattern: the start has no need of it.
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except (SchemaError, ValueError, OverflowError):
        return None
