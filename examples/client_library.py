"""fal by itself, without an assistant: submit, see how far it is, fetch the picture. FAL_URL may name a local fal."""

import os
import sys

import anyio

from fal_mcp import Completed, Fal, FalError, Hosts, InProgress, Queued


async def main(prompt: str) -> None:
    url = os.environ.get("FAL_URL")
    async with Fal(key=os.environ["FAL_KEY"], hosts=Hosts.at(url) if url else Hosts()) as fal:
        request = await fal.submit("fal-ai/flux/dev", {"prompt": prompt})
        async for status in fal.statuses(request):
            match status:
                case Queued(position):
                    print(f"waiting, {position} in front")
                case InProgress(logs):
                    print(*(line.message for line in logs), sep="\n")
                case Completed(seconds=seconds):
                    print(f"done after {seconds} s")
        result = await fal.result(request)
        print(await fal.download(result["images"][0]["url"], "picture.png"))


if __name__ == "__main__":
    try:
        anyio.run(main, " ".join(sys.argv[1:]) or "a lighthouse at dusk")
    except FalError as error:
        sys.exit(f"{error.message} {error.hint}")
