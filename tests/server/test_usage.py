"""What was spent, why it is slow, and reports of both: over MCP in both eras, against the emulator's own figures."""

import base64
import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import mcp_types as types
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from PIL import Image

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Reply
from fal_mcp.server import app
from tests.conftest import KEY

ADMIN = "99999999-2222-4333-8444-555555555555:0123456789abcdef0123456789abcdef"
WEEK = {"start": "2026-03-02", "end": "2026-03-09"}
WEEK_BEFORE = {"start": "2026-02-23", "end": "2026-03-02"}
FLUX, VEO = "fal-ai/flux/dev", "fal-ai/veo3"
BOUND = 20
Host = Callable[..., Client]


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, settings: Settings, fal: Emulator, tmp_path: Path) -> Host:
    fal.admin_keys.add(ADMIN)
    toolsets = ("models", "jobs", "usage", "serverless", "organization", "account")

    def client(**changes: Any) -> Client:
        given = {"admin_key": ADMIN, "toolsets": toolsets, "data": tmp_path / "data", **changes}
        return Client(app.build(replace(settings, **given)), mode=request.param)

    return client


async def figures(settings: Settings, path: str, **params: str) -> Any:
    """What the emulator itself reports."""
    async with httpx.AsyncClient(headers={"authorization": f"Key {ADMIN}"}) as client:
        response = await client.get(f"{settings.hosts.api}/v1{path}", params=params)
    return response.raise_for_status().json()


async def spent(settings: Settings, path: str = "/models/usage", **params: str) -> list[dict[str, Any]]:
    return (await figures(settings, path, **{"expand": "summary", **params}))["summary"]


def cost(rows: list[dict[str, Any]], **wanted: str) -> float:
    return sum(row["cost"] for row in rows if all(row[name] == value for name, value in wanted.items()))


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


def pictures(result: types.CallToolResult) -> list[bytes]:
    return [base64.b64decode(block.data) for block in result.content if isinstance(block, types.ImageContent)]


def row(endpoint_id: str, amount: float, currency: str = "USD") -> dict[str, Any]:
    return {"endpoint_id": endpoint_id, "cost_total": amount, "cost": amount, "currency": currency}


def report(*rows: dict[str, Any]) -> Reply:
    series = [{"bucket": "2026-03-02T00:00:00+00:00", "results": list(rows)}]
    return Reply(200, {"next_cursor": None, "has_more": False, "time_series": series, "summary": list(rows)})


@pytest.mark.parametrize(
    ("tool", "path", "column", "by"),
    [
        ("get_usage", "/models/usage", "endpoint_id", "endpoint"),
        ("get_app_usage", "/serverless/usage", "app", "app"),
        ("get_app_usage", "/serverless/usage", "machine_type", "machine_type"),
        ("get_organization_usage", "/organization/usage", "username", "team"),
        ("get_organization_usage", "/organization/usage", "product", "product"),
    ],
)
async def test_totals_parts_and_days_are_fals_own(
    settings: Settings, host: Host, tool: str, path: str, column: str, by: str
):
    """Fact F6.5, F8 and F10.3."""
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool(tool, {**WEEK, "by": by})
        now, before = await spent(settings, path, **WEEK), await spent(settings, path, **WEEK_BEFORE)
    found = result.structured_content
    assert found["totals"]["total"] == pytest.approx(cost(now))
    assert found["totals"]["change"] == pytest.approx(cost(now) - cost(before))
    assert {one["name"]: one["cost"] for one in found[f"by_{by}"]} == pytest.approx(
        {str(name): cost(now, **{column: name}) for name in {one[column] for one in now}}
    )
    assert len(found["series"]) == 7 and sum(one["cost"] for one in found["series"]) == pytest.approx(cost(now))
    assert text(result).startswith(f"{cost(now):,.2f} USD from 2026-03-02 00:00 to 2026-03-09 00:00 (UTC), ")
    assert f"than in the equally long period before ({cost(before):,.2f} USD)" in text(result)


@pytest.mark.parametrize(
    ("asked", "before"),
    [
        (
            {"start": "2026-03-02T10:30:00Z", "end": "2026-03-02T20:15:00Z"},
            {"start": "2026-03-01T23:00:00Z", "end": "2026-03-02T10:00:00Z"},
        ),
        (
            {"start": "2026-03-05", "end": "2026-04-01", "timeframe": "month"},
            {"start": "2026-01-29", "end": "2026-03-01"},
        ),
    ],
)
async def test_the_period_before_ends_where_the_first_whole_bucket_begins(
    settings: Settings, host: Host, asked: dict[str, str], before: dict[str, str]
):
    """Fact F6.1: fal widens a period to whole buckets; the one before must be as long, and not overlap."""
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("get_usage", asked)
        expected = cost(await spent(settings, **asked)), cost(await spent(settings, **before))
    totals = result.structured_content["totals"]
    assert (totals["total"], totals["before"]) == pytest.approx(expected)


async def test_what_was_spent_on_video_is_told_by_key(settings: Settings, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("get_usage", {**WEEK, "category": "video", "by": "key"})
            images = await client.call_tool("get_usage", {**WEEK, "category": "text-to-image", "by": "key"})
        rows = await spent(settings, **WEEK, expand="summary,auth_method")
    assert result.structured_content["totals"]["total"] == pytest.approx(cost(rows, endpoint_id=VEO))
    assert f"1. Production key (key_production): {cost(rows, endpoint_id=VEO):,.2f} USD (100.0 %)" in text(result)
    by_key = {one["name"]: one["cost"] for one in images.structured_content["by_key"]}
    staging = cost([one for one in rows if one["endpoint_id"] != VEO], auth_method="Staging key")
    assert by_key["Staging key (key_staging)"] == pytest.approx(staging)
    assert sum(by_key.values()) == pytest.approx(cost(rows) - cost(rows, endpoint_id=VEO))


async def test_days_are_ranked_and_the_rest_is_told(settings: Settings, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("get_usage", {**WEEK, "by": "day"})
        days = (await figures(settings, "/models/usage", **WEEK, timeframe="day"))["time_series"]
    ranked = sorted((cost(one["results"]), one["bucket"][:10]) for one in days)[::-1]
    assert [one["name"] for one in result.structured_content["by_day"]] == [day for _, day in ranked]
    assert f"The rest: {ranked[5][0] + ranked[6][0]:,.2f} USD" in text(result)


async def test_other_currencies_are_told_apart(fal: Emulator, host: Host):
    fal.platform_replies["getUsage"] = report(row(FLUX, 3.0), row(VEO, 70.0, "EUR"))
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("get_usage", WEEK)
    totals = result.structured_content["totals"]
    assert (totals["total"], totals["other_currencies"]) == (3.0, {"EUR": 70.0})
    assert text(result).startswith("3.00 USD ") and "70.00 EUR" in text(result) and VEO not in text(result)


async def test_a_period_without_use_is_said_to_be_one(fal: Emulator, host: Host):
    fal.platform_replies["getUsage"] = report()
    with anyio.fail_after(BOUND):
        async with host(previews=True) as client:
            result = await client.call_tool("get_usage", WEEK)
    assert text(result).startswith("0.00 USD ") and "as in the period before" in text(result)
    assert pictures(result) == []


async def test_what_has_no_category_here_is_not_silently_left_out(fal: Emulator, host: Host):
    fal.platform_replies["getUsage"] = report(row(VEO, 2.0), row("someone/new-video\u202e", 5.0))
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("get_usage", {**WEEK, "category": "video"})
    assert text(result).startswith("2.00 USD ")
    assert "no category for it: 5.00 USD on someone/new-video." in text(result)


async def test_a_period_before_that_cannot_be_had_is_said_and_costs_nothing_else(fal: Emulator, host: Host):
    refusal = Reply(400, {"error": {"type": "validation_error", "message": "too long ago"}})

    async def refuse_the_second() -> None:
        await fal.until(lambda: bool(fal.calls))
        fal.platform_replies["getUsage"] = refusal

    with anyio.fail_after(BOUND):
        async with host() as client, anyio.create_task_group() as tasks:
            tasks.start_soon(refuse_the_second)
            result = await client.call_tool("get_usage", WEEK)
            assert not result.is_error and result.structured_content["totals"]["before"] is None
            assert result.structured_content["totals"]["total"] > 0
            assert "The period before could not be had: " in text(result) and "too long ago" in text(result)


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("get_usage", {"endpoint_id": ["a/b"] * 51}, "at most 50"),
        ("get_usage", {"start": "2026-03-09", "end": "2026-03-02"}, "'2026-03-09' is not before '2026-03-02'"),
        ("get_usage", {"start": "last week"}, "'last week' is no date"),
        ("get_usage", {"timezone": "Mars/Olympus"}, "'Mars/Olympus' is no time zone"),
        ("get_usage", {"limit": 0}, "$.limit"),
        ("get_usage", {"category": "smell"}, "there are image-to-3d, "),
        ("get_analytics", {"endpoint_id": [FLUX], "expand": ["p98_duration"]}, "$.expand[0]: 'p98_duration'"),
        ("get_analytics", {}, "endpoint_id"),
        ("get_focus_report", {"source": "estimate", "billing_month": "2026-02"}, "only with source: 'invoice'"),
        ("get_focus_report", {"source": "estimate", "start": "2026-01-01", "end": "2026-06-01"}, "90 days"),
    ],
)
async def test_what_fal_would_refuse_is_refused_before_anything_is_sent(
    fal: Emulator, host: Host, tool: str, arguments: dict[str, Any], said: str
):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool(tool, arguments)
    assert result.is_error and said in text(result) and fal.calls == []


async def test_a_key_that_is_too_small_is_told_which_scope_it_takes(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host(admin_key=KEY) as client:
            result = await client.call_tool("get_usage", WEEK)
    assert result.is_error and result.structured_content["error"]["http_status"] == 403
    assert "scope ADMIN" in text(result) and KEY not in text(result)


async def test_without_an_admin_key_nothing_is_sent(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host(admin_key=None) as client:
            result = await client.call_tool("get_usage", WEEK)
    assert result.is_error and "FAL_ADMIN_KEY" in text(result) and fal.calls == []


async def test_a_limit_of_fals_is_waited_for_as_told(fal: Emulator, host: Host):
    fal.platform_replies["getUsage"] = Reply(429, {"error": {}}, {"retry-after": "1"})

    async def relent() -> None:
        await fal.until(lambda: bool(fal.calls))
        del fal.platform_replies["getUsage"]

    with anyio.fail_after(BOUND):
        async with host() as client, anyio.create_task_group() as tasks:
            tasks.start_soon(relent)
            began = anyio.current_time()
            result = await client.call_tool("get_usage", WEEK)
            assert not result.is_error and anyio.current_time() - began >= 1
    assert len(fal.calls) == 3, "refused, answered, and the period before"


async def test_pages_that_never_end_are_followed_to_the_limit(settings: Settings, fal: Emulator, host: Host):
    fal.endless.add("getUsage")
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("get_usage", {**WEEK, "limit": 230})
        rows = await spent(settings, **WEEK)
    assert len(result.structured_content["series"]) == 230
    assert "Only the first 230 buckets" in text(result)
    assert result.structured_content["totals"]["total"] == pytest.approx(cost(rows)), "the total is no page's"


@pytest.mark.parametrize(
    ("tool", "arguments"), [("get_usage", WEEK), ("get_analytics", {**WEEK, "endpoint_id": [FLUX]})]
)
async def test_a_small_chart_is_shown_and_only_where_previews_are(host: Host, tool: str, arguments: dict[str, Any]):
    with anyio.fail_after(BOUND):
        async with host(previews=True) as client:
            (shown,) = pictures(await client.call_tool(tool, arguments))
        async with host(previews=False) as client:
            assert pictures(await client.call_tool(tool, arguments)) == []
    with Image.open(io.BytesIO(shown)) as picture:
        assert picture.format == "PNG" and picture.width <= 640 and picture.height <= 320
        colours: Any = picture.convert("RGB").getcolors()
    assert len(shown) <= 40_000
    assert any(blue > red + 50 and count > 5000 for count, (red, _, blue) in colours), "there are bars"


@pytest.mark.parametrize(
    ("tool", "path", "endpoint_id"),
    [
        ("get_analytics", "/models/analytics", FLUX),
        ("get_app_analytics", "/serverless/analytics", "emulator/sketch"),
    ],
)
async def test_why_it_is_slow_is_told_in_figures(
    settings: Settings, host: Host, tool: str, path: str, endpoint_id: str
):
    """Fact F6.6."""
    metrics = "request_count,success_count,p50_prepare_duration,p50_duration,p95_duration,cold_boot_count,p99_duration"
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool(tool, {**WEEK, "endpoint_id": [endpoint_id], "expand": ["p99_duration"]})
        asked = {"endpoint_id": endpoint_id, "expand": f"summary,{metrics}"}
        (now,) = (await figures(settings, path, **WEEK, **asked))["summary"]
        (before,) = (await figures(settings, path, **WEEK_BEFORE, **asked))["summary"]
    line = next(one for one in text(result).splitlines() if one.startswith(f"{endpoint_id}: "))
    assert f"{now['request_count']:,} requests (before: {before['request_count']:,})" in line
    assert f"{100 * now['success_count'] / now['request_count']:.1f} % succeeded" in line
    assert f"p95 {now['p95_duration']:.3g} s" in line and f"p95 {before['p95_duration']:.3g} s" in line
    assert f"{now['cold_boot_count']} cold starts" in line and f"p99_duration {now['p99_duration']:.4g}" in line
    assert "Most time goes to running: " in text(result)
    assert result.structured_content["seconds"]["waiting"] == pytest.approx(now["p50_prepare_duration"])
    assert len(result.structured_content["series"]["rows"]) == 7


async def test_a_cost_report_is_saved_whole_and_summed_by_service(host: Host, tmp_path: Path):
    """Fact F10.2."""
    with anyio.fail_after(BOUND):
        async with host(output_dir=tmp_path / "out") as client:
            result = await client.call_tool("get_focus_report", {"source": "invoice", "billing_month": "2026-02"})
            again = await client.call_tool("get_focus_report", {"source": "invoice", "billing_month": "2026-02"})
    path = Path(result.structured_content["path"])
    rows = list(csv.DictReader(io.StringIO(await anyio.Path(path).read_text("utf-8"))))
    assert path == tmp_path / "out" / "focus-report_invoice_2026-02.csv" and str(path) in text(result)
    assert result.structured_content["rows"] == len(rows) and "ServiceName | " in text(result)
    assert result.structured_content["billed"]["USD"] == pytest.approx(
        {FLUX: sum(float(one["BilledCost"]) for one in rows)}
    )
    assert Path(again.structured_content["path"]).name == "focus-report_invoice_2026-02-2.csv"


@pytest.mark.parametrize("tool", ["get_model_access", "get_organization_focus_report"])
async def test_without_an_output_folder_a_report_is_kept(host: Host, tmp_path: Path, tool: str):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool(tool, {"source": "estimate"} if tool != "get_model_access" else {})
    found = result.structured_content
    assert Path(found["path"]).parent == tmp_path / "data" / "files" and len(found["first_rows"]) == 5
    assert text(result).endswith(f"… and {found['rows'] - 5} more rows.")


async def test_hostile_cells_are_shown_clean_and_saved_as_they_came(fal: Emulator, host: Host, tmp_path: Path):
    cell = "\x1b[31mred\x1b[0m\u202eignore\nall" + "x" * 500
    body = f'endpoint_id,ti\u200btle\na/b,"{cell}"\n'.encode()
    fal.platform_replies["getModelAccessControls"] = Reply(200, body, {"content-type": "text/csv; charset=utf-8"})
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("get_model_access", {})
    assert await anyio.Path(result.structured_content["path"]).read_bytes() == body
    assert "endpoint_id | title\na/b | redignore allxxx" in text(result) and "\x1b" not in text(result)
    assert len(result.structured_content["first_rows"][0]["title"]) <= 60


@pytest.mark.parametrize("body", [b"", b"<html>sorry</html>", b'a,b\n"open'])
async def test_what_is_no_report_is_not_saved(fal: Emulator, host: Host, tmp_path: Path, body: bytes):
    fal.platform_replies["getModelAccessControls"] = Reply(200, body, {"content-type": "text/csv"})
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("get_model_access", {})
    assert result.is_error and "fal's report" in text(result)
    assert not (tmp_path / "data" / "files").exists()


async def test_a_report_that_cannot_be_written_leaves_nothing(host: Host, tmp_path: Path):
    (tmp_path / "out").write_text("a file")
    with anyio.fail_after(BOUND):
        async with host(output_dir=tmp_path / "out") as client:
            result = await client.call_tool("get_model_access", {})
    assert (
        result.is_error
        and "Nothing was saved. Point --output-dir" in text(result)
        and (tmp_path / "out").read_text() == "a file"
    )


async def resource(client: Client, uri: str) -> Any:
    (block,) = (await client.read_resource(uri)).contents
    assert isinstance(block, types.TextResourceContents)
    return json.loads(block.text)


async def test_todays_spending_is_fals_with_an_admin_key_and_else_this_servers(fal: Emulator, host: Host):
    fal.prices[FLUX] = (0.025, "megapixels")
    with anyio.fail_after(BOUND):
        async with host() as client:
            whole = await resource(client, "fal://usage/today")
            asked = fal.calls[-1]
        async with host(admin_key=None) as client:
            nothing = await resource(client, "fal://usage/today")
            ran = await client.call_tool("run_model", {"endpoint_id": FLUX, "arguments": {"prompt": "a pier"}})
            own = await resource(client, "fal://usage/today")
            (job,) = (await client.call_tool("list_jobs", {})).structured_content["jobs"]
    assert not ran.is_error and asked.path.endswith("/models/usage") and "the whole account" in whole["source"]
    assert (nothing["spent"], own["spent"]) == (0, job["usd"]) and job["usd"] > 0
    assert "This server's own runs" in own["source"]


async def test_the_balance_is_a_resource_for_an_admin_key(fal: Emulator, host: Host):
    fal.balance = 12.25
    with anyio.fail_after(BOUND):
        async with host() as client:
            found = await resource(client, "fal://account/balance")
        async with host(admin_key=None) as client:
            with pytest.raises(MCPError, match="FAL_ADMIN_KEY"):
                await client.read_resource("fal://account/balance")
    assert found["credits"] == {"current_balance": 12.25, "currency": "USD"}


async def test_an_app_is_a_resource(fal: Emulator, host: Host):
    fal.queues["emulator/sketch"] = 8
    with anyio.fail_after(BOUND):
        async with host() as client:
            found = await resource(client, "fal://apps/emulator/sketch")
            for wrong in ("fal://apps/emulator/none", "fal://apps/..%2F..", "fal://apps/a/../b", "fal://usage/never"):
                with pytest.raises(MCPError, match="There is no resource"):
                    await client.read_resource(wrong)
    assert found["settings"]["machine_type"] == "GPU-H100" and found["queue_size"] == 8
    assert len(found["events"]) == 10


async def test_the_accounts_resources_are_listed(host: Host):
    async with host() as client:
        resources = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
    assert {"fal://usage/today", "fal://account/balance"} <= {str(one.uri) for one in resources}
    assert "fal://apps/{owner}/{name}" in {one.uri_template for one in templates}


async def test_a_report_without_a_summary_is_added_up(fal: Emulator, host: Host):
    """Buckets alone are enough for costs; that they were cut is said of the totals too."""
    buckets = [{"bucket": f"2026-03-0{day}T00:00:00+00:00", "results": [row(FLUX, 0.5), row(VEO, 2)]} for day in (2, 3)]
    whole = {"next_cursor": None, "has_more": False, "time_series": buckets}
    with anyio.fail_after(BOUND):
        async with host() as client:
            fal.platform_replies["getUsage"] = Reply(200, whole)
            result = await client.call_tool("get_usage", {**WEEK, "by": "endpoint"})
            # Each page says that there is one more, so that the buckets are cut where the tool cuts them.
            fal.platform_replies["getUsage"] = Reply(200, {**whole, "next_cursor": "Mg==", "has_more": True})
            is_cut = await client.call_tool("get_usage", {**WEEK, "by": "endpoint"})
    assert not result.is_error and text(result).startswith("5.00 USD from") and "them alone" not in text(result)
    assert not is_cut.is_error and "totals are of them alone" in text(is_cut)


async def test_the_balance_is_given_without_being_asked_for_twice(host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("get_balance", {})
            name_alone = await client.call_tool("get_balance", {"expand": []})
    assert result.structured_content["credits"]["current_balance"] >= 0
    assert "credits" not in name_alone.structured_content
