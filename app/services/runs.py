"""What an operator's hand may do to a run: cancel one under way, redrive one that failed."""

from __future__ import annotations

from typing import Final

from sqlalchemy.orm import Session

from app.errors import NotAllowedNow
from app.models import Charger, Job, Run
from app.queue import Hints
from app.services import bulk, orders
from app.store import run_views
from app.workflows import Kind

#: Runs that take away what is there; a newer order ends them, a cancel would mean nothing.
_ENDINGS: Final = frozenset({Kind.STOP, Kind.DELETE})


def cancel(
    session: Session, queue: Hints, organization_id: str | None, run_id: str
) -> tuple[Run, str | None]:
    """Stop what a run brings up: (the run, the run that does it). A bulk job's run cancels its job.

    Raises `RunNotFound`, or `NotAllowedNow` unless it is under way and brings something up.
    """
    run = run_views.get(session, organization_id, run_id)
    if run.kind == Kind.BULK.value:
        return _cancel_job(session, queue, run)
    charger = _lock_charger(session, run)
    run = run_views.get(session, organization_id, run_id, lock=True)
    if charger is None or run.status != "active":
        raise NotAllowedNow("The run is not under way.")
    if Kind(run.kind) in _ENDINGS or charger.deleted_at is not None:
        raise NotAllowedNow("A stop or a delete is not cancelled; order what is wanted instead.")
    placed = orders.stop(session, queue, charger)
    session.refresh(run)
    return run, placed.run_id


def _cancel_job(session: Session, queue: Hints, run: Run) -> tuple[Run, None]:
    job = session.get(Job, run.job_id)
    if job is None or run.status != "active":
        raise NotAllowedNow("The run is not under way.")
    bulk.cancel(session, queue, run.organization_id, job.location_id, job.id)
    session.refresh(run)
    return run, None


def redrive(
    session: Session, queue: Hints, organization_id: str | None, run_id: str
) -> tuple[Run, str]:
    """Order a bring-up that failed again: (the run that failed, the new one).

    Raises `RunNotFound`, or `NotAllowedNow` unless it failed and is its charger's current one.
    """
    charger = _lock_charger(session, run_views.get(session, organization_id, run_id))
    run = run_views.get(session, organization_id, run_id, lock=True)
    if charger is None or charger.deleted_at is not None:
        raise NotAllowedNow("Only a failed run of a charger that is there can be redriven.")
    placed = orders.redrive(session, queue, charger, run)
    session.flush()
    return run, placed.run_id


def _lock_charger(session: Session, run: Run) -> Charger | None:
    """Lock order: the charger before its run."""
    if run.charger_id is None:
        return None
    return session.get(Charger, run.charger_id, with_for_update=True, populate_existing=True)
