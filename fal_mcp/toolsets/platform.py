"""Which operations of fal's Platform API are tools: one line an operation. Whatever is not here says why.

A line is the operation's id in `schemas/platform.json`, the tool's name and its effect; its text, arguments, bounds and
key come from there.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from fal_mcp import bundled
from fal_mcp.json_values import JsonMapping
from fal_mcp.openapi import operation
from fal_mcp.openapi.corrections import corrected
from fal_mcp.openapi.operation import Operation
from fal_mcp.tools import from_operation
from fal_mcp.tools.tool import Effect, Tool

Line = tuple[str, str, Effect]

TABLE: Mapping[str, tuple[Line, ...]] = {
    "usage": (
        ("getPricing", "get_prices", "reads"),
        ("getBillingEvents", "get_billing_events", "reads"),
    ),
    "requests": (
        ("listRequestsByEndpoint", "list_requests", "reads"),
        ("searchRequests", "search_requests", "reads"),
        ("deleteRequestPayloads", "delete_request_payloads", "destroys"),
    ),
    "serverless": (
        ("serverlessListApps", "list_apps", "reads"),
        ("serverlessGetAppQueueInfo", "get_app_queue", "reads"),
        ("serverlessFlushAppQueue", "flush_app_queue", "destroys"),
        ("serverlessListAppRevisions", "list_app_revisions", "reads"),
        ("serverlessListAppEvents", "list_app_events", "reads"),
        ("serverlessGetRunnerHistory", "get_runner_history", "reads"),
        ("serverlessListRequestsByEndpoint", "list_app_requests", "reads"),
        ("serverlessLogsHistory", "search_app_logs", "reads"),
        ("serverlessUploadFromUrl", "upload_app_file_from_url", "writes"),
    ),
    "compute": (
        ("listComputeInstances", "list_instances", "reads"),
        ("getComputeInstance", "get_instance", "reads"),
        ("deleteComputeInstance", "delete_instance", "destroys"),
    ),
    "keys": (
        ("listApiKeys", "list_keys", "reads"),
        ("deleteApiKey", "delete_key", "destroys"),
    ),
    "account": (
        ("getAccountBilling", "get_balance", "reads"),
        ("getMeta", "get_webhook_addresses", "reads"),
    ),
    "organization": (
        ("getOrganizationTeams", "list_teams", "reads"),
        ("getOrganizationBillingEvents", "get_organization_billing_events", "reads"),
    ),
    "workflows": (
        ("listWorkflows", "list_workflows", "reads"),
        ("getWorkflow", "get_workflow", "reads"),
    ),
    "assets": (
        ("listAssets", "list_assets", "reads"),
        ("getAsset", "get_asset", "reads"),
        ("getAssetLineage", "get_asset_lineage", "reads"),
        ("listAssetTagsForAsset", "get_asset_tags", "reads"),
        ("uploadAsset", "add_asset", "writes"),
        ("favoriteAsset", "favorite_asset", "writes"),
        ("unfavoriteAsset", "unfavorite_asset", "writes"),
        ("listAssetCollections", "list_collections", "reads"),
        ("getAssetCollection", "get_collection", "reads"),
        ("getAssetCollectionHierarchy", "get_collection_hierarchy", "reads"),
        ("createAssetCollection", "create_collection", "writes"),
        ("updateAssetCollection", "update_collection", "writes"),
        ("moveAssetCollection", "move_collection", "writes"),
        ("deleteAssetCollection", "delete_collection", "destroys"),
        ("favoriteAssetCollection", "favorite_collection", "writes"),
        ("unfavoriteAssetCollection", "unfavorite_collection", "writes"),
        ("listAssetCollectionAssets", "list_collection_assets", "reads"),
        ("addAssetToCollection", "add_to_collection", "writes"),
        ("removeAssetFromCollection", "remove_from_collection", "writes"),
        ("listAssetCharacters", "list_characters", "reads"),
        ("getAssetCharacter", "get_character", "reads"),
        ("createAssetCharacter", "create_character", "writes"),
        ("updateAssetCharacter", "update_character", "writes"),
        ("deleteAssetCharacter", "delete_character", "destroys"),
        ("favoriteAssetCharacter", "favorite_character", "writes"),
        ("unfavoriteAssetCharacter", "unfavorite_character", "writes"),
        ("listAssetTags", "list_tags", "reads"),
        ("createAssetTag", "create_tag", "writes"),
        ("updateAssetTag", "rename_tag", "writes"),
        ("deleteAssetTag", "delete_tag", "destroys"),
        ("setAssetTagsForAsset", "set_asset_tags", "writes"),
        ("assignAssetTag", "tag_asset", "writes"),
        ("unassignAssetTag", "untag_asset", "writes"),
    ),
}
UNLESS_TOLD: Mapping[str, JsonMapping] = {
    # Who asks for the balance wants the balance; fal gives the account's name alone unless it is asked for more.
    "get_balance": {"expand": ["credits"]},
}
"""What a tool of the table sends for arguments that are left out."""
HAND_MADE: Mapping[str, str] = {
    "estimatePricing": "estimate_cost",
    "getUsage": "get_usage",
    "getAnalytics": "get_analytics",
    "serverlessGetUsage": "get_app_usage",
    "serverlessGetAnalytics": "get_app_analytics",
    "serverlessGetMetrics": "get_app_metrics",
    "serverlessListRoot": "list_app_files",
    "serverlessListDirectory": "list_app_files",
    "serverlessDownloadFile": "download_app_file",
    "serverlessUploadLocalFile": "upload_app_file",
    "serverlessLogsStream": "tail_logs",
    "createComputeInstance": "create_instance",
    "createApiKey": "create_key",
    "createWorkflow": "create_workflow",
    "getFocusReport": "get_focus_report",
    "getModelAccessControls": "get_model_access",
    "getOrganizationUsage": "get_organization_usage",
    "getOrganizationFocusReport": "get_organization_focus_report",
    "getStorageFileAcl": "file_access",
    "setStorageFileAcl": "file_access",
    "signStorageFileUrl": "sign_file_url",
    "getStorageSettings": "storage_settings",
    "updateStorageSettings": "storage_settings",
}
"""Operations that need more than a table: the tool that calls each."""
NOT_TOOLS: Mapping[str, str] = {
    "getModels": "search_models and get_model answer from a copy of the catalog that is kept on this disk.",
}


@cache
def operations() -> Mapping[str, Operation]:
    """Every operation of the Platform API, by its id."""
    return operation.read(corrected(_read("platform.json"), _read("platform-corrections.json")))


def tools(toolset: str) -> list[Tool]:
    """The tools of this toolset's table."""
    return [
        from_operation.tool(operations()[operation_id], name, effect, UNLESS_TOLD.get(name, {}))
        for operation_id, name, effect in TABLE[toolset]
    ]


def _read(name: str) -> Any:
    return json.loads((bundled.schemas() / name).read_text("utf-8"))
