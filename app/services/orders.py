"""Orders: what a client asks of a charger's runtime, turned into at most one active run.

Each function is called inside the caller's transaction with the charger's row locked. The same goal with the same
spec as the run under way **joins** it, so a repeated request is harmless. Otherwise the old run is superseded, its
lease untouched (the call in the air ends and its facts are kept), the charger's generation grows and a new run
is inserted. What `status` becomes is the table in docs/architecture.md; `desired_state` is written here and
nowhere else.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.db import CHANNEL_NEWS, notify
from app.errors import NotAllowedNow
from app.lifecycle import Desired, Event, Status, move
from app.models import Charger, Run
from app.queue import Hints
from app.store import chargers, hints
from app.workflows import BRINGS_UP, Kind

_EARLY: Final = {
    "code": "stopped_before_ready",
    "message": "The charger was stopped before it first became READY.",
    "step": None,
    "param": None,
    "retryable": True,
}


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of an order."""

    run_id: str
    #: The order was under way already.
    joined: bool = False
    #: The state asked for already holds.
    noop: bool = False


def provision(session: Session, queue: Hints, charger: Charger) -> Placed:
    """A new charger, in no session: write it, and order its first bring-up."""
    charger.status = Status.PENDING.value
    charger.desired_state = Desired.RUNNING.value
    charger.stage = "queued"
    charger.generation = 1
    new = _make_run(charger, Kind.PROVISION, charger.job_id)
    charger.current_run_id = new.id
    chargers.insert(session, charger)
    return _place(session, queue, new)


def start(session: Session, queue: Hints, charger: Charger) -> Placed:
    """Bring the charger up if it is not up, or on its way."""
    under_way = _get_active(session, charger)
    if under_way is not None and _comes_up(under_way):
        return Placed(under_way.id, joined=True)
    wants = charger.desired_state == Desired.RUNNING.value
    if wants and charger.status == Status.READY.value and not _is(under_way, Kind.STOP):
        return Placed(charger.current_run_id or "", noop=True)
    return _bring_up(session, queue, charger, Kind.START, under_way)


def reset(session: Session, queue: Hints, charger: Charger) -> Placed:
    """A new boot: restart what runs, start what does not."""
    under_way = _get_active(session, charger)
    if under_way is not None and _comes_up(under_way):
        return Placed(under_way.id, joined=True)
    is_up = charger.desired_state == Desired.RUNNING.value and charger.status == Status.READY.value
    return _bring_up(session, queue, charger, Kind.RESTART if is_up else Kind.START, under_way)


def replace(session: Session, queue: Hints, charger: Charger) -> Placed:
    """A field that the runtime must see was changed. A charger that is not up is stored only."""
    under_way = _get_active(session, charger)
    if must_replace(charger, under_way):
        return _bring_up(session, queue, charger, Kind.REPLACE, under_way)
    charger.generation += 1
    return Placed(charger.current_run_id or "", noop=True)


def must_replace(charger: Charger, under_way: Run | None) -> bool:
    """Whether a change concerns a runtime: the charger is up, or on its way."""
    if under_way is not None and _comes_up(under_way):
        return True
    return charger.desired_state == Desired.RUNNING.value and charger.status == Status.READY.value


def stop(session: Session, queue: Hints, charger: Charger) -> Placed:
    """Take the runtime away and keep the charger."""
    under_way = _get_active(session, charger)
    if _is(under_way, Kind.STOP):
        assert under_way is not None  # noqa: S101  # `_is` said so; for the type checker
        return Placed(under_way.id, joined=True)
    charger.desired_state = Desired.STOPPED.value
    charger.recover_at = None
    if under_way is None and (charger.stage in ("stopped", "not_deployed") or _is_failed(charger)):
        return Placed(charger.current_run_id or "", noop=True)
    if under_way is not None and Kind(under_way.kind) in BRINGS_UP:
        _settle_superseded_bring_up(charger)
    _supersede(session, under_way)
    _tell_job(session, queue, under_way)
    return _order(session, queue, charger, Kind.STOP)


def delete(session: Session, queue: Hints, charger: Charger) -> Placed:
    """Take the runtime away and forget the charger; its identity is free at once."""
    under_way = _get_active(session, charger)
    charger.desired_state = Desired.STOPPED.value
    charger.recover_at = None
    charger.deleted_at = func.clock_timestamp()
    _supersede(session, under_way)
    _tell_job(session, queue, under_way)
    return _order(session, queue, charger, Kind.DELETE)


def redrive(session: Session, queue: Hints, charger: Charger, run: Run) -> Placed:
    """Order a FAILED bring-up again: a new run of its kind's steps.

    Raises `NotAllowedNow` unless the run failed and is the charger's current one.
    """
    if run.status != "failed" or run.id != charger.current_run_id or not _is_failed(charger):
        raise NotAllowedNow("Only a failed run that is its charger's current one can be redriven.")
    return _bring_up(session, queue, charger, Kind.START, _get_active(session, charger))


def recover(session: Session, queue: Hints, charger: Charger) -> Placed | None:
    """The reconciler's order: same generation, `status` untouched. None when it is not needed any more."""
    needed = (
        charger.status == Status.READY.value
        and charger.desired_state == Desired.RUNNING.value
        and charger.deleted_at is None
        and _get_active(session, charger) is None
    )
    charger.recover_at = None
    if not needed:
        return None
    charger.restarts += 1
    return _insert(session, queue, charger, Kind.RECOVER)


def _bring_up(
    session: Session, queue: Hints, charger: Charger, kind: Kind, under_way: Run | None
) -> Placed:
    show_bring_up(charger, func.clock_timestamp())
    _supersede(session, under_way)
    # A bulk job waits for its charger, whichever order brings it up.
    return _order(session, queue, charger, kind, under_way.job_id if under_way else None)


def show_bring_up(charger: Charger, now: Any) -> None:
    """What clients see from the moment that a bring-up is ordered; `now` is the database's time."""
    charger.desired_state = Desired.RUNNING.value
    charger.recover_at = None
    charger.error = None
    charger.status = move(Status(charger.status), Event.BRING_UP_ORDERED).value
    charger.stage, charger.verdict, charger.hint = "queued", "scheduling", None
    charger.stage_since = now


def _settle_superseded_bring_up(charger: Charger) -> None:
    """A stop cuts a bring-up short: what `status` says depends on whether it was ever READY."""
    if charger.provisioned_at is not None:
        charger.status = move(Status(charger.status), Event.STOPPED_LATER).value
        return
    charger.status = move(Status(charger.status), Event.STOPPED_EARLY).value
    charger.error = dict(_EARLY)


def _tell_job(session: Session, queue: Hints, superseded: Run | None) -> None:
    """A bulk job no longer waits for this charger: its run looks again."""
    if superseded is not None and superseded.job_id is not None:
        for hint in hints.wake_job(session, superseded.job_id, cap=queue.cap):
            queue.put(session, hint)


def _order(
    session: Session,
    queue: Hints,
    charger: Charger,
    kind: Kind,
    job_id: uuid.UUID | None = None,
) -> Placed:
    charger.generation += 1
    notify(session, CHANNEL_NEWS, charger.id)
    charger.updated_at = func.clock_timestamp()
    return _insert(session, queue, charger, kind, job_id)


def _insert(
    session: Session,
    queue: Hints,
    charger: Charger,
    kind: Kind,
    job_id: uuid.UUID | None = None,
) -> Placed:
    new = _make_run(charger, kind, job_id)
    charger.current_run_id = charger.current_run_id if kind is Kind.RECOVER else new.id
    session.flush()
    return _place(session, queue, new)


def _make_run(charger: Charger, kind: Kind, job_id: uuid.UUID | None) -> hints.NewRun:
    return hints.NewRun(
        kind,
        charger.organization_id,
        charger.identity,
        charger_id=charger.id,
        job_id=job_id,
        generation=charger.generation,
    )


def _place(session: Session, queue: Hints, new: hints.NewRun) -> Placed:
    hint = hints.insert(session, new, cap=queue.cap)
    if hint is not None:
        queue.put(session, hint)
    return Placed(new.id)


def _get_active(session: Session, charger: Charger) -> Run | None:
    query = select(Run).where(Run.charger_id == charger.id, Run.status == "active")
    return session.scalars(query.with_for_update()).one_or_none()


def _supersede(session: Session, run: Run | None) -> None:
    if run is not None:
        run.status = "superseded"
        run.hinted = False
        run.finished_at = func.clock_timestamp()
        session.flush()


def _comes_up(run: Run) -> bool:
    return Kind(run.kind) in BRINGS_UP and run.phase == "forward"


def _is(run: Run | None, kind: Kind) -> bool:
    return run is not None and run.kind == kind.value


def _is_failed(charger: Charger) -> bool:
    return charger.status == Status.FAILED.value


def make_job_run(job_id: uuid.UUID, organization_id: str) -> hints.NewRun:
    """The bulk run of a job."""
    return hints.NewRun(Kind.BULK, organization_id, str(job_id), job_id=job_id)
