"""Routes of runs, for operators."""

from __future__ import annotations

from typing import Any

from app.api.answers import show_page
from app.api.auth import Access
from app.api.call import Call
from app.api.operations import Blueprint
from app.api.run_answers import show_run
from app.api.schemas import runs as schemas
from app.api.schemas.base import NoFields
from app.models import Run
from app.services import runs as service
from app.store import run_views as store

blueprint = Blueprint(
    "Runs",
    url_prefix="/ocpp/runs",
    description="The durable runs behind orders. An admin who names no organization sees all.",
)


def _show(call: Call, run: Run) -> dict[str, Any]:
    return show_run(run, store.list_steps(call.session, [run.id]).get(run.id, []))


@blueprint.operation(
    "GET", "", access=Access.FLEET, query=schemas.RunFilters(), answer=schemas.RunPage()
)
def list_runs(call: Call) -> Any:
    """List runs, newest first."""
    filters = {key: value for key, value in call.query.items() if key not in ("page", "limit")}
    rows, total = store.list_page(
        call.session,
        call.tenant or None,
        page=call.query["page"],
        limit=call.query["limit"],
        filters=filters,
    )
    steps = store.list_steps(call.session, [row.id for row in rows])
    return show_page([show_run(row, steps.get(row.id, [])) for row in rows], total, call.query)


@blueprint.operation("GET", "/<run_id>", access=Access.FLEET, answer=schemas.Run(), errors=(404,))
def get_run(call: Call, run_id: str) -> Any:
    """Get a run: its steps, attempts, errors, and when it is due."""
    return _show(call, store.get(call.session, call.tenant or None, run_id))


@blueprint.operation(
    "POST",
    "/<run_id>/cancel",
    status=202,
    access=Access.ADMIN,
    body=NoFields(),
    body_required=False,
    answer=schemas.Run(),
    errors=(400, 404),
)
def cancel_run(call: Call, run_id: str) -> Any:
    """Cancel a run that brings a charger up, as a stop order does; of a bulk job's run, cancel the job."""
    run, successor = service.cancel(call.session, call.queue, call.tenant or None, run_id)
    return _show(call, run) | ({"successor_run_id": successor} if successor else {})


@blueprint.operation(
    "POST",
    "/<run_id>/redrive",
    status=202,
    access=Access.ADMIN,
    body=NoFields(),
    body_required=False,
    answer=schemas.Run(),
    errors=(400, 404),
)
def redrive_run(call: Call, run_id: str) -> Any:
    """Bring up again what a FAILED run could not. Only the charger's current run can be redriven."""
    run, successor = service.redrive(call.session, call.queue, call.tenant or None, run_id)
    return _show(call, run) | {"successor_run_id": successor}
