"""From what went wrong to an HTTP answer: one table of statuses, and the handlers that use it.

Every error body is JSON. 422 has `detail` as a list of `{loc, msg, type}`; everything else has `detail` as one
sentence, `code` (docs/errors.md) and `request_id`. A 503 says when to come back. What nobody expected is a 500
whose text is in the log alone.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import orjson
from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException

from app.db import DatabaseAway
from app.errors import (
    DependencyDown,
    Forbidden,
    GatewayError,
    IdentityTaken,
    InvalidField,
    InvalidOrder,
    NotFound,
    Unauthorized,
)

log = logging.getLogger(__name__)

#: The one place where a domain error meets an HTTP status; a subclass has its parent's.
STATUS: Final[dict[type[GatewayError], int]] = {
    InvalidOrder: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    InvalidField: 422,
    DependencyDown: 503,
}

#: `code` and sentence of the errors that HTTP itself has.
HTTP_ERRORS: Final = {
    400: ("bad_request", "The request is not one that HTTP allows."),
    404: ("route_not_found", "There is no such path."),
    405: ("method_not_allowed", "The path does not have this method."),
    413: ("body_too_large", "The body is larger than this path takes."),
    415: ("unsupported_media_type", "The body is not of a kind that this path takes."),
}
RETRY_AFTER_S: Final = 2


class InvalidInput(Exception):
    """Several fields are wrong at once (422); `mistakes` is the answer's `detail`."""

    def __init__(self, mistakes: list[dict[str, Any]]) -> None:
        super().__init__("invalid input")
        self.mistakes = mistakes


def make_mistake(loc: list[str | int], message: str, kind: str) -> dict[str, Any]:
    """One entry of a 422. The input is not repeated: it may hold a secret."""
    return {"loc": loc, "msg": message, "type": kind}


def find_status(error: GatewayError) -> int:
    """The status of a domain error; 500 for one that the table does not know."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def make_answer(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(body), status, headers, mimetype="application/json")


def _make_error(
    status: int,
    code: str,
    detail: str,
    extra: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    body = {"detail": detail, "code": code, "request_id": g.get("request_id"), **(extra or {})}
    return make_answer(status, body, headers)


def answer_domain_error(error: GatewayError) -> Response:
    """A domain error, by the table."""
    status = find_status(error)
    if isinstance(error, InvalidField):
        return make_answer(
            status, {"detail": [make_mistake(list(error.loc), error.message, error.kind)]}
        )
    if status == 500:
        return answer_surprise(error)
    headers = {}
    if isinstance(error, DependencyDown):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="charger-gateway"'
    extra = dict(error.extra)
    if isinstance(error, IdentityTaken) and "charger_id" in extra:
        extra["status_url"] = f"/ocpp/chargers/{extra['charger_id']}/status"
    return _make_error(status, error.code, error.message, extra, headers)


def answer_invalid_input(error: InvalidInput) -> Response:
    """Everything that is wrong with the input."""
    return make_answer(422, {"detail": error.mistakes})


def answer_database_away(error: Exception) -> Response:
    """The database did not answer in time; what was asked was not done, or may be asked again."""
    log.warning("database away: %s", type(error).__name__)
    down = DependencyDown("The database does not answer.", retry_after_s=RETRY_AFTER_S)
    return answer_domain_error(down)


def answer_http_error(error: HTTPException) -> Response | HTTPException:
    """What Flask itself raises: no such route, another method, a body that is too large."""
    status = error.code or 500
    if status < 400:  # a redirect
        return error
    kept = ("allow", "retry-after")
    headers = {name: value for name, value in error.get_headers() if name.lower() in kept}
    code, sentence = HTTP_ERRORS.get(status, ("http_error", error.name))
    # The class's own text speaks to people with a browser; one that we gave says more than ours.
    if error.description is not None and error.description != type(error).description:
        sentence = error.description
    return _make_error(status, code, sentence, None, headers)


def answer_surprise(error: Exception) -> Response:
    """A mistake of this program. The client learns the request id, the log the rest."""
    log.exception("request failed: %s", type(error).__name__, exc_info=error)
    return _make_error(500, "internal_error", "Something went wrong here; the log has it.")


def register_errors(app: Flask) -> None:
    """Make `app` answer every error in the shapes above."""
    app.register_error_handler(GatewayError, answer_domain_error)
    app.register_error_handler(InvalidInput, answer_invalid_input)
    app.register_error_handler(HTTPException, answer_http_error)
    for away in DatabaseAway:
        app.register_error_handler(away, answer_database_away)
    app.register_error_handler(Exception, answer_surprise)
