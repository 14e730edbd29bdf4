"""The account: its balance, its organization's teams, and which models it may call. Fact F10.2 and F10.3."""

import csv
import io

from starlette.responses import Response

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.platform.request import Answer, Request

_ACCESS_COLUMNS = ("endpoint_id", "title", "category", "enterprise_status", "ui_access", "api_access")


def _billing(fal: Emulator, request: Request) -> object:
    credits = {"credits": {"current_balance": fal.balance, "currency": "USD"}}
    return {"username": "emulator", **(credits if "credits" in request.listed("expand") else {})}


def _teams(fal: Emulator, request: Request) -> object:
    root = {"username": "emulator", "name": "Emulator", "is_org_root": True, "created_at": "2025-01-15T12:00:00Z"}
    film = {"username": "emulator-film", "name": "Film", "is_org_root": False, "created_at": "2025-06-02T08:00:00Z"}
    return {"teams": [root, film]}


def _model_access(fal: Emulator, request: Request) -> Response:
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(_ACCESS_COLUMNS)
    for endpoint_id in fal.documents.ids:
        about = fal.documents.item(endpoint_id)["metadata"]
        state = "BLOCKED" if endpoint_id in fal.blocked_models else "ALLOWED"
        writer.writerow((endpoint_id, about["display_name"], about["category"], "ready", state, state))
    return Response(target.getvalue(), media_type="text/csv")


ANSWERS: dict[str, Answer] = {
    "getAccountBilling": _billing,
    "getOrganizationTeams": _teams,
    "getModelAccessControls": _model_access,
}
