"""Health: is this process alive, and can it do its work?

Ready means that the database answers: a 202 needs nothing else, so the broker's state is only told. Each look is
bounded by `LOOK_S`; one that hangs is reported as away and not started twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from flask import current_app
from marshmallow import Schema, fields
from sqlalchemy import text

from app.api.auth import Access
from app.api.call import Call
from app.api.errors import RETRY_AFTER_S
from app.api.operations import Blueprint
from app.db import make_engine
from app.errors import DependencyDown
from app.queue import make_sender
from app.settings import Settings

LOOK_S: Final = 1.0

_READY: Final = {"status": "ok", "database": "ok", "broker": "ok"}

blueprint = Blueprint("Health", url_prefix="/health", description="Whether the gateway works.")


class Health(Schema):
    """A flat object of strings."""

    status = fields.String(required=True)


class Readiness(Health):
    """What the gateway stands on: `ok` or `away`."""

    database = fields.String(required=True)
    broker = fields.String(required=True)


class Probe:
    """Looks at one server from a thread of its own, so that a frozen server freezes nobody."""

    def __init__(self, look: Callable[[], object], let_go: Callable[[], object]) -> None:
        self._look = look
        self._let_go = let_go
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="probe")
        self._pending: Future[object] | None = None

    def begin(self) -> Future[object]:
        """Start to look; a look under way is joined."""
        pending = self._pending
        if pending is None or pending.done():
            pending = self._pending = self._pool.submit(self._look)
        return pending

    def close(self) -> None:
        """Let the thread and its connection go."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._let_go()


def _was_answered(look: Future[object], until: float) -> bool:
    try:
        look.result(max(0.0, until - time.monotonic()))
    except Exception:  # noqa: BLE001  # late, or whatever a server's client raises: it does not answer
        return False
    return True


def make_probes(settings: Settings) -> dict[str, Probe]:
    """Probes of the database and the broker, on connections of their own: a busy pool is not a server away."""
    sender = make_sender(settings.broker_url)
    engine = make_engine(
        settings.database_url, pool_size=1, statement_timeout_s=LOOK_S, name="gateway-health"
    )

    def ask_database() -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def ask_broker() -> None:
        with sender.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=LOOK_S)
            connection.default_channel.close()

    return {
        "database": Probe(ask_database, engine.dispose),
        "broker": Probe(ask_broker, sender.close),
    }


@blueprint.operation("GET", "", access=Access.PUBLIC, answer=Health(), example={"status": "ok"})
def get_health(_: Call) -> Any:
    """Say that this process serves requests."""
    return {"status": "ok"}


@blueprint.operation(
    "GET", "/live", access=Access.PUBLIC, answer=Health(), example={"status": "ok"}
)
def get_liveness(_: Call) -> Any:
    """Say that this process serves requests; the same as `/health`."""
    return {"status": "ok"}


@blueprint.operation("GET", "/ready", access=Access.PUBLIC, answer=Readiness(), example=_READY)
def get_readiness(_: Call) -> Any:
    """Say whether orders can be taken: 200 when the database answers, 503 when it does not.

    The broker's state is told and decides nothing, since a 202 does not need it.
    """
    until = time.monotonic() + LOOK_S
    probes: dict[str, Probe] = current_app.extensions["probes"]
    looks = {name: probe.begin() for name, probe in probes.items()}
    seen = {name: "ok" if _was_answered(look, until) else "away" for name, look in looks.items()}
    if seen["database"] == "away":
        raise DependencyDown("The database does not answer.", retry_after_s=RETRY_AFTER_S, **seen)
    return {"status": "ok", **seen}
