"""Commands: their targets, their events, their answers."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from app.api.schemas.base import Body, Int, Moment, Text

#: Chargers that one command may name.
MAX_TARGETS: Final = 10_000
MAX_ENTRIES: Final = 10_000
#: OCPP 1.6 section 7.6, without NoError, and what people call the first of them.
FAULTS: Final = (
    "ConnectorLockFailure",
    "EVCommunicationError",
    "GroundFailure",
    "HighTemperature",
    "InternalError",
    "LocalListConflict",
    "OtherError",
    "OverCurrentFailure",
    "OverVoltage",
    "PowerMeterFailure",
    "PowerSwitchFailure",
    "ReaderFailure",
    "ResetFailure",
    "UnderVoltage",
    "WeakSignal",
    "OverCurrent",
)
_BOTH: Final = ("ocpp1.6", "ocpp2.0.1")
#: What a charger may say by its own accord, and in which version.
PROXY_ACTIONS: Final[dict[str, tuple[str, ...]]] = {
    "authorize": _BOTH,
    "boot_notification": _BOTH,
    "data_transfer": _BOTH,
    "diagnostics_status_notification": ("ocpp1.6",),
    "firmware_status_notification": _BOTH,
    "heartbeat": _BOTH,
    "log_status_notification": _BOTH,
    "meter_values": _BOTH,
    "notify_customer_information": ("ocpp2.0.1",),
    "notify_event": ("ocpp2.0.1",),
    "notify_report": ("ocpp2.0.1",),
    "publish_firmware_status_notification": ("ocpp2.0.1",),
    "report_charging_profiles": ("ocpp2.0.1",),
    "reservation_status_update": ("ocpp2.0.1",),
    "security_event_notification": _BOTH,
    "signed_firmware_status_notification": ("ocpp1.6",),
    "start_transaction": ("ocpp1.6",),
    "status_notification": _BOTH,
    "stop_transaction": ("ocpp1.6",),
    "transaction_event": ("ocpp2.0.1",),
}


class ChargerTarget(Body):
    """One charger."""

    charger_id = Text(least=1, required=True)


class Target(Body):
    """One charger, every charger of a location, or some of them."""

    charger_id = Text(least=1)
    location_id = Text(least=1)
    charger_ids = fields.List(
        Text(least=1),
        validate=validate.Length(min=1, max=MAX_TARGETS),
        metadata={"description": "Only with location_id; without it, every charger there."},
    )

    @validates_schema
    def check_choice(self, data: dict[str, Any], **_: Any) -> None:
        """Exactly one of the two ways to name chargers."""
        if ("charger_id" in data) == ("location_id" in data):
            raise ValidationError("Give exactly one of charger_id and location_id.")
        if "charger_ids" in data and "location_id" not in data:
            raise ValidationError("Only with location_id.", "charger_ids")


class Number(fields.Float):
    """A JSON number above zero; a string of digits is none."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> float:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


def _make_place() -> Int:
    return Int(least=1, load_default=1)


class NoEvent(Body):
    """Nothing but the target is needed."""


class ConnectorEvent(Body):
    """Which connector."""

    evse_id = _make_place()
    connector_id = _make_place()


def _make_tag() -> Text:
    return Text(least=1, most=36, required=True, metadata={"example": "TAG-RFID-001"})


class StartTransactionEvent(ConnectorEvent):
    """Who charges, and where."""

    id_tag = _make_tag()


class StopTransactionEvent(Body):
    """Which transaction; without it the only one that runs."""

    transaction_id = Text(least=1)


class StartSessionEvent(Body):
    """Who charges, where, and until when."""

    id_tag = _make_tag()
    connector_id = _make_place()
    duration_seconds = Int(least=1)
    target_energy_kwh = Number(validate=validate.Range(min=0, max=1e6, min_inclusive=False))


class StopSessionEvent(Body):
    """Which connector."""

    connector_id = _make_place()


class AuthorizeEvent(Body):
    """Which tag the CSMS is asked about."""

    id_tag = _make_tag()


class PowerEvent(ConnectorEvent):
    """The power to give from now on."""

    power_w = Int(least=0, required=True, metadata={"description": "W", "example": 7400})


class InjectFaultEvent(ConnectorEvent):
    """Which fault, and where."""

    fault_type = fields.String(
        required=True, validate=validate.OneOf(FAULTS), metadata={"example": "OverCurrent"}
    )


class ConfigurationEvent(Body):
    """Keys and their new values."""

    configuration = fields.Dict(
        keys=Text(least=1, most=500),
        values=Text(most=2500),
        required=True,
        validate=validate.Length(min=1, max=500),
        metadata={"example": {"HeartbeatInterval": "30"}},
    )


class ListEntry(Body):
    """One token of a local authorization list."""

    id_tag = _make_tag()
    expiry_date = Moment()
    parent_id_tag = Text(least=1, most=36)


class LocalListEvent(Body):
    """A whole local authorization list."""

    list_version = Int(required=True, metadata={"description": "Must grow."})
    entries = fields.List(
        fields.Nested(ListEntry), required=True, validate=validate.Length(max=MAX_ENTRIES)
    )


class ProxyEvent(Body):
    """A message of the charger, written by hand."""

    action = fields.String(
        required=True,
        validate=validate.OneOf(list(PROXY_ACTIONS)),
        metadata={"example": "boot_notification"},
    )
    ocpp_version = fields.String(required=True, validate=validate.OneOf(_BOTH))
    payload = fields.Dict(
        keys=fields.String(),
        required=True,
        metadata={"description": "Keys in snake_case."},
    )

    @validates_schema
    def check_version(self, data: dict[str, Any], **_: Any) -> None:
        """Not every message is in both versions."""
        if data["ocpp_version"] not in PROXY_ACTIONS[data["action"]]:
            raise ValidationError(f"Not a message of {data['ocpp_version']}.", "action")


class WireFaultsEvent(Body):
    """What the network does to the charger from now on; an empty event ends it.

    Times are in seconds, rates are shares from 0 to 1.
    """

    seed = Int(least=0, metadata={"description": "The same seed makes the same faults."})
    latency_s = Number(validate=validate.Range(min=0, max=3600))
    jitter_s = Number(validate=validate.Range(min=0, max=3600))
    drop_rate = Number(validate=validate.Range(min=0, max=1))
    duplicate_rate = Number(validate=validate.Range(min=0, max=1))
    malformed_rate = Number(validate=validate.Range(min=0, max=1))
    wrong_answer_rate = Number(validate=validate.Range(min=0, max=1))
    slow_answer_s = Number(validate=validate.Range(min=0, max=3600))
    disconnect_every_s = Number(validate=validate.Range(min=0, max=86_400))
    refuse_connect_s = Number(validate=validate.Range(min=0, max=86_400))
    duration_s = Number(validate=validate.Range(min=0, max=1e6))


@cache
def make_request(event: type[Body], *, many: bool) -> Body:
    """The body of a command: `target` and `event`; an event without required fields may be missing."""
    is_needed = any(field.required for field in event().fields.values())

    def fill(_: Schema, data: dict[str, Any], **__: Any) -> dict[str, Any]:
        # An event that is missing is an empty one: its defaults apply.
        return data if "event" in data else data | {"event": event().load({})}

    attributes = {
        "__doc__": event.__doc__,
        "target": fields.Nested(Target if many else ChargerTarget, required=True),
        "event": fields.Nested(event, required=is_needed),
        "fill": post_load(fill),
    }
    name = f"{event.__name__.removesuffix('Event')}{'' if many else 'One'}Request"
    made: Body = type(name, (Body,), attributes)()
    return made


class Queued(Schema):
    """A command that is on its way."""

    id = fields.String(required=True, metadata={"description": "12 hexadecimal digits."})
    event_type = fields.String(required=True)
    ocpp_version = fields.String(required=True, metadata={"example": "ocpp1.6"})
    payload = fields.Dict(required=True)


class FannedCommand(Schema):
    """One charger's command."""

    charger_id = fields.String(required=True)
    identity = fields.String(required=True)
    command = fields.Nested(Queued, required=True)


class FannedFailure(Schema):
    """A charger that got no command."""

    identity = fields.String(allow_none=True)
    error = fields.String(required=True)
    charger_id = fields.String()


class FanOut(Schema):
    """Who got a command, and who did not."""

    targeted_count = fields.Integer(required=True)
    queued_count = fields.Integer(required=True)
    failed_count = fields.Integer(required=True)
    results = fields.List(fields.Nested(FannedCommand), required=True)
    failed = fields.List(fields.Nested(FannedFailure), required=True)


class _Told(Schema):
    """What every command with a result answers."""

    status = fields.String(
        metadata={"description": "`Pending` when the charger has not answered yet."}
    )
    command_id = fields.String()


class ConfigurationChanged(_Told):
    """What became of each key."""

    status = fields.String(required=True)
    configured = fields.List(fields.String(), required=True)
    msg = fields.String(required=True)
    results = fields.Dict(keys=fields.String(), values=fields.String())


class CacheReset(_Told):
    """How many entries went."""

    msg = fields.String(required=True)
    cleared_entries = fields.Integer(required=True)


class LocalListSent(_Told):
    """The list as the charger has it."""

    list_version = fields.Integer()
    entries_received = fields.Integer()
    msg = fields.String()


class LocalListCleared(_Told):
    """What was removed."""

    msg = fields.String()
    entries_deleted = fields.Integer()
    list_version = fields.Integer()


class FaultSet(_Told):
    """The connector's state."""

    msg = fields.String(required=True)
    fault_type = fields.String(allow_none=True)
    evse_id = fields.Integer()
    connector_id = fields.Integer()


class CommandError(Schema):
    """Why a command did not take effect."""

    code = fields.String(required=True)
    message = fields.String(required=True)


class CommandState(Schema):
    """What became of a command."""

    id = fields.String(required=True)
    charger_id = fields.String(required=True)
    identity = fields.String(required=True)
    name = fields.String(required=True)
    event_type = fields.String(required=True)
    ocpp_version = fields.String(required=True)
    state = fields.String(
        required=True,
        validate=validate.OneOf(
            ["received", "deferred", "applied", "rejected", "expired", "failed"]
        ),
    )
    result = fields.Dict(allow_none=True)
    error = fields.Nested(CommandError, allow_none=True)
    created_at = fields.DateTime()
    delivered_at = fields.DateTime(allow_none=True)
    finished_at = fields.DateTime(allow_none=True)
    expires_at = fields.DateTime()
