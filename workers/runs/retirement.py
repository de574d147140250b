"""The steps that take runtimes away: retire_runtimes, wait_until_gone, and how each workflow ends.

They never give up: what cannot be seen now is looked for again, what does not end is asked again.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import update
from sqlalchemy.orm import Session

from app.db import CHANNEL_NEWS, notify
from app.models import Charger, Runtime
from app.store import runs, runtimes
from workers.runs.bringup import make_key, show_failed
from workers.runs.clocks import look
from workers.runs.context import Context
from workers.runs.outcomes import Done, Outcome, Park
from workers.runtimes.base import EndClass, Find

_UNKNOWN_S: Final = 5.0
_LOOK_S: Final = 5.0
#: A runtime that has not ended after this is asked again.
_ASK_AGAIN_S: Final = 30.0
_NEVER_STARTED: Final = {
    "kind": EndClass.EXPECTED.value,
    "code": "never_started",
    "message": "It was ordered away before it was started.",
    "retryable": True,
}


def retire_runtimes(context: Context, held: runs.Claim) -> Outcome:
    """Ask every runtime of the charger that may still run to end."""
    with context.sessions.begin() as session:
        known = runtimes.list_not_gone(session, str(held.charger_id))
        for runtime in known:
            runtimes.request_stop(session, runtime.charger_id, runtime.incarnation)
    unseen = [runtime for runtime in known if not _ask_to_end(context, held, runtime)]
    if unseen:
        return Park(_UNKNOWN_S, "A start may still be on its way; it is looked for again.")
    return Done(output={"asked": [runtime.incarnation for runtime in known]})


def _ask_to_end(context: Context, held: runs.Claim, runtime: Runtime) -> bool:
    """Whether the runtime's whereabouts are known: asked to end, or certainly never started."""
    driver = context.driver(runtime.provider)
    found = runtime.handle or driver.find(make_key(context, runtime))
    if found is Find.UNKNOWN:
        return False
    if isinstance(found, Find):
        _record_gone(context, runtime)
    else:
        driver.stop(found, f"{context.settings.install_id}:{held.run_id}")
        if runtime.handle is None:
            with context.sessions.begin() as session:
                runtimes.record_start(
                    session, runtime.charger_id, runtime.incarnation, runtime.attempt, found
                )
    return True


def _record_gone(context: Context, runtime: Runtime) -> None:
    gone = runtimes.Gone(runtime.charger_id, runtime.incarnation, _NEVER_STARTED)
    with context.sessions.begin() as session:
        woken = runtimes.mark_gone(session, [gone], cap=context.engine.org_inflight)
    context.queue.send(woken)


def wait_until_gone(context: Context, held: runs.Claim) -> Outcome:
    """Until each has ended. Whoever sees an end (link, keeper) wakes the run."""
    with context.sessions.begin() as session:
        left = runtimes.list_not_gone(session, str(held.charger_id))
    if not left:
        return Done()
    used, deadlines = look(held.deadlines, "ending", now=held.now, planned=_LOOK_S)
    if used >= _ASK_AGAIN_S:
        for runtime in left:
            _ask_to_end(context, held, runtime)
        deadlines.pop("ending")
    return Park(_LOOK_S, "Waiting until the earlier runtime has ended.", deadlines)


def mark_stopped(_: Context, held: runs.Claim) -> Outcome:
    """The runtime is gone, the charger stays."""

    def apply(session: Session) -> None:
        charger = session.get(Charger, held.charger_id)
        if charger is not None and charger.current_run_id == held.run_id:
            _show_stopped(session, charger.id)

    return Done(apply=apply)


def mark_failed(_: Context, held: runs.Claim) -> Outcome:
    """The end of a compensation."""
    return Done(apply=lambda session: show_failed(session, held), run_status="failed")


def forget(_: Context, held: runs.Claim) -> Outcome:
    """The charger's row becomes a bare tombstone; housekeeping removes it after a day."""

    def apply(session: Session) -> None:
        _show_stopped(session, str(held.charger_id))
        session.execute(
            update(Charger).where(Charger.id == held.charger_id).values(authorization_key=None)
        )

    return Done(apply=apply)


def _show_stopped(session: Session, charger_id: str) -> None:
    runtimes.show(session, charger_id, stage="stopped", verdict="stopped")
    session.execute(update(Charger).where(Charger.id == charger_id).values(connectors=None))
    notify(session, CHANNEL_NEWS, charger_id)
