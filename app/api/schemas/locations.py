"""Shapes of locations and of the ready-made sites."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, Final
from zoneinfo import available_timezones

from marshmallow import Schema, ValidationError, fields, post_load, validate

from app.api.schemas.base import Body, Flag, Name, Pattern, Query, Text
from app.catalog import OCPP_VERSIONS

_EXAMPLE: Final = {
    "name": "La Defense Charging Hub",
    "address": "14 Rue de la Paix",
    "city": "Paris",
    "country": "FR",
    "timezone": "Europe/Paris",
}


@cache
def list_countries() -> frozenset[str]:
    """ISO 3166-1 alpha-2, as the time zone database lists it (`iso3166.tab`)."""
    table = files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text(encoding="utf-8")
    return frozenset(line[:2] for line in table.splitlines() if line and not line.startswith("#"))


@cache
def list_timezones() -> frozenset[str]:
    """Names of the IANA time zone database."""
    return frozenset(available_timezones())


def check_country(code: str) -> None:
    """Raises unless it is one."""
    if code not in list_countries():
        raise ValidationError("Must be a country of ISO 3166-1 alpha-2, in capital letters.")


def check_timezone(name: str) -> None:
    """Raises unless it is one."""
    if name not in list_timezones():
        raise ValidationError("Must be a time zone of the IANA database, like Europe/Paris.")


class Degrees(fields.Float):
    """A JSON number within `most` degrees of zero; a string of digits is none."""

    def __init__(self, most: float, **kwargs: Any) -> None:
        super().__init__(validate=validate.Range(min=-most, max=most), **kwargs)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class Coordinates(Body):
    """A place on Earth (WGS 84)."""

    latitude = Degrees(90, required=True, metadata={"example": 48.8566})
    longitude = Degrees(180, required=True, metadata={"example": 2.3522})


class _Optional(Body):
    """What an order and an update have in common."""

    timezone = Text(
        checks=[check_timezone],
        metadata={"description": "IANA.", "example": _EXAMPLE["timezone"]},
    )
    owner_name = Name(metadata={"example": "VINCI Autoroutes"})
    public = Flag()


def _flatten(data: dict[str, Any]) -> dict[str, Any]:
    """Columns of the table."""
    place: dict[str, Any] = data.pop("coordinates", {})
    return data | place


class SiteFields(_Optional):
    """What every site has."""

    name = Name(required=True, metadata={"example": _EXAMPLE["name"]})
    address = Name(required=True, metadata={"example": _EXAMPLE["address"]})
    city = Name(required=True, metadata={"example": _EXAMPLE["city"]})
    coordinates = fields.Nested(
        Coordinates, required=True, metadata={"example": {"latitude": 48.8566, "longitude": 2.3522}}
    )


class LocationCreate(SiteFields):
    """A site."""

    country = Text(
        required=True,
        checks=[check_country],
        metadata={"description": "ISO 3166-1 alpha-2.", "example": _EXAMPLE["country"]},
    )

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Columns of the table."""
        return _flatten(data)


class LocationUpdate(_Optional):
    """What is to change; what is absent or null stays."""

    slug = Text(
        least=1,
        checks=[
            Pattern(
                r"^[a-z0-9]+(-[a-z0-9]+)*$",
                error="Must be lower case words and digits joined by hyphens.",
            )
        ],
    )
    name = Name()
    address = Name()
    city = Name()
    country = Text(checks=[check_country])
    coordinates = fields.Nested(Coordinates)
    status = Name(metadata={"example": "active"})

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Columns of the table."""
        return _flatten(data)


class LocationDelete(Query):
    """How a location is deleted."""

    cascade = fields.Boolean(
        load_default=False,
        metadata={"description": "Delete its chargers too; otherwise there must be none."},
    )


class Location(Schema):
    """A site."""

    id = fields.UUID(required=True)
    slug = fields.String()
    name = fields.String()
    address = fields.String()
    city = fields.String()
    country = fields.String()
    coordinates = fields.Nested(Coordinates)
    timezone = fields.String(allow_none=True)
    owner_name = fields.String(allow_none=True)
    public = fields.Boolean()
    status = fields.String()
    created_at = fields.DateTime()
    updated_at = fields.DateTime()


class LocationPage(Schema):
    """One page of locations, newest first."""

    data = fields.List(fields.Nested(Location), required=True)
    total = fields.Integer(required=True)
    page = fields.Integer(required=True)
    limit = fields.Integer(required=True)


class TemplateFilters(Query):
    """Which ready-made sites."""

    type = fields.String(validate=validate.OneOf(["AC", "DC", "AC-DC"]))
    ocpp_version = fields.String(
        validate=validate.OneOf(OCPP_VERSIONS),
        metadata={"description": "Those with a group that speaks this version."},
    )


class TemplateGroup(Schema):
    """Equal chargers of a ready-made site."""

    brand_slug = fields.String(required=True)
    model_slug = fields.String(required=True)
    connector_type = fields.String(required=True)
    ocpp_version = fields.String(required=True)
    count = fields.Integer(required=True)
    nominal_kw = fields.Float(required=True)


class Template(Schema):
    """A ready-made site."""

    slug = fields.String(required=True)
    name = fields.String(required=True)
    country = fields.String(required=True)
    parking_type = fields.String(required=True, metadata={"description": "OCPI 2.2.1 ParkingType."})
    type = fields.String(required=True, validate=validate.OneOf(["AC", "DC", "AC-DC"]))
    groups = fields.List(fields.Nested(TemplateGroup), required=True)


class TemplateList(Schema):
    """The ready-made sites."""

    data = fields.List(fields.Nested(Template), required=True)
    total = fields.Integer(required=True)
