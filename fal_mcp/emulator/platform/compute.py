"""The account's compute instances: list, create, read, delete. Fact F9."""

import uuid

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.platform import pages
from fal_mcp.emulator.platform.instance import Instance
from fal_mcp.emulator.platform.refusal import Refused
from fal_mcp.emulator.platform.request import Answer, Request


def _list(fal: Emulator, request: Request) -> object:
    return pages.by_cursor(fal, request, "instances", [one.shown() for one in fal.instances.values()])


def _create(fal: Emulator, request: Request) -> object:
    kind, sector = request.body["instance_type"], request.body.get("sector")
    if sector and not kind.startswith("gpu_8x"):
        raise Refused(400, "A sector goes with eight GPUs")
    instance = Instance(
        instance_id=f"inst_{uuid.uuid4().hex[:9]}",
        instance_type=kind,
        sector=sector,
        ssh_key=request.body["ssh_key"],
        ready_after=fal.instance_reads,
    )
    fal.instances[instance.instance_id] = instance
    return instance.shown()


def _get(fal: Emulator, request: Request) -> object:
    instance = _instance(fal, request)
    # Ready after so many looks and not after a time: a test does not wait.
    instance.reads += 1
    return instance.shown()


def _delete(fal: Emulator, request: Request) -> None:
    del fal.instances[_instance(fal, request).instance_id]


def _instance(fal: Emulator, request: Request) -> Instance:
    instance = fal.instances.get(request.path["id"])
    if instance is None:
        raise Refused(404)
    return instance


ANSWERS: dict[str, Answer] = {
    "listComputeInstances": _list,
    "createComputeInstance": _create,
    "getComputeInstance": _get,
    "deleteComputeInstance": _delete,
}
