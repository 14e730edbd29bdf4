"""What came inside an answer and is nowhere else, put on this disk: bytes as what they are, with their paths in their
place, and an answer that is too long to be told."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio.to_thread

from fal_mcp.errors import NotWritable
from fal_mcp.json_values import JsonMapping, JsonObject, dumped, is_list, is_object, mapped
from fal_mcp.machine.file_kind import sniffed
from fal_mcp.machine.output_folder import OutputFolder
from fal_mcp.outputs import data_uris, endings, media, saving
from fal_mcp.outputs.outcome import Media
from fal_mcp.text import one_line

# A text of this length is held twice while it is decoded.
_MOST_BYTES = 40_000_000
_UNKNOWN = "application/octet-stream"


async def keep(output: JsonMapping, folder: OutputFolder, stem: str) -> tuple[JsonObject, dict[str, Media]]:
    """`output` as JSON has it, and the files that were written, by their paths. What cannot be written is told in its
    place: a result that is paid for is never lost to a full disk."""
    kept = _Kept(folder, stem)

    def work() -> Any:
        try:
            return kept.value(dict(output))
        except RecursionError:
            # Nothing that fal answers is so deep; what is, is told without its bytes.
            return mapped(output, lambda leaf: f"{len(leaf)} bytes, not kept" if isinstance(leaf, bytes) else leaf)

    # In a thread: decoding megabytes would hold every other call.
    return await anyio.to_thread.run_sync(work), kept.files


async def written(output: JsonMapping, folder: OutputFolder, stem: str) -> Path:
    """Where all of `output` is now, as a JSON file.

    Raises:
        NotWritable: it cannot be written.
    """

    async def each(take: saving.Take) -> None:
        await take(await anyio.to_thread.run_sync(_json, output))

    return await saving.write(each, folder, folder.place(None), stem, lambda head: ".json")


def _json(output: JsonMapping) -> bytes:
    return dumped(output).encode()


class _Kept:
    """The files of one output, so far."""

    def __init__(self, folder: OutputFolder, stem: str) -> None:
        self.files: dict[str, Media] = {}
        self._folder = folder
        self._stem = stem

    def value(self, value: object, name: str = "", about: JsonMapping | None = None) -> Any:
        """`value`, with a path for all bytes in it; `about` is the object it stands in."""
        if is_object(value):
            item = value
            return {key: self.value(part, f"{name}.{key}" if name else key, item) for key, part in item.items()}
        if is_list(value):
            return [self.value(part, name, about) for part in value]
        content = data_uris.content(value, _MOST_BYTES) if isinstance(value, str) else value
        return self._file(content, name, about or {}) if isinstance(content, bytes) else value

    def _file(self, content: bytes, name: str, about: JsonMapping) -> str:
        # Thousands of tiny images in one answer would fill a folder that nobody looks through.
        if len(self.files) >= media.MOST_FILES:
            return f"{len(content)} bytes, not kept: {media.MOST_FILES} files of one answer are the most"
        try:
            content_type = _type(content, about)
            fields = {**about, "content_type": content_type, "file_size": len(content)}
            item = media.described("", name, fields)
            path = self._written(content, endings.of(content[: endings.HEAD], item))
        except NotWritable as error:
            return f"{len(content)} bytes, not kept: {error.message}"
        self.files[str(path)] = replace(item, url=path.as_uri())
        return str(path)

    def _written(self, content: bytes, ending: str) -> Path:
        stream, unfinished = self._folder.begin(self._folder.place(None))
        try:
            with stream:
                stream.write(content)
            return self._folder.finish(unfinished, f"{self._stem}-{len(self.files) + 1}", ending)
        except OSError as error:
            raise NotWritable(f"A file could not be written: {error.strerror}.") from error
        finally:
            self._folder.drop(unfinished)


def _type(content: bytes, about: JsonMapping) -> str:
    """By what the bytes are, and by what is said of them where they do not tell."""
    sniffed_type, declared = sniffed(content[: endings.HEAD], ""), about.get("content_type")
    is_told = sniffed_type == _UNKNOWN and isinstance(declared, str) and declared
    return one_line(str(declared), 100) if is_told else sniffed_type
