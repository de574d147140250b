"""Routes of locations."""

from __future__ import annotations

from typing import Any

from app.api import site_examples as examples
from app.api.answers import show_page
from app.api.call import Call
from app.api.operations import Blueprint
from app.api.schemas import locations as schemas
from app.api.schemas.base import Paging
from app.api.site_answers import show_location
from app.services import locations as service
from app.store import locations as store

blueprint = Blueprint(
    "Locations", url_prefix="/ocpp/locations", description="Sites that chargers belong to."
)


@blueprint.operation("GET", "", query=Paging(), answer=schemas.LocationPage())
def list_locations(call: Call) -> Any:
    """List the organization's locations, newest first."""
    rows, total = store.list_page(
        call.session, call.tenant, page=call.query["page"], limit=call.query["limit"]
    )
    return show_page([show_location(row) for row in rows], total, call.query)


@blueprint.operation(
    "POST",
    "",
    status=201,
    body=schemas.LocationCreate(),
    answer=schemas.Location(),
    example=examples.LOCATION,
    errors=(400,),
)
def create_location(call: Call) -> Any:
    """Create a location."""
    return show_location(service.create(call.session, call.tenant, call.body))


@blueprint.operation(
    "GET", "/<location_id>", answer=schemas.Location(), example=examples.LOCATION, errors=(404,)
)
def get_location(call: Call, location_id: str) -> Any:
    """Get a location."""
    return show_location(store.get(call.session, call.tenant, service.read_id(location_id)))


@blueprint.operation(
    "PUT",
    "/<location_id>",
    body=schemas.LocationUpdate(),
    answer=schemas.Location(),
    example=examples.LOCATION,
    errors=(400, 404),
)
def update_location(call: Call, location_id: str) -> Any:
    """Change a location. What is absent or null stays."""
    found = service.read_id(location_id)
    return show_location(service.update(call.session, call.tenant, found, call.body))


@blueprint.operation(
    "DELETE", "/<location_id>", status=204, query=schemas.LocationDelete(), errors=(400, 404)
)
def delete_location(call: Call, location_id: str) -> Any:
    """Delete a location.

    One that has chargers is refused unless `cascade` is true; then they are deleted with it. A repetition within
    24 h answers 204 again.
    """
    service.delete(
        call.session,
        call.queue,
        call.tenant,
        service.read_id(location_id),
        cascade=call.query["cascade"],
    )
