"""Runs as operators see them, and the summary of a fleet."""

from __future__ import annotations

from typing import Final

from marshmallow import Schema, fields, validate

from app.api.schemas.base import Paging, Text
from app.workflows import Kind

STATUSES: Final = ("active", "done", "failed", "superseded", "cancelled")


class RunFilters(Paging):
    """Which runs."""

    status = fields.String(validate=validate.OneOf(STATUSES))
    kind = fields.String(validate=validate.OneOf([str(kind) for kind in Kind]))
    charger_id = Text(least=1)


class RunStep(Schema):
    """One step of a run."""

    name = fields.String(required=True)
    status = fields.String(
        required=True, validate=validate.OneOf(["waiting", "running", "done", "failed"])
    )
    attempts = fields.Integer(required=True)
    started_at = fields.DateTime(allow_none=True)
    finished_at = fields.DateTime(allow_none=True)
    error = fields.Dict(allow_none=True)
    output = fields.Dict()


class Run(Schema):
    """One order being carried out."""

    id = fields.String(required=True)
    organization_id = fields.String(required=True)
    kind = fields.String(required=True, validate=validate.OneOf([str(kind) for kind in Kind]))
    charger_id = fields.String(allow_none=True)
    job_id = fields.UUID(allow_none=True)
    identity = fields.String()
    generation = fields.Integer()
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    phase = fields.String(validate=validate.OneOf(["forward", "compensating"]))
    current_step = fields.String(allow_none=True)
    attempts = fields.Integer(metadata={"description": "Of the current step."})
    hint = fields.String(allow_none=True, metadata={"description": "Why it waits."})
    error = fields.Dict(allow_none=True)
    due_at = fields.DateTime(allow_none=True)
    lease_until = fields.DateTime(allow_none=True)
    created_at = fields.DateTime()
    finished_at = fields.DateTime(allow_none=True)
    steps = fields.List(fields.Nested(RunStep))
    successor_run_id = fields.String(
        metadata={"description": "After cancel and redrive: the run that goes on."}
    )


class RunPage(Schema):
    """One page of runs, newest first."""

    data = fields.List(fields.Nested(Run), required=True)
    total = fields.Integer(required=True)
    page = fields.Integer(required=True)
    limit = fields.Integer(required=True)


class LocationCount(Schema):
    """Chargers at one location, or at none."""

    location_id = fields.UUID(required=True, allow_none=True)
    name = fields.String(allow_none=True)
    chargers = fields.Integer(required=True)


def _make_counts() -> fields.Dict:
    return fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)


class FleetSummary(Schema):
    """How many chargers there are of what."""

    total = fields.Integer(required=True)
    by_status = _make_counts()
    by_stage = _make_counts()
    by_verdict = _make_counts()
    by_ocpp_version = _make_counts()
    by_location = fields.List(fields.Nested(LocationCount), required=True)
    by_organization = fields.Dict(keys=fields.String(), values=fields.Integer())
