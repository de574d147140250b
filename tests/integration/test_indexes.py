"""Every list, filter and count has an index: none of their statements reads a whole large table."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from app.models import Job
from app.store import chargers, fleet, jobs, locations, logs, run_views, targets

LARGE = ("chargers", "runs", "run_steps", "ocpp_frames", "charger_events", "commands")
CHARGER = f"dep-{1:032x}"
SITE = uuid.UUID(int=1)
WINDOW = logs.Window(None, None, 100, 0)


def list_chargers(**filters: Any) -> Callable[[Session], Any]:
    return lambda s: chargers.list_page(s, "org-1", page=1, limit=50, filters=filters)


def list_runs(organization: str | None = "org-1", **filters: str) -> Callable[[Session], Any]:
    return lambda s: run_views.list_page(s, organization, page=1, limit=50, filters=filters)


ASKED: dict[str, Callable[[Session], Any]] = {
    "chargers": list_chargers(),
    "by status": list_chargers(status="READY"),
    "by stage": list_chargers(stage="online"),
    "by location": list_chargers(location_id=SITE),
    "by identity": list_chargers(identity="CP-1"),
    "status": lambda s: chargers.read_status(s, "org-1", CHARGER),
    "of a location": lambda s: locations.list_chargers(s, "org-1", SITE, page=1, limit=50),
    "locations": lambda s: locations.list_page(s, "org-1", page=1, limit=50),
    "frames": lambda s: logs.list_frames(s, CHARGER, WINDOW, action=None),
    "frames by action": lambda s: logs.list_frames(s, CHARGER, WINDOW, action="Heartbeat"),
    "events": lambda s: logs.list_events(s, CHARGER, WINDOW, kind=None),
    "runs": list_runs(),
    "runs by status": list_runs(status="failed"),
    "runs by kind": list_runs(kind="stop"),
    "runs by charger": list_runs(charger_id=CHARGER),
    "everybody's failed runs": list_runs(None, status="failed"),
    "everybody's active runs": list_runs(None, status="active"),
    "steps": lambda s: run_views.list_steps(s, [f"wfr_{1:032x}"]),
    "progress of a job": lambda s: jobs.count(s, Job(id=SITE, total=1, results=None)),
    "whether a job is at work": lambda s: jobs.is_at_work(s, SITE),
    "targets": lambda s: targets.list_at(s, "org-1", SITE),
    "summary": lambda s: fleet.summarize(s, "org-1"),
}


@pytest.mark.parametrize("what", ASKED)
def test_it_reads_no_large_table_as_a_whole(what: str, session: Session) -> None:
    fill(session)
    asked: list[tuple[str, Any]] = []
    connection = session.connection()

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    try:
        ASKED[what](session)
    finally:
        event.remove(connection, "before_cursor_execute", note)
    assert asked
    for statement, parameters in asked:
        plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars().all()
        whole = [line for line in plan for table in LARGE if f"Seq Scan on {table}" in line]
        assert whole == [], "\n".join(plan)


def fill(session: Session) -> None:
    """Chargers of ten organizations with a few frames and runs each; what is asked about is a tenth."""
    session.execute(
        text(
            """INSERT INTO chargers (id, organization_id, identity, brand_slug, model_slug, connector_type,
                      ocpp_version, ws_url, location_id, status, desired_state, stage, current_run_id)
               SELECT 'dep-' || lpad(to_hex(n), 32, '0'), 'org-' || n % 10, 'CP-' || n, 'b', 'm', 'c', 'OCPP1.6',
                      'ws://a', lpad(to_hex(n % 100), 32, '0')::uuid, CASE WHEN n % 50 < 10 THEN 'READY' ELSE
                      'FAILED' END, 'running', CASE WHEN n % 50 < 10 THEN 'online' ELSE 'stopped' END,
                      'wfr_' || lpad(to_hex(n), 32, '0')
               FROM generate_series(1, 3000) AS n"""
        )
    )
    session.execute(
        text(
            """INSERT INTO runs (id, kind, charger_id, organization_id, identity, plan, status)
               SELECT 'wfr_' || lpad(to_hex(n), 32, '0'), CASE WHEN n % 50 = 1 THEN 'stop' ELSE 'start' END,
                      'dep-' || lpad(to_hex(n), 32, '0'), 'org-' || n % 10, 'CP-' || n, '{a}',
                      CASE n % 50 WHEN 1 THEN 'failed' WHEN 11 THEN 'active' ELSE 'done' END
               FROM generate_series(1, 3000) AS n"""
        )
    )
    session.execute(
        text(
            """INSERT INTO run_steps (run_id, position, name, status, attempt)
               SELECT 'wfr_' || lpad(to_hex(n), 32, '0'), 0, 'a', 'done', 1 FROM generate_series(1, 3000) AS n"""
        )
    )
    session.execute(
        text(
            """INSERT INTO ocpp_frames (charger_id, incarnation, number, at, direction, action, message)
               SELECT 'dep-' || lpad(to_hex(n % 100), 32, '0'), 1, n, clock_timestamp(), 'u',
                      CASE WHEN n % 7 = 0 THEN 'Heartbeat' ELSE 'MeterValues' END, '[]'
               FROM generate_series(1, 10000) AS n"""
        )
    )
    session.execute(
        text(
            """INSERT INTO charger_events (charger_id, incarnation, number, at, kind)
               SELECT 'dep-' || lpad(to_hex(n % 100), 32, '0'), 1, n, clock_timestamp(), 'stage'
               FROM generate_series(1, 3000) AS n"""
        )
    )
    session.execute(
        text(
            """INSERT INTO locations (id, organization_id, slug, name, address, city, country, latitude, longitude)
               SELECT lpad(to_hex(n), 32, '0')::uuid, 'org-' || n % 10, 's-' || n, 'n', 'a', 'c', 'DE', 1, 1
               FROM generate_series(1, 1000) AS n"""
        )
    )
    session.execute(text("ANALYZE"))
