"""The steps that bring a charger up: register_task_definition, run_task, wait_for_health, mark_ready.

`run_task` commits the intent (incarnation, key, rendered request) before the outside call; everything after can
be found again by it. `wait_for_health` asks no driver: the keeper looks at many runtimes at once, the link writes
what they tell, and both wake the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.db import CHANNEL_NEWS, notify
from app.errors import ChargerNotFound
from app.lifecycle import Event, Status, move
from app.models import Charger, Runtime
from app.store import links, runs, runtimes
from app.tokens import make_bootstrap_token
from app.workflows import Kind
from workers.runs.clocks import look
from workers.runs.context import Context
from workers.runs.outcomes import Again, Done, Fail, Outcome, Park, Problem, Redo
from workers.runs.unsaid import adopt, is_unsaid
from workers.runtimes.base import (
    CapacityUnavailable,
    EndClass,
    Handle,
    Key,
    Phase,
    RuntimeRejected,
    RuntimeUnavailable,
    Spec,
)

#: A sleeping wait looks again this often even when nothing woke it, seconds.
_LOOK_S: Final = 15.0
_RIVAL_S: Final = 2.0
#: Bring-ups within one run after passing ends.
_REDO_MAX: Final = 4
_REDO_PAUSE_S: Final = (1.0, 3.0, 8.0, 20.0)
_NEVER: Final = datetime.fromtimestamp(0, UTC)
#: What a failed bring-up shows as its verdict; every other code shows `stopped`.
_VERDICTS: Final = {
    "csms_unreachable": "csms_unreachable",
    "csms_rejected": "csms_rejected",
    "image_pull_failed": "image_pull_failed",
    "image_pull_denied": "image_pull_failed",
    "image_not_found": "image_pull_failed",
}


def read_charger(session: Session, held: runs.Claim) -> Charger:
    """The charger of a run.

    Raises `ChargerNotFound` when its row is gone: a run does not outlive its charger.
    """
    charger = session.get(Charger, held.charger_id)
    if charger is None:
        raise ChargerNotFound(f"The charger {held.charger_id} is gone.")
    return charger


def register_task_definition(context: Context, held: runs.Claim) -> Outcome:
    """Make sure that what every start needs is there."""
    with context.moments.begin() as session:
        spec = make_spec(context, read_charger(session, held), 0)
    provider = context.provider
    used, deadlines = look(
        held.deadlines, "placement", now=held.now, planned=context.engine.retry_max_s
    )
    if used > context.engine.placement_s:
        return _fail_placement(held)
    try:
        template = context.driver(provider).ensure_template(spec)
    except CapacityUnavailable as trouble:
        return _wait_for_capacity(context, held, trouble, deadlines)
    except RuntimeUnavailable as trouble:
        return Again(Problem(trouble.code, str(trouble)), deadlines)
    return Done(output=dict(template), learnt={"provider": provider, "template": dict(template)})


def run_task(context: Context, held: runs.Claim) -> Outcome:
    """Commit the intent, then start; a repeat starts the same thing."""
    used, deadlines = look(
        held.deadlines, "placement", now=held.now, planned=context.engine.retry_max_s
    )
    if used > context.engine.placement_s:
        return _fail_placement(held)
    with context.sessions.begin() as session:
        intended = _intend(context, session, held)
    if not isinstance(intended, _Intent):
        return intended
    intent = intended.runtime
    output = {"incarnation": intent.incarnation, "provider": intent.provider}
    if intent.handle is not None or intent.state == "gone":
        return Done(output=output)
    if is_unsaid(intent):
        return adopt(context, intent, make_key(context, intent))
    try:
        handle = _start(context, intended)
    except CapacityUnavailable as trouble:
        if trouble.new_attempt:
            _take_next_attempt(context, held, intent)
        return _wait_for_capacity(context, held, trouble, deadlines)
    except RuntimeUnavailable as trouble:
        return Again(Problem(trouble.code, str(trouble)), deadlines)
    with context.moments.begin() as session:
        runtimes.record_start(
            session, intent.charger_id, intent.incarnation, intent.attempt, handle
        )
    return Done(output=output)


def wait_for_health(context: Context, held: runs.Claim) -> Outcome:
    """READY means: up, called home, and accepted by the CSMS (see `GATEWAY_READY_WHEN`)."""
    with context.moments.begin() as session:
        runtime = runtimes.find_of_run(session, str(held.charger_id), held.run_id)
        is_up = runtime is not None and _is_up(context, held, runtime)
        link_up = is_up or links.is_alive(session, away_s=context.engine.link_away_s)
    if runtime is None:
        return Fail(Problem("runtime_lost", "The runtime that was started is not recorded."))
    if runtime.state == "gone":
        return _judge_end(held, runtime)
    if is_up:
        return Done(output={"incarnation": runtime.incarnation, "stage": runtime.stage})
    if runtime.called_home_at is None or not _is_healthy(runtime):
        return _wait_for_start(context, held, runtime, link_up=link_up)
    return _wait_for_csms(context, held, runtime, link_up=link_up)


def mark_ready(_: Context, held: runs.Claim) -> Outcome:
    """The charger came up. RECOVER leaves `status` alone: it never left READY."""

    def apply(session: Session) -> None:
        if held.kind is Kind.RECOVER:
            return
        charger = _get_mine(session, held)
        if charger is None:
            return
        charger.status = move(Status(charger.status), Event.CAME_UP).value
        charger.error = None
        charger.provisioned_at = func.clock_timestamp()
        charger.restarts, charger.recover_pause, charger.last_error = 0, 0.0, None
        session.flush()
        notify(session, CHANNEL_NEWS, charger.id)

    return Done(apply=apply)


# the intent


@dataclass(frozen=True, slots=True)
class _Intent:
    """A start that is committed and about to be called."""

    runtime: Runtime
    #: When an earlier call of it may have taken effect; `_NEVER` for the first.
    asked_before: datetime


def _start(context: Context, intent: _Intent) -> Handle:
    """Call the driver. After a definite refusal nobody need wait for what this call may have started."""
    runtime = intent.runtime
    try:
        return context.driver(runtime.provider).start(
            make_key(context, runtime), runtime.request or {}
        )
    except RuntimeRejected:
        with context.sessions.begin() as session:
            row = session.get(
                Runtime, (runtime.charger_id, runtime.incarnation), with_for_update=True
            )
            # A worker that took the step over may have called since.
            if row is not None and row.asked_at == runtime.asked_at:
                row.asked_at = intent.asked_before
        raise


def make_spec(context: Context, charger: Charger, incarnation: int) -> Spec:
    """What a driver gets to know. No secret but the bootstrap token of this incarnation."""
    token = make_bootstrap_token(context.settings.link_secret, charger.id, incarnation)
    return Spec(
        organization_id=charger.organization_id,
        identity=charger.identity,
        ocpp_version=charger.ocpp_version,
        location_name=charger.location_name,
        link_url=context.settings.link_url,
        bootstrap_token=token if incarnation else "",
        labels={"gateway.install": context.settings.install_id},
    )


def make_key(context: Context, runtime: Runtime) -> Key:
    """The idempotency key of a recorded intent."""
    return Key(
        context.settings.install_id, runtime.charger_id, runtime.incarnation, runtime.attempt
    )


def _intend(context: Context, session: Session, held: runs.Claim) -> _Intent | Outcome:
    """The runtime row of this start: the one recorded before, or a new one under the next incarnation."""
    query = select(Charger).where(Charger.id == held.charger_id).with_for_update()
    charger = session.scalars(query).one()
    recorded = runtimes.find_of_run(session, charger.id, held.run_id)
    if recorded is not None and recorded.incarnation > int(held.input.get("ended", 0)):
        if is_unsaid(recorded):
            return _Intent(recorded, recorded.asked_at)
        asked_before = recorded.asked_at
        recorded.asked_at = func.clock_timestamp()
        session.flush()
        session.refresh(recorded)
        return _Intent(recorded, asked_before)
    if not runs.is_mine(session, held):
        return Park(0.0)
    rival = runtimes.find_rival(session, charger)
    if rival is not None:
        hint = "An earlier runtime of this identity is still ending; this one starts after it."
        runtimes.show(session, charger.id, stage="queued", verdict="scheduling", hint=hint)
        return Park(_RIVAL_S, hint)
    charger.incarnation += 1
    intent = Runtime(
        charger_id=charger.id,
        incarnation=charger.incarnation,
        generation=charger.generation,
        organization_id=charger.organization_id,
        identity=charger.identity,
        run_id=held.run_id,
        provider=held.input["provider"],
        attempt=1,
        state="intended",
        handle=None,
    )
    intent.request = _render(context, charger, intent, held.input["template"])
    charger.provider = intent.provider
    session.add(intent)
    session.flush()
    runtimes.show(session, charger.id, stage="scheduling", verdict="scheduling")
    return _Intent(intent, _NEVER)


def _render(
    context: Context, charger: Charger, intent: Runtime, template: Mapping[str, Any]
) -> dict[str, Any]:
    spec = make_spec(context, charger, intent.incarnation)
    return dict(context.driver(intent.provider).render(make_key(context, intent), spec, template))


def _take_next_attempt(context: Context, held: runs.Claim, intent: Runtime) -> None:
    """The backend refused this key definitely; the next call needs another."""
    with context.sessions.begin() as session:
        runtime = session.get(
            Runtime, (intent.charger_id, intent.incarnation), with_for_update=True
        )
        charger = session.get(Charger, intent.charger_id)
        if runtime is None or charger is None or runtime.attempt != intent.attempt:
            return
        runtime.attempt += 1
        runtime.request = _render(context, charger, runtime, held.input["template"])


def _wait_for_capacity(
    context: Context, held: runs.Claim, trouble: CapacityUnavailable, deadlines: Mapping[str, Any]
) -> Park:
    hint = trouble.hint or str(trouble)
    with context.sessions.begin() as session:
        runtimes.show(
            session, str(held.charger_id), stage="scheduling", verdict="scheduling", hint=hint
        )
    return Park(trouble.retry_after_s or context.engine.retry_max_s / 4, hint, deadlines)


def _fail_placement(held: runs.Claim) -> Fail:
    why = held.error["message"] if held.error else "There was no room for the runtime in time."
    return Fail(Problem("capacity_unavailable", str(why)))


# waiting


def _is_healthy(runtime: Runtime) -> bool:
    """Where a driver reports health, it must be good; a local host's chargers have no probe."""
    if runtime.provider == "local":
        return True
    return runtime.phase == Phase.RUNNING and runtime.facts.get("healthy") is not False


def _is_up(context: Context, held: runs.Claim, runtime: Runtime) -> bool:
    if runtime.called_home_at is None or not _is_healthy(runtime):
        return False
    if held.kind is Kind.RECOVER or context.settings.ready_when == "running":
        return True
    return runtime.stage == "online"


def _judge_end(held: runs.Claim, runtime: Runtime) -> Outcome:
    """What was started has ended before it was READY."""
    end = runtime.end or {}
    code = str(end.get("code", "runtime_ended"))
    message = str(end.get("message", "The runtime ended before it was ready."))
    problem = Problem(code, message, retryable=bool(end.get("retryable", True)))
    redone = int(held.input.get("redone", 0))
    if end.get("kind") == EndClass.PERMANENT or redone >= _REDO_MAX:
        return Fail(problem)
    if code == "out_of_memory" and held.input.get("last_end") == code:
        return Fail(problem)
    learnt = {"redone": redone + 1, "ended": runtime.incarnation, "last_end": code}
    return Redo(problem, _REDO_PAUSE_S[min(redone, len(_REDO_PAUSE_S) - 1)], learnt)


def _wait_for_start(
    context: Context, held: runs.Claim, runtime: Runtime, *, link_up: bool
) -> Outcome:
    limit = context.engine.start_local_s if runtime.provider == "local" else context.engine.start_s
    used, _ = look(held.deadlines, "start", now=held.now, planned=_LOOK_S)
    if used >= limit and held.kind is not Kind.RECOVER:
        seen = f" The last thing seen of it: {runtime.phase}." if runtime.phase else ""
        message = f"The runtime was started but did not call home within {limit:.0f} s.{seen}"
        return Fail(Problem("runtime_unhealthy", message))
    hint = None if link_up else "No app.link is running, so the runtime cannot call home yet."
    return _wait(held, "start", limit - used, running=link_up, hint=hint)


def _wait_for_csms(
    context: Context, held: runs.Claim, runtime: Runtime, *, link_up: bool
) -> Outcome:
    clocks = context.engine
    pending = runtime.detail.get("boot_status") == "Pending"
    if _is_refused(context, held, runtime):
        return Fail(Problem("csms_rejected", _explain(runtime), param="ws_url"))
    name, limit = ("pending", clocks.csms_pending_s) if pending else ("csms", clocks.csms_s)
    used, _ = look(held.deadlines, name, now=held.now, planned=_LOOK_S)
    if used >= limit:
        return Fail(Problem("csms_unreachable", _explain(runtime), param="ws_url"))
    hint = "The CSMS answered Pending; the charger waits to be accepted." if pending else None
    return _wait(held, name, limit - used, running=link_up, hint=hint)


def _is_refused(context: Context, held: runs.Claim, runtime: Runtime) -> bool:
    """A definite refusal fails when it was seen often enough, or for long enough."""
    if not runtime.refusals:
        return False
    if runtime.refusals >= context.engine.csms_refusals:
        return True
    since = runtime.refused_since
    return since is not None and (held.now - since).total_seconds() >= context.engine.csms_refused_s


def _explain(runtime: Runtime) -> str:
    told = runtime.detail.get("message")
    return str(told or "The charger runs but its CSMS did not accept it in time.")


def _wait(held: runs.Claim, name: str, left: float, *, running: bool, hint: str | None) -> Park:
    pause = max(0.2, min(_LOOK_S, left))
    _, deadlines = look(held.deadlines, name, now=held.now, planned=pause, running=running)
    return Park(pause, hint, deadlines)


def _get_mine(session: Session, held: runs.Claim) -> Charger | None:
    """The charger, while this run is its current one and has not settled its status yet."""
    charger = session.get(Charger, held.charger_id)
    if charger is None or charger.current_run_id != held.run_id:
        return None
    return charger if charger.status == Status.PROVISIONING.value else None


def show_failed(session: Session, held: runs.Claim) -> None:
    """The bring-up failed: say so where clients look, if this run still speaks for the charger."""
    charger = _get_mine(session, held)
    if charger is None:
        return
    charger.status = move(Status(charger.status), Event.GAVE_UP).value
    charger.error = dict(held.input["failure"])
    session.flush()
    verdict = _VERDICTS.get(str(charger.error.get("code", "")), "stopped")
    runtimes.show(
        session, charger.id, stage="stopped", verdict=verdict, hint=charger.error.get("message")
    )
    notify(session, CHANNEL_NEWS, charger.id)
