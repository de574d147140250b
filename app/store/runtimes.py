"""Starts of simulators: the intent before the call, facts as they are learnt, the end.

Decisions may be dropped, facts never: functions that record facts are not fenced by a run's claim. Whoever
learns that a runtime is gone calls `mark_gone`: it also shows the charger's new stage, lets the reconciler know,
and wakes every run that waits for it. Lock order: chargers, runs, runtimes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import orjson
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.db import CHANNEL_NEWS
from app.jobs import Hint
from app.models import Charger, Runtime
from app.store import hints


def list_not_gone(session: Session, charger_id: str) -> Sequence[Runtime]:
    """The charger's runtimes that may still run, oldest first."""
    query = (
        select(Runtime)
        .where(Runtime.charger_id == charger_id, Runtime.state != "gone")
        .order_by(Runtime.incarnation)
    )
    return session.scalars(query).all()


def find_of_run(session: Session, charger_id: str, run_id: str) -> Runtime | None:
    """The newest start that this run ordered, gone or not."""
    query = (
        select(Runtime)
        .where(Runtime.charger_id == charger_id, Runtime.run_id == run_id)
        .order_by(Runtime.incarnation.desc())
        .limit(1)
    )
    return session.scalars(query).one_or_none()


def find_rival(session: Session, charger: Charger) -> Runtime | None:
    """A runtime of the same (organization, identity) that is not gone yet; its connection must end first."""
    query = (
        select(Runtime)
        .where(
            Runtime.organization_id == charger.organization_id,
            Runtime.identity == charger.identity,
            Runtime.state != "gone",
        )
        .limit(1)
    )
    return session.scalars(query).one_or_none()


def record_start(
    session: Session, charger_id: str, incarnation: int, attempt: int, handle: Mapping[str, Any]
) -> None:
    """The driver accepted this start. Recorded whatever became of the run that asked for it."""
    session.execute(
        text(
            """UPDATE runtimes SET handle = CAST(:handle AS jsonb),
                      state = CASE WHEN state = 'intended' THEN 'started' ELSE state END,
                      accepted_at = coalesce(accepted_at, clock_timestamp())
               WHERE charger_id = :charger_id AND incarnation = :incarnation AND attempt = :attempt"""
        ),
        {
            "charger_id": charger_id,
            "incarnation": incarnation,
            "attempt": attempt,
            "handle": orjson.dumps(handle).decode(),
        },
    )


def request_stop(session: Session, charger_id: str, incarnation: int) -> None:
    """From here on the link does not admit it; the driver's stop follows."""
    session.execute(
        text(
            """UPDATE runtimes SET stop_requested_at = coalesce(stop_requested_at, clock_timestamp())
               WHERE charger_id = :charger_id AND incarnation = :incarnation"""
        ),
        {"charger_id": charger_id, "incarnation": incarnation},
    )


def show(
    session: Session, charger_id: str, *, stage: str, verdict: str, hint: str | None = None
) -> None:
    """What clients see of the charger's runtime; `stage_since` moves only when the stage does."""
    session.execute(
        text(
            """UPDATE chargers SET stage = :stage, verdict = :verdict, hint = :hint,
                      stage_since = CASE WHEN stage = :stage THEN stage_since ELSE clock_timestamp() END
               WHERE id = :charger_id
                 AND (stage, verdict, hint) IS DISTINCT FROM (:stage, :verdict, CAST(:hint AS text))"""
        ),
        {"charger_id": charger_id, "stage": stage, "verdict": verdict, "hint": hint},
    )


@dataclass(frozen=True, slots=True)
class Gone:
    """One runtime that is known to have ended, and how (`workers.runtimes.base.End` as JSON)."""

    charger_id: str
    incarnation: int
    end: Mapping[str, Any]


# The pause doubles with each end; a runtime that was well for a while begins anew.
_RECOVER: Final = """
    recover_pause = CASE WHEN lived.long THEN :shortest
                         ELSE least(:longest, greatest(:shortest, recover_pause * 2)) END,
    recover_at = CASE WHEN status = 'READY' AND desired_state = 'running' AND deleted_at IS NULL
                      THEN clock_timestamp()
                           + (CASE WHEN lived.long THEN 0 ELSE recover_pause END) * interval '1 second' END
"""

_MARK_CHARGERS: Final = text(
    f"""
    WITH ended AS (
        SELECT * FROM unnest(CAST(:charger_ids AS text[]), CAST(:incarnations AS int[]),
                             CAST(:ends AS text[])) AS e (charger_id, incarnation, ending)),
    lived AS (
        SELECT r.charger_id, r.incarnation, ended.ending,
               r.online_at IS NOT NULL AND clock_timestamp() - r.online_at > :healthy AS long,
               r.stop_requested_at IS NOT NULL AS asked
        FROM ended JOIN runtimes AS r USING (charger_id, incarnation) WHERE r.state <> 'gone')
    UPDATE chargers SET
        stage = CASE WHEN lived.asked THEN 'stopped' ELSE 'offline' END,
        verdict = CASE WHEN lived.asked THEN 'stopped' WHEN restarts >= 3 THEN 'crash_loop'
                       ELSE 'starting' END,
        hint = CASE WHEN lived.asked THEN NULL
                    ELSE 'The runtime ended by itself and is brought back; see runtime.last_error.' END,
        stage_since = clock_timestamp(), connectors = NULL,
        last_error = CASE WHEN lived.asked THEN last_error ELSE lived.ending::jsonb END,
        {_RECOVER}
    FROM lived WHERE chargers.id = lived.charger_id AND chargers.incarnation = lived.incarnation
    """
)

_MARK_RUNTIMES: Final = text(
    """
    WITH ended AS (
        SELECT * FROM unnest(CAST(:charger_ids AS text[]), CAST(:incarnations AS int[]),
                             CAST(:ends AS text[])) AS e (charger_id, incarnation, ending))
    UPDATE runtimes SET state = 'gone', gone_at = clock_timestamp(), "end" = ended.ending::jsonb,
           link_id = NULL, stage = 'stopped'
    FROM ended WHERE runtimes.charger_id = ended.charger_id
      AND runtimes.incarnation = ended.incarnation AND state <> 'gone'
    RETURNING runtimes.charger_id, organization_id, identity
    """
)

# A new charger of the same identity may wait for this connection to end.
_NEIGHBOURS: Final = text(
    """
    SELECT DISTINCT runs.charger_id FROM runs
    JOIN unnest(CAST(:organizations AS text[]), CAST(:identities AS text[])) AS gone (organization_id, identity)
      USING (organization_id, identity)
    WHERE runs.status = 'active' AND runs.charger_id IS NOT NULL AND NOT runs.hinted
    """
)


def mark_gone(
    session: Session,
    gone: Collection[Gone],
    *,
    cap: int,
    recover_min_s: float = 1.0,
    recover_max_s: float = 60.0,
    recover_reset_s: float = 300.0,
) -> list[Hint]:
    """These runtimes have ended. Safe to repeat. Hints to send after commit.

    Sets the charger's visible stage when it was its newest runtime, when it may be recovered, and wakes the
    runs that wait for the end.
    """
    if not gone:
        return []
    ordered = sorted(gone, key=lambda one: (one.charger_id, one.incarnation))
    values: dict[str, Any] = {
        "charger_ids": [one.charger_id for one in ordered],
        "incarnations": [one.incarnation for one in ordered],
        "ends": [orjson.dumps(one.end).decode() for one in ordered],
    }
    clocks = {
        "healthy": timedelta(seconds=recover_reset_s),
        "shortest": recover_min_s,
        "longest": recover_max_s,
    }
    session.execute(
        text("SELECT id FROM chargers WHERE id = ANY(:charger_ids) ORDER BY id FOR UPDATE"), values
    )
    session.execute(_MARK_CHARGERS, values | clocks)
    rows = session.execute(_MARK_RUNTIMES, values).all()
    if not rows:
        return []
    neighbours = session.scalars(
        _NEIGHBOURS,
        {
            "organizations": [row.organization_id for row in rows],
            "identities": [row.identity for row in rows],
        },
    )
    subjects = {row.charger_id for row in rows}
    session.execute(
        text("SELECT pg_notify(:channel, id) FROM unnest(CAST(:ids AS text[])) AS id"),
        {"channel": CHANNEL_NEWS, "ids": sorted(subjects)},
    )
    return hints.wake_many(session, subjects | set(neighbours), cap=cap)


def list_owned(session: Session, provider: str) -> set[tuple[str, int]]:
    """(charger, incarnation) of every runtime of a provider that a row owns."""
    query = select(Runtime.charger_id, Runtime.incarnation).where(
        Runtime.provider == provider, Runtime.state != "gone"
    )
    return {(row.charger_id, row.incarnation) for row in session.execute(query)}
