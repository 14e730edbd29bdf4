# pyright: reportUnknownMemberType=false
"""fal's own client at work, unmodified: run in a process of its own, prints what it got as JSON."""

import asyncio  # noqa: TID251 - their client is written for it
import json
import sys
from pathlib import Path
from typing import Any

import fal_client

ENDPOINT = "fal-ai/flux/dev"
HELD = "fal-ai/flux/schnell"
ARGUMENTS = {"prompt": "a red bicycle", "seed": 7}


def plain() -> dict[str, Any]:
    """The synchronous client."""
    said: list[str] = []
    ran = fal_client.run(ENDPOINT, arguments=ARGUMENTS)
    handle = fal_client.submit(ENDPOINT, arguments=ARGUMENTS)
    result = handle.get()
    status = fal_client.status(ENDPOINT, handle.request_id, with_logs=True)
    again = fal_client.result(ENDPOINT, handle.request_id)

    def hear(update: fal_client.Status) -> None:
        said.extend([type(update).__name__, *(log["message"] for log in getattr(update, "logs", None) or ())])

    subscribed = fal_client.subscribe(ENDPOINT, arguments=ARGUMENTS, with_logs=True, on_queue_update=hear)
    held = fal_client.submit(HELD, arguments=ARGUMENTS)
    waiting = fal_client.status(HELD, held.request_id)
    fal_client.cancel(HELD, held.request_id)
    try:
        ended: Any = held.get()
    except fal_client.FalClientHTTPError as error:
        ended = error.status_code
    return {
        "seeds": [one["seed"] for one in (ran, result, again, subscribed)],
        "status": type(status).__name__,
        "said": said,
        "waiting": [type(waiting).__name__, getattr(waiting, "position", None)],
        "cancelled": ended,
    }


def uploads(folder: Path) -> list[str]:
    """A small file, and one large enough to go in parts."""
    small, large = folder / "small.txt", folder / "large.bin"
    small.write_bytes(b"hello")
    with large.open("wb") as file:
        file.truncate(101 * 1024 * 1024)
    return [fal_client.upload_file(small), fal_client.upload_file(large), fal_client.upload(b"raw", "text/plain")]


async def asynchronous() -> dict[str, Any]:
    """The asynchronous client, and what it makes of a refusal."""
    client = fal_client.AsyncClient()
    result = await client.subscribe(ENDPOINT, arguments=ARGUMENTS, with_logs=True)
    try:
        await client.subscribe(ENDPOINT, arguments={"prompt": "x", "num_images": 99})
        refused: Any = None
    except fal_client.FalClientHTTPError as error:
        refused = [error.status_code, error.response.json()["detail"][0]["loc"]]
    return {"seed": result["seed"], "refused": refused, "live": await live(client)}


async def live(client: fal_client.AsyncClient) -> list[Any]:
    """A realtime connection by token, and one by key, which fal's client does too."""
    pictures: list[Any] = []
    for use_jwt in (True, False):
        async with client.realtime(ENDPOINT, use_jwt=use_jwt, max_buffering=2) as connection:
            for seed in (7, 8):
                await connection.send({**ARGUMENTS, "seed": seed, "request_id": "r"})
                output = await connection.recv() or {}
                image = output["images"][0]
                pictures.append([output["seed"], output["request_id"], image["content"][:2].hex(), image["width"]])
    return pictures


def main() -> None:
    found = {**plain(), "uploads": uploads(Path(sys.argv[1])), "async": asyncio.run(asynchronous())}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
