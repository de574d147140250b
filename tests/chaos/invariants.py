"""What must hold when the dust has settled, asked of the database, the gateway's API and the CSMS's own books."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.chaos.traffic import Wish
from tests.judges import Judge

#: An active run may be behind by this much, seconds: a lease, a sweep, a nudge.
BOUND_S = 20.0


@dataclass(frozen=True)
class Finding:
    """One invariant: whether it holds, and the evidence."""

    name: str
    holds: bool
    evidence: str


def check_settled(database: psycopg.Connection[Any], wishes: Sequence[Wish]) -> list[str]:
    """What has not come to the state that was asked for; empty when everything has."""
    rows = {
        row[0]: row[1:]
        for row in database.execute(
            """SELECT id, status, desired_state, stage, deleted_at IS NOT NULL, error ->> 'code',
                      EXISTS (SELECT FROM runs WHERE runs.charger_id = chargers.id AND runs.status = 'active'),
                      EXISTS (SELECT FROM runtimes AS r WHERE r.charger_id = chargers.id AND r.state <> 'gone')
               FROM chargers"""
        )
    }
    late = []
    for wish in wishes:
        status, _, stage, deleted, code, active, running = rows[wish.charger_id]
        good = {
            "running": status == "READY" and stage == "online" and not active and not deleted,
            "stopped": (status == "READY" or code == "stopped_before_ready")
            and not running
            and not active
            and not deleted,
            "deleted": deleted and not running and not active,
        }[wish.state]
        if not good:
            late.append(f"{wish.identity} wants {wish.state}: {rows[wish.charger_id]}")
    return late


def check_all(
    database: psycopg.Connection[Any], judge: Judge, wishes: Sequence[Wish]
) -> list[Finding]:
    """Every invariant."""
    books = judge.report()
    return [
        _check_orders(database, wishes),
        _check_connections(books, wishes),
        _check_overlaps(books),
        _check_offences(books),
        _check_starts(database),
        _check_owners(database),
        _check_stuck(database),
        _check_history(database),
    ]


def _check_orders(database: psycopg.Connection[Any], wishes: Sequence[Wish]) -> Finding:
    late = check_settled(database, wishes)
    name = "every accepted order ended in the state asked for; none FAILED"
    return Finding(name, not late, "; ".join(late[:5]) or f"{len(wishes)} chargers")


def _check_connections(books: dict[str, Any], wishes: Sequence[Wish]) -> Finding:
    wanted = {wish.identity for wish in wishes if wish.state == "running"}
    connected = set(books["connected"])
    wrong = [f"missing {one}" for one in sorted(wanted - connected)]
    wrong += [f"left over {one}" for one in sorted(connected - wanted)]
    name = "exactly the running chargers are connected to the CSMS"
    return Finding(name, not wrong, "; ".join(wrong[:5]) or f"{len(connected)} connected")


def _check_overlaps(books: dict[str, Any]) -> Finding:
    found = books["overlaps"]
    name = "at most one open socket per identity at any moment"
    return Finding(name, not found, str(found[:2]) if found else f"{len(books['sockets'])} sockets")


def _check_offences(books: dict[str, Any]) -> Finding:
    found = books["offences"]
    name = "no frame broke the protocol"
    return Finding(name, not found, str(found[:2]) if found else f"{books['frames']} frames")


def _check_starts(database: psycopg.Connection[Any]) -> Finding:
    """A start takes effect where a host is told to run it: one host process per incarnation."""
    (count, doubled) = database.execute(
        """SELECT count(*), count(*) FILTER (WHERE twice) FROM (
               SELECT count(DISTINCT f.message) > 1 AS twice
               FROM runtimes AS r LEFT JOIN ocpp_frames AS f
                 ON f.charger_id = r.charger_id AND f.incarnation = r.incarnation
                AND f.action = 'BootNotification' AND f.direction = 'u' AND f.message LIKE '[2,%'
                AND f.number < 3
               WHERE r.accepted_at IS NOT NULL GROUP BY r.charger_id, r.incarnation) AS starts"""
    ).fetchone() or (0, 0)
    name = "at most one start took effect per charger and incarnation"
    return Finding(name, doubled == 0, f"{count} starts, {doubled} doubled")


def _check_owners(database: psycopg.Connection[Any]) -> Finding:
    rows = database.execute(
        """SELECT r.charger_id, r.incarnation FROM runtimes AS r LEFT JOIN chargers AS c ON c.id = r.charger_id
           WHERE r.state <> 'gone' AND (c.id IS NULL OR c.deleted_at IS NOT NULL
                 OR c.desired_state <> 'running' OR c.incarnation <> r.incarnation)"""
    ).fetchall()
    return Finding("no runtime without an owner", not rows, str(rows[:3]) if rows else "none")


def _check_stuck(database: psycopg.Connection[Any]) -> Finding:
    rows = database.execute(
        f"""SELECT id, kind, plan[at + 1], hinted, due_at, nudge_at, lease_until FROM runs
            WHERE status = 'active' AND (
                lease_until < clock_timestamp() - interval '{BOUND_S} seconds'
                OR (NOT hinted AND due_at < clock_timestamp() - interval '{BOUND_S} seconds')
                OR (hinted AND nudge_at < clock_timestamp() - interval '{BOUND_S} seconds'))"""
    ).fetchall()
    name = "no active run is behind its lease, its hint or its due time"
    return Finding(name, not rows, str(rows[:3]) if rows else "none")


def _check_history(database: psycopg.Connection[Any]) -> Finding:
    """A run that is done has each step of its plan exactly once, in order."""
    rows = database.execute(
        """SELECT runs.id, cardinality(plan), count(s.position) FROM runs
           LEFT JOIN run_steps AS s ON s.run_id = runs.id AND s.name = runs.plan[s.position + 1]
           WHERE runs.status = 'done' GROUP BY runs.id HAVING cardinality(plan) <> count(s.position)"""
    ).fetchall()
    (done,) = database.execute("SELECT count(*) FROM runs WHERE status = 'done'").fetchone() or (0,)
    name = "step history equals the steps done"
    return Finding(name, not rows, str(rows[:3]) if rows else f"{done} runs")


def measure_recovery(
    database: psycopg.Connection[Any], faults: Sequence[tuple[float, str]]
) -> list[tuple[float, str]]:
    """Seconds from the end of each fault (Unix seconds, name) until a run made progress again."""
    times = []
    for moment, name in faults:
        row = database.execute(
            """SELECT extract(epoch FROM min(finished_at)) - %s FROM run_steps
               WHERE finished_at > to_timestamp(%s)""",
            [moment, moment],
        ).fetchone()
        if row and row[0] is not None:
            times.append((float(row[0]), name))
    return times


def describe(times: Sequence[tuple[float, str]]) -> str:
    """Median, and the worst three with their faults."""
    if not times:
        return "nothing to measure"
    worst = ", ".join(f"{seconds:.1f} s ({name})" for seconds, name in sorted(times)[:-4:-1])
    median = statistics.median(seconds for seconds, _ in times)
    return f"median {median:.1f} s of {len(times)}; worst {worst}"
