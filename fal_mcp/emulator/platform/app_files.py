"""The files that the account's apps share, a small tree. Fact F8."""

import hashlib

from starlette.responses import Response

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.platform.refusal import Refused
from fal_mcp.emulator.platform.request import Answer, Request
from fal_mcp.json_values import JsonObject


def _root(fal: Emulator, request: Request) -> object:
    return _listing(fal, "")


def _directory(fal: Emulator, request: Request) -> object:
    entries = _listing(fal, request.path["dir"].strip("/"))
    if not entries:
        # No 404 is documented for a listing.
        raise Refused(400, "No such directory")
    return entries


def _listing(fal: Emulator, directory: str) -> list[JsonObject]:
    """What is directly in it; a directory is there because something is in it."""
    prefix = f"{directory}/" if directory else ""
    names = {path.removeprefix(prefix).split("/")[0] for path in fal.app_files if path.startswith(prefix)}
    return [_entry(fal, f"{prefix}{name}", name) for name in sorted(names)]


def _entry(fal: Emulator, path: str, name: str) -> JsonObject:
    at, content = fal.born.isoformat(), fal.app_files.get(path)
    entry = {"path": path, "name": name, "created_time": at, "updated_time": at, "is_file": content is not None}
    if content is None:
        return {**entry, "size": 0}
    return {**entry, "size": len(content), "checksum_sha256": hashlib.sha256(content).hexdigest()}


def _download(fal: Emulator, request: Request) -> Response:
    content = fal.app_files.get(request.path["file"].strip("/"))
    if content is None:
        raise Refused(404)
    return Response(content, media_type="application/octet-stream")


def _from_url(fal: Emulator, request: Request) -> object:
    """Fetches nothing: the file holds the URL."""
    fal.app_files[request.path["file"].strip("/")] = request.body["url"].encode()
    return True


def _from_here(fal: Emulator, request: Request) -> object:
    """An archive is kept as it is; `unzip` is not heeded."""
    if "file_upload" not in request.body:
        raise Refused(400, "file_upload is required")
    fal.app_files[request.path["target_path"].strip("/")] = request.body["file_upload"]
    return True


ANSWERS: dict[str, Answer] = {
    "serverlessListRoot": _root,
    "serverlessListDirectory": _directory,
    "serverlessDownloadFile": _download,
    "serverlessUploadFromUrl": _from_url,
    "serverlessUploadLocalFile": _from_here,
}
