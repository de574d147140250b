"""Everything that the programs count about themselves; what the database knows is in `app.store.gauges`.

One module, so that a name is declared once: docs/metrics.md, the dashboard and the alert rules are tested against
it. Labels are few and bounded: never an organization, a charger or a run.

Programs of several processes (the API's, a worker's) meet in the folder GATEWAY_METRICS_DIR, one folder for each
set of processes that shares process ids; `render` sums them up. prometheus_client chooses between the two ways of
counting when it is imported, so the variable is read here and not with the other settings. And since Celery loads
Flower before anything of ours, and Flower imports prometheus_client, the choice is made again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

#: Where this program's processes meet; empty: a process counts for itself.
FOLDER: Final = os.environ.get("GATEWAY_METRICS_DIR", "")
if FOLDER:
    Path(FOLDER).mkdir(parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = FOLDER

from prometheus_client import (  # noqa: E402  # see above
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402
from prometheus_client.registry import Collector  # noqa: E402

values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]  # untyped there

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

_QUICK: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 35.0)
_SLOW: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)

# -- the API

HTTP_REQUESTS: Final = Counter(
    "gateway_http_requests",
    "Requests answered. `route` is the rule that matched, never the path.",
    ["method", "route", "status"],
)
HTTP_SECONDS: Final = Histogram(
    "gateway_http_request_seconds",
    "Time to the answer, without the requests that asked to wait (`?wait=`).",
    ["method", "route"],
    buckets=_QUICK,
)

# -- hints

HINTS: Final = Counter(
    "gateway_hints",
    "Messages to the workers: sent, lost (the broker did not take it), dropped (our queue was full).",
    ["outcome"],
)
HINTS_SWEPT: Final = Counter(
    "gateway_hints_swept", "Hints that the keeper sent again because nobody had taken them up."
)
HINTS_STALE: Final = Counter(
    "gateway_hints_stale", "Messages that a worker took and found nothing to do for.", ["step"]
)

# -- steps

STEPS: Final = Counter(
    "gateway_steps",
    "Steps carried out, by what came of it: done, park (waits), again (passing failure), redo, fail.",
    ["kind", "step", "outcome"],
)
STEP_SECONDS: Final = Histogram(
    "gateway_step_seconds", "Time that a step worked.", ["kind", "step"], buckets=_SLOW
)
STEP_TROUBLES: Final = Counter(
    "gateway_step_troubles", "Steps that did not end well, by error code.", ["step", "code"]
)

# -- the keeper

KEEPER_ROUNDS: Final = Counter(
    "gateway_keeper_rounds",
    "Rounds of the keeper's threads in this process, whether or not it was their turn.",
    ["thread", "outcome"],
)
RECOVERIES: Final = Counter(
    "gateway_recoveries", "RECOVER runs that the reconciler opened for what had ended by itself."
)
STRAYS: Final = Counter(
    "gateway_strays_stopped", "Runtimes that no row owned and that were stopped.", ["provider"]
)
HOUSEKEEPING: Final = Counter(
    "gateway_housekeeping_rows", "Rows removed because they were past their time.", ["table"]
)
HOUSEKEEPING_AT: Final = Gauge(
    "gateway_housekeeping_timestamp_seconds",
    "When housekeeping last ended well, Unix seconds.",
    multiprocess_mode="mostrecent",
)

# -- drivers

DRIVER_CALLS: Final = Counter(
    "gateway_driver_calls",
    "Calls of runtime drivers: ok, unavailable, capacity, rejected, or error (a mistake of ours).",
    ["provider", "operation", "outcome"],
)
DRIVER_SECONDS: Final = Histogram(
    "gateway_driver_call_seconds",
    "Time that a call of a driver took.",
    ["provider", "operation"],
    buckets=_SLOW,
)
DRIVER_TROUBLES: Final = Counter(
    "gateway_driver_troubles",
    "Calls of runtime drivers that failed, by error code; throttles are among them.",
    ["provider", "operation", "code"],
)


def show_zeros(*, providers: Iterable[str], steps: Iterable[str]) -> None:
    """Begin the counters that alerts watch at 0: the first event of one that appears from nowhere is no
    increase to Prometheus. Each worker calls it once.
    """
    for provider in providers:
        STRAYS.labels(provider)
    for step in steps:
        for code in ("internal_error", "step_keeps_dying"):
            STEP_TROUBLES.labels(step, code)
    for outcome in ("sent", "lost", "dropped"):
        HINTS.labels(outcome)
    for thread in ("pass", "watch"):
        for outcome in ("ok", "database_away", "failed"):
            KEEPER_ROUNDS.labels(thread, outcome)


def render(more: Iterable[Collector] = ()) -> bytes:
    """The text exposition of this program: all its processes, and what `more` collects."""
    if FOLDER:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, FOLDER)  # type: ignore[no-untyped-call]  # it ships none here
        text = generate_latest(registry)
    else:
        text = generate_latest(REGISTRY)
    own = CollectorRegistry()
    for collector in more:
        own.register(collector)
    return text + generate_latest(own)
