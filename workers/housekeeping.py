"""Removes what is past its time, in small batches, so that no lock is held for long. Beat calls `tidy`."""

from __future__ import annotations

import logging

from app import metrics
from app.store import retention, templates
from workers.runs.context import Context
from workers.runtimes.base import RuntimeTrouble

log = logging.getLogger(__name__)


def _collect_definitions(context: Context) -> int:
    """Deregister and delete ECS task definitions that nothing was started from and nothing means to."""
    if context.provider != "aws":
        return 0
    driver = context.driver("aws")
    with context.sessions.begin() as session:
        keep = templates.list_in_use(session, "aws")
    try:
        collected: int = driver.collect_templates(keep)  # type: ignore[attr-defined]  # ECS alone has it
    except RuntimeTrouble as trouble:
        log.warning("task definitions: %s", trouble)
        return 0
    return collected


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
    removed["task_definitions"] = _collect_definitions(context)
    metrics.HOUSEKEEPING_AT.set_to_current_time()
    return removed
