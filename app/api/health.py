"""Health: is this process alive, and can it do its work?

Ready means that the database answers: a 202 needs nothing else, so the broker's state is only told. Each look is
bounded by `LOOK_S`; one that hangs is reported as away and not started twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from flask import Blueprint, Response, current_app, g
from sqlalchemy import text

from app.api.errors import RETRY_AFTER_S, make_answer
from app.db import make_engine
from app.queue import make_sender
from app.settings import Settings

LOOK_S: Final = 1.0

blueprint = Blueprint("health", __name__, url_prefix="/health")


class Probe:
    """Looks at one server from a thread of its own, so that a frozen server freezes nobody."""

    def __init__(self, look: Callable[[], object]) -> None:
        self._look = look
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="probe")
        self._pending: Future[object] | None = None

    def begin(self) -> Future[object]:
        """Start to look; a look under way is joined."""
        pending = self._pending
        if pending is None or pending.done():
            pending = self._pending = self._pool.submit(self._look)
        return pending

    def close(self) -> None:
        """Let the thread go."""
        self._pool.shutdown(wait=False, cancel_futures=True)


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

    return {"database": Probe(ask_database), "broker": Probe(ask_broker)}


@blueprint.get("")
@blueprint.get("/live")
def live() -> Response:
    """This process serves requests."""
    return make_answer(200, {"status": "ok"})


@blueprint.get("/ready")
def ready() -> Response:
    """The database answers, so orders can be taken."""
    probes: dict[str, Probe] = current_app.extensions["probes"]
    until = time.monotonic() + LOOK_S
    looks = {name: probe.begin() for name, probe in probes.items()}
    seen = {name: "ok" if _was_answered(look, until) else "away" for name, look in looks.items()}
    if seen["database"] == "ok":
        return make_answer(200, {"status": "ok", **seen})
    body = {
        "detail": "The database does not answer.",
        "code": "dependency_down",
        "request_id": g.get("request_id"),
        "status": "away",
        **seen,
    }
    return make_answer(503, body, {"Retry-After": str(RETRY_AFTER_S)})
