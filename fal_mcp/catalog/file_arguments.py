"""Which arguments of a model are files.

Files are plain strings in fal's documents: of a thousand `…_url` properties 19 have a format and 143 a marker, so the
name is the only dependable sign (facts/fal-model-documents, item 12).
"""

import re
from collections.abc import Iterator
from typing import Any, cast

from fal_mcp.catalog.endpoint import FileArgument
from fal_mcp.openapi.schema import MAX_DEPTH, Schema, branches

_KINDS = {
    "image": r"image|mask|photo|picture|portrait|face|frame|garment|logo|texture|sketch|thumbnail",
    "video": r"video|clip|footage",
    "audio": r"audio|voice|speech|music|song|sound",
    "archive": r"archive|zip|training_data|dataset",
    "3d": r"mesh|model_glb|glb|obj|3d",
}
_FILE_NAME = re.compile(r"(?:^|_)urls?$|_uri$")
_NOT_A_FILE = re.compile(r"webhook|callback|base_url|api_url|site_url|website|page_url")
_MARKERS = {"image": "image", "image_mask": "image", "mask": "image", "video": "video", "audio": "audio"}


def find(schema: Schema, markers: Schema) -> tuple[FileArgument, ...]:
    """The file positions of an input schema, in order.

    `markers` are the properties as fal wrote them: a `ui.field` or `_fal_ui_field` decides where there is one.
    """
    return tuple(dict.fromkeys(_in_object(schema, schema, markers, (), 0)))


def _in_object(
    schema: Schema, root: Schema, markers: Schema, path: tuple[str, ...], depth: int
) -> Iterator[FileArgument]:
    if depth > min(MAX_DEPTH, 8):
        return
    for name, part in schema.get("properties", {}).items():
        marked = _marker(markers.get(name)) if not path else None
        yield from _in_value(name, part, root, marked, (*path, name), depth)


def _in_value(
    name: str, part: Schema, root: Schema, marked: str | None, path: tuple[str, ...], depth: int
) -> Iterator[FileArgument]:
    for branch in branches(part, root):
        match branch.get("type"):
            case "string" if "enum" not in branch and "const" not in branch:
                if marked or _is_file(name):
                    yield FileArgument(path, marked or _kind(name), marked is not None)
            case "array":
                yield from _in_value(name, branch.get("items", {}), root, marked, (*path, "[]"), depth + 1)
            case _ if "properties" in branch:
                yield from _in_object(branch, root, {}, path, depth + 1)
            case _:
                pass


def _is_file(name: str) -> bool:
    return bool(_FILE_NAME.search(name)) and not _NOT_A_FILE.search(name)


def _kind(name: str) -> str:
    return next((kind for kind, words in _KINDS.items() if re.search(words, name)), "file")


def _marker(part: Any) -> str | None:
    if not isinstance(part, dict):
        return None
    about = cast(Schema, part)
    ui = cast(Schema, about.get("ui") or {})
    field: Any = about.get("_fal_ui_field") or ui.get("field")
    if isinstance(field, str):
        return _MARKERS.get(field, field if field in {"archive", "file"} else None)
    nested = map(_marker, [about.get("items"), *(about.get("anyOf") or ())])
    return next((found for found in nested if found), None)
