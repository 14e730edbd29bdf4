"""JSON values that services write and readers break on: one table, for any place that a value can stand in.

`ODD` is the table by name; `anywhere` puts some of it at any position of an object; `wire` writes a value as the bytes
that a service would send, odd numbers and half characters as they are.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

_PIXEL = base64.b64encode(
    base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
).decode()
NUMBERS: Mapping[str, Any] = {
    "infinite": float("inf"),
    "minus infinite": float("-inf"),
    "not a number": float("nan"),
    "enormous": 10**400,
    "beyond a double": 1.7e308,
    "longer than Python reads": 10**3900,
    "beyond 2**53": 2**53 + 1,
    "tiny": 5e-324,
    "minus nothing": -0.0,
    "minus one": -1,
}
TEXTS: Mapping[str, Any] = {
    "empty": "",
    "half a character": "a\ud83db",
    "other half": "\udc00",
    "NUL": "a\x00b",
    "escape": "\x1b[31mred\x1b]0;x\x07",
    "bidi": "a\u202egnp.exe",
    "tags": "a\U000e0041\U000e007fb",
    "selectors": "a" + "\ufe0f\U000e0101" * 40,
    "joiners": "a" + "\u200d" * 100 + "b",
    "marks": "a" + "\u0301" * 500,
    "markup": "<script>alert(1)</script>[red]{0}%s",
    "long": "word " * 20_000,
    "like a label": "file 1",
    "like a reference": "fal://jobs/x/files/1",
    "JSON": '{"a": NaN}',
}
ADDRESSES: Mapping[str, Any] = {
    "broken host": "https://[x",
    "broken host with a file": "https://[::1/a.png",
    "port that is none": "https://v3.fal.media:port/a.png",
    "port out of range": "https://v3.fal.media:99999/a.png",
    "no host": "https:///a.png",
    "only a scheme": "https://",
    "spaces": "https://v3.fal.media/files/a b c.png",
    "brackets": "https://v3.fal.media/files/{a}|<b>.png",
    "another script": "https://v3.fal.media/files/\u00e4\u65e5.png",
    "elsewhere": "https://storage.googleapis.com/x/a.png",
    "inside": "http://169.254.169.254/a.png",
    "user and password": "https://a:b@v3.fal.media/a.png",
    "invisible": "https://v3.fal.media/a\u202egnp.exe",
    "very long": "https://v3.fal.media/" + "a" * 10_000 + ".png",
    "a line break": "https://v3.fal.media/a\nb.png",
    "file": "file:///etc/passwd",
    "script": "javascript:alert(1)",
}
DATA: Mapping[str, Any] = {
    "base64": f"data:image/png;base64,{_PIXEL}",
    "large letters": f"DATA:image/png;BASE64,{_PIXEL}",
    "charset": f"data:image/png;charset=utf-8;base64,{_PIXEL}",
    "without padding": f"data:image/png;base64,{_PIXEL.rstrip('=')}",
    "in lines": f"data:image/png;base64,{_PIXEL[:20]}\n {_PIXEL[20:]}",
    "escaped base64": f"data:image/png;base64,{_PIXEL.replace('=', '%3D')}",
    "other alphabet": "data:application/octet-stream;base64,__-_",
    "percent": "data:image/svg+xml,%3Csvg%20xmlns='http://www.w3.org/2000/svg'/%3E",
    "utf8": "data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg'/>",
    "plain": "data:,hello",
    "without a type": "data:;base64,AAAA",
    "no comma": "data:image/png;base64",
    "wrong base64": "data:image/png;base64,@@@@",
    "one digit": "data:image/png;base64,A",
    "no bytes": "data:image/png;base64,",
    "no picture": "data:image/png;base64,AAAA",
    "script": "data:text/html,<script>alert(1)</script>",
    "prose": "data: a, b and c",
}
SHAPES: Mapping[str, Any] = {
    "null": None,
    "true": True,
    "no items": [],
    "no keys": {},
    "nulls": [None, None],
    "empty files": [{"url": ""}, {"url": None}, {}],
    "file of no text": {"url": 5, "content_type": ["image/png"], "width": "wide", "file_size": -1},
    "file without an address": {"content_type": "image/png", "width": 1e999},
    "odd keys": {"": 1, " ": 2, "a.b": 3, "\u202ea": 4, "__proto__": 5, "$ref": "#/x", "k" * 300: 6, "\x00": 7},
    "keys alike": {"a": 1, "a\u200b": 2, "\ufe0fa": 3},
    "detail": {"detail": [{"msg": "x"}], "error": "none", "status": "FAILED", "job_id": "other"},
    "nested": {"a": {"b": {"c": [[[[["deep"]]]]]}}},
    "many": list(range(3000)),
    "left out": {"left_out": 5},
}
ODD: Mapping[str, Any] = {
    f"{kind}: {name}": value
    for kind, table in {
        "number": NUMBERS,
        "text": TEXTS,
        "address": ADDRESSES,
        "data": DATA,
        "shape": SHAPES,
    }.items()
    for name, value in table.items()
}
NAMES = (
    "images",
    "url",
    "image_url",
    "video",
    "text",
    "seed",
    "width",
    "content_type",
    "output",
    "prompt",
    "detail",
    "",
)


def nested(depth: int, inner: Any = 1) -> Any:
    """`inner` in so many lists and objects."""
    for number in range(depth):
        inner = [inner] if number % 2 else {"a": inner}
    return inner


def wire(value: Any) -> bytes:
    """The bytes that a careless service sends: `NaN`, `Infinity`, and half characters as escapes."""
    return json.dumps(value).encode()


def anywhere(names: tuple[str, ...] = NAMES) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with odd values at any position."""
    value = st.sampled_from(list(ODD.values()))
    key = st.sampled_from(names) | st.text(max_size=5)
    inner = st.recursive(
        value, lambda part: st.lists(part, max_size=3) | st.dictionaries(key, part, max_size=4), max_leaves=8
    )
    return st.dictionaries(key, inner, max_size=5)
