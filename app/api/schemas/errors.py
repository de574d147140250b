"""Bodies of errors."""

from __future__ import annotations

from marshmallow import Schema, fields


class Problem(Schema):
    """Every error but 422."""

    detail = fields.String(required=True, metadata={"description": "One sentence for people."})
    code = fields.String(
        metadata={"description": "Stable name of the error.", "example": "identity_taken"}
    )
    request_id = fields.String(metadata={"description": "The same as the X-Request-Id header."})
    charger_id = fields.String(
        metadata={
            "description": "With `identity_taken`: the live charger that has the same fields."
        }
    )
    status_url = fields.String(metadata={"description": "With `charger_id`: where its status is."})
    param = fields.String(metadata={"description": "The field that the error is about."})


class Mistake(Schema):
    """One thing that is wrong with a request."""

    loc = fields.List(
        fields.Raw(metadata={"type": ["string", "integer"]}),
        required=True,
        metadata={
            "description": "Its place: `body`, `query` or `path`, then keys and positions.",
            "example": ["body", "ws_url"],
        },
    )
    msg = fields.String(required=True)
    type = fields.String(required=True, metadata={"example": "missing"})


class ValidationProblem(Schema):
    """422."""

    detail = fields.List(fields.Nested(Mistake), required=True)
