"""Routes of the chargers of a location: bulk orders, their jobs, changes of many."""

from __future__ import annotations

import dataclasses
from typing import Any

from app.api import site_answers as answers
from app.api import site_examples as examples
from app.api.answers import show_charger, show_page
from app.api.call import Call
from app.api.operations import Blueprint
from app.api.reading import MAX_BULK_BODY
from app.api.schemas import location_chargers as schemas
from app.api.schemas.base import NoFields
from app.api.schemas.chargers import ChargerPage
from app.models import Job
from app.services import bulk
from app.services import location_chargers as service
from app.services.locations import read_id
from app.store import jobs
from app.store import locations as store

blueprint = Blueprint(
    "Location chargers",
    url_prefix="/ocpp/locations/<location_id>/chargers",
    description="Many chargers at once: a thousand in one order is an ordinary size.",
)


@blueprint.operation(
    "GET", "", query=schemas.LocationChargerPaging(), answer=ChargerPage(), errors=(400, 404)
)
def list_location_chargers(call: Call, location_id: str) -> Any:
    """List the chargers of a location, newest first; with `charger_ids` only those."""
    found = read_id(location_id)
    store.get(call.session, call.tenant, found)
    rows, total = store.list_chargers(
        call.session,
        call.tenant,
        found,
        page=call.query["page"],
        limit=call.query["limit"],
        charger_ids=call.query.get("charger_ids"),
    )
    return show_page([show_charger(row, call.policy.catalog) for row in rows], total, call.query)


@blueprint.operation(
    "POST",
    "",
    status=202,
    body=schemas.ChargerGroup(many=True),
    answer=schemas.JobAccepted(),
    example=examples.JOB_ACCEPTED,
    errors=(400, 404),
    max_body=MAX_BULK_BODY,
)
def create_location_chargers(call: Call, location_id: str) -> Any:
    """Order many chargers.

    The body is an array of groups. The answer comes once the whole order is written; poll `status_url` until the
    status is READY or FAILED. An identity that is taken is reported in the job's results and fails nothing else.
    """
    groups = [
        dataclasses.replace(group, loc=("body", place, "template"))
        for place, group in enumerate(call.body)
    ]
    found = read_id(location_id)
    job = bulk.order(call.session, call.queue, call.policy, call.tenant, found, groups)
    return answers.show_job_accepted(job)


@blueprint.operation(
    "PUT",
    "",
    body=schemas.LocationChargersUpdate(),
    answer=schemas.ChargersUpdated(),
    errors=(404,),
    max_body=MAX_BULK_BODY,
)
def update_location_chargers(call: Call, location_id: str) -> Any:
    """Change many chargers of a location. One that cannot be changed is listed in `failed`."""
    items = [(item["charger_id"], item) for item in call.body["chargers"]]
    updated, failed = service.update(
        call.session, call.queue, call.policy, call.tenant, read_id(location_id), items
    )
    return answers.show_updated(updated, failed, call.policy.catalog)


@blueprint.operation(
    "DELETE",
    "",
    query=schemas.LocationChargerDelete(),
    answer=schemas.ChargersDeleted(),
    errors=(404,),
)
def delete_location_chargers(call: Call, location_id: str) -> Any:
    """Delete many chargers of a location. One that is not there is listed in `failed`."""
    deleted, failed = service.delete(
        call.session, call.queue, call.tenant, read_id(location_id), call.query["charger_ids"]
    )
    return answers.show_deleted(deleted, failed)


def _show_job(call: Call, job: Job) -> Any:
    return answers.show_job(
        job,
        jobs.count(call.session, job),
        jobs.list_created(call.session, job),
        call.policy.catalog,
        call.desk.settings.base_url,
    )


@blueprint.operation(
    "GET", "/jobs/<job_id>", answer=schemas.BulkJob(), example=examples.JOB, errors=(404,)
)
def get_bulk_job(call: Call, location_id: str, job_id: str) -> Any:
    """Get a bulk job: its progress at any time, its `results` once it has ended."""
    store.get(call.session, call.tenant, read_id(location_id))
    return _show_job(
        call, jobs.get(call.session, call.tenant, read_id(location_id), bulk.read_id(job_id))
    )


@blueprint.operation(
    "POST",
    "/jobs/<job_id>/cancel",
    body=NoFields(),
    body_required=False,
    answer=schemas.BulkJob(),
    errors=(400, 404),
)
def cancel_bulk_job(call: Call, location_id: str, job_id: str) -> Any:
    """Cancel a bulk job: chargers that no worker has begun become FAILED (`cancelled`), the others finish."""
    job = bulk.cancel(
        call.session, call.queue, call.tenant, read_id(location_id), bulk.read_id(job_id)
    )
    return _show_job(call, job)
