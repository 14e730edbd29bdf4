"""The sources of endpoints beside the catalog, in the order in which they are asked. One set for each key: an account's
apps and workflows, and what its private ones take, are none of another's business."""

from collections.abc import Callable

from fal_mcp.catalog.catalog import Catalog
from fal_mcp.runs.endpoint_documents import EndpointDocuments
from fal_mcp.runs.own_apps import OwnApps
from fal_mcp.runs.own_workflows import OwnWorkflows
from fal_mcp.runs.resolution import Resolution


def of_a_key(catalog: Callable[[], Catalog], seconds: float, most_kept: int) -> Resolution:
    """What one key can run; fal's own documents are good for `seconds`, and at most `most_kept` are kept."""

    def is_listed(owner: str) -> bool:
        return any(endpoint_id.startswith(f"{owner}/") for endpoint_id in catalog().ids)

    documents = EndpointDocuments(is_listed, seconds, most_kept)
    # What has no other document is the last one's.
    return Resolution([OwnWorkflows(lambda endpoint_id: catalog().get(endpoint_id)), OwnApps(documents), documents])
