"""Routes of ready-made sites."""

from __future__ import annotations

from typing import Any

from app.api import site_answers as answers
from app.api.auth import Access
from app.api.call import Call
from app.api.operations import Blueprint
from app.api.schemas import location_chargers as bulk_schemas
from app.api.schemas import locations as schemas
from app.catalog import load_templates
from app.services import sites

blueprint = Blueprint(
    "Templates", url_prefix="/ocpp/templates", description="Ready-made sites with real hardware."
)


@blueprint.operation(
    "GET",
    "/locations",
    access=Access.TOKEN,
    query=schemas.TemplateFilters(),
    answer=schemas.TemplateList(),
)
def list_location_templates(call: Call) -> Any:
    """List the ready-made sites."""
    found = load_templates(call.query.get("type"), call.query.get("ocpp_version"))
    return {"data": [answers.show_template(one) for one in found], "total": len(found)}


@blueprint.operation(
    "POST",
    "/locations/<slug>",
    status=202,
    body=bulk_schemas.SiteCreate(),
    answer=bulk_schemas.SiteAccepted(),
    errors=(400, 404),
)
def create_location_from_template(call: Call, slug: str) -> Any:
    """Create a location with all chargers of a ready-made site."""
    location, job = sites.order(call.session, call.queue, call.policy, call.tenant, slug, call.body)
    return {"location": answers.show_location(location), **answers.show_job_accepted(job)}
