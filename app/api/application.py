"""`create_app`: settings in, a Flask application out.

To add a noun, write its blueprint and add it to `BLUEPRINTS`.
"""

from __future__ import annotations

import re
from typing import Final

from flask import Flask, Request, Response, g, request
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker
from structlog.contextvars import bind_contextvars, clear_contextvars

from app.api import (
    catalog,
    chargers,
    commands,
    fleet,
    health,
    location_chargers,
    locations,
    pages,
    runs,
    templates,
)
from app.api.auth import Gate
from app.api.call import Desk
from app.api.errors import register_errors
from app.api.metrics import measure
from app.api.openapi import Api
from app.api.operations import Blueprint
from app.api.watchdog import Watchdog
from app.db import make_engine, make_sessions
from app.ids import make_request_id
from app.queue import HintQueue, Hints
from app.services.news import News
from app.services.policy import make_policy
from app.settings import Settings

#: Every noun of the API, in the order of the docs.
BLUEPRINTS: Final[tuple[Blueprint, ...]] = (
    chargers.blueprint,
    locations.blueprint,
    location_chargers.blueprint,
    catalog.blueprint,
    templates.blueprint,
    commands.blueprint,
    runs.blueprint,
    fleet.blueprint,
    health.blueprint,
)

#: A statement of a request may take this long; the watchdog cuts a connection a little later. Seconds.
STATEMENT_S: Final = 5.0
WATCHDOG_S: Final = 6.0
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class StrictRequest(Request):
    """No form is ever read here, and no body is unpacked."""

    max_form_parts = 0


def create_app(
    settings: Settings,
    *,
    sessions: sessionmaker[Session] | None = None,
    queue: Hints | None = None,
) -> Flask:
    """The application. Raises `SettingsInvalid` for settings that contradict the rules of this API.

    `sessions` and `queue` replace the ones that are made of the settings.
    """
    app = Flask(__name__, static_folder=None)
    app.request_class = StrictRequest
    app.url_map.strict_slashes = False
    desk = _make_desk(settings, sessions, queue)
    app.extensions["desk"] = desk
    app.extensions["gate"] = Gate(settings.jwt_secrets)
    app.extensions["probes"] = health.make_probes(settings)
    register_errors(app)
    api = Api(app)
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    app.register_blueprint(pages.blueprint)
    app.before_request(_name_request)
    app.after_request(_sign_answer)
    measure(app, desk.reads, settings.install_id)
    return app


def close_app(app: Flask) -> None:
    """Let go of threads and connections; for tests and for a server that stops."""
    desk: Desk = app.extensions["desk"]
    desk.news.close()
    for probe in app.extensions["probes"].values():
        probe.close()
    for sessions in (desk.sessions, desk.reads):
        sessions.kw["bind"].dispose()


def _make_desk(
    settings: Settings, sessions: sessionmaker[Session] | None, queue: Hints | None
) -> Desk:
    if sessions is None:
        reads = _make_sessions(settings, autocommit=True)
        sessions = _make_sessions(settings, autocommit=False)
    else:
        engine: Engine = sessions.kw["bind"]
        reads = make_sessions(engine.execution_options(isolation_level="AUTOCOMMIT"))
    return Desk(
        settings,
        sessions,
        reads,
        queue or HintQueue(settings.broker_url, cap=settings.engine.org_inflight),
        make_policy(settings),
        News(settings.database_url, seats=max(1, settings.api_threads // 4)),
    )


def _make_sessions(settings: Settings, *, autocommit: bool) -> sessionmaker[Session]:
    """Sessions on a pool of their own; reads have one too, since a connection changes its mode slowly."""
    engine = make_engine(
        settings.database_url,
        # A request holds at most one connection, and a thread serves one request.
        pool_size=max(settings.db_pool_size, settings.api_threads),
        statement_timeout_s=STATEMENT_S,
        name="gateway-api",
        autocommit=autocommit,
    )
    Watchdog(engine, after_s=WATCHDOG_S)
    return make_sessions(engine)


def _name_request() -> None:
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else make_request_id()
    # Threads serve one request after another: what the last one bound is not this one's.
    clear_contextvars()
    bind_contextvars(program="api", request_id=g.request_id)


def _sign_answer(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.get("request_id") or make_request_id()
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
