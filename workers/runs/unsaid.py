"""A start that the backend refused and made all the same: it calls home, and nobody has its handle.

AWS says of `failures[]` that a task may start nevertheless (airflow #16150). The call home wakes the run that
waits for capacity; were it to try its next attempt then, under a new token, there would be two tasks of one start,
for the first may still be invisible to every list. So nothing is started while something runs: it is looked for.
"""

from __future__ import annotations

from typing import Final

from app.models import Runtime
from app.store import runtimes
from workers.runs.context import Context
from workers.runs.outcomes import Done, Outcome, Park
from workers.runtimes.base import EndClass, Find, Key

_LOOK_S: Final = 2.0
_HINT: Final = "It runs although its start was refused; it is looked for."
_LOST: Final = {
    "kind": EndClass.TRANSIENT.value,
    "code": "runtime_lost",
    "message": "It called home, and the backend does not know it any more.",
    "retryable": True,
}


def is_unsaid(runtime: Runtime) -> bool:
    """Whether it runs under an attempt that was refused."""
    return (
        runtime.attempt > 1
        and runtime.handle is None
        and runtime.state == "intended"
        and runtime.called_home_at is not None
    )


def adopt(context: Context, runtime: Runtime, key: Key) -> Outcome:
    """Take what is found for the start that was ordered; what certainly ended is gone."""
    found = context.driver(runtime.provider).find(key)
    if found is Find.UNKNOWN:
        return Park(_LOOK_S, _HINT)
    name = (runtime.charger_id, runtime.incarnation)
    with context.sessions.begin() as session:
        if isinstance(found, Find):
            gone = runtimes.Gone(*name, _LOST)
            woken = runtimes.mark_gone(session, [gone], cap=context.engine.org_inflight)
        else:
            runtimes.record_start(session, *name, runtime.attempt, found)
            woken = []
    context.queue.send(woken)
    return Done(output={"incarnation": runtime.incarnation, "provider": runtime.provider})
