"""The emulator's Platform API, by plain HTTP, against the document that ships with the package."""

import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import anyio
import httpx
import jsonschema
import pytest

from fal_mcp.emulator import Emulator, Reply, serve
from fal_mcp.emulator.platform.answers import value
from fal_mcp.emulator.platform.idempotency import MEMORY_SECONDS
from fal_mcp.emulator.platform.operations import Operation, operations
from tests.conftest import KEY, kept

ADMIN = "99999999-2222-4333-8444-555555555555:0123456789abcdef0123456789abcdef"
ENDPOINT = "fal-ai/flux/dev"
ALL = [pytest.param(one, id=one.operation_id) for one in operations()]
HEADERS = ("", f"Key {KEY}x", f"Bearer {ADMIN}", f"Key {KEY}")


@pytest.fixture
async def api(fal: Emulator) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of the Platform host with the admin key."""
    fal.admin_keys.add(ADMIN)
    fal.prices[ENDPOINT] = (0.025, "megapixels")
    async with kept(serve(fal)) as url, httpx.AsyncClient(base_url=f"{url}/api/v1", headers=auth(ADMIN)) as client:
        yield client


def auth(key: str) -> dict[str, str]:
    return {"authorization": f"Key {key}"}


def error(response: httpx.Response) -> tuple[int, str, str]:
    about = response.json()["error"]
    return response.status_code, about["type"], about["message"]


async def submitted(fal: Emulator, api: httpx.AsyncClient) -> str:
    """The id of a request that was run to its end."""
    queue = str(api.base_url).replace("/api/v1/", "/queue/")
    response = await api.post(f"{queue}{ENDPOINT}", json={"prompt": "a pier"}, headers=auth(KEY))
    request_id: str = response.json()["request_id"]
    with anyio.fail_after(5):
        await fal.until(lambda: fal.jobs[request_id].is_over)
    return request_id


def smallest(schema: dict[str, Any]) -> Any:
    """The least that a body may be: what is required, and of an open choice the first."""
    schema = schema.get("oneOf", [schema])[0]
    known = schema.get("properties", {})
    return {name: smallest_of(name, known[name]) for name in schema.get("required", ())}


def smallest_of(name: str, schema: dict[str, Any]) -> Any:
    match schema.get("type"):
        case [_, "null"]:
            return None
        case "object":
            return {ENDPOINT: {"call_quantity": 1}} if name == "endpoints" else smallest(schema)
        case "array":
            return ["https://example.com/a.png"] if schema.get("minItems") else []
        case "integer":
            return schema["minimum"]
        case _ if "url" in name:
            return "https://example.com/a.png"
        case _:
            return schema.get("enum", ["test"])[0]


async def minimal(fal: Emulator, api: httpx.AsyncClient, one: Operation) -> httpx.Request:
    """The smallest request that the document allows and something answers."""
    fal.past_prices[ENDPOINT] = 0.02
    names = {
        "request_id": await submitted(fal, api),
        "collection_id": next(iter(fal.collections)),
        "character_id": next(iter(fal.characters)),
        "tag_id": next(iter(fal.tags)),
        "asset_id": next(iter(fal.assets)),
        "username": "emulator",
        "workflow_name": "lighthouse",
        "owner": "emulator",
        "name": "sketch",
        "dir": "datasets/pier",
        "file": "datasets/pier/001.txt",
        "target_path": "datasets/quay/001.txt",
        "key_id": "key_staging",
    }
    if "{id}" in one.path:
        made = await api.post("/compute/instances", json={"instance_type": "gpu_1x_h100_sxm5", "ssh_key": "ssh-x"})
        names["id"] = made.json()["id"]
    place = next(iter(fal.files))
    known = {"endpoint_id": ENDPOINT, "source": "estimate", "url": f"https://v3.fal.media{place}"}
    required = [about["name"] for about in one.parameters if about["in"] == "query" and about.get("required")]
    query = {name: known[name] for name in required}
    path = one.path.format(**names)
    if one.body_type == "multipart/form-data":
        return api.build_request(one.method, path, files={"file_upload": b"\x00\r\n--bytes\n"})
    if one.body is None or one.body.get("type") == "array":
        return api.build_request(one.method, path, params=query)
    body = smallest(one.body)
    if "asset_id" in one.body.get("properties", {}):
        body["asset_id"] = names["asset_id"]
    return api.build_request(one.method, path, params=query, json=body)


@pytest.mark.parametrize("one", ALL)
async def test_every_operation_answers_the_smallest_request_as_the_document_says(
    fal: Emulator, api: httpx.AsyncClient, one: Operation
):
    if one.operation_id == "serverlessLogsStream":
        fal.end_logs()
    response = await api.send(await minimal(fal, api, one))
    assert response.status_code == one.status, response.text
    assert response.headers.get("content-type", "").partition(";")[0] == one.answer_type
    if one.answer_type == "application/json":
        jsonschema.validate(response.json(), one.answer or {})


@pytest.mark.parametrize("one", ALL)
def test_a_value_made_from_an_answers_schema_fits_it(one: Operation):
    for seed in range(3):
        jsonschema.validate(value(one.answer or {"type": "null"}, seed=seed), one.answer or {})


async def test_every_operation_asks_for_the_key_that_the_document_names(fal: Emulator, api: httpx.AsyncClient):
    """Fact F6.1: all but two ask for one, and those of money, keys and machines for an admin's."""
    found: dict[str, list[int]] = {}
    for one in operations():
        request = await minimal(fal, api, one)
        for header in HEADERS:
            if one.key != "plain" or header != f"Key {KEY}" or one.method == "GET":
                request.headers["authorization"] = header
                found.setdefault(f"{one.key} {header}", []).append((await api.send(request)).status_code)
    statuses = {name: set(codes) for name, codes in found.items()}
    none, plain, admin = [200] * 4, [401, 401, 401, 200], [401, 401, 401, 403]
    assert statuses == {
        f"{kind} {header}": {code}
        for kind, codes in (("none", none), ("plain", plain), ("admin", admin))
        for header, code in zip(HEADERS, codes, strict=True)
    }


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "word"),
    [
        ("GET", "/models", {"nonsense": "1"}, None, "nonsense"),
        ("GET", "/models", {"limit": "0"}, None, "limit"),
        ("GET", "/models", {"limit": "many"}, None, "limit"),
        ("GET", "/models", {"limit": ["1", "2"]}, None, "limit"),
        ("GET", "/models", {"status": "asleep"}, None, "status"),
        ("GET", "/models", {"cursor": "%"}, None, "cursor"),
        ("GET", "/models", {"endpoint_id": ",".join(["a/b"] * 51)}, None, "endpoint_id"),
        ("GET", "/models/pricing", {}, None, "endpoint_id"),
        ("GET", "/models/usage", {"start": "yesterday"}, None, "start"),
        ("GET", "/models/usage", {"start": "2026-01-02", "end": "2026-01-01"}, None, "start"),
        ("GET", "/models/usage", {"timezone": "Atlantis"}, None, "timezone"),
        ("GET", "/models/usage", {"expand": "auth_method"}, None, "expand"),
        ("GET", "/models/analytics", {"endpoint_id": ENDPOINT, "expand": "time_series,joy"}, None, "expand"),
        ("GET", "/models/requests/by-endpoint", {"endpoint_id": ENDPOINT, "limit": "101"}, None, "limit"),
        ("DELETE", "/models/requests/not-a-uuid/payloads", {}, None, "request_id"),
        ("GET", "/workflows/emulator/what.is.this", {}, None, "workflow_name"),
        ("POST", "/keys", {}, None, "body"),
        ("POST", "/keys", {}, {}, "alias"),
        ("POST", "/keys", {}, {"alias": 5}, "alias"),
        ("POST", "/assets/tags", {}, {"name": "x" * 51}, "name"),
        ("POST", "/compute/instances", {}, {"instance_type": "gpu_1x_a100", "ssh_key": "k"}, "instance_type"),
        ("POST", "/serverless/files/file/url/a/b.txt", {}, {"url": "https://a.example/b", "mode": 1}, "mode"),
        ("POST", "/serverless/files/file/url/a/b.txt", {}, {"url": "no address"}, "url"),
        ("PUT", "/storage/settings", {}, {"expiry": 5}, "expiry"),
        ("POST", "/assets/favorite", {}, {}, "asset_id"),
        ("GET", "/serverless/files/list/nowhere", {}, None, "directory"),
    ],
)
async def test_what_the_document_does_not_allow_is_refused_by_name(
    api: httpx.AsyncClient, method: str, path: str, query: dict[str, Any], body: Any, word: str
):
    response = await api.request(method, path, params=query, json=body)
    status, kind, message = error(response)
    assert (status, kind) == (400, "validation_error") and word in message


async def test_a_form_is_refused_where_json_is_due_and_a_body_where_none_is(api: httpx.AsyncClient):
    form = await api.post("/keys", data={"alias": "x"})
    spare = await api.post(f"/assets/collections/{'x' * 20}/favorite", json={"a": 1})
    assert error(form)[0] == 400 and error(spare)[0] == 400


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/compute/instances/none",
        "/serverless/apps/emulator/none/queue",
        "/assets/none",
        "/assets/tags/x/y",
    ],
)
async def test_what_is_not_there_is_not_found(api: httpx.AsyncClient, path: str):
    assert error(await api.get(path)) == (404, "not_found", "Resource not found")


async def test_an_idempotency_key_makes_one_thing_of_two_requests(fal: Emulator, api: httpx.AsyncClient):
    """Fact F6.1: the answer is kept for ten minutes."""
    body, headers = {"instance_type": "gpu_1x_h100_sxm5", "ssh_key": "ssh-x"}, {"idempotency-key": "one"}
    first = await api.post("/compute/instances", json=body, headers=headers)
    again = await api.post("/compute/instances", json=body, headers=headers)
    assert first.json() == again.json() and len(fal.instances) == 1
    assert (fal.idempotent["one"].operation_id, fal.idempotent["one"].repeats) == ("createComputeInstance", 1)
    fal.idempotent["one"] = replace(fal.idempotent["one"], at=fal.idempotent["one"].at - MEMORY_SECONDS)
    later = await api.post("/compute/instances", json=body, headers=headers)
    assert later.json() != first.json() and len(fal.instances) == 2


async def test_an_idempotency_key_is_not_heeded_where_the_document_has_none(fal: Emulator, api: httpx.AsyncClient):
    """Fact F6.1: creating a key is not among them."""
    before = len(fal.api_keys)
    for _ in range(2):
        await api.post("/keys", json={"alias": "twin"}, headers={"idempotency-key": "one"})
    assert len(fal.api_keys) == before + 2 and fal.idempotent == {}


async def paged(api: httpx.AsyncClient, method: str, path: str, name: str, **params: Any) -> list[Any]:
    """All items of a list, page by page."""
    found: list[Any] = []
    while True:
        page = (await api.request(method, path, params=params)).json()
        found += page[name]
        assert page["has_more"] == (page["next_cursor"] is not None)
        if not page["has_more"]:
            return found
        params["cursor"] = page["next_cursor"]


@pytest.mark.parametrize(
    ("method", "path", "name", "count"),
    [
        ("GET", "/assets", "assets", 12),
        ("GET", "/models/billing-events", "billing_events", 40),
        ("GET", "/serverless/apps/emulator/sketch/events", "events", 60),
        ("POST", "/serverless/logs/history", "items", 50),
    ],
)
async def test_the_pages_of_a_list_make_up_the_whole_of_it(
    api: httpx.AsyncClient, method: str, path: str, name: str, count: int
):
    found = await paged(api, method, path, name, limit=7)
    assert len(found) == len({json.dumps(one) for one in found}) == count


async def test_collections_are_paged_by_offset(fal: Emulator, api: httpx.AsyncClient):
    ids = [
        (await api.get("/assets/collections", params={"limit": 1, "offset": offset})).json()["collections"][0]["id"]
        for offset in (0, 1)
    ]
    assert ids == list(fal.collections)


@pytest.mark.parametrize("operation_id", ["listAssets", "serverlessLogsHistory"])
async def test_a_list_can_be_made_endless(fal: Emulator, api: httpx.AsyncClient, operation_id: str):
    fal.endless.add(operation_id)
    method, path = ("GET", "/assets") if operation_id == "listAssets" else ("POST", "/serverless/logs/history")
    params = {"limit": "40"}
    for _ in range(5):
        page = (await api.request(method, path, params=params)).json()
        assert page["has_more"] and len(page.get("assets", page.get("items"))) == 40
        params["cursor"] = page["next_cursor"]


@pytest.mark.parametrize("scripted", [Reply(429, {"error": {}}, {"retry-after": "1"}), Reply(200, b"{garbage")])
async def test_an_operation_answers_as_scripted(fal: Emulator, api: httpx.AsyncClient, scripted: Reply):
    fal.platform_replies["listApiKeys"] = scripted
    response = await api.get("/keys")
    assert response.status_code == scripted.status
    assert response.content == (scripted.body if isinstance(scripted.body, bytes) else b'{"error": {}}')
    assert (await api.get("/assets")).status_code == 200


async def test_a_list_of_models_needs_no_key_and_an_unknown_one_does_not_spoil_it(api: httpx.AsyncClient):
    """Fact F6.2."""
    assert (await api.get("/models", headers=auth("who:knows"))).status_code == 200


@pytest.mark.parametrize("path", ["/models/usage", "/serverless/usage", "/organization/usage"])
async def test_usage_adds_up_day_by_day_and_differs_from_the_week_before(api: httpx.AsyncClient, path: str):
    """Fact F6.5: what is paid is the subtotal without the discount."""
    week = {"start": "2026-03-02", "end": "2026-03-09", "expand": "time_series,summary"}
    report = (await api.get(path, params={**week, "timeframe": "day"})).json()
    days = [bucket["bucket"] for bucket in report["time_series"]]
    assert days == [f"2026-03-0{day}T00:00:00+00:00" for day in range(2, 9)]
    rows = [row for bucket in report["time_series"] for row in bucket["results"]]
    assert total(rows, "cost") == pytest.approx(total(report["summary"], "cost"))
    for row in [*rows, *report["summary"]]:
        subtotal, discount = row.get("cost_subtotal", row["cost"]), row.get("cost_discount", 0)
        assert row["cost"] == pytest.approx(subtotal - discount)
        assert subtotal == pytest.approx(row["quantity"] * row["unit_price"])
    hours = (await api.get(path, params={**week, "timeframe": "hour", "limit": "1000"})).json()
    assert len(hours["time_series"]) == 7 * 24
    assert total(hours["summary"], "quantity") == total(report["summary"], "quantity")
    before = (await api.get(path, params={**week, "start": "2026-02-23", "end": "2026-03-02"})).json()
    assert total(before["summary"], "cost") != total(report["summary"], "cost")


def total(rows: list[dict[str, Any]], name: str) -> float:
    return sum(row[name] for row in rows)


async def test_usage_is_told_by_key_and_filtered_by_it(api: httpx.AsyncClient):
    params = {"start": "2026-03-02", "end": "2026-03-03", "expand": "summary,auth_method"}
    rows = (await api.get("/models/usage", params=params)).json()["summary"]
    assert {row["auth_method"] for row in rows} == {"Production key", "Staging key", "User token"}
    assert len({row["endpoint_id"] for row in rows}) == 3
    staging = (await api.get("/models/usage", params={**params, "api_key_id": "key_staging"})).json()["summary"]
    assert staging == [row for row in rows if row["auth_method"] == "Staging key"]
    merged = (await api.get("/models/usage", params={**params, "expand": "summary"})).json()["summary"]
    assert [row["endpoint_id"] for row in merged] == sorted({row["endpoint_id"] for row in rows})
    assert total(merged, "cost_total") == pytest.approx(total(rows, "cost_total"))


async def test_a_day_is_reported_in_the_time_zone_asked_for(api: httpx.AsyncClient):
    params = {"start": "2026-03-02T12:00:00Z", "end": "2026-03-03T12:00:00Z", "timeframe": "day"}
    report = (await api.get("/models/usage", params={**params, "timezone": "America/New_York"})).json()
    assert [one["bucket"] for one in report["time_series"]] == [
        "2026-03-02T00:00:00-05:00",
        "2026-03-03T00:00:00-05:00",
    ]


async def test_analytics_have_the_metrics_asked_for_and_no_others(api: httpx.AsyncClient):
    """Fact F6.6."""
    metrics = ["request_count", "success_count", "user_error_count", "error_count", "p50_duration", "p99_duration"]
    params = {"endpoint_id": ENDPOINT, "start": "2026-03-02", "end": "2026-03-09", "expand": ["summary", *metrics]}
    report = (await api.get("/models/analytics", params=params)).json()
    [row] = report["summary"]
    assert "time_series" not in report and list(row) == ["endpoint_id", *metrics]
    assert row["request_count"] == row["success_count"] + row["user_error_count"] + row["error_count"]
    assert row["p50_duration"] < row["p99_duration"]


async def test_a_billing_event_of_a_request_has_its_price(fal: Emulator, api: httpx.AsyncClient):
    fal.past_prices[ENDPOINT] = 0.021
    request_id = await submitted(fal, api)
    page = (await api.get("/models/billing-events", params={"request_id": request_id})).json()
    assert [(one["request_id"], one["cost_total"]) for one in page["billing_events"]] == [(request_id, 0.021)]


async def test_payloads_are_shown_when_asked_for_and_gone_when_deleted(fal: Emulator, api: httpx.AsyncClient):
    """Fact F6.8."""
    request_id = await submitted(fal, api)
    params = {"endpoint_id": ENDPOINT, "expand": "payloads"}
    [with_them] = (await api.get("/models/requests/by-endpoint", params=params)).json()["items"]
    assert with_them["json_input"] == {"prompt": "a pier"}
    link = with_them["json_output"]["images"][0]["url"]
    gone = (await api.delete(f"/models/requests/{request_id}/payloads")).json()
    assert gone == {"cdn_delete_results": [{"link": link, "exception": None}]}
    assert (await api.get(link)).status_code == 404
    [without] = (await api.get("/models/requests/by-endpoint", params=params)).json()["items"]
    assert "json_input" not in without


async def test_an_instance_is_provisioned_then_pending_then_ready_at_an_address(fal: Emulator, api: httpx.AsyncClient):
    """Fact F9: the address is there once the machine is."""
    fal.instance_reads = 3
    body = {"instance_type": "gpu_8x_h100_sxm5", "ssh_key": "ssh-x", "sector": "sector_2"}
    states = [(await api.post("/compute/instances", json=body)).json()]
    address = f"/compute/instances/{states[0]['id']}"
    states += [(await api.get(address)).json() for _ in range(3)]
    assert [one["status"] for one in states] == ["provisioning", "pending", "pending", "ready"]
    assert ["ip" in one for one in states] == [False, False, False, True]
    assert (await api.get("/compute/instances")).json()["instances"] == [states[-1]]
    assert [(await api.delete(address)).status_code for _ in range(2)] == [204, 404]
    assert (await api.get(address)).status_code == 404


async def test_a_new_key_is_told_once_works_and_ends_with_its_deletion(api: httpx.AsyncClient):
    """Fact F10.1."""
    made = (await api.post("/keys", json={"alias": "for a test"})).json()
    assert made["key"] == f"{made['key_id']}:{made['key_secret']}"
    listed = (await api.get("/keys")).json()["keys"]
    assert made["key_secret"] not in json.dumps(listed) and listed[-1]["alias"] == "for a test"
    assert (await api.get("/workflows", headers=auth(made["key"]))).status_code == 200
    assert [(await api.delete(f"/keys/{made['key_id']}")).status_code for _ in range(2)] == [204, 204]
    assert (await api.get("/workflows", headers=auth(made["key"]))).status_code == 401


async def test_the_apps_files_are_a_tree_that_uploads_grow(fal: Emulator, api: httpx.AsyncClient):
    assert [one["name"] for one in (await api.get("/serverless/files/list")).json()] == [
        "datasets",
        "readme.txt",
        "weights",
    ]
    content = bytes(range(256)) + b"\r\n--\n"
    await api.post("/serverless/files/file/local/a b/deep/x.bin?unzip=true", files={"file_upload": content})
    await api.post("/serverless/files/file/url/a b/y.txt", json={"url": "https://example.com/y.txt"})
    [deep, text] = (await api.get("/serverless/files/list/a b")).json()
    assert (deep["path"], deep["is_file"]) == ("a b/deep", False)
    assert (text["path"], text["is_file"], text["size"]) == ("a b/y.txt", True, 25)
    assert (await api.get("/serverless/files/file/a%20b%2Fdeep%2Fx.bin")).content == content
    assert fal.app_files["a b/y.txt"] == b"https://example.com/y.txt"


async def test_flushing_an_apps_queue_empties_it(api: httpx.AsyncClient):
    queue = "/serverless/apps/emulator/sketch/queue"
    assert (await api.get(queue)).json() == {"queue_size": 3}
    assert (await api.delete(queue)).status_code == 204
    assert (await api.get(queue)).json() == {"queue_size": 0}


async def test_the_metrics_have_prometheus_names(api: httpx.AsyncClient):
    """Fact F8 has the six."""
    lines = (await api.get("/serverless/metrics")).text.splitlines()
    names = [
        "runners",
        "queue_size",
        "concurrent_requests",
        "requests_completed",
        "requests_received",
        "request_latency",
    ]
    assert [line.split()[2] for line in lines if "# TYPE" in line] == [f"fal_app_{name}" for name in names]
    assert 'fal_app_queue_size{application="emulator/sketch"} 3' in lines


async def test_logs_are_filtered_as_asked(fal: Emulator, api: httpx.AsyncClient):
    request_id = fal.logs[0]["labels"]["fal_request_id"]

    async def lines(body: Any = None, **params: str) -> list[dict[str, Any]]:
        return (await api.post("/serverless/logs/history", params=params, json=body)).json()["items"]

    assert {line["level"] for line in await lines(level="warning")} == {"warning", "error"}
    assert {line["app"] for line in await lines(app_id="emulator/upscaler")} == {"emulator/upscaler"}
    assert {line["message"] for line in await lines(search="cuda")} == {"CUDA error: out of memory"}
    assert await lines(request_id=request_id) == fal.logs[:5]
    condition = {"key": "fal_request_id", "value": [request_id], "condition_type": "not_in"}
    assert await lines([condition]) == fal.logs[5:]


async def test_the_log_stream_gives_what_is_logged_until_the_logs_end(fal: Emulator, api: httpx.AsyncClient):
    fal.log("before anyone listened")
    with anyio.fail_after(5):
        async with api.stream("POST", "/serverless/logs/stream", params={"level": "info"}) as response:
            await fal.until(lambda: fal.log_watchers == 1)
            fal.log("too small to matter", "debug")
            fal.log("a lantern is lit", "warning")
            fal.end_logs()
            frames = (await response.aread()).decode().strip().split("\n\n")
    assert frames[0] == ": ping"
    messages = [json.loads(frame.removeprefix("data: "))["message"] for frame in frames[1:]]
    assert messages == ["before anyone listened", "a lantern is lit"]


async def test_the_log_stream_stays_open_until_its_reader_leaves(fal: Emulator, api: httpx.AsyncClient):
    with anyio.fail_after(5):
        async with api.stream("POST", "/serverless/logs/stream") as response:
            assert (await anext(response.aiter_raw())) == b": ping\n\n"
            assert fal.log_watchers == 1
        await fal.until(lambda: fal.log_watchers == 0)


async def test_a_workflow_is_created_once(api: httpx.AsyncClient):
    """Fact F10.4."""
    [known] = (await api.get("/workflows")).json()["workflows"]
    assert known["endpoint_ids"] == [ENDPOINT]
    workflow = (await api.get("/workflows/emulator/lighthouse")).json()["workflow"]
    given = {name: workflow[name] for name in ("title", "contents")} | {"name": "lamp"}
    assert (await api.post("/workflows", json=given)).status_code == 201
    assert error(await api.post("/workflows", json=given))[:2] == (400, "validation_error")
    assert (await api.get("/workflows", params={"search": "lamp"})).json()["total"] == 1


async def test_a_workflow_runs_like_a_model_without_a_document_on_the_website(fal: Emulator, api: httpx.AsyncClient):
    """Fact F10.4: its endpoint id is `workflows/<owner>/<name>`."""
    root = str(api.base_url).removesuffix("/api/v1/")
    endpoint = f"{root}/queue/workflows/emulator/lighthouse"
    submitted = (await api.post(endpoint, json={"prompt": "a lamp"}, headers=auth(KEY))).json()
    with anyio.fail_after(5):
        await fal.until(lambda: fal.jobs[submitted["request_id"]].is_over)
    link = (await api.get(submitted["response_url"], headers=auth(KEY))).json()["image_url"]
    assert (await api.get(link)).headers["content-type"] == "image/png"
    refused = await api.post(f"{root}/run/workflows/emulator/lighthouse", json={}, headers=auth(KEY))
    assert refused.status_code == 422
    document = f"{root}/www/api/openapi/queue/openapi.json?endpoint_id=workflows/emulator/lighthouse"
    assert (await api.get(document)).status_code == 404


async def test_an_asset_is_collected_tagged_favoured_and_found_again(api: httpx.AsyncClient):
    """Fact F10.5."""
    asset = (await api.get("/assets", params={"limit": 1})).json()["assets"][0]
    me = {"vector_id": asset["vector_id"]}
    collection = (await api.post("/assets/collections", json={"name": "Lamps"})).json()["collection"]["id"]
    tag = (await api.post("/assets/tags", json={"name": "bright"})).json()["tag"]["id"]
    await api.post(f"/assets/collections/{collection}/assets", json=me)
    await api.post(f"/assets/tags/{tag}/assign", json=me)
    await api.post("/assets/favorite", json=me)
    for scope in ({"collection_id": collection}, {"tag_id": tag, "tag_mode": "all"}, {"section": "favorites"}):
        [found] = (await api.get("/assets", params=scope)).json()["assets"]
        assert found["asset_id"] == asset["asset_id"]
    assert (await api.request("DELETE", f"/assets/collections/{collection}/assets", json=me)).status_code == 204
    assert (await api.delete(f"/assets/tags/{tag}")).status_code == 204
    left = (await api.get(f"/assets/{asset['asset_id']}")).json()["asset"]
    assert (left["is_favorited"], left["tags"], left["collection_ids"]) == (True, [], [])


async def test_a_collection_is_not_moved_into_what_it_holds(fal: Emulator, api: httpx.AsyncClient):
    outer, inner = fal.collections
    refused = await api.post(f"/assets/collections/{outer}/move", json={"parent_collection_id": inner})
    assert error(refused)[:2] == (400, "validation_error")
    [child] = (await api.get(f"/assets/collections/{outer}/hierarchy")).json()["hierarchy"]["children"]
    assert child["id"] == inner


async def test_a_secret_is_set_and_listed_by_name_alone(fal: Emulator, api: httpx.AsyncClient):
    rest = str(api.base_url).replace("/api/v1/", "/rest/serverless/secrets")
    assert (await api.put(f"{rest}/TOKEN", json={"value": "hush"}, headers=auth(KEY))).status_code == 200
    listed = (await api.get(rest, headers=auth(KEY))).json()
    assert [one["name"] for one in listed["secrets"]] == ["TOKEN"] and "hush" not in json.dumps(listed)
    assert fal.secrets == {"TOKEN": "hush"}
    assert (await api.get(rest, headers={"authorization": ""})).status_code == 401
