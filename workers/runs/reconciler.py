"""Brings back what ended by itself: opens RECOVER runs for READY chargers that ought to run and do not.

`runtimes.mark_gone` writes when a charger may be recovered (`recover_at`); a slower full look finds what no one
wrote down. A FAILED charger waits for an order.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.models import Charger
from app.queue import Hints
from app.services import orders

_FORGOTTEN: Final = text(
    """
    UPDATE chargers SET recover_at = clock_timestamp() WHERE id IN (
        SELECT chargers.id FROM chargers
        LEFT JOIN runtimes ON runtimes.charger_id = chargers.id
                          AND runtimes.incarnation = chargers.incarnation
        WHERE chargers.status = 'READY' AND desired_state = 'running' AND deleted_at IS NULL
          AND recover_at IS NULL AND (runtimes.state = 'gone' OR runtimes.state IS NULL)
          AND NOT EXISTS (SELECT FROM runs WHERE runs.charger_id = chargers.id AND runs.status = 'active')
        LIMIT :batch FOR UPDATE OF chargers SKIP LOCKED)
    """
)


def open_recoveries(session: Session, queue: Hints, *, batch: int) -> int:
    """Open RECOVER runs that are due, `batch` at most. How many."""
    due = (
        select(Charger)
        .where(Charger.recover_at <= text("clock_timestamp()"))
        .order_by(Charger.recover_at)
        .limit(batch)
        .with_for_update(skip_locked=True)
    )
    chargers = session.scalars(due).all()
    return sum(orders.recover(session, queue, charger) is not None for charger in chargers)


def find_forgotten(session: Session, *, batch: int) -> int:
    """Mark READY chargers without a live runtime for recovery, in case nobody did. How many."""
    result = session.execute(_FORGOTTEN, {"batch": batch})
    return int(result.rowcount)  # type: ignore[attr-defined]
