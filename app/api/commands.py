"""Routes of commands: what chargers are told to do.

Two kinds. *Fan-outs* (`FAN_OUTS`) write a command for each charger and answer 202 at once. *Questions* answer 200
with what the charger said, or with `status: Pending` when it has not said it within a few seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from app.api import command_answers as answers
from app.api.call import Call
from app.api.operations import Blueprint, Later
from app.api.reading import MAX_BULK_BODY
from app.api.schemas import commands as schemas
from app.api.schemas.base import Body
from app.services import commands as service

blueprint = Blueprint(
    "Commands",
    url_prefix="/ocpp/commands",
    description="Tell chargers what to do: one, all of a location, or some of them.",
)


class FanOut(NamedTuple):
    """One operation whose targets may be many."""

    name: str
    event: type[Body]
    about: str


FAN_OUTS: Final = (
    FanOut("plug_connector", schemas.ConnectorEvent, "Plug a car in: Preparing."),
    FanOut("unplug_connector", schemas.ConnectorEvent, "Unplug the car: Available."),
    FanOut(
        "unlock_connector", schemas.ConnectorEvent, "Unlock a connector; what runs there stops."
    ),
    FanOut("start_transaction", schemas.StartTransactionEvent, "Start a transaction."),
    FanOut("stop_transaction", schemas.StopTransactionEvent, "Stop a transaction."),
    FanOut(
        "start_session",
        schemas.StartSessionEvent,
        "Plug in, authorize and start; ends by itself at the time or energy given.",
    ),
    FanOut("stop_session", schemas.StopSessionEvent, "Stop with final meter values and unplug."),
    FanOut("authorize_id_tag", schemas.AuthorizeEvent, "Ask the CSMS about a token."),
    FanOut("ev_requests_energy", schemas.ConnectorEvent, "The car asks for energy: Charging."),
    FanOut("ev_stops_energy", schemas.ConnectorEvent, "The car stops asking: SuspendedEV."),
    FanOut("power_update", schemas.PowerEvent, "Give this power from now on, in W."),
    FanOut(
        "wire_faults",
        schemas.WireFaultsEvent,
        "Make the network to the CSMS misbehave, seeded; without an event, no more.",
    ),
)


def _register(operation: FanOut) -> None:
    def send(call: Call) -> Any:
        ordered, failed = service.order_many(
            call.session, call.tenant, operation.name, call.body["event"], **call.body["target"]
        )
        return answers.show_fan_out(ordered, failed)

    send.__name__, send.__doc__ = operation.name, operation.about
    blueprint.operation(
        "POST",
        f"/{operation.name.replace('_', '-')}",
        status=202,
        body=schemas.make_request(operation.event, many=True),
        answer=schemas.FanOut(),
        errors=(404,),
    )(send)


for _operation in FAN_OUTS:
    _register(_operation)


@blueprint.operation(
    "POST",
    "/proxy-message",
    status=202,
    body=schemas.make_request(schemas.ProxyEvent, many=False),
    answer=schemas.Queued(),
    errors=(400, 404),
)
def proxy_message(call: Call) -> Any:
    """Let a charger send one message to its CSMS, written by hand."""
    event = call.body["event"]
    ordered = service.order_one(
        call.session,
        call.tenant,
        call.body["target"]["charger_id"],
        "proxy_message",
        event,
        event_type=event["action"],
    )
    return answers.show_queued(ordered, event["payload"])


def _ask(call: Call, name: str, empty: Mapping[str, Any], *, refusal_is_error: bool = False) -> Any:
    """Order a command and answer with what the charger says; until then with `empty` and `Pending`."""
    target, event = call.body["target"], call.body["event"]
    ordered = service.order_one(call.session, call.tenant, target["charger_id"], name, event)
    pending = answers.show_pending(ordered, empty)
    if ordered.state == "deferred":
        return pending
    desk, tenant = call.desk, call.tenant

    def complete() -> Any:
        command = service.wait(desk.reads, desk.news, tenant, ordered)
        return answers.show_told(command, pending, refusal_is_error=refusal_is_error)

    return Later(pending, complete)


@blueprint.operation(
    "POST",
    "/configuration",
    body=schemas.make_request(schemas.ConfigurationEvent, many=False),
    answer=schemas.ConfigurationChanged(),
    errors=(400, 404),
)
def set_configuration(call: Call) -> Any:
    """Change settings of a charger; `results` says of each key `Accepted`, `Rejected` or `RebootRequired`."""
    return _ask(call, "set_configuration", {"configured": [], "results": {}}, refusal_is_error=True)


@blueprint.operation(
    "POST",
    "/cache/reset",
    body=schemas.make_request(schemas.NoEvent, many=False),
    answer=schemas.CacheReset(),
    errors=(404,),
)
def reset_auth_cache(call: Call) -> Any:
    """Clear the authorization cache of a charger."""
    return _ask(call, "reset_auth_cache", {"cleared_entries": 0})


@blueprint.operation(
    "POST",
    "/local-auth-list",
    body=schemas.make_request(schemas.LocalListEvent, many=False),
    answer=schemas.LocalListSent(),
    errors=(400, 404),
    max_body=MAX_BULK_BODY,
)
def send_local_list(call: Call) -> Any:
    """Replace the local authorization list of a charger. A version that does not grow is refused (400)."""
    event = call.body["event"]
    empty = {"list_version": event["list_version"], "entries_received": len(event["entries"])}
    return _ask(call, "send_local_list", empty, refusal_is_error=True)


@blueprint.operation(
    "POST",
    "/clear-local-auth-list",
    body=schemas.make_request(schemas.NoEvent, many=False),
    answer=schemas.LocalListCleared(),
    errors=(404,),
)
def clear_local_list(call: Call) -> Any:
    """Clear the local authorization list of a charger."""
    return _ask(call, "clear_local_list", {"entries_deleted": 0})


@blueprint.operation(
    "POST",
    "/inject-fault",
    body=schemas.make_request(schemas.InjectFaultEvent, many=False),
    answer=schemas.FaultSet(),
    errors=(404,),
)
def inject_fault(call: Call) -> Any:
    """Let a connector fail: Faulted."""
    return _ask(call, "inject_fault", call.body["event"])


@blueprint.operation(
    "POST",
    "/clear-fault",
    body=schemas.make_request(schemas.ConnectorEvent, many=False),
    answer=schemas.FaultSet(),
    errors=(404,),
)
def clear_fault(call: Call) -> Any:
    """End the fault of a connector."""
    return _ask(call, "clear_fault", {"fault_type": None, **call.body["event"]})


@blueprint.operation("GET", "/<command_id>", answer=schemas.CommandState(), errors=(404,))
def get_command(call: Call, command_id: str) -> Any:
    """Get what became of a command."""
    return answers.show_command(service.get(call.session, call.tenant, command_id))
