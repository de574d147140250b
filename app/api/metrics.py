"""`GET /metrics`: what the API's processes count, and the gauges that the database answers.

The gauges are read at a scrape, at most every few seconds per process however often one asks, and never for
longer than a statement may take; while the database is away the rest is served, with `gateway_database_up 0`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from flask import Blueprint, Flask, Response, current_app, g, request
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.orm import Session, sessionmaker

from app import metrics
from app.db import DatabaseAway
from app.store import gauges
from app.store.gauges import Gauge, Reading

#: For how long an answer is good, seconds.
QUICK_S: Final = 5.0
SLOW_S: Final = 60.0

blueprint = Blueprint("metrics", __name__)


class DatabaseGauges(Collector):
    """The gauges of `app.store.gauges`, with a memory."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        install_id: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sessions = sessions
        self._install_id = install_id
        self._clock = clock
        self._guard = threading.Lock()
        self._known: dict[Sequence[Gauge], tuple[float, list[Reading]]] = {}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """For prometheus_client. One look at a time; who comes meanwhile is answered by it."""
        up = GaugeMetricFamily("gateway_database_up", "Whether the database answers.")
        with self._guard:
            try:
                readings = self._get(gauges.QUICK, QUICK_S) + self._get(gauges.SLOW, SLOW_S)
            except DatabaseAway:
                up.add_metric([], 0)
                readings = []
            else:
                up.add_metric([], 1)
        yield up
        for reading in readings:
            yield _make_family(reading)

    def _get(self, wanted: Sequence[Gauge], good_for_s: float) -> list[Reading]:
        read_at, readings = self._known.get(wanted, (-good_for_s, []))
        if self._clock() - read_at >= good_for_s:
            with self._sessions() as session:
                readings = gauges.read(session, wanted, self._install_id)
            self._known[wanted] = (self._clock(), readings)
        return readings


def _make_family(reading: Reading) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        reading.gauge.name, reading.gauge.meaning, labels=reading.gauge.labels
    )
    for labels, value in reading.values:
        family.add_metric(labels, value)
    return family


def measure(app: Flask, sessions: sessionmaker[Session], install_id: str) -> None:
    """Count the requests of `app` and serve `/metrics`."""
    app.extensions["gauges"] = DatabaseGauges(sessions, install_id)
    app.before_request(_note_begin)
    app.after_request(_count)
    app.register_blueprint(blueprint)


@blueprint.get("/metrics")
def show_metrics() -> Response:
    """The text exposition format of Prometheus."""
    text = metrics.render([current_app.extensions["gauges"]])
    return Response(text, content_type=metrics.CONTENT_TYPE)


def _note_begin() -> None:
    g.began = time.perf_counter()


def _count(response: Response) -> Response:
    route = request.url_rule.rule if request.url_rule is not None else "none"
    method = request.method if route != "none" else "any"
    metrics.HTTP_REQUESTS.labels(method, route, str(response.status_code)).inc()
    began = g.get("began")
    if began is not None and "wait" not in request.args:
        metrics.HTTP_SECONDS.labels(method, route).observe(time.perf_counter() - began)
    return response
