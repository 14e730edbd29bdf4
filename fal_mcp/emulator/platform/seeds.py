"""What the emulated account has before anything is done with it."""

from datetime import datetime, timedelta

from fal_mcp.emulator.platform import answers
from fal_mcp.emulator.platform.operations import operations
from fal_mcp.json_values import JsonObject

_LOG_LINES = 50
_ASSETS = 12
_MESSAGES = (
    ("info", "Runner started"),
    ("debug", "Loaded weights from /data/weights/base.safetensors"),
    ("info", "POST /sketch answered 200"),
    ("warning", "The queue is longer than usual"),
    ("error", "CUDA error: out of memory"),
)
_KINDS = ("image", "image", "video", "audio")


def apps() -> dict[str, JsonObject]:
    """Two serverless apps, by endpoint id."""
    return {
        "emulator/sketch": app("sketch", "GPU-H100", "private"),
        "emulator/upscaler": app("upscaler", "GPU-A100", "shared"),
    }


def app(name: str, machine_type: str, auth_mode: str, owner: str = "emulator") -> JsonObject:
    """An app as the Platform API lists it."""
    return {
        "endpoint_id": f"{owner}/{name}",
        "name": name,
        "owner": owner,
        "environment": "main",
        "machine_type": machine_type,
        "auth_mode": auth_mode,
        "keep_alive": 300,
        "min_concurrency": 0,
        "max_concurrency": 2,
        "request_timeout": 600,
        "startup_timeout": 300,
        "valid_regions": ["us"],
        "updated_at": "2026-07-01T12:00:00Z",
    }


def app_files() -> dict[str, bytes]:
    """The files that the apps share, by path."""
    return {
        "readme.txt": b"Shared by sketch and upscaler.\n",
        "datasets/pier/001.txt": b"a pier at dawn\n",
        "datasets/pier/002.txt": b"a pier at dusk\n",
        "weights/base.safetensors": bytes(range(256)) * 4,
    }


def logs(born: datetime) -> list[JsonObject]:
    """The apps' log lines of the time before, newest first, a minute apart."""
    return [
        log_line(
            *_MESSAGES[number % len(_MESSAGES)],
            app="emulator/upscaler" if number % 3 == 2 else "emulator/sketch",
            at=born - timedelta(minutes=number + 1),
            number=number,
        )
        for number in range(_LOG_LINES)
    ]


def log_line(level: str, message: str, *, app: str, at: datetime, number: int) -> JsonObject:
    """One line of an app's log; five in a row are of one request."""
    labels = {
        "fal_job_id": f"job_{number // 25:04}",
        "fal_request_id": answers.text("request_id", number // 5),
        "fal_source": "gateway",
    }
    return {
        "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": level,
        "message": message,
        "app": app,
        "revision": "rev_0004",
        "labels": labels,
    }


def assets() -> dict[str, JsonObject]:
    """A dozen assets, by id."""
    schema = operations().item("listAssets", "assets")
    found = [{**answers.value(schema, seed=number), **_asset(number)} for number in range(_ASSETS)]
    return {one["asset_id"]: one for one in found}


def _asset(number: int) -> JsonObject:
    kind = _KINDS[number % len(_KINDS)]
    more = {"type": kind, "content_type": {"image": "image/png", "video": "video/mp4", "audio": "audio/wav"}[kind]}
    source = "upload" if number % 5 == 4 else "response"
    return {**more, "source": source, "collection_ids": [], "tags": [], "similarity": None, "is_favorited": False}


def collections() -> dict[str, JsonObject]:
    """A collection inside another, by id."""
    schema = operations().item("listAssetCollections", "collections")
    harbour, piers = (_collection(schema, seed) for seed in (0, 1))
    harbour |= {"name": "Harbour", "parent_collection_id": None, "character_identifier": None}
    piers |= {"name": "Piers", "parent_collection_id": harbour["id"], "character_identifier": None}
    return {one["id"]: one for one in (harbour, piers)}


def _collection(schema: JsonObject, seed: int) -> JsonObject:
    return {**answers.value(schema, seed=seed), "type": "manual", "filters": None}


def characters() -> dict[str, JsonObject]:
    """One character, by id."""
    schema = operations().item("listAssetCharacters", "characters")
    keeper: JsonObject = {**answers.value(schema, seed=2), "name": "The keeper", "character_identifier": "keeper"}
    return {keeper["id"]: keeper | {"parent_collection_id": None}}


def tags() -> dict[str, JsonObject]:
    """One tag, by id."""
    tag: JsonObject = {**answers.value(operations().item("listAssetTags", "tags")), "name": "moodboard"}
    return {tag["id"]: tag}


def api_keys() -> dict[str, JsonObject]:
    """The account's keys as it lists them, by id; their secrets nobody knows."""
    return {
        "key_production": {"alias": "Production key", "created_at": "2025-01-15T12:00:00Z"},
        "key_staging": {"alias": "Staging key", "created_at": "2025-01-10T09:30:00Z"},
    }


def workflows() -> dict[str, JsonObject]:
    """One workflow, by name."""
    nodes = {
        "draw": {
            "id": "draw",
            "type": "run",
            "app": "fal-ai/flux/dev",
            "depends": ["input"],
            "input": {"prompt": "$input.prompt"},
        }
    }
    schema = {
        "input": {"prompt": {"type": "string", "name": "prompt", "label": "Prompt", "required": True}},
        "output": {"image_url": {"type": "string", "name": "image_url"}},
    }
    contents = {
        "name": "lighthouse",
        "version": "0.1",
        "nodes": nodes,
        "output": {"image_url": "$draw.images.0.url"},
        "schema": schema,
    }
    about = {"name": "lighthouse", "title": "A lighthouse", "user_nickname": "emulator", "is_public": False}
    return {"lighthouse": {**about, "created_at": "2026-02-03T10:00:00Z", "contents": contents}}
