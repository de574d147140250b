"""Shapes of the catalog."""

from __future__ import annotations

from marshmallow import Schema, fields, validate


class Brand(Schema):
    """A maker of chargers."""

    id = fields.UUID(required=True)
    slug = fields.String(required=True)
    name = fields.String(required=True)
    image_url = fields.String(allow_none=True)
    created_at = fields.DateTime()


class BrandPage(Schema):
    """One page of brands."""

    data = fields.List(fields.Nested(Brand), required=True)
    total = fields.Integer(required=True)
    page = fields.Integer(required=True)
    limit = fields.Integer(required=True)


class Model(Schema):
    """A charger that can be ordered."""

    id = fields.UUID(required=True)
    slug = fields.String(required=True)
    name = fields.String(required=True)
    brand_slug = fields.String()
    brand_id = fields.UUID()
    image_url = fields.String(allow_none=True)
    connector_count = fields.Integer()
    current_type = fields.String(validate=validate.OneOf(["ac", "dc"]))
    supported_kwh = fields.List(fields.Float(), metadata={"description": "Power steps in kW."})
    connector_types = fields.List(fields.String())
    created_at = fields.DateTime()
    ocpp_versions = fields.List(fields.String())
    max_power_w = fields.Integer(metadata={"description": "W"})


class ModelPage(Schema):
    """One page of models."""

    data = fields.List(fields.Nested(Model), required=True)
    total = fields.Integer(required=True)
    page = fields.Integer(required=True)
    limit = fields.Integer(required=True)
