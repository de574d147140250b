"""One step of one run, from claim to finish: the only code that moves a run forward.

    claim ── act ── settle ─┬─ Done   finish; the chain's next message goes out when the task returns
                            ├─ Park   sleep until due or woken; the chain ends
                            ├─ Again  hand back, due after a pause; Celery retries, the keeper is the net
                            ├─ Redo   the run goes on with one more bring-up
                            └─ Fail   the run goes on with compensation

The chain that carries the hints is ended by whoever finds that it leads nowhere; rows decide, messages do not.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import orjson
from billiard.exceptions import SoftTimeLimitExceeded
from celery import Task
from celery.exceptions import Retry
from sqlalchemy import text
from sqlalchemy.orm import Session

from app import metrics
from app.db import CHANNEL_NEWS, DatabaseAway, notify
from app.jobs import Hint
from app.lifecycle import Event, Status, move
from app.logs import bound
from app.store import hints, jobs, runs
from app.workflows import NEVER_FAILS, RETIRE, Kind
from workers.runs.context import Context
from workers.runs.lease import Lease
from workers.runs.outcomes import Again, Done, Fail, Outcome, Park, Problem, Redo
from workers.runs.steps import STEPS
from workers.runtimes.base import CapacityUnavailable, RuntimeRejected, RuntimeUnavailable

log = logging.getLogger(__name__)

#: Taking it up shows on the charger, in the transaction of the claim.
_FIRST_STEP: Final = "register_task_definition"
#: Pauses up to this long are Celery retries, exact to milliseconds; longer ones are left to the keeper.
_CELERY_RETRY_MAX_S: Final = 60.0
#: Tries of one step that a mistake in this program gets before the run fails.
_MISTAKES_MAX: Final = 8
#: How often, and for how long, a statement is tried again while the database is away.
_DATABASE_TRIES: Final = 12
_DATABASE_PAUSE_S: Final = 0.5

T = TypeVar("T")


class StepRetry(Exception):
    """The reason of a retry, as Flower shows it."""


class Engine:
    """Performs steps with the tools of one process."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._clocks = context.engine
        self._lease = Lease(context.moments, context.engine)

    def perform(self, task: Task[..., Any], run_id: str, step: str) -> str:
        """Do `step` of a run if it is ours to do. The word that Flower shows."""
        held = self._persist(
            lambda session: self._claim(session, run_id, step), is_one=step != _FIRST_STEP
        )
        if held is None:
            metrics.HINTS_STALE.labels(step).inc()
            return _end_chain(task, "stale")
        with bound(organization_id=held.organization_id):
            with self._lease.hold(held):
                outcome = self._measure(held)
            word = self._settle(task, held, outcome)
            log.info("step %s", word, extra={"attempt": held.attempts})
        return word

    # claim

    def _claim(self, session: Session, run_id: str, step: str) -> runs.Claim | None:
        if step == _FIRST_STEP:
            _show_taken_up(session, run_id)
        held = runs.claim(
            session, run_id, step, lease=self._clocks.lease_s, grace=self._clocks.claim_grace_s
        )
        if held is None:
            session.rollback()
        return held

    # act

    def _measure(self, held: runs.Claim) -> Outcome:
        began = time.monotonic()
        outcome = self._act(held)
        kind = held.kind.value
        metrics.STEP_SECONDS.labels(kind, held.step).observe(time.monotonic() - began)
        metrics.STEPS.labels(kind, held.step, type(outcome).__name__.lower()).inc()
        if isinstance(outcome, Again | Redo | Fail):
            metrics.STEP_TROUBLES.labels(held.step, outcome.problem.code).inc()
        return outcome

    def _act(self, held: runs.Claim) -> Outcome:
        if held.unended > self._clocks.max_claims and not _never_fails(held):
            message = f"The step {held.step} was begun {held.unended - 1} times and never ended."
            return Fail(Problem("step_keeps_dying", message))
        try:
            return STEPS[held.step](self._context, held)
        except RuntimeUnavailable as trouble:
            return Again(Problem(trouble.code, str(trouble)))
        except CapacityUnavailable as trouble:
            return Park(trouble.retry_after_s or self._clocks.retry_max_s / 4, str(trouble))
        except RuntimeRejected as trouble:
            return Fail(Problem(trouble.code, str(trouble), retryable=trouble.retryable))
        except SoftTimeLimitExceeded:
            return Again(Problem("step_timed_out", f"The step {held.step} took too long."))
        except DatabaseAway as error:
            return Again(
                Problem("database_away", f"The database did not answer: {type(error).__name__}.")
            )
        except Exception as mistake:
            log.exception("step failed")
            problem = Problem("internal_error", f"{type(mistake).__name__} in {held.step}.")
            return Fail(problem) if held.attempts >= _MISTAKES_MAX else Again(problem)

    # settle

    def _settle(self, task: Task[..., Any], held: runs.Claim, outcome: Outcome) -> str:
        if isinstance(outcome, Done):
            return self._finish(task, held, outcome)
        if isinstance(outcome, Park):
            return self._park(task, held, outcome)
        if isinstance(outcome, Redo):
            return self._redo(task, held, outcome)
        if isinstance(outcome, Fail):
            return self._fail(task, held, outcome)
        return self._retry(task, held, outcome)

    def _finish(self, task: Task[..., Any], held: runs.Claim, outcome: Done) -> str:
        tries = 0

        def write(session: Session) -> list[Hint] | None:
            nonlocal tries
            tries += 1
            if outcome.apply is not None:
                _lock_charger(session, held)
                outcome.apply(session)
            finished = runs.finish(
                session,
                held,
                nudge=self._clocks.nudge_s,
                output=outcome.output,
                learnt=outcome.learnt,
                run_status=outcome.run_status,
            )
            if not finished:
                session.rollback()
                return [] if tries > 1 and runs.was_finished(session, held) else None
            return self._free_slot(session, held) if held.is_last else []

        admitted = self._persist(write, is_one=outcome.apply is None and not held.is_last)
        if admitted is None:
            return self._yield_to_successor(task, held)
        self._context.queue.send(admitted)
        if held.is_last and held.is_child:
            self._tell_job(held)
        return "done"

    def _tell_job(self, held: runs.Claim) -> None:
        """A child of a bulk job ended. In a transaction of its own: see `jobs.wake_if_over`."""
        self._context.queue.send(
            self._persist(
                lambda session: jobs.wake_if_over(
                    session, held.job_id, cap=self._clocks.org_inflight
                )
            )
        )

    def _park(self, task: Task[..., Any], held: runs.Claim, outcome: Park) -> str:
        deadlines = held.deadlines if outcome.deadlines is None else outcome.deadlines

        def write(session: Session) -> tuple[str, list[Hint]] | None:
            parked = runs.park(
                session,
                held,
                pause=outcome.pause,
                nudge=self._clocks.nudge_s,
                hint=outcome.hint,
                deadlines=deadlines,
            )
            if parked is None:
                return None
            if parked.hint is not None:
                return "woken", [parked.hint]
            return "parked", self._free_slot(session, held)

        parked = self._persist(write)
        if parked is None:
            return self._yield_to_successor(task, held)
        word, to_send = parked
        self._context.queue.send(to_send)
        return _end_chain(task, word)

    def _retry(self, task: Task[..., Any], held: runs.Claim, outcome: Again) -> str:
        pause = self._back_off(held.attempts)
        soon = pause <= _CELERY_RETRY_MAX_S
        handed_back = self._persist(
            lambda session: runs.retry(
                session,
                held,
                pause=pause,
                nudge=self._clocks.nudge_s,
                error=outcome.problem.render(held.step),
                hinted=soon,
                deadlines=held.deadlines if outcome.deadlines is None else outcome.deadlines,
            )
        )
        if not handed_back:
            return self._yield_to_successor(task, held)
        reason = StepRetry(f"{outcome.problem.code}: {outcome.problem.message}")
        log.warning("step is tried again", extra={"reason": str(reason), "in_s": round(pause, 2)})
        if soon:
            raise task.retry(exc=reason, countdown=pause)
        raise Retry(exc=reason, when=pause)

    def _redo(self, task: Task[..., Any], held: runs.Claim, outcome: Redo) -> str:
        steps = (*RETIRE, *_take_last_round(held.plan))
        return self._leave(
            task,
            held,
            "redone",
            lambda session: runs.reroute(
                session,
                held,
                steps=steps,
                phase="forward",
                error=outcome.problem.render(held.step),
                pause=outcome.pause,
                hint=outcome.problem.message,
                learnt=outcome.learnt,
            ),
        )

    def _fail(self, task: Task[..., Any], held: runs.Claim, outcome: Fail) -> str:
        if held.kind is Kind.RECOVER:
            return self._give_up_recovery(task, held, outcome)
        if _never_fails(held):
            return self._retry(task, held, Again(outcome.problem))
        error = outcome.problem.render(held.step)
        return self._leave(
            task, held, "compensating", lambda session: runs.compensate(session, held, error)
        )

    def _give_up_recovery(self, task: Task[..., Any], held: runs.Claim, outcome: Fail) -> str:
        error = outcome.problem.render(held.step)

        def write(session: Session) -> bool:
            _lock_charger(session, held)
            ended = runs.end(session, held, status="failed", error=error)
            if ended:
                _plan_next_recovery(session, held, error, self._clocks.recover_max_s)
            return ended

        return self._leave(task, held, "failed", write)

    def _leave(
        self, task: Task[..., Any], held: runs.Claim, word: str, write: Callable[[Session], bool]
    ) -> str:
        """Write what ends this chain, and admit whoever is next (it may be this very run)."""

        def write_and_free(session: Session) -> list[Hint] | None:
            return self._free_slot(session, held) if write(session) else None

        admitted = self._persist(write_and_free)
        if admitted is None:
            return self._yield_to_successor(task, held)
        self._context.queue.send(admitted)
        return _end_chain(task, word)

    def _yield_to_successor(self, task: Task[..., Any], held: runs.Claim) -> str:
        """Superseded or fenced out: let go, and let the charger's present run look at once."""

        def write(session: Session) -> list[Hint]:
            runs.release(session, held)
            if held.charger_id is None:
                return []
            return hints.wake(session, held.charger_id, cap=self._clocks.org_inflight)

        self._context.queue.send(self._persist(write))
        return _end_chain(task, "superseded")

    def _free_slot(self, session: Session, held: runs.Claim) -> list[Hint]:
        """The run needs no worker for now: the organization's next due run may have the slot."""
        return hints.admit_organization(
            session, held.organization_id, cap=self._clocks.org_inflight
        )

    def _back_off(self, attempts: int) -> float:
        """Capped exponential back-off with jitter, seconds."""
        ceiling = min(
            self._clocks.retry_max_s, self._clocks.retry_min_s * 2 ** min(attempts - 1, 16)
        )
        return float(ceiling) * random.uniform(0.5, 1.0)  # noqa: S311  # spreads retries; no secret

    def _persist(self, write: Callable[[Session], T], *, is_one: bool = False) -> T:
        """One transaction, tried again while the database is away; the fence makes a repeat safe.

        `is_one`: what is written is one statement, which needs no BEGIN and COMMIT around it.
        """
        sessions = self._context.moments if is_one else self._context.sessions
        for left in reversed(range(_DATABASE_TRIES)):
            try:
                with sessions.begin() as session:
                    return write(session)
            except DatabaseAway:
                if not left:
                    raise
                time.sleep(_DATABASE_PAUSE_S)
        raise AssertionError("unreachable")  # pragma: no cover


def _end_chain(task: Task[..., Any], word: str) -> str:
    task.request.chain = None
    return word


def _never_fails(held: runs.Claim) -> bool:
    return held.kind in NEVER_FAILS or held.phase == "compensating"


def _take_last_round(plan: Sequence[str]) -> Sequence[str]:
    """The steps of the last bring-up, from run_task on: a plan grows by one with each repetition."""
    starts = [at for at, step in enumerate(plan) if step == "run_task"]
    return plan[starts[-1] :] if starts else ()


def _lock_charger(session: Session, held: runs.Claim) -> None:
    """Lock order: the charger before its run."""
    if held.charger_id is not None:
        session.execute(
            text("SELECT 1 FROM chargers WHERE id = :id FOR UPDATE"), {"id": held.charger_id}
        )


def _show_taken_up(session: Session, run_id: str) -> None:
    """PENDING becomes PROVISIONING with the first claim of a PROVISION run."""
    row = session.execute(
        text(
            """UPDATE chargers SET status = :taken FROM runs
               WHERE runs.id = :run_id AND chargers.id = runs.charger_id AND chargers.status = :pending
                 AND chargers.current_run_id = runs.id AND runs.status = 'active' RETURNING chargers.id"""
        ),
        {
            "run_id": run_id,
            "pending": Status.PENDING.value,
            "taken": move(Status.PENDING, Event.CLAIMED).value,
        },
    ).one_or_none()
    if row is not None:
        notify(session, CHANNEL_NEWS, row.id)


def _plan_next_recovery(
    session: Session, held: runs.Claim, error: dict[str, Any], longest: float
) -> None:
    session.execute(
        text(
            """UPDATE chargers SET last_error = CAST(:error AS jsonb),
                      recover_pause = least(:longest, greatest(1, recover_pause * 2)),
                      recover_at = clock_timestamp() + greatest(1, recover_pause) * interval '1 second'
               WHERE id = :id AND status = 'READY' AND desired_state = 'running' AND deleted_at IS NULL"""
        ),
        {"id": held.charger_id, "error": orjson.dumps(error).decode(), "longest": longest},
    )
