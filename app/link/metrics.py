"""`/metrics` of one link: its counters, and what its sessions carry at the moment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.link.counters import Counters
from app.link.sessions import Registry

#: Field of `Counters` → what it counts. The metric is `gateway_link_<field>_total`.
COUNTED: Final = {
    "sessions": "Sessions opened by hosts, containers and tasks.",
    "refused": "Connections that were not let in (401, 410, 503).",
    "records": "Frames, events and gaps stored.",
    "batches": "Batches of records acknowledged.",
    "malformed": "Records that could not be read.",
    "foreign": "Records of a charger that was not the sender's.",
    "lost": "Records that PostgreSQL refused even escaped.",
    "gaps": "Frames that runtimes gave up because their buffer was full.",
    "reports": "States, connectors and results written.",
    "fenced": "Reports of sessions that had ended; they were not written.",
    "admissions": "Chargers given to a session.",
    "drops": "Chargers taken from a session.",
    "commands": "Commands given to a runtime.",
    "retries": "Writes of records that waited for the database.",
    "control_retries": "Other writes that waited for the database.",
    "unreadable": "Messages that could not be read at all.",
}


class LinkMetrics(Collector):
    """For prometheus_client; asked on the link's event loop, where all of this lives."""

    def __init__(self, counters: Counters, registry: Registry) -> None:
        self._counters = counters
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """Counters since the start, gauges of now."""
        for name, meaning in COUNTED.items():
            counted = CounterMetricFamily(f"gateway_link_{name}", meaning)
            counted.add_metric([], getattr(self._counters, name))
            yield counted
        sessions = list(self._registry)
        hosts = sum(session.is_host for session in sessions)
        opened = GaugeMetricFamily(
            "gateway_link_sessions_open",
            "Sessions that are open, of hosts and of single chargers.",
            labels=["of"],
        )
        opened.add_metric(["host"], hosts)
        opened.add_metric(["charger"], len(sessions) - hosts)
        yield opened
        yield GaugeMetricFamily(
            "gateway_link_chargers",
            "Chargers that the sessions of this link carry.",
            value=sum(len(session.chargers) for session in sessions),
        )
        yield GaugeMetricFamily(
            "gateway_link_batches_waiting",
            "Batches of records received and not yet written.",
            value=sum(session.unacknowledged for session in sessions),
        )
