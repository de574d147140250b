"""Chargers: what orders may say, and what answers look like."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from app.api.schemas.base import (
    MAX_URL,
    Body,
    Int,
    Moment,
    Name,
    Paging,
    Pattern,
    Query,
    QueryInt,
    Text,
    Uuid,
)
from app.lifecycle import Desired, Stage, Status, Verdict
from app.services.chargers import NewCharger

OCPP_VERSIONS: Final = ("OCPP1.6", "OCPP2.0.1")
#: The OCPP identifier characters (OCPP 2.0.1 part 2 section 4.3, `identifierString`, with `@` and `.`).
IDENTITY: Final = r"[A-Za-z0-9*\-_=:+|@.]{1,48}"
MAX_WAIT_S: Final = 30

_DESCRIBED: Final = {
    "identity": {
        "description": "The OCPP charge point id; unique among the organization's live chargers.",
        "example": "CP-001",
    },
    "ws_url": {
        "description": "Where the charger connects: ws:// or wss://, without the identity.",
        "example": "wss://csms.example.com/ocpp",
    },
    "profile": {
        "description": "OCPP security profile: 0 none, 1 HTTP Basic, 2 HTTP Basic over TLS. "
        "Without it: 0, or with an authorization_key 1 or 2 by the address."
    },
    "key": {
        "description": "Password of HTTP Basic authentication at the CSMS. Never shown again.",
        "example": "a-long-password-1234",
    },
}


class Secured(Body):
    """How the charger proves to its CSMS who it is."""

    security_profile = Int(least=0, most=2, metadata=_DESCRIBED["profile"])
    authorization_key = Text(
        least=1,
        most=64,
        checks=[Pattern(r"^[ -~]+$", error="Must be printable ASCII.")],
        load_only=True,
        metadata=_DESCRIBED["key"],
    )


class _Hardware(Secured):
    """What an order and an update have in common."""

    location_id = Text(least=1, metadata={"description": "A location of the organization."})
    location_name = Name(metadata={"example": "Depot North"})


class ChargerCreate(_Hardware):
    """A charger to be provisioned."""

    identity = fields.String(
        required=True,
        validate=Pattern(
            rf"^{IDENTITY}$",
            error="Must be 1 to 48 of A-Z a-z 0-9 * - _ = : + | @ and the full stop.",
        ),
        metadata=_DESCRIBED["identity"],
    )
    brand_slug = Name(required=True, metadata={"example": "wallbox"})
    model_slug = Name(required=True, metadata={"example": "wallbox-pulsar-plus"})
    connector_type = Name(required=True, metadata={"example": "Type2"})
    ws_url = Text(least=1, most=MAX_URL, required=True, metadata=_DESCRIBED["ws_url"])
    ocpp_version = fields.String(
        validate=validate.OneOf(OCPP_VERSIONS), load_default=OCPP_VERSIONS[0]
    )
    charge_point_name = Name(metadata={"example": "Bay 1"})

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> NewCharger:
        """The order as the service takes it."""
        return NewCharger(**data)


class ChargerUpdate(_Hardware):
    """What is to change; what is absent or null stays."""

    name = Name(metadata={"description": "The same as charge_point_name."})
    charge_point_name = Name()
    connector_type = Name()
    ocpp_version = fields.String(validate=validate.OneOf(OCPP_VERSIONS))
    ws_url = Text(least=1, most=MAX_URL, metadata=_DESCRIBED["ws_url"])

    @validates_schema
    def check_names(self, data: dict[str, Any], **_: Any) -> None:
        """Two names that differ cannot both be meant."""
        if len({data[key] for key in ("name", "charge_point_name") if key in data}) > 1:
            raise ValidationError(
                "name and charge_point_name are the same thing.", "charge_point_name"
            )

    @post_load
    def unite_names(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """One name is left."""
        if "charge_point_name" in data:
            data["name"] = data.pop("charge_point_name")
        return data


class ChargerFilters(Paging):
    """Which chargers, and which page of them."""

    location_id = Uuid(metadata={"description": "Only those at this location."})
    status = fields.String(validate=validate.OneOf([str(status) for status in Status]))
    stage = fields.String(validate=validate.OneOf([str(stage) for stage in Stage]))
    identity = Text(most=48, metadata={"description": "Only identities that begin like this."})


class StatusWait(Query):
    """How long the answer may be held until the status settles."""

    wait = QueryInt(
        least=0,
        most=MAX_WAIT_S,
        load_default=0,
        metadata={"description": "Seconds to wait for READY or FAILED."},
    )


class LogWindow(Query):
    """Which log entries; dates are inclusive."""

    start_date = Moment(metadata={"example": "2026-01-01T00:00:00Z"})
    end_date = Moment()
    event = Text(metadata={"description": "An OCPP action.", "example": "BootNotification"})
    limit = QueryInt(least=1, most=1000, load_default=100)
    offset = QueryInt(load_default=0)


class ProvisioningError(Schema):
    """Why a charger is FAILED."""

    code = fields.String(required=True, metadata={"example": "csms_unreachable"})
    message = fields.String(required=True)
    step = fields.String(allow_none=True)
    param = fields.String(allow_none=True, metadata={"example": "ws_url"})
    doc_url = fields.String(allow_none=True)
    retryable = fields.Boolean(allow_none=True)


class Runtime(Schema):
    """What the charger's simulator does right now."""

    provider = fields.String(allow_none=True, validate=validate.OneOf(["local", "docker", "aws"]))
    stage = fields.String(validate=validate.OneOf([str(stage) for stage in Stage]))
    verdict = fields.String(validate=validate.OneOf([str(verdict) for verdict in Verdict]))
    hint = fields.String(allow_none=True, metadata={"description": "What to do, in one sentence."})
    since = fields.DateTime()
    restarts = fields.Integer()
    last_error = fields.Dict(allow_none=True)
    connectors = fields.List(fields.Dict(), allow_none=True)


class ChargerAccepted(Schema):
    """The order is written; poll `status_url`."""

    charger_id = fields.String(required=True)
    identity = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf([str(item) for item in Status]))
    status_url = fields.String(required=True)
    workflow_run_id = fields.String()
    warnings = fields.List(
        fields.String(),
        metadata={"description": "Allowed, but may surprise. Only if there are any."},
    )


class Step(Schema):
    """One step of the last order."""

    name = fields.String(required=True)
    status = fields.String(
        required=True, validate=validate.OneOf(["waiting", "running", "done", "failed"])
    )
    attempts = fields.Integer(required=True)
    started_at = fields.DateTime(allow_none=True)
    finished_at = fields.DateTime(allow_none=True)
    error = fields.Dict(allow_none=True)


class ChargerStatus(Schema):
    """What became of the last order, and what the runtime does."""

    charger_id = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf([str(item) for item in Status]))
    workflow_run_id = fields.String(allow_none=True)
    error = fields.Nested(ProvisioningError, allow_none=True)
    provisioned_at = fields.DateTime(allow_none=True)
    current_step = fields.String(allow_none=True)
    attempt = fields.Integer()
    steps = fields.List(fields.Nested(Step))
    runtime = fields.Nested(Runtime)


class Charger(Schema):
    """A charger."""

    id = fields.String(required=True)
    identity = fields.String(required=True)
    name = fields.String(allow_none=True)
    vendor_name = fields.String(allow_none=True)
    model = fields.String(allow_none=True)
    image_url = fields.String(allow_none=True)
    ocpp_version = fields.String(validate=validate.OneOf(OCPP_VERSIONS))
    number_of_connectors = fields.Integer(allow_none=True)
    max_charging_power = fields.Integer(allow_none=True, metadata={"description": "W"})
    connector_type = fields.String()
    location_id = fields.String(allow_none=True)
    created_at = fields.DateTime()
    updated_at = fields.DateTime()
    brand_slug = fields.String()
    model_slug = fields.String()
    ws_url = fields.String()
    security_profile = fields.Integer()
    location_name = fields.String(allow_none=True)
    status = fields.String(validate=validate.OneOf([str(item) for item in Status]))
    desired_state = fields.String(validate=validate.OneOf([str(item) for item in Desired]))
    runtime = fields.Nested(Runtime)


class ChargerPage(Schema):
    """One page of chargers, newest first."""

    data = fields.List(fields.Nested(Charger), required=True)
    total = fields.Integer(required=True)
    page = fields.Integer(required=True)
    limit = fields.Integer(required=True)


class RuntimePayload(Schema):
    """What a runtime order led to."""

    provider = fields.String(allow_none=True)
    runtime_kind = fields.String()
    service_name = fields.String()
    desired_count = fields.Integer()
    status = fields.String()
    workflow_run_id = fields.String(allow_none=True)


class RuntimeOrdered(Schema):
    """The answer to start, stop and reset."""

    id = fields.String(required=True, metadata={"description": "The charger's id."})
    event_type = fields.String(
        required=True, validate=validate.OneOf(["start_charger", "stop_charger", "reset_charger"])
    )
    ocpp_version = fields.String(required=True)
    payload = fields.Nested(RuntimePayload, required=True)


class LogEntry(Schema):
    """One OCPP-J frame."""

    direction = fields.String(required=True, validate=validate.OneOf(["cp_to_csms", "csms_to_cp"]))
    action = fields.String(required=True)
    message = fields.String(metadata={"description": "The frame as it was on the wire."})
    timestamp = fields.DateTime()


class LogPage(Schema):
    """Frames, newest first."""

    data = fields.List(fields.Nested(LogEntry), required=True)
    total = fields.Integer(required=True)
    limit = fields.Integer(required=True)
    offset = fields.Integer(required=True)


class EventEntry(Schema):
    """One event of the charger itself."""

    kind = fields.String(required=True)
    timestamp = fields.DateTime(required=True)
    data = fields.Dict(required=True)


class EventPage(Schema):
    """Events, newest first."""

    data = fields.List(fields.Nested(EventEntry), required=True)
    total = fields.Integer(required=True)
    limit = fields.Integer(required=True)
    offset = fields.Integer(required=True)
