"""proxy_message: any call of the charger's, written by hand.

The gateway gives the action and the payload's keys in snake_case; the schemas say how OCPP spells
them (`evse_id` becomes `evseId`, `responder_url` becomes `responderURL`). The call goes out as it
is: its effects are the CSMS's alone, the charger's own facts do not change. `install` comes after
every other module has registered its answer handlers, since an answer to a call made by hand is not
theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from simulator.behaviour import Answered, CommandRejected, Outcome, Refused, Sent

if TYPE_CHECKING:
    from simulator.behaviour import AnswerHandler, Behaviour, Command
    from simulator.charger import Charger

#: What a charger may say, of either version.
_ACTIONS = (
    "Authorize",
    "BootNotification",
    "DataTransfer",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "LogStatusNotification",
    "MeterValues",
    "NotifyCustomerInformation",
    "NotifyEvent",
    "NotifyReport",
    "PublishFirmwareStatusNotification",
    "ReportChargingProfiles",
    "ReservationStatusUpdate",
    "SecurityEventNotification",
    "SignedFirmwareStatusNotification",
    "StartTransaction",
    "StatusNotification",
    "StopTransaction",
    "TransactionEvent",
)


class Proxied(NamedTuple):
    """The context of a call made by hand."""

    command_id: str


def install(behaviour: Behaviour) -> None:
    """Register the command with one version, and its ear for the answers."""
    actions = {_plain(name): name for name in _ACTIONS if name in behaviour.schemas.actions}
    for action in actions.values():
        behaviour.answers[action] = _listen(behaviour.answers.get(action))

    @behaviour.command("proxy_message")
    def send(charger: Charger, command: Command, now: float) -> None:
        del now
        wanted = command.args["action"]
        action = actions.get(_plain(wanted))
        if action is None:
            raise CommandRejected(f"A charger of this version does not send {wanted!r}.")
        version = command.args.get("ocpp_version")
        if version is not None and version != behaviour.wire.subprotocol:
            raise CommandRejected(f"This charger speaks {behaviour.wire.subprotocol}.")
        payload = spell(command.args["payload"], behaviour.schemas.property_names(action))
        violation = behaviour.schemas.check_request(action, payload)
        if violation is not None:
            raise CommandRejected(f"The payload is not a {action}: {violation.message}")
        if not charger.call(action, payload, context=Proxied(command.id)):
            raise CommandRejected("The charger is not connected to its CSMS.")


def spell(value: Any, names: Mapping[str, str]) -> Any:
    """The same JSON with its keys as OCPP spells them; unknown keys stay as they are."""
    if isinstance(value, Mapping):
        return {names.get(_plain(key), key): spell(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [spell(item, names) for item in value]
    return value


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _listen(inner: AnswerHandler | None) -> AnswerHandler:
    def note(charger: Charger, sent: Sent, outcome: Outcome, now: float) -> None:
        if isinstance(sent.context, Proxied):
            _conclude(charger, sent.context.command_id, outcome)
        elif inner is not None:
            inner(charger, sent, outcome, now)

    return note


def _conclude(charger: Charger, command_id: str, outcome: Outcome) -> None:
    if isinstance(outcome, Answered):
        charger.end_command(command_id, {"answer": outcome.payload})
    elif isinstance(outcome, Refused):
        reason = f"The CSMS answered {outcome.code}: {outcome.description}"
        charger.end_command(command_id, {"code": outcome.code}, reason[:500])
    else:
        charger.end_command(command_id, {}, "The CSMS did not answer.")
