"""Orders for many chargers of one organization at once; each is what `app.services.orders` does for one.

A thousand cost a handful of statements. The chargers come locked (`app.store.batches.lock_chargers`); their new
runs wait for admission, so an organization's batch takes no more workers than anything else of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy.orm import Session

from app.models import Charger, Run
from app.queue import Hints
from app.services import orders
from app.store import batches, hints
from app.workflows import Kind


def delete(
    session: Session, queue: Hints, organization_id: str, chargers: Collection[Charger]
) -> None:
    """Let the runtimes go and forget the chargers; their identities are free at once."""
    active = batches.lock_active_runs(session, [charger.id for charger in chargers])
    new = [
        hints.NewRun(
            Kind.DELETE,
            organization_id,
            charger.identity,
            charger_id=charger.id,
            generation=charger.generation + 1,
        )
        for charger in chargers
    ]
    batches.supersede(session, [run.id for run in active.values()])
    batches.mark_deleted(session, {str(run.charger_id): run.id for run in new})
    _place(session, queue, organization_id, new)
    _tell_jobs(session, queue, active.values())


def replace(
    session: Session,
    queue: Hints,
    organization_id: str,
    chargers: Collection[Charger],
    now: datetime,
) -> None:
    """A field that the runtimes must see was changed. Chargers that are not up are stored only."""
    active = batches.lock_active_runs(session, [charger.id for charger in chargers])
    new: list[hints.NewRun] = []
    superseded: list[str] = []
    for charger in chargers:
        under_way = active.get(charger.id)
        charger.generation += 1
        if not orders.must_replace(charger, under_way):
            continue
        orders.show_bring_up(charger, now)
        run = hints.NewRun(
            Kind.REPLACE,
            organization_id,
            charger.identity,
            charger_id=charger.id,
            job_id=under_way.job_id if under_way else None,
            generation=charger.generation,
        )
        charger.current_run_id, charger.updated_at = run.id, now
        superseded += [under_way.id] if under_way else []
        new.append(run)
    session.flush()
    batches.supersede(session, superseded)
    _place(session, queue, organization_id, new)


def _place(
    session: Session, queue: Hints, organization_id: str, new: Collection[hints.NewRun]
) -> None:
    batches.insert_runs(session, list(new))
    batches.ring_news(session, [str(run.charger_id) for run in new])
    for hint in hints.admit_organization(session, organization_id, cap=queue.cap):
        queue.put(session, hint)


def _tell_jobs(session: Session, queue: Hints, superseded: Iterable[Run]) -> None:
    """Bulk jobs that no longer wait for these chargers look again, each once."""
    for job_id in sorted({run.job_id for run in superseded if run.job_id is not None}):
        for hint in hints.wake_job(session, job_id, cap=queue.cap):
            queue.put(session, hint)
