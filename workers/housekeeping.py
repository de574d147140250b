"""Removes what is past its time, in small batches, so that no lock is held for long. Beat calls `tidy`."""

from __future__ import annotations

from app import metrics
from app.store import retention
from workers.runs.context import Context


def tidy(context: Context) -> dict[str, int]:
    """Rows removed, by table."""
    removed: dict[str, int] = {}
    for rule in retention.make_rules(context.settings):
        while True:
            with context.sessions.begin() as session:
                count = retention.apply(session, rule)
            removed[rule.table] = removed.get(rule.table, 0) + count
            metrics.HOUSEKEEPING.labels(rule.table).inc(count)
            if count < retention.BATCH:
                break
    metrics.HOUSEKEEPING_AT.set_to_current_time()
    return removed
