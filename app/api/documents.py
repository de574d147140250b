"""How an operation is written into the OpenAPI document (3.1), for flask-smorest's spec.

`describe` makes the part of one operation; the rest of the document is `app.api.openapi`.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from marshmallow import Schema

from app.api.auth import HEADER, Access
from app.api.schemas.errors import Problem, ValidationProblem

if TYPE_CHECKING:
    from app.api.operations import Operation

#: One sentence per status, for the docs.
MEANINGS: Final = {
    400: "The order can never be carried out as it is; `code` says why.",
    401: "No token, or one that is not valid any more.",
    403: "The token does not reach that far.",
    404: "No such thing in this organization.",
    413: "The body is too large.",
    415: "The body is packed, or is not JSON.",
    422: "Something in the request is malformed; `detail` lists each mistake and its place.",
    429: "Too many at once; come back after `Retry-After` seconds.",
    500: "A mistake of the gateway; its log has the rest under `request_id`.",
    503: "The database does not answer; nothing was done, come back after `Retry-After` seconds.",
}

_TENANT_HEADER: Final = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
    "description": "The organization. An admin's token must name one, a user's may only name its own.",
}
_KEY_HEADER: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "Makes a repetition within 24 h get the first answer instead of a second effect.",
}


def describe(
    operation: Operation,
    *,
    answer: Schema | None,
    example: Any,
    errors: Sequence[int],
) -> dict[str, Any]:
    """The OpenAPI operation: parameters, body, answers, security."""
    page: dict[str, Any] = {"parameters": _list_parameters(operation), "responses": {}}
    success: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase}
    if answer is not None:
        content: dict[str, Any] = {"schema": answer}
        if example is not None:
            content["example"] = example
        success["content"] = {"application/json": content}
    page["responses"][str(operation.status)] = success
    for status in _list_errors(operation, errors):
        page["responses"][str(status)] = describe_error(status)
    if operation.body is not None:
        page["requestBody"] = {
            "required": operation.body_required,
            "content": {"application/json": {"schema": operation.body}},
        }
    if operation.access is Access.PUBLIC:
        page["security"] = []
    return page


def describe_error(status: int) -> dict[str, Any]:
    """An error answer."""
    schema = ValidationProblem if status == 422 else Problem
    return {
        "description": MEANINGS[status],
        "content": {"application/json": {"schema": schema}},
    }


def _list_parameters(operation: Operation) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    if operation.query is not None:
        parameters.append({"in": "query", "schema": operation.query})
    if operation.access not in (Access.PUBLIC, Access.TOKEN):
        parameters.append(_TENANT_HEADER)
    if operation.method == "POST":
        parameters.append(_KEY_HEADER)
    return parameters


def _list_errors(operation: Operation, errors: Sequence[int]) -> list[int]:
    statuses = {*errors, 500, 503}
    if operation.access is not Access.PUBLIC:
        statuses |= {401, 403}
    if operation.body is not None:
        statuses |= {413, 415, 422}
    if operation.query is not None:
        statuses.add(422)
    return sorted(statuses)
