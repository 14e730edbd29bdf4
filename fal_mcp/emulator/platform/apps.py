"""The account's serverless apps: their queues, runners, revisions and events. Fact F8."""

import random
from datetime import timedelta

from starlette.responses import Response

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.platform import pages
from fal_mcp.emulator.platform.buckets import period
from fal_mcp.emulator.platform.refusal import Refused
from fal_mcp.emulator.platform.request import Answer, Request, moment
from fal_mcp.json_values import JsonObject

_EVENTS = 60
_CATEGORIES = ("runner_started", "runner_finished", "runner_pending", "config_changed", "deployment_ended")
_METRICS = {
    "fal_app_runners": ("Runners of the app", 'machine_type="{machine_type}",state="running"'),
    "fal_app_queue_size": ("Requests waiting", ""),
    "fal_app_concurrent_requests": ("Requests being worked on", ""),
    "fal_app_requests_completed": ("Requests completed in the last minute", 'method="POST",status="200"'),
    "fal_app_requests_received": ("Requests received in the last minute", 'method="POST"'),
    "fal_app_request_latency": ("Requests completed, by seconds taken", 'le="+Inf"'),
}


def _list(fal: Emulator, request: Request) -> object:
    search, environment = request.query.get("search", "").casefold(), request.query.get("environment", "main")
    apps = [one for one in fal.apps.values() if search in one["name"] and one["environment"] == environment]
    routes = "endpoints" in request.listed("expand")
    return {
        "apps": [{**one, "endpoints": fal.own_apps.endpoints(one["endpoint_id"])} if routes else one for one in apps]
    }


def _queue(fal: Emulator, request: Request) -> object:
    return {"queue_size": fal.queues[_app(fal, request)]}


def _flush(fal: Emulator, request: Request) -> None:
    fal.queues[_app(fal, request)] = 0


def _runners(fal: Emulator, request: Request) -> object:
    endpoint_id, when = _app(fal, request), period(request)
    history: list[JsonObject] = []
    for start, _ in when.buckets():
        chance = random.Random(f"{endpoint_id} {start.isoformat()}")
        states = {state: chance.randrange(3) for state in ("running", "idle", "pending", "draining")}
        if endpoint_id in fal.own_apps.documents:
            states = {**dict.fromkeys(states, 0), "idle": int(endpoint_id in fal.own_apps.warm)}
        history.append({"timestamp": start.isoformat(), **states})
    about = {"timeframe": when.timeframe, "aggregation": request.query["aggregation"]}
    return {"endpoint_id": endpoint_id, **about, "history": history}


def _events(fal: Emulator, request: Request) -> object:
    endpoint_id = _app(fal, request)
    categories = request.listed("category")
    events = [
        event
        for number in range(_EVENTS)
        if (event := _event(fal, endpoint_id, number)) and (not categories or event["category"] in categories)
    ]
    if "start" in request.query:
        events = [one for one in events if moment(one["created_at"]) >= moment(request.query["start"])]
    if "end" in request.query:
        events = [one for one in events if moment(one["created_at"]) < moment(request.query["end"])]
    return {"endpoint_id": endpoint_id, **pages.by_cursor(fal, request, "events", events)}


def _event(fal: Emulator, endpoint_id: str, number: int) -> JsonObject:
    """The newest but `number`."""
    category = _CATEGORIES[number % len(_CATEGORIES)]
    if category.startswith("runner"):
        payload: JsonObject = {"job_id": f"job_{number:04}", "machine_type": fal.apps[endpoint_id]["machine_type"]}
    else:
        payload = {"reason": "deployed", "actor": {"nickname": "ada", "full_name": "Ada Emulated"}}
    at = fal.born - timedelta(minutes=13 * (number + 1))
    return {
        "event_id": f"event_{number:04}",
        "category": category,
        "created_at": at.isoformat(),
        "payload": payload,
    }


def _revisions(fal: Emulator, request: Request) -> object:
    endpoint_id = _app(fal, request)
    count = fal.own_apps.revisions[endpoint_id]
    revisions = [
        {
            "revision_id": f"rev_{count - number:04}",
            "created_at": (fal.born - timedelta(days=5 * number + 1)).isoformat(),
            "is_current": number == 0,
            "message": None if number else "A sharper lens",
            "annotations": None,
            "status": "failed" if number == 1 else "deployed",
            "deployed_by": "ada",
        }
        for number in range(count)
    ]
    return {"endpoint_id": endpoint_id, **pages.by_cursor(fal, request, "revisions", revisions)}


def _metrics(fal: Emulator, request: Request) -> Response:
    """In Prometheus' text format."""
    lines: list[str] = []
    for name, (about, labels) in _METRICS.items():
        lines += [f"# HELP {name} {about}", f"# TYPE {name} gauge"]
        for endpoint_id, app in fal.apps.items():
            value = fal.queues[endpoint_id] if name == "fal_app_queue_size" else len(endpoint_id) % 7
            more = labels.replace("{machine_type}", app["machine_type"])
            lines.append(f'{name}{{application="{endpoint_id}"{"," * bool(more)}{more}}} {value}')
    return Response("\n".join(lines) + "\n", media_type="text/plain")


def _app(fal: Emulator, request: Request) -> str:
    endpoint_id = f"{request.path['owner']}/{request.path['name']}"
    if endpoint_id not in fal.apps:
        raise Refused(404)
    return endpoint_id


ANSWERS: dict[str, Answer] = {
    "serverlessListApps": _list,
    "serverlessGetAppQueueInfo": _queue,
    "serverlessFlushAppQueue": _flush,
    "serverlessGetRunnerHistory": _runners,
    "serverlessListAppEvents": _events,
    "serverlessListAppRevisions": _revisions,
    "serverlessGetMetrics": _metrics,
}
