"""The life of a run: ordered, claimed, finished, parked, retried, failed, woken, hinted again.

Every function is one statement or two, and every decision is made by the statement's own WHERE, so that two
processes that do the same thing at the same time cannot both succeed. Times are the database's.

`hinted` is true while a message for the run should exist (on its way, or in a worker's hands); a run that
sleeps or waits for admission is not hinted; who hints it is `app.store.hints`. `Claim` is what a worker holds
between claim and finish; its `fence` is its right to write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.jobs import Hint
from app.store.hints import HINT_COLUMNS, make_hint
from app.workflows import COMPENSATION, Kind


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker's right to one step."""

    run_id: str
    kind: Kind
    charger_id: str | None
    job_id: Any
    organization_id: str
    identity: str
    generation: int
    plan: tuple[str, ...]
    at: int
    phase: str
    fence: int
    attempts: int
    unended: int
    wakes: int
    deadlines: Mapping[str, Any]
    input: Mapping[str, Any]
    error: Mapping[str, Any] | None
    step_started_at: datetime
    now: datetime

    @property
    def step(self) -> str:
        """The name of the step at hand."""
        return self.plan[self.at]

    @property
    def is_last(self) -> bool:
        """Whether the run ends with this step."""
        return self.at + 1 == len(self.plan)

    @property
    def is_child(self) -> bool:
        """Whether a bulk job waits for this run."""
        return self.job_id is not None and self.kind is not Kind.BULK


_CLAIM: Final = text(
    """
    UPDATE runs SET fence = fence + 1, attempts = attempts + 1, unended = unended + 1, nudges = 0,
           hinted = true, lease_until = clock_timestamp() + :lease, nudge_at = clock_timestamp() + :lease,
           step_started_at = coalesce(step_started_at, clock_timestamp())
    WHERE id = :run_id AND status = 'active' AND plan[at + 1] = :step
      AND due_at <= clock_timestamp() + :grace
      AND (lease_until IS NULL OR lease_until < clock_timestamp())
      AND NOT EXISTS (
          SELECT FROM runs AS other WHERE other.charger_id = runs.charger_id AND other.id <> runs.id
             AND other.lease_until > clock_timestamp())
    RETURNING id AS run_id, kind, charger_id, job_id, organization_id, identity, generation, plan, at, phase,
              fence, attempts, unended, wakes, deadlines, input, error, step_started_at,
              clock_timestamp() AS now
    """
)


def claim(session: Session, run_id: str, step: str, *, lease: float, grace: float) -> Claim | None:
    """Take the step, or None when it is not ours to take: over, not due, leased, or another run's turn."""
    values = {"run_id": run_id, "step": step, "lease": _seconds(lease), "grace": _seconds(grace)}
    row = session.execute(_CLAIM, values).one_or_none()
    if row is None:
        return None
    fields = dict(row._mapping)
    return Claim(**{**fields, "kind": Kind(row.kind), "plan": tuple(row.plan)})


def renew(session: Session, run_id: str, fence: int, *, lease: float) -> None:
    """Hold a claim for longer. A superseded run's claim may be renewed too: its call is still in the air."""
    session.execute(
        text(
            """UPDATE runs SET lease_until = clock_timestamp() + :lease, nudge_at = clock_timestamp() + :lease
               WHERE id = :run_id AND fence = :fence AND lease_until IS NOT NULL"""
        ),
        {"run_id": run_id, "fence": fence, "lease": _seconds(lease)},
    )


def is_mine(session: Session, held: Claim) -> bool:
    """Whether the claim still decides; locks the run's row, so that it stays so until commit."""
    found = session.execute(
        text(
            "SELECT 1 FROM runs WHERE id = :id AND fence = :fence AND status = 'active' FOR UPDATE"
        ),
        {"id": held.run_id, "fence": held.fence},
    )
    return found.one_or_none() is not None


_RECORD: Final = """
    INSERT INTO run_steps (run_id, position, name, status, attempt, started_at, output, error)
    SELECT id, :at, :step, :step_status, :attempts, :started_at, CAST(:output AS jsonb), CAST(:error AS jsonb)
    FROM moved ON CONFLICT (run_id, position) DO NOTHING
    RETURNING 1
"""

_FINISH: Final = text(
    """
    WITH moved AS (
        UPDATE runs SET at = at + 1, attempts = 0, unended = 0, lease_until = NULL, due_at = clock_timestamp(),
               nudge_at = clock_timestamp() + :nudge, step_started_at = NULL, hint = NULL,
               error = CASE WHEN phase = 'compensating' THEN input -> 'failure' END,
               input = input || CAST(:learnt AS jsonb),
               status = CASE WHEN :last THEN :run_status ELSE status END,
               hinted = NOT :last,
               finished_at = CASE WHEN :last THEN clock_timestamp() END
        WHERE id = :run_id AND fence = :fence AND at = :at AND status = 'active'
        RETURNING id)
    """
    + _RECORD
)


def finish(
    session: Session,
    held: Claim,
    *,
    nudge: float,
    output: Mapping[str, Any] | None = None,
    learnt: Mapping[str, Any] | None = None,
    run_status: str = "done",
) -> bool:
    """The step is done. False: the claim no longer decides (superseded or fenced out).

    `learnt` is merged into the run's input for later steps; `output` is for people.
    """
    values = _record_values(held, "done", output, None) | {
        "nudge": _seconds(nudge),
        "learnt": _json(learnt or {}),
        "last": held.is_last,
        "run_status": run_status,
    }
    return session.execute(_FINISH, values).one_or_none() is not None


def was_finished(session: Session, held: Claim) -> bool:
    """Whether a finish whose answer was lost took effect after all."""
    row = session.execute(
        text("SELECT 1 FROM runs WHERE id = :id AND fence = :fence AND at = :next"),
        {"id": held.run_id, "fence": held.fence, "next": held.at + 1},
    )
    return row.one_or_none() is not None


_REROUTE: Final = text(
    """
    WITH moved AS (
        UPDATE runs SET plan = plan[1 : at + 1] || CAST(:steps AS text[]), at = at + 1, attempts = 0,
               unended = 0, phase = :phase, lease_until = NULL, deadlines = '{}',
               due_at = clock_timestamp() + :pause, nudge_at = clock_timestamp() + :pause, hinted = false,
               step_started_at = NULL, hint = :hint, error = CAST(:error AS jsonb),
               input = input || CAST(:learnt AS jsonb)
        WHERE id = :run_id AND fence = :fence AND at = :at AND status = 'active'
        RETURNING id)
    """
    + _RECORD
)


def reroute(
    session: Session,
    held: Claim,
    *,
    steps: Sequence[str],
    phase: str,
    error: Mapping[str, Any],
    pause: float = 0.0,
    hint: str | None = None,
    learnt: Mapping[str, Any] | None = None,
) -> bool:
    """The step failed for good; the run goes on with other steps (compensation, or one more bring-up)."""
    values = _record_values(held, "failed", None, error) | {
        "steps": list(steps),
        "phase": phase,
        "pause": _seconds(pause),
        "hint": hint,
        "learnt": _json(learnt or {}),
    }
    return session.execute(_REROUTE, values).one_or_none() is not None


def compensate(session: Session, held: Claim, error: Mapping[str, Any]) -> bool:
    """A bring-up failed: end what it started, then mark the charger FAILED."""
    learnt = {"failure": dict(error)}
    return reroute(
        session, held, steps=COMPENSATION, phase="compensating", error=error, learnt=learnt
    )


def end(
    session: Session, held: Claim, *, status: str, error: Mapping[str, Any] | None = None
) -> bool:
    """End the run at the step at hand, which failed, without anything further."""
    row = session.execute(
        text(
            """
            WITH moved AS (
                UPDATE runs SET status = :status, lease_until = NULL, hinted = false,
                       error = CAST(:error AS jsonb), finished_at = clock_timestamp()
                WHERE id = :run_id AND fence = :fence AND at = :at AND status = 'active' RETURNING id)
            """
            + _RECORD
        ),
        _record_values(held, "failed", None, error) | {"status": status},
    )
    return row.one_or_none() is not None


_PARK: Final = text(
    f"""
    UPDATE runs SET lease_until = NULL, attempts = attempts - 1, unended = 0, hint = :hint,
           deadlines = CAST(:deadlines AS jsonb), hinted = (wakes <> :seen), error = input -> 'failure',
           due_at = CASE WHEN wakes = :seen THEN clock_timestamp() + :pause ELSE clock_timestamp() END,
           nudge_at = CASE WHEN wakes = :seen THEN clock_timestamp() + :pause
                           ELSE clock_timestamp() + :nudge END
    WHERE id = :run_id AND fence = :fence AND status = 'active'
    RETURNING wakes <> :seen AS woken, {HINT_COLUMNS}
    """
)


@dataclass(frozen=True, slots=True)
class Parked:
    """What a park found: the hint to send at once when a wake-up came in between."""

    hint: Hint | None


def park(
    session: Session,
    held: Claim,
    *,
    pause: float,
    nudge: float,
    hint: str | None,
    deadlines: Mapping[str, Any],
) -> Parked | None:
    """Sleep for `pause` seconds or until woken. None: the claim no longer decides.

    A wake-up that came since the claim is seen here (`wakes`), and the run stays awake.
    """
    values = {
        "run_id": held.run_id,
        "fence": held.fence,
        "seen": held.wakes,
        "pause": _seconds(pause),
        "nudge": _seconds(nudge),
        "hint": hint,
        "deadlines": _json(deadlines),
    }
    row = session.execute(_PARK, values).one_or_none()
    if row is None:
        return None
    return Parked(make_hint(row) if row.woken else None)


def retry(
    session: Session,
    held: Claim,
    *,
    pause: float,
    nudge: float,
    error: Mapping[str, Any],
    hinted: bool,
    deadlines: Mapping[str, Any],
) -> bool:
    """Hand the step back after a passing failure; due again in `pause` seconds.

    `hinted`: the caller sends a delayed message of its own; otherwise the keeper sends one when it is due.
    """
    row = session.execute(
        text(
            """UPDATE runs SET lease_until = NULL, unended = 0, error = CAST(:error AS jsonb),
                      hinted = :hinted, deadlines = CAST(:deadlines AS jsonb), hint = :hint,
                      due_at = clock_timestamp() + :pause, nudge_at = clock_timestamp() + :pause + :nudge
               WHERE id = :run_id AND fence = :fence AND status = 'active' RETURNING 1"""
        ),
        {
            "run_id": held.run_id,
            "fence": held.fence,
            "pause": _seconds(pause),
            "nudge": _seconds(nudge),
            "error": _json(error),
            "hint": error.get("message"),
            "hinted": hinted,
            "deadlines": _json(deadlines),
        },
    )
    return row.one_or_none() is not None


def release(session: Session, held: Claim) -> None:
    """Give up the lease of a run that was superseded while its call was in the air."""
    session.execute(
        text("UPDATE runs SET lease_until = NULL WHERE id = :id AND fence = :fence"),
        {"id": held.run_id, "fence": held.fence},
    )


def _record_values(
    held: Claim, status: str, output: Mapping[str, Any] | None, error: Mapping[str, Any] | None
) -> dict[str, Any]:
    return {
        "run_id": held.run_id,
        "fence": held.fence,
        "at": held.at,
        "step": held.step,
        "step_status": status,
        "attempts": held.attempts,
        "started_at": held.step_started_at,
        "output": _json(output or {}),
        "error": None if error is None else _json(error),
    }


def _seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value).decode()
