"""The steps of a bulk job: admit_children, wait_for_children, mark_job.

The job's run carries no charger. Its children were written with it and are ordinary runs, each with its own
retries; admission feeds them to the workers. Whoever ends the last one wakes this run
(`app.store.jobs.wake_if_over`); looking now and then is the net below.
"""

from __future__ import annotations

from typing import Final

from app.store import hints, jobs
from app.store.runs import Claim
from workers.runs.context import Context
from workers.runs.outcomes import Done, Outcome, Park

#: How often a job looks by itself whether its children have ended, seconds.
_LOOK_S: Final = 5.0


def admit_children(context: Context, held: Claim) -> Outcome:
    """The job has begun: let as many children start as the organization's slots allow."""
    with context.sessions.begin() as session:
        jobs.begin(session, held.job_id)
        admitted = hints.admit_organization(
            session, held.organization_id, cap=context.engine.org_inflight
        )
    context.queue.send(admitted)
    return Done(output={"admitted": len(admitted)})


def wait_for_children(context: Context, held: Claim) -> Outcome:
    """Until no child is active."""
    with context.sessions.begin() as session:
        at_work = jobs.is_at_work(session, held.job_id)
    return Park(_LOOK_S, "Waiting for the chargers of this job.") if at_work else Done()


def mark_job(_: Context, held: Claim) -> Outcome:
    """Write what became of each charger."""
    return Done(apply=lambda session: jobs.conclude(session, held.job_id))
