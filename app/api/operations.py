"""One decorator makes an operation of a view: who may call it, what it takes and answers, its page in the docs.

    chargers = Blueprint("chargers", url_prefix="/ocpp/chargers", description="...")

    @chargers.operation("POST", "", status=202, body=ChargerCreate(), answer=ChargerAccepted(), errors=(400, 503))
    def create_charger(call: Call) -> Any:
        '''Order a charger.'''

A view gets a `Call` and the path's parts, and returns what is to be JSON. `POST`, `PUT` and `DELETE` run in one
transaction: the answer is rendered before it commits, so that nothing can fail afterwards. `GET` reads without
one. A statement that finds its connection dead is tried again once, as long as COMMIT was not sent. To answer
with more than the transaction knows, return `Later`.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import flask_smorest
import orjson
from flask import Response, current_app, request
from marshmallow import Schema
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from structlog.contextvars import bind_contextvars

from app.api.auth import HEADER, Access, Gate, choose_tenant
from app.api.call import Call, Desk
from app.api.documents import describe
from app.api.naming import NAMED, name_order, name_path
from app.api.reading import MAX_BODY, load_body, load_query, read_bytes
from app.db import is_connection_lost
from app.errors import InvalidOrder
from app.store import idempotency
from app.tokens import Bearer, Role

log = logging.getLogger(__name__)

View: TypeAlias = Callable[..., Any]
REPLAYED: Final = "Idempotent-Replayed"
#: Where the access log finds whose request it was.
ORGANIZATION: Final = "gateway.organization"
_KEY_LENGTH: Final = 255
_RENDER: Final = orjson.OPT_UTC_Z
_NOBODY: Final = Bearer("", "", Role.USER)


@dataclass(frozen=True, slots=True)
class Later:
    """An answer that is completed after the commit.

    `first` is what the transaction can promise, and what a repetition gets; `complete` makes the real answer and
    may take its time. It may raise `InvalidOrder`: the effect was that somebody refused. If it fails otherwise,
    `first` is sent: the effect has happened, so there is no error any more.
    """

    first: Any
    complete: Callable[[], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What the decorator was told."""

    method: str
    status: int
    access: Access
    body: Schema | None
    body_required: bool
    query: Schema | None
    max_body: int

    @property
    def writes(self) -> bool:
        """Whether it runs in a transaction."""
        return self.method != "GET"


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # it ships no types
    """A blueprint whose routes are operations."""

    def __init__(self, name: str, *, url_prefix: str, description: str) -> None:
        super().__init__(name, __name__, url_prefix=url_prefix, description=description)

    def operation(
        self,
        method: str,
        rule: str,
        *,
        status: int = 200,
        access: Access = Access.TENANT,
        body: Schema | None = None,
        body_required: bool = True,
        query: Schema | None = None,
        answer: Schema | None = None,
        example: Any = None,
        errors: Sequence[int] = (),
        max_body: int = MAX_BODY,
    ) -> Callable[[View], View]:
        """Register a view. `errors`: the statuses that it has besides those that every operation has."""
        operation = Operation(
            method=method,
            status=status,
            access=access,
            body=body,
            body_required=body_required,
            query=query,
            max_body=max_body,
        )

        def decorate(view: View) -> View:
            @functools.wraps(view)
            def serve(**path: str) -> Response:
                return _serve(operation, view, path)

            page = describe(operation, answer=answer, example=example, errors=errors)
            page["operationId"] = view.__name__
            self.add_url_rule(rule, view.__name__, self.doc(**page)(serve), methods=[method])
            return view

        return decorate


def _serve(operation: Operation, view: View, path: Mapping[str, str]) -> Response:
    desk: Desk = current_app.extensions["desk"]
    bearer, tenant = _admit(operation.access)
    request.environ[NAMED] = named = name_path(path)
    bind_contextvars(**named)
    raw = b"" if operation.body is None else read_bytes(request, operation.max_body)
    body: Any = None
    if operation.body is not None:
        ignore = desk.settings.unknown_fields == "ignore"
        body = load_body(
            operation.body, raw, required=operation.body_required, ignore_unknown=ignore
        )
    query = {} if operation.query is None else load_query(operation.query, request.args)
    key = _read_key(tenant or bearer.organization_id, raw) if operation.method == "POST" else None
    for is_last in (False, True):
        sessions = desk.sessions if operation.writes else desk.reads
        with sessions() as session:
            call = Call(desk, bearer, tenant, session, body, query)
            work = _Work(operation, call, key)
            try:
                return work.run(view, path)
            except DBAPIError as error:
                if is_last or work.is_committing or not is_connection_lost(error):
                    raise
    raise AssertionError("the loop returns or raises")


def _admit(access: Access) -> tuple[Bearer, str]:
    """Who asks, and for which organization."""
    if access is Access.PUBLIC:
        return _NOBODY, ""
    gate: Gate = current_app.extensions["gate"]
    bearer = gate.identify(request.headers.get("Authorization"))
    tenant = choose_tenant(access, bearer, request.headers.get(HEADER))
    bind_contextvars(organization_id=tenant or bearer.organization_id)
    request.environ[ORGANIZATION] = tenant or bearer.organization_id
    return bearer, tenant


def _read_key(organization_id: str, raw: bytes) -> idempotency.Key | None:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 1 <= len(key) <= _KEY_LENGTH or not key.isascii() or not key.isprintable():
        raise InvalidOrder(
            f"An Idempotency-Key is 1 to {_KEY_LENGTH} visible ASCII characters.",
            code="idempotency_key_invalid",
        )
    digest = hashlib.sha256(raw).hexdigest()
    return idempotency.Key(organization_id, request.method, request.path, key, digest)


class _Work:
    """One attempt at one call."""

    def __init__(self, operation: Operation, call: Call, key: idempotency.Key | None) -> None:
        self._operation = operation
        self._call = call
        self._key = key
        #: COMMIT may have reached the server: whatever happens now, nothing may be done again.
        self.is_committing = False

    def run(self, view: View, path: Mapping[str, str]) -> Response:
        call, session = self._call, self._call.session
        if self._key is not None and (kept := idempotency.begin(session, self._key)) is not None:
            return _respond(kept.status, _render(kept.answer), {REPLAYED: "true"})
        made = view(call, **path)
        answer = made.first if isinstance(made, Later) else made
        request.environ[NAMED].update(name_order(call.body, answer))
        status = call.status or self._operation.status
        rendered = _render(answer)
        if self._key is not None:
            idempotency.keep(session, self._key, status, orjson.loads(rendered or b"null"))
        if self._operation.writes:
            self._commit()
        if isinstance(made, Later):
            rendered = _complete(made, rendered)
        return _respond(status, rendered, call.headers)

    def _commit(self) -> None:
        session = self._call.session
        session.flush()
        self.is_committing = True
        try:
            session.commit()
        except SQLAlchemyError:
            raise
        except Exception:  # the database has committed; what hangs on the commit is only a hint
            log.exception("after the commit")


def _complete(made: Later, first: bytes) -> bytes:
    try:
        return _render(made.complete())
    except InvalidOrder:  # what was asked took effect as a refusal
        raise
    except Exception:
        log.exception("the answer was not completed")
        return first


def _render(answer: Any) -> bytes:
    return b"" if answer is None else orjson.dumps(answer, option=_RENDER)


def _respond(status: int, rendered: bytes, headers: Mapping[str, str]) -> Response:
    response = Response(rendered, status, dict(headers), mimetype="application/json")
    if status == 204:
        del response.headers["Content-Type"]
    return response
