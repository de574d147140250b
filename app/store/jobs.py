"""Bulk jobs: their progress, their end, their cancellation.

A **child** is a run with the job's id that brings a charger up. When an order that also brings the charger up
supersedes it (an update, a reset), the newer run takes the membership over, so what became of a charger is
always what became of its newest child. Lock order: jobs, chargers, runs.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.errors import JobNotFound
from app.jobs import Hint
from app.lifecycle import Event, Status, move
from app.models import Charger, Job
from app.store import hints

_CANCELLED: Final = {
    "code": "cancelled",
    "message": "The bulk order was cancelled before this charger's turn came; it can be started.",
    "step": None,
    "param": None,
    "retryable": True,
}
#: What is said of a child that a stop or a delete superseded.
_ENDED_EARLY: Final = {
    "code": "stopped_before_ready",
    "message": "It was stopped or deleted before it came up.",
}


def get(
    session: Session,
    organization_id: str,
    location_id: uuid.UUID,
    job_id: uuid.UUID,
    *,
    lock: bool = False,
) -> Job:
    """A job of this organization at this location. Raises `JobNotFound`."""
    query = select(Job).where(
        Job.id == job_id,
        Job.organization_id == organization_id,
        Job.location_id == location_id,
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    job = session.scalars(query).one_or_none()
    if job is None:
        raise JobNotFound("No job with this id at this location.")
    return job


def begin(session: Session, job_id: uuid.UUID) -> None:
    """A worker took the job up."""
    session.execute(
        text("UPDATE jobs SET status = :taken WHERE id = :id AND status = :pending"),
        {
            "id": job_id,
            "pending": Status.PENDING.value,
            "taken": move(Status.PENDING, Event.CLAIMED).value,
        },
    )


_AT_WORK: Final = (
    "EXISTS (SELECT FROM runs AS child WHERE child.job_id = :job_id AND child.status = 'active'"
    " AND child.kind <> 'bulk')"
)


def is_at_work(session: Session, job_id: uuid.UUID) -> bool:
    """Whether a child of the job has not ended."""
    return bool(session.scalar(text(f"SELECT {_AT_WORK}"), {"job_id": job_id}))


_WAKE_IF_OVER: Final = text(
    f"""
    UPDATE runs SET wakes = wakes + 1, due_at = least(due_at, clock_timestamp())
    WHERE status = 'active' AND job_id = :job_id AND kind = 'bulk' AND NOT {_AT_WORK}
    RETURNING organization_id, hinted
    """
)


def wake_if_over(session: Session, job_id: uuid.UUID, *, cap: int) -> list[Hint]:
    """Let the job's run look when no child is left. Hints to send after commit.

    To be called after the commit that ended a child, in a transaction of its own: of two children that end at the
    same time, the one that commits last then sees that both have.
    """
    row = session.execute(_WAKE_IF_OVER, {"job_id": job_id}).one_or_none()
    if row is None or row.hinted:
        return []
    return hints.admit_organization(session, row.organization_id, cap=cap)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is; `failed` counts those that were refused at once, too."""

    total: int
    ready: int
    failed: int
    pending: int


# What became of each charger: its newest child.
_NEWEST: Final = """
    SELECT DISTINCT ON (charger_id) charger_id, identity, status, error FROM runs
    WHERE job_id = :job_id AND kind <> 'bulk' ORDER BY charger_id, id DESC
"""
_COUNT: Final = text(
    f"""
    SELECT count(*) FILTER (WHERE status = 'done') AS ready,
           count(*) FILTER (WHERE status = 'active') AS pending
    FROM ({_NEWEST}) AS newest
    """
)


def count(session: Session, job: Job) -> Progress:
    """How far the job is now, or was when it ended."""
    if job.results is not None:
        created = len(job.results["created"])
        return Progress(job.total, created, job.total - created, 0)
    row = session.execute(_COUNT, {"job_id": job.id}).one()
    return Progress(job.total, row.ready, job.total - row.ready - row.pending, row.pending)


def list_created(session: Session, job: Job) -> Sequence[Charger]:
    """The chargers that an ended job brought up and that are still there, in the order of the request."""
    if not job.results or not job.results["created"]:
        return []
    query = select(Charger).where(Charger.job_id == job.id, Charger.deleted_at.is_(None))
    created = set(job.results["created"])
    return [row for row in session.scalars(query.order_by(Charger.id)) if row.id in created]


def conclude(session: Session, job_id: uuid.UUID) -> None:
    """No child is left: write what became of each charger, and of the job. Safe to repeat."""
    job = session.get(Job, job_id, with_for_update=True)
    if job is None or job.results is not None:
        return
    newest = session.execute(text(_NEWEST), {"job_id": job_id}).all()
    created = [row.charger_id for row in newest if row.status == "done"]
    failed = [_describe(row) for row in newest if row.status != "done"]
    results = {"created": created, "failed": [*job.refused, *failed]}
    error = None if created else _explain(job, results["failed"])
    session.execute(
        text(
            """UPDATE jobs SET results = CAST(:results AS jsonb), error = CAST(:error AS jsonb),
                      status = :status, finished_at = clock_timestamp() WHERE id = :id"""
        ),
        {
            "id": job_id,
            "results": orjson.dumps(results).decode(),
            "error": None if error is None else orjson.dumps(error).decode(),
            "status": (Status.READY if created else Status.FAILED).value,
        },
    )


def _describe(row: Any) -> dict[str, Any]:
    """One charger that did not come up."""
    error = row.error if row.status == "failed" else None
    if row.status == "cancelled":
        error = _CANCELLED
    error = error or _ENDED_EARLY
    return {
        "identity": row.identity,
        "charger_id": row.charger_id,
        "error": error["message"],
        "code": error["code"],
    }


def _explain(job: Job, failed: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The error of a job of which nothing came up: what all have in common, if anything."""
    codes = {one["code"] for one in failed}
    first = failed[0]["error"] if failed else "Nothing was ordered."
    return {
        "code": codes.pop() if len(codes) == 1 else "no_charger_came_up",
        "message": f"None of {job.total} came up; the first: {first}",
        "step": None,
        "param": None,
        "retryable": True,
    }


# Only a first bring-up that was never claimed has certainly started nothing.
_UNBEGUN: Final = "job_id = :job_id AND status = 'active' AND kind = 'provision' AND fence = 0"
_LOCK_UNBEGUN: Final = text(
    f"""
    SELECT id FROM chargers WHERE id IN (SELECT charger_id FROM runs WHERE {_UNBEGUN})
    ORDER BY id FOR UPDATE
    """
)
# A claim that came first has moved the fence; then the row does not match any more.
_CANCEL_RUNS: Final = text(
    f"""
    UPDATE runs SET status = 'cancelled', hinted = false, finished_at = clock_timestamp(),
           error = CAST(:error AS jsonb)
    WHERE {_UNBEGUN} AND charger_id = ANY(:ids) RETURNING charger_id
    """
)
_CANCEL_CHARGERS: Final = text(
    """
    UPDATE chargers SET status = :status, desired_state = 'stopped', error = CAST(:error AS jsonb),
           generation = generation + 1, updated_at = clock_timestamp(), stage = 'not_deployed',
           verdict = 'stopped', hint = NULL, stage_since = clock_timestamp()
    WHERE id = ANY(:ids)
    """
)


def cancel_unbegun(session: Session, job: Job) -> list[str]:
    """Cancel the children of this locked job that no worker has claimed; ids of their chargers.

    The chargers stay, FAILED with the code `cancelled`, and keep their identity until they are deleted.
    """
    error = orjson.dumps(_CANCELLED).decode()
    waiting = list(session.scalars(_LOCK_UNBEGUN, {"job_id": job.id}))
    values = {"job_id": job.id, "ids": waiting, "error": error}
    cancelled = list(session.scalars(_CANCEL_RUNS, values))
    session.execute(
        _CANCEL_CHARGERS,
        {
            "ids": cancelled,
            "error": error,
            "status": move(Status.PENDING, Event.STOPPED_EARLY).value,
        },
    )
    if job.cancelled_at is None:
        session.execute(
            text("UPDATE jobs SET cancelled_at = clock_timestamp() WHERE id = :id"), {"id": job.id}
        )
    return sorted(cancelled)
