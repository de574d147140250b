"""Shapes of bulk orders, their jobs, and changes of many chargers."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from app.api.schemas.base import MAX_URL, Body, Int, Name, Paging, Pattern, Query, Text
from app.api.schemas.chargers import (
    OCPP_VERSIONS,
    Charger,
    ChargerUpdate,
    ProvisioningError,
    Secured,
)
from app.api.schemas.locations import Location, SiteFields, check_country
from app.lifecycle import Status
from app.services.bulk import MAX_ORDER, SUFFIX_LENGTH, Group
from app.services.sites import SiteOrder

_MAX_IDENTITY: Final = 48
_OF_CHARGERS: Final = (
    "ws_url",
    "identity_prefix",
    "template_name",
    "security_profile",
    "authorization_key",
)
_LETTERS: Final = Pattern(
    r"^[A-Za-z0-9*\-_=:+|@.]*$", error="Must be of A-Z a-z 0-9 * - _ = : + | @ and the full stop."
)


class GroupTemplate(Secured):
    """What the chargers of a group have in common."""

    brand_slug = Name(required=True, metadata={"example": "schneider"})
    model_slug = Name(required=True, metadata={"example": "evlink-pro-ac-22kw"})
    connector_type = Name(required=True, metadata={"example": "Type2"})
    ws_url = Text(
        least=1,
        most=MAX_URL,
        required=True,
        metadata={"example": "wss://csms.example.com/ocpp"},
    )
    ocpp_version = fields.String(
        validate=validate.OneOf(OCPP_VERSIONS), load_default=OCPP_VERSIONS[0]
    )
    identity_prefix = Text(
        most=_MAX_IDENTITY, checks=[_LETTERS], load_default="", metadata={"example": "SITE_A_"}
    )
    template_name = Text(least=1, most=200, metadata={"example": "Bay"})


class ChargerGroup(Body):
    """Equal chargers: those of `charger_ids`, padded with random suffixes or cut to `chargers_number`."""

    template = fields.Nested(GroupTemplate, required=True)
    charger_ids = fields.List(
        Text(least=1, most=_MAX_IDENTITY, checks=[_LETTERS]),
        validate=validate.Length(max=MAX_ORDER),
        metadata={"description": "Identity suffixes.", "example": ["001", "002", "003"]},
    )
    chargers_number = Int(least=1, most=MAX_ORDER)

    @validates_schema
    def check_numbers(self, data: dict[str, Any], **_: Any) -> None:
        """There must be something to make, and each identity must be one."""
        suffixes = data.get("charger_ids", [])
        number = data.get("chargers_number")
        if not suffixes and number is None:
            raise ValidationError("Give charger_ids, chargers_number, or both.", "charger_ids")
        room = _MAX_IDENTITY - len(data["template"]["identity_prefix"])
        message = f"Prefix and suffix together may have {_MAX_IDENTITY} characters."
        long = {place: [message] for place, one in enumerate(suffixes) if len(one) > room}
        if long:
            raise ValidationError({"charger_ids": long})
        if (number or 0) > len(suffixes) and room < SUFFIX_LENGTH:
            place = {"identity_prefix": [f"Leaves no room for {SUFFIX_LENGTH} random digits."]}
            raise ValidationError({"template": place})

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Group:
        """The group as the service takes it."""
        return Group(
            **data["template"],
            suffixes=data.get("charger_ids", []),
            number=data.get("chargers_number"),
        )


class SiteCreate(SiteFields, Secured):
    """A location and the chargers of a ready-made site; identity = prefix + 001, 002, ..."""

    country = Text(
        checks=[check_country],
        metadata={"description": "ISO 3166-1 alpha-2; without it, the template's."},
    )
    ws_url = Text(
        least=1, most=MAX_URL, required=True, metadata={"example": "wss://csms.example.com"}
    )
    identity_prefix = Text(most=_MAX_IDENTITY - 4, checks=[_LETTERS], load_default="")
    template_name = Text(least=1, most=200, metadata={"example": "Bay"})

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> SiteOrder:
        """The order as the service takes it."""
        place = data.pop("coordinates")
        ours = {name: data.pop(name) for name in _OF_CHARGERS if name in data}
        return SiteOrder(location=data | place, **ours)


class SiteAccepted(Schema):
    """The location is there and the order is written; poll `status_url`."""

    location = fields.Nested(Location, required=True)
    job_id = fields.UUID(required=True)
    status = fields.String(required=True)
    status_url = fields.String(required=True)
    workflow_run_id = fields.String()


class LocationChargerPaging(Paging):
    """Which chargers of the location."""

    charger_ids = fields.List(
        Text(least=1), metadata={"description": "Only these; the key repeats."}
    )


class LocationChargerDelete(Query):
    """Which chargers are to go."""

    charger_ids = fields.List(Text(), required=True, metadata={"description": "The key repeats."})


class LocationChargerItem(ChargerUpdate):
    """One charger's changes. A value that cannot be is that charger's failure, not the call's."""

    charger_id = Text(required=True)
    ocpp_version = Text()
    ws_url = Text(most=MAX_URL)


class LocationChargersUpdate(Body):
    """Changes of several chargers."""

    chargers = fields.List(
        fields.Nested(LocationChargerItem), required=True, validate=validate.Length(max=MAX_ORDER)
    )


class JobAccepted(Schema):
    """The order is written; poll `status_url`."""

    job_id = fields.UUID(required=True)
    status = fields.String(required=True, validate=validate.OneOf([str(item) for item in Status]))
    status_url = fields.String(required=True)
    workflow_run_id = fields.String()


class ChargerFailure(Schema):
    """A charger that was not created."""

    identity = fields.String(required=True)
    error = fields.String(required=True)
    code = fields.String()
    charger_id = fields.String(
        metadata={"description": "Its row, or the live charger that has the same fields."}
    )


class JobResults(Schema):
    """What became of each charger. `created` leaves out those that were deleted since."""

    created_count = fields.Integer(required=True)
    failed_count = fields.Integer(required=True)
    created = fields.List(fields.Nested(Charger), required=True)
    failed = fields.List(fields.Nested(ChargerFailure), required=True)


class JobProgress(Schema):
    """How far a job is."""

    total = fields.Integer(required=True)
    ready = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    pending = fields.Integer(required=True)


class BulkJob(Schema):
    """A bulk order. READY may carry failures; FAILED means that nothing came up."""

    job_id = fields.UUID(required=True)
    job_type = fields.String()
    status = fields.String(validate=validate.OneOf([str(item) for item in Status]))
    workflow_run_id = fields.String()
    error = fields.Nested(ProvisioningError, allow_none=True)
    provisioned_at = fields.DateTime(allow_none=True)
    results = fields.Nested(
        JobResults, allow_none=True, metadata={"description": "Once the job has ended."}
    )
    progress = fields.Nested(JobProgress)
    created_at = fields.DateTime()
    cancelled_at = fields.DateTime(allow_none=True)


class ItemFailure(Schema):
    """A charger that was not changed."""

    charger_id = fields.String()
    error = fields.String(required=True)
    code = fields.String()


class ChargersUpdated(Schema):
    """What became of each change."""

    updated_count = fields.Integer(required=True)
    failed_count = fields.Integer(required=True)
    updated = fields.List(fields.Nested(Charger), required=True)
    failed = fields.List(fields.Nested(ItemFailure), required=True)


class ChargersDeleted(Schema):
    """Which chargers are gone."""

    deleted_count = fields.Integer(required=True)
    failed_count = fields.Integer(required=True)
    deleted = fields.List(fields.String(), required=True)
    failed = fields.List(fields.Nested(ItemFailure), required=True)
