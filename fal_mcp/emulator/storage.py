"""Uploads on the REST host and the CDN, and every file that can be fetched. Fact F4."""

import hashlib
import json
import re
import uuid
from datetime import UTC, datetime, timedelta

import anyio.to_thread
from starlette.responses import JSONResponse, Response

from fal_mcp.emulator import realtime
from fal_mcp.emulator.emulator import Emulator, StoredFile
from fal_mcp.emulator.platform import secrets
from fal_mcp.emulator.visit import Visit

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_PART = re.compile(r"(?P<file>/.+)/multipart/(?P<upload>[^/]+)/(?P<part>\d+|complete)")
_SIGNED_PART = re.compile(r"(?P<file>/upload/.+?)/(?P<part>\d+|complete)")
_METADATA = re.compile(r"/applications/([^/]+/[^/]+)/metadata/?")
_TOKEN = "cdn-token"


async def control(fal: Emulator, visit: Visit) -> Response:
    """Whatever the REST host is asked."""
    if visit.path.startswith(secrets.PATH):
        return secrets.answer(fal, visit)
    if match := _METADATA.fullmatch(visit.path):
        await fal.held(match[1] in fal.own_apps.slow)
        return fal.own_apps.metadata(match[1], visit.headers.get("if-none-match"))
    match visit.method, visit.path.rstrip("/"):
        case "POST", "/storage/upload/initiate" | "/storage/upload/initiate-multipart":
            about = json.loads(visit.body)
            path = _new(fal, about["file_name"], about["content_type"])
            signed = f"{visit.base('cdn')}/upload{path}?signature=emulated"
            return JSONResponse({"upload_url": signed, "file_url": f"{visit.base('cdn')}{path}"})
        case "POST", "/storage/auth/token":
            until = datetime.now(UTC) + timedelta(hours=24)
            about = {"token": _TOKEN, "token_type": "Bearer", "base_url": visit.base("cdn")}
            # With +00:00 and not Z, which Python before 3.11 cannot read.
            return JSONResponse({**about, "expires_at": until.isoformat()})
        case "GET", "/.well-known/jwks.json":
            return JSONResponse(fal.signer.jwks())
        case "POST", "/tokens" | "/tokens/realtime":
            return realtime.give_token(fal, visit)
        case _:
            return JSONResponse({"detail": "Not Found"}, 404)


async def cdn(fal: Emulator, visit: Visit) -> Response:
    """Whatever the CDN is asked."""
    if visit.method == "GET":
        return await _serve(fal, visit)
    # The address itself is the permission: no key belongs there.
    if visit.path.startswith("/upload/"):
        return _signed(fal, visit)
    if visit.headers.get("authorization") != f"Bearer {_TOKEN}":
        return JSONResponse({"detail": "Unauthorized"}, 401)
    name = visit.headers.get("x-fal-file-name", "upload.bin")
    content_type = visit.headers.get("content-type", "application/octet-stream")
    if visit.path == "/files/upload":
        path = _new(fal, name, content_type)
        _put(fal, path, visit.body)
        return JSONResponse({"access_url": f"{visit.base('cdn')}{path}"})
    if visit.path == "/files/upload/multipart":
        path = _new(fal, name, content_type)
        return JSONResponse({"access_url": f"{visit.base('cdn')}{path}", "uploadId": uuid.uuid4().hex})
    if match := _PART.fullmatch(visit.path):
        return _part(fal, match["file"], match["part"], visit.body)
    return JSONResponse({"detail": "Not Found"}, 404)


def _signed(fal: Emulator, visit: Visit) -> Response:
    if match := _SIGNED_PART.fullmatch(visit.path):
        return _part(fal, match["file"].removeprefix("/upload"), match["part"], visit.body)
    path = visit.path.removeprefix("/upload")
    if path not in fal.files:
        return JSONResponse({"detail": "Not Found"}, 404)
    _put(fal, path, visit.body)
    return Response(status_code=200)


def _part(fal: Emulator, path: str, part: str, body: bytes) -> Response:
    if part == "complete":
        # Spelled in both ways by fal's own clients.
        numbers = [entry.get("partNumber", entry.get("part_number")) for entry in json.loads(body)["parts"]]
        _put(fal, path, b"".join(fal.uploads[path][number] for number in numbers))
        return JSONResponse({"ok": True})
    fal.uploads.setdefault(path, {})[int(part)] = body
    etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
    # In the body and in a header: one of fal's clients reads it here, the other there.
    return JSONResponse({"partNumber": int(part), "etag": etag}, headers={"etag": etag})


def _new(fal: Emulator, name: str, content_type: str) -> str:
    path = f"/files/b/{uuid.uuid4().hex[:8]}/{re.sub(r'[^A-Za-z0-9._-]', '_', name)}"
    fal.files[path] = StoredFile(name, content_type, bytes)
    return path


def _put(fal: Emulator, path: str, content: bytes) -> None:
    known = fal.files[path]
    fal.files[path] = StoredFile(known.name, known.content_type, lambda: content)
    fal.changed()


async def _serve(fal: Emulator, visit: Visit) -> Response:
    file = fal.files.get(visit.path)
    if file is None:
        return JSONResponse({"detail": "Not Found"}, 404)
    content = await anyio.to_thread.run_sync(lambda: file.content)
    headers = {"accept-ranges": "bytes"}
    match = _RANGE.fullmatch(visit.headers.get("range", ""))
    if match is None:
        return Response(content, 200, headers, file.content_type)
    first, last = int(match[1]), min(int(match[2] or len(content) - 1), len(content) - 1)
    if first > last:
        return Response(status_code=416, headers={"content-range": f"bytes */{len(content)}"})
    headers["content-range"] = f"bytes {first}-{last}/{len(content)}"
    return Response(content[first : last + 1], 206, headers, file.content_type)
