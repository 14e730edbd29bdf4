"""The files that the account's serverless apps share: looked through, fetched, stored. Fact F8."""

import re
from pathlib import PurePosixPath
from typing import cast

import anyio
from pydantic import Field

from fal_mcp.client.file_stream import Upload
from fal_mcp.errors import InvalidInput, NotFound, NotWritable, ServiceFailed
from fal_mcp.json_values import JsonObject, is_list, is_object, text_of, whole_number_of
from fal_mcp.machine.output_folder import slug
from fal_mcp.machine.readable import path_in
from fal_mcp.outputs import endings, saving
from fal_mcp.outputs.outcome import Media, Outcome
from fal_mcp.runs import file_upload, input_files
from fal_mcp.runs.call import Call
from fal_mcp.text import one_line, readable_size
from fal_mcp.tools import from_function, pages, rules
from fal_mcp.tools.from_function import Arguments
from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets import platform

_MOST_SHOWN = 500
_LONGEST_NAME = 200
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,16}")


class ListArguments(Arguments):
    dir: str | None = Field(None, min_length=1, max_length=1000, description="A folder there. Left out: the top.")


class DownloadArguments(Arguments):
    file: str = Field(min_length=1, max_length=1000, description="Its path there.")
    save_to: str | None = Field(None, max_length=200, description="A folder in the output folder.")


class UploadArguments(Arguments):
    path: str = Field(min_length=1, max_length=4096, description="A file that this server may read.")
    target_path: str = Field(min_length=1, max_length=1000, description="Where it goes, with its name.")
    unzip: bool = Field(False, description="Unpack a ZIP there.")


def tools() -> list[Tool]:
    """The tools of the apps' files that are more than one request."""
    return [
        from_function.tool(
            ListArguments,
            _list,
            name="list_app_files",
            title="List the apps' files",
            description="Files and folders in the storage that the account's serverless apps share, with sizes.",
            effect="reads",
            key="user",
        ),
        from_function.tool(
            DownloadArguments,
            _download,
            name="download_app_file",
            title="Fetch an app's file",
            description="Saves a file of the apps' storage in the server's output folder and gives its path. Never "
            "over another file; at most 20 GiB.",
            effect="writes",
            key="user",
        ),
        from_function.tool(
            UploadArguments,
            _upload,
            name="upload_app_file",
            title="Store a file for the apps",
            description="Puts a file of the server's machine in the storage that the account's serverless apps share.",
            effect="writes",
            key="user",
        ),
    ]


async def _list(arguments: ListArguments, call: Call) -> Outcome:
    name = "serverlessListRoot" if arguments.dir is None else "serverlessListDirectory"
    given = arguments.model_dump(exclude_none=True)
    # The top has an address of its own: the other one wants a folder's name.
    operation = platform.operations()[name]
    rules.check(operation, given)
    answer: object = await pages.send(operation, given, call)
    if not is_list(answer) or not all(is_object(one) for one in answer):
        raise ServiceFailed("fal's answer is no list of files.")
    entries = cast(list[JsonObject], answer)
    where = f"in {one_line(arguments.dir, _LONGEST_NAME)}" if arguments.dir else "at the top"
    lines = [f"{len(entries)} entries {where}.", *map(_line, entries[:_MOST_SHOWN])]
    if len(entries) > _MOST_SHOWN:
        lines.append(f"… and {len(entries) - _MOST_SHOWN} more; look into one folder.")
    return Outcome(data={"files": entries[:_MOST_SHOWN], "count": len(entries)}, note="\n".join(lines), is_plain=True)


def _line(entry: JsonObject) -> str:
    path = one_line(text_of(entry.get("path")) or text_of(entry.get("name")) or "?", _LONGEST_NAME)
    if not entry.get("is_file"):
        return f"{path.rstrip('/')}/"
    size = whole_number_of(entry.get("size"))
    return f"{path}  {'size not told' if size is None else readable_size(size)}"


async def _download(arguments: DownloadArguments, call: Call) -> Outcome:
    if call.output is None:
        hint = "Nothing was fetched. Whoever runs it can name a folder with --output-dir."
        raise NotWritable("This server saves no files: it has no --output-dir.", hint=hint)
    operation = platform.operations()["serverlessDownloadFile"]
    given = {"file": arguments.file}
    rules.check(operation, given)
    request = operation.request(given)
    name = PurePosixPath(arguments.file)

    async def each(take: saving.Take) -> None:
        await call.fal().app_files.each(request.path, take)

    try:
        path = await saving.write(
            each,
            call.output,
            call.output.place(arguments.save_to),
            slug(name.stem) or "file",
            # Its own ending where it has one: what the account put there is not a picture to be sniffed.
            lambda head: name.suffix if _ENDING.fullmatch(name.suffix) else endings.of(head, Media("", "file")),
        )
    except NotFound as error:
        error.hint = "list_app_files shows what there is."
        raise
    size = (await anyio.Path(path).stat()).st_size
    return Outcome(
        data={"path": str(path), "size": size}, note=f"Saved as {path} ({readable_size(size)}).", is_plain=True
    )


async def _upload(arguments: UploadArguments, call: Call) -> Outcome:
    operation = platform.operations()["serverlessUploadLocalFile"]
    given = {"target_path": arguments.target_path, "unzip": arguments.unzip}
    rules.check(operation, given)
    path = path_in(arguments.path)
    if path is None:
        hint = "Give a path, or call upload_app_file_from_url."
        raise InvalidInput(f"{one_line(arguments.path, 120)!r} is not a path.", hint=hint)
    fal = call.fal()
    fal.need_key()
    await input_files.may_read(path, call)
    request = operation.request(given)
    with call.readable.opened(path) as file:
        upload = Upload(file.stream, file.size, file.name, "application/octet-stream")
        await fal.app_files.put(request.path, request.query, upload, file_upload.teller(file.name, call))
        done = f"{file.name} ({readable_size(file.size)}) is stored at {one_line(arguments.target_path, _LONGEST_NAME)}"
    note = f"{done}, unpacked." if arguments.unzip else f"{done}."
    return Outcome(data={"target_path": arguments.target_path, "size": file.size}, note=note, is_plain=True)
