"""What fal remembers of past requests: this emulator's own jobs. Fact F6.8."""

from dataclasses import replace

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.job import Job
from fal_mcp.emulator.platform import pages
from fal_mcp.emulator.platform.refusal import Refused
from fal_mcp.emulator.platform.request import Answer, Request, moment
from fal_mcp.emulator.queue import app_id
from fal_mcp.json_values import JsonObject, is_list, is_object

_RUNNER = "7e1f5a52-0d3b-4d0e-9c55-3f0a8a6d1b11"


def _by_endpoint(fal: Emulator, request: Request) -> object:
    return pages.by_cursor(fal, request, "items", [_item(job, request) for job in _found(fal, request)])


def _serverless(fal: Emulator, request: Request) -> object:
    billing = "billing" in request.listed("expand")
    items = [
        {**_item(job, request), "runner_id": _RUNNER, "billable_units": 1.0 if billing else None}
        for job in _found(fal, request)
    ]
    return pages.by_cursor(fal, request, "items", items)


def _search(fal: Emulator, request: Request) -> object:
    queries = [one for one in ("query", "image_url", "video_url") if one in request.query]
    if len(queries) > 1:
        raise Refused(400, "Only one of query, image_url and video_url may be given")
    words = request.query.get("query", "").casefold()
    wanted = request.listed("endpoint_id")
    results = [
        {**_item(job, request), "json_input": job.input, "similarity": 0.9}
        for job in _newest(fal)
        if words in str(job.input).casefold() and (not wanted or job.endpoint_id in wanted)
    ]
    return pages.by_cursor(fal, request, "results", results)


def _delete_payloads(fal: Emulator, request: Request) -> object:
    job = fal.jobs.get(request.path["request_id"])
    if job is None:
        raise Refused(404)
    links = [link for link in _links(job.output) if fal.files.pop(_place(link), None)]
    # The job stays on the list, as it does at fal: only what went in and came out is gone.
    job.script = replace(job.script, keeps_payloads=False)
    return {"cdn_delete_results": [{"link": link, "exception": None} for link in links]}


def _found(fal: Emulator, request: Request) -> list[Job]:
    """The jobs asked for, newest first."""
    query, wanted = request.query, request.listed("endpoint_id")
    return [
        job
        for job in _newest(fal)
        if job.account == fal.accounts.get(request.visit.key, "")
        and (job.endpoint_id in wanted or app_id(job.endpoint_id) in wanted)
        and query.get("request_id") in (None, job.request_id)
        and query.get("status") in (None, _status(job))
        and ("start" not in query or moment(job.sent) >= moment(query["start"]))
        and ("end" not in query or moment(job.sent) < moment(query["end"]))
    ]


def _newest(fal: Emulator) -> list[Job]:
    return list(reversed(fal.jobs.values()))


def _status(job: Job) -> str | None:
    if not job.is_over:
        return None
    if job.failure is None:
        return "success"
    # fal's word for what the caller could have changed.
    return "user_error" if job.failure.status < 500 else "error"


def _item(job: Job, request: Request) -> JsonObject:
    item: JsonObject = {
        "request_id": job.request_id,
        "endpoint_id": job.endpoint_id,
        "sent_at": job.sent,
        "started_at": job.sent,
    }
    if job.is_over:
        item |= {"ended_at": job.sent, "status_code": job.failure.status if job.failure else 200, "duration": 0.0}
    if job.script.keeps_payloads and "payloads" in request.listed("expand"):
        item |= {"json_input": job.input, "json_output": job.output}
    return item


def _links(value: object) -> list[str]:
    """The CDN's files in a result."""
    if isinstance(value, str):
        return [value] if "/files/" in value else []
    if is_object(value):
        value = list(value.values())
    return [link for one in value for link in _links(one)] if is_list(value) else []


def _place(link: str) -> str:
    return f"/files/{link.partition('/files/')[2]}"


ANSWERS: dict[str, Answer] = {
    "listRequestsByEndpoint": _by_endpoint,
    "serverlessListRequestsByEndpoint": _serverless,
    "searchRequests": _search,
    "deleteRequestPayloads": _delete_payloads,
}
