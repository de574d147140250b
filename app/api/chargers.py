"""Routes of chargers."""

from __future__ import annotations

from typing import Any

from app.api import answers, examples
from app.api.call import Call
from app.api.operations import Blueprint
from app.api.schemas import chargers as schemas
from app.api.schemas.base import NoFields
from app.services import chargers as service
from app.services import orders
from app.store import chargers as store
from app.store import logs

blueprint = Blueprint(
    "Chargers",
    url_prefix="/ocpp/chargers",
    description="Order simulated chargers, watch them come up, change them, let them go.",
)


@blueprint.operation("GET", "", query=schemas.ChargerFilters(), answer=schemas.ChargerPage())
def list_chargers(call: Call) -> Any:
    """List the organization's chargers, newest first."""
    filters = {key: value for key, value in call.query.items() if key not in ("page", "limit")}
    rows, total = store.list_page(
        call.session,
        call.tenant,
        page=call.query["page"],
        limit=call.query["limit"],
        filters=filters,
    )
    shown = [answers.show_charger(row, call.policy.catalog) for row in rows]
    return answers.show_page(shown, total, call.query)


@blueprint.operation(
    "POST",
    "",
    status=202,
    body=schemas.ChargerCreate(),
    answer=schemas.ChargerAccepted(),
    example=examples.ACCEPTED,
    errors=(400,),
)
def create_charger(call: Call) -> Any:
    """Order a charger.

    The answer comes once the order is written; its runtime comes up after that. Poll `status_url` until the
    status is READY or FAILED. The same order again answers 400 `identity_taken` with the `charger_id`.
    """
    return answers.show_accepted(
        service.create(call.session, call.queue, call.policy, call.tenant, call.body)
    )


@blueprint.operation(
    "GET", "/<charger_id>", answer=schemas.Charger(), example=examples.CHARGER, errors=(404,)
)
def get_charger(call: Call, charger_id: str) -> Any:
    """Get a charger."""
    return answers.show_charger(
        store.get(call.session, call.tenant, charger_id), call.policy.catalog
    )


@blueprint.operation(
    "GET",
    "/<charger_id>/status",
    query=schemas.StatusWait(),
    answer=schemas.ChargerStatus(),
    example=examples.STATUS,
    errors=(404,),
)
def get_charger_status(call: Call, charger_id: str) -> Any:
    """Get the status of a charger's last order, and what its runtime does.

    With `wait` the answer is held until the status settles. When too many wait already it comes at once, with
    `Retry-After: 1`.
    """
    seen, seated = service.read_status(
        call.desk.reads, call.desk.news, call.tenant, charger_id, wait_s=call.query["wait"]
    )
    if not seated:
        call.headers["Retry-After"] = "1"
    return answers.show_status(seen, call.desk.settings.base_url)


@blueprint.operation(
    "PUT",
    "/<charger_id>",
    body=schemas.ChargerUpdate(),
    answer=schemas.Charger(),
    example=examples.CHARGER,
    errors=(400, 404),
)
def update_charger(call: Call, charger_id: str) -> Any:
    """Change a charger.

    What is absent or null stays. A change of `ws_url`, `ocpp_version`, `connector_type`, `security_profile` or
    `authorization_key` replaces the runtime of a charger that is up.
    """
    charger = service.update(
        call.session, call.queue, call.policy, call.tenant, charger_id, call.body
    )
    return answers.show_charger(charger, call.policy.catalog)


@blueprint.operation("DELETE", "/<charger_id>", status=204, errors=(404,))
def delete_charger(call: Call, charger_id: str) -> Any:
    """Delete a charger.

    Its identity is free at once, its runtime goes. A repetition within 24 h answers 204 again.
    """
    service.delete(call.session, call.queue, call.tenant, charger_id)


def _order(call: Call, charger_id: str, event: str, order: service.Order) -> Any:
    charger, placed = service.carry_out(call.session, call.queue, call.tenant, charger_id, order)
    return answers.show_ordered(event, charger, placed, call.desk.settings.runtime)


@blueprint.operation(
    "POST",
    "/<charger_id>/start-charger",
    status=202,
    body=NoFields(),
    body_required=False,
    answer=schemas.RuntimeOrdered(),
    example=examples.ORDERED,
    errors=(404,),
)
def start_charger(call: Call, charger_id: str) -> Any:
    """Start the runtime of a charger. One that runs, or is on its way, is left as it is."""
    return _order(call, charger_id, "start_charger", orders.start)


@blueprint.operation(
    "POST",
    "/<charger_id>/stop-charger",
    status=202,
    body=NoFields(),
    body_required=False,
    answer=schemas.RuntimeOrdered(),
    errors=(404,),
)
def stop_charger(call: Call, charger_id: str) -> Any:
    """Stop the runtime of a charger; the charger stays."""
    return _order(call, charger_id, "stop_charger", orders.stop)


@blueprint.operation(
    "POST",
    "/<charger_id>/reset-charger",
    status=202,
    body=NoFields(),
    body_required=False,
    answer=schemas.RuntimeOrdered(),
    errors=(404,),
)
def reset_charger(call: Call, charger_id: str) -> Any:
    """Restart the runtime of a charger; a stopped one starts."""
    return _order(call, charger_id, "reset_charger", orders.reset)


def _read_window(call: Call, charger_id: str) -> logs.Window:
    store.check_exists(call.session, call.tenant, charger_id)
    query = call.query
    return logs.Window(
        query.get("start_date"), query.get("end_date"), query["limit"], query["offset"]
    )


@blueprint.operation(
    "GET",
    "/<charger_id>/logs",
    query=schemas.LogWindow(),
    answer=schemas.LogPage(),
    example=examples.LOGS,
    errors=(404,),
)
def get_charger_logs(call: Call, charger_id: str) -> Any:
    """List the OCPP frames of a charger, newest first. An answer carries its request's action."""
    window = _read_window(call, charger_id)
    rows, total = logs.list_frames(call.session, charger_id, window, action=call.query.get("event"))
    return answers.show_log(rows, total, call.query)


@blueprint.operation(
    "GET",
    "/<charger_id>/events",
    query=schemas.LogWindow(),
    answer=schemas.EventPage(),
    errors=(404,),
)
def get_charger_events(call: Call, charger_id: str) -> Any:
    """List what happened to the charger itself, newest first; `event` filters by kind."""
    window = _read_window(call, charger_id)
    rows, total = logs.list_events(call.session, charger_id, window, kind=call.query.get("event"))
    return answers.show_events(rows, total, call.query)
