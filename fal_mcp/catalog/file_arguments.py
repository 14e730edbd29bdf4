"""Which arguments of a model are files, and of what kind.

Files are plain strings in fal's documents: of a thousand `…_url` properties 19 have a format and 143 a marker, so that
one is a file only its name tells. Of what kind it is, the document's own examples say, and the name no more than hints.
"""

import mimetypes
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from fal_mcp.addresses import parts_of
from fal_mcp.catalog.endpoint import FileArgument
from fal_mcp.json_values import JsonMapping, list_of, object_of
from fal_mcp.openapi.schema import Schema, branches

_KINDS = {
    "archive": re.compile(r"archive|zip|dataset|images?_data|training_data"),
    "3d": re.compile(r"mesh|model_glb|glb|obj|3d"),
    "image": re.compile(r"image|mask|photo|picture|img|png|jpe?g"),
    "video": re.compile(r"video|mp4|footage"),
    "audio": re.compile(r"audio|wav|mp3|speech"),
}
"""Words that name a kind. Where a name has several, the last is what it is and those before say what of."""
_HINTS = {
    "audio": re.compile(r"voice|music|song|sound"),
    "video": re.compile(r"clip"),
    "image": re.compile(r"portrait|face|frame|garment|logo|texture|sketch|thumbnail"),
}
"""Words that a file of any kind may be about: a `face` is most often a picture, and a `face_video` is none."""
_CHECKED = ("image/", "video/", "audio/")
_DEEPEST = 8
_FILE_NAME = re.compile(r"(?:^|_)urls?$|_uri$")
_NOT_A_FILE = re.compile(r"webhook|callback|base_url|api_url|site_url|website|page_url")
_ENDING = re.compile(r"\.[a-z0-9]{1,5}$")
_TYPES = {".ts": "video/mp2t", ".m4v": "video/mp4", ".glb": "model/gltf-binary", ".safetensors": "application/binary"}
_MARKERS = {"image": "image", "image_mask": "image", "mask": "image", "video": "video", "audio": "audio"}


def find(
    schema: Schema, markers: Schema, shown: Mapping[tuple[str, ...], tuple[str, ...]] | None = None
) -> tuple[FileArgument, ...]:
    """The file positions of an input schema, in order.

    `markers` are the properties as fal wrote them: a `ui.field` or `_fal_ui_field` decides where there is one. `shown`
    is what the document shows for a place.
    """
    known = shown or {}
    arguments = dict.fromkeys(_in_object(schema, schema, markers, (), 0))
    return tuple(_with_evidence(argument, markers, known.get(argument.path, ())) for argument in arguments)


def by_name(arguments: JsonMapping) -> tuple[FileArgument, ...]:
    """The file positions of arguments of which no document tells: texts under names that files have."""
    schema: Schema = {"type": "object", "properties": {name: _form(value) for name, value in arguments.items()}}
    return find(schema, {})


def _form(value: object) -> Schema:
    """What schema a value would fit, as far as files in it are concerned."""
    if isinstance(value, str):
        return {"type": "string"}
    if items := list_of(value):
        return {"type": "array", "items": _form(items[0])}
    return {"type": "object", "properties": {name: _form(part) for name, part in object_of(value).items()}}


def _with_evidence(argument: FileArgument, markers: Schema, shown: tuple[str, ...]) -> FileArgument:
    """The argument with the media types that the document gives evidence of; none where it gives none.

    What the name says is let in beside them: the examples need not be all there is.
    """
    types = [known for text in shown if text.strip() and (known := _type_of(text))]
    is_marked = len(argument.path) == 1 and _marker(markers.get(argument.path[0])) in ("image", "video", "audio")
    # One example of a kind that cannot be told apart by its first bytes, and nothing may be refused for its kind.
    if not (types or is_marked) or not all(known.startswith(_CHECKED) for known in types):
        return argument
    # A moving GIF stands for a film where films are shown; that does not make pictures of films.
    seen = ["image/gif" if known == "image/gif" and argument.kind != "image" else _family(known) for known in types]
    named = [f"{argument.kind}/"] if f"{argument.kind}/" in _CHECKED else []
    accepts = dict.fromkeys([*named, *seen])
    if "audio/" in accepts:
        # The sound of a film will do.
        accepts["video/"] = None
    kind = argument.kind if argument.kind != "file" else seen[0].partition("/")[0]
    return replace(argument, kind=kind, accepts=tuple(accepts))


def _type_of(text: str) -> str | None:
    """The media type of a file that a document shows, by its ending; None where that says nothing."""
    if text.startswith("data:"):
        return text[5:60].partition(";")[0].partition(",")[0].strip().lower() or None
    parts = parts_of(text[:2000])
    ending = _ENDING.search((parts.path if parts else "").lower())
    if ending is None:
        return None
    return _TYPES.get(ending[0]) or mimetypes.types_map.get(ending[0])


def _family(media_type: str) -> str:
    return media_type.partition("/")[0] + "/"


def _in_object(
    schema: Schema, root: Schema, markers: Schema, path: tuple[str, ...], depth: int
) -> Iterator[FileArgument]:
    if depth > _DEEPEST:
        return
    for name, part in schema.get("properties", {}).items():
        marked = _marker(markers.get(name)) if not path else None
        yield from _in_value(name, part, root, marked, (*path, name), depth)


def _in_value(
    name: str, part: Schema, root: Schema, marked: str | None, path: tuple[str, ...], depth: int
) -> Iterator[FileArgument]:
    for branch in branches(part, root):
        match branch.get("type"):
            # A choice of texts is no place for a file, whatever its name.
            case "string" if "enum" not in branch and "const" not in branch:
                if marked or _is_file(name):
                    yield FileArgument(path, marked or _kind("_".join(path)))
            case "array":
                yield from _in_value(name, branch.get("items", {}), root, marked, (*path, "[]"), depth + 1)
            case _ if "properties" in branch:
                yield from _in_object(branch, root, {}, path, depth + 1)
            case _:
                pass


def _is_file(name: str) -> bool:
    return bool(_FILE_NAME.search(name)) and not _NOT_A_FILE.search(name)


def _kind(name: str) -> str:
    for words in (_KINDS, _HINTS):
        places = {kind: [match.end() for match in word.finditer(name.casefold())] for kind, word in words.items()}
        last = {kind: ends[-1] for kind, ends in places.items() if ends}
        if last:
            # The last word is what it is: a `video_mask_url` takes a mask.
            return max(last, key=lambda kind: last[kind])
    return "file"


def _marker(part: object, depth: int = 0) -> str | None:
    about = object_of(part)
    field: object = about.get("_fal_ui_field") or object_of(about.get("ui")).get("field")
    if isinstance(field, str):
        return _MARKERS.get(field, field if field in {"archive", "file"} else None)
    nested = [about.get("items"), *list_of(about.get("anyOf"))] if depth < _DEEPEST else []
    return next((found for one in nested if (found := _marker(one, depth + 1))), None)
