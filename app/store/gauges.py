"""What the database knows about the state of this installation, as numbers for monitoring.

`QUICK` gauges look at what moves and use partial indexes; `SLOW` ones count whole tables. All read committed rows,
so they stay right whatever process was killed; every replica of the API answers the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Gauge:
    """One gauge: how it is called, what it says, and the statement that fills it."""

    name: str
    meaning: str
    labels: tuple[str, ...]
    #: Columns: the labels in order, then the value.
    statement: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A gauge and its present values."""

    gauge: Gauge
    values: Sequence[tuple[tuple[str, ...], float]]


#: A run that waits for its turn although its time has come.
_LATE: Final = """status = 'active' AND due_at <= clock_timestamp()
    AND (lease_until IS NULL OR lease_until < clock_timestamp())"""
_ENDING: Final = "status = 'active' AND (kind IN ('stop', 'delete') OR phase = 'compensating')"

QUICK: Final = (
    Gauge(
        "gateway_active_runs",
        "Runs under way, by workflow, the step at hand and the phase.",
        ("kind", "step", "phase"),
        """SELECT kind, coalesce(plan[at + 1], ''), phase, count(*) FROM runs
           WHERE status = 'active' GROUP BY 1, 2, 3""",
    ),
    Gauge(
        "gateway_oldest_due_run_seconds",
        "For how long the longest waiting run could have been worked on; 0 when none waits.",
        (),
        f"""SELECT greatest(0, coalesce(extract(epoch FROM clock_timestamp() - min(due_at)), 0))
            FROM runs WHERE {_LATE}""",
    ),
    Gauge(
        "gateway_due_runs",
        "Runs that could be worked on now and are not: the length of the queue.",
        (),
        f"SELECT count(*) FROM runs WHERE {_LATE}",
    ),
    Gauge(
        "gateway_oldest_stop_seconds",
        "Age of the oldest order to stop, to delete or to clear up after a failure that has not ended.",
        (),
        f"""SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)
            FROM runs WHERE {_ENDING}""",
    ),
    Gauge(
        "gateway_expired_leases",
        "Steps whose worker stopped renewing its claim and that nobody has taken up yet.",
        (),
        """SELECT count(*) FROM runs WHERE status = 'active' AND lease_until IS NOT NULL
           AND lease_until < clock_timestamp()""",
    ),
    Gauge(
        "gateway_chargers",
        "Live chargers by status, by what is wanted of them, and by what their runtime does.",
        ("status", "desired_state", "stage", "verdict"),
        """SELECT status, desired_state, stage, verdict, count(*) FROM chargers
           WHERE deleted_at IS NULL GROUP BY 1, 2, 3, 4""",
    ),
    Gauge(
        "gateway_runtimes",
        "Runtimes that are not gone, by where they live, whether they were accepted and asked to end.",
        ("provider", "state", "asked_to_end"),
        """SELECT provider, state, (stop_requested_at IS NOT NULL)::text, count(*) FROM runtimes
           WHERE state <> 'gone' GROUP BY 1, 2, 3""",
    ),
    Gauge(
        "gateway_open_commands",
        "Commands that have not ended, by state.",
        ("state",),
        """SELECT state, count(*) FROM commands
           WHERE state IN ('received', 'deferred', 'delivered') GROUP BY 1""",
    ),
    Gauge(
        "gateway_hosts",
        "Local simulator hosts, connected or not.",
        ("connected",),
        "SELECT connected::text, count(*) FROM hosts GROUP BY 1",
    ),
    Gauge(
        "gateway_links_alive",
        "Links that gave a sign of life within 15 seconds.",
        (),
        "SELECT count(*) FROM links WHERE seen_at > clock_timestamp() - interval '15 seconds'",
    ),
)

#: `gateway_installation_foreign` is asked with the install id as :install_id.
SLOW: Final = (
    Gauge(
        "gateway_runs",
        "All runs that are kept, by workflow and status.",
        ("kind", "status"),
        "SELECT kind, status, count(*) FROM runs GROUP BY 1, 2",
    ),
    Gauge(
        "gateway_commands",
        "All commands that are kept, by state: what became of them.",
        ("state",),
        "SELECT state, count(*) FROM commands GROUP BY 1",
    ),
    Gauge(
        "gateway_table_bytes",
        "Size of a table with its indexes.",
        ("table",),
        """SELECT relname, pg_total_relation_size(oid) FROM pg_class
           WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace""",
    ),
    Gauge(
        "gateway_table_rows",
        "Rows of a table, as PostgreSQL estimates them.",
        ("table",),
        """SELECT relname, greatest(0, reltuples) FROM pg_class
           WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace""",
    ),
    Gauge(
        "gateway_oldest_frame_seconds",
        "Age of the oldest OCPP frame that is kept; 0 when there is none.",
        (),
        "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0) FROM ocpp_frames",
    ),
    Gauge(
        "gateway_installation_foreign",
        "1 while the database belongs to another installation id: strays are left alone until `gateway adopt`.",
        (),
        "SELECT coalesce(bool_or(install_id <> :install_id), false)::int FROM installation",
    ),
)


def read(session: Session, gauges: Sequence[Gauge], install_id: str) -> list[Reading]:
    """Fill gauges, one statement each."""
    readings = []
    for gauge in gauges:
        given = {"install_id": install_id} if ":install_id" in gauge.statement else {}
        rows: Sequence[Any] = session.execute(text(gauge.statement), given).all()
        values = [(tuple(map(str, row[:-1])), float(row[-1])) for row in rows]
        readings.append(Reading(gauge, values))
    return readings
