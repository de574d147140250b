"""The route of the fleet's summary."""

from __future__ import annotations

from typing import Any

from app.api.auth import Access
from app.api.call import Call
from app.api.operations import Blueprint
from app.api.run_answers import show_summary
from app.api.schemas.runs import FleetSummary
from app.store import fleet

blueprint = Blueprint("Fleet", url_prefix="/ocpp/fleet", description="The whole fleet in numbers.")


@blueprint.operation("GET", "/summary", access=Access.FLEET, answer=FleetSummary())
def get_fleet_summary(call: Call) -> Any:
    """Count the chargers by status, stage, verdict, OCPP version and location."""
    return show_summary(fleet.summarize(call.session, call.tenant or None))
