"""The floor of the API: bare Flask routes on the same server kind, writing and reading the same rows.

`python -m bench.floor_api` takes the gateway's settings and serves with its gunicorn options (workers, threads,
a log line per request). No authentication, no validation, no documents: what a route costs before it does
anything for anybody.

    POST /create      the charger's and the run's row in one transaction, then one Celery `send_task`
    POST /push        one LPUSH, no database; for information
    GET  /one/<id>    one SELECT by key
    GET  /list/<org>  one page of 50 and a count
"""

from __future__ import annotations

import json
from typing import Any

import redis
from celery import Celery
from flask import Flask, jsonify, request
from gunicorn.app.base import BaseApplication
from sqlalchemy import text

from app.api.serving import make_options
from app.db import make_engine
from app.ids import make_charger_id, make_run_id
from app.jobs import QUEUE_STEPS
from app.settings import Settings, load_settings
from app.workflows import PLANS, Kind

_CHARGER = text(
    """
    INSERT INTO chargers (id, organization_id, identity, brand_slug, model_slug, connector_type, ocpp_version,
                          ws_url, status, desired_state, stage, current_run_id)
    VALUES (:id, :organization_id, :identity, :brand_slug, :model_slug, :connector_type, 'OCPP1.6', :ws_url,
            'PENDING', 'running', 'queued', :run_id)
    """
)
_RUN = text(
    """
    INSERT INTO runs (id, kind, charger_id, organization_id, identity, plan, input, hinted, nudge_at)
    VALUES (:run_id, 'provision', :id, :organization_id, :identity, :plan, '{}', true,
            clock_timestamp() + interval '3 seconds')
    """
)
_ONE = text(
    "SELECT id, identity, status, error, stage, provisioned_at FROM chargers WHERE id = :id"
)
_COUNT = text(
    "SELECT count(*) FROM chargers WHERE organization_id = :organization AND deleted_at IS NULL"
)
_PAGE = text(
    """
    SELECT id, identity, name, brand_slug, model_slug, connector_type, ocpp_version, ws_url, location_id,
           location_name, security_profile, status, desired_state, provider, stage, verdict, hint, stage_since,
           restarts, last_error, connectors, created_at, updated_at
    FROM chargers WHERE organization_id = :organization AND deleted_at IS NULL ORDER BY id DESC LIMIT 50
    """
)


def make_floor(settings: Settings) -> Flask:
    """The application."""
    app = Flask(__name__, static_folder=None)
    writes = make_engine(settings.database_url, pool_size=settings.api_threads)
    reads = make_engine(settings.database_url, pool_size=settings.api_threads, autocommit=True)
    sender = Celery("floor", broker=settings.broker_url, set_as_current=False)
    sender.conf.task_ignore_result = True
    broker = redis.Redis(unix_socket_path=settings.broker_url.removeprefix("redis+socket://"))
    plan = list(PLANS[Kind.PROVISION])

    @app.post("/create")
    def create() -> Any:
        order = request.get_json()
        ids = {"id": make_charger_id(), "run_id": make_run_id()}
        row = {
            **order,
            **ids,
            "organization_id": request.headers["X-Organization-Id"],
            "plan": plan,
        }
        with writes.begin() as connection:
            connection.execute(_CHARGER, row)
            connection.execute(_RUN, row)
        names = [row["run_id"], row["id"], row["identity"]]
        sender.send_task("provision.register_task_definition", args=names, queue=QUEUE_STEPS)
        return jsonify(charger_id=row["id"], status="PENDING"), 202

    @app.post("/push")
    def push() -> Any:
        broker.lpush("floor", json.dumps(request.get_json()))
        return jsonify(status="PENDING"), 202

    @app.get("/one/<charger_id>")
    def one(charger_id: str) -> Any:
        with reads.connect() as connection:
            return jsonify(dict(connection.execute(_ONE, {"id": charger_id}).one()._mapping))

    @app.get("/list/<organization>")
    def page(organization: str) -> Any:
        values = {"organization": organization}
        with reads.connect() as connection:
            total = connection.execute(_COUNT, values).scalar_one()
            rows = connection.execute(_PAGE, values).all()
        return jsonify(data=[dict(row._mapping) for row in rows], total=total)

    return app


class _Floor(BaseApplication):  # type: ignore[misc]  # it ships no types
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        # Our own worker class only knows how to send waiting clients home; here nobody waits.
        for name, value in (make_options(self._settings) | {"worker_class": "gthread"}).items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return make_floor(self._settings)


if __name__ == "__main__":
    _Floor(load_settings()).run()
