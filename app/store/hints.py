"""Which runs get a message now: at an order, at a wake-up, when a slot of their organization is free, when lost.

There is one rule of admission, used everywhere: an organization has at most `GATEWAY_ORG_INFLIGHT` runs that are
hinted and due. Everything here marks runs as hinted and returns their hints; the caller sends them **after**
its commit.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.ids import make_run_id
from app.jobs import Hint
from app.workflows import PLANS, Kind

#: Before the first look at a new or woken run, seconds.
NUDGE_S: Final = 3.0

HINT_COLUMNS: Final = (
    "runs.id, kind, plan, at, coalesce(charger_id, job_id::text) AS subject, identity"
)


def make_hint(row: Any, *, swept: bool = False) -> Hint:
    """A hint out of a row that has `HINT_COLUMNS`."""
    return Hint(row.id, row.kind, tuple(row.plan[row.at :]), row.subject, row.identity, swept)


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to insert."""

    kind: Kind
    organization_id: str
    identity: str
    charger_id: str | None = None
    job_id: uuid.UUID | None = None
    generation: int = 1
    input: dict[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=make_run_id)


# The count stops at the cap, so that an organization with 10,000 runs costs no more than one with 32.
_FULL: Final = """
    (SELECT count(*) FROM (
        SELECT FROM runs AS busy WHERE busy.organization_id = :organization_id AND busy.status = 'active'
           AND busy.hinted AND busy.due_at <= clock_timestamp() + interval '1 second' LIMIT :cap
    ) AS counted) >= :cap
"""

_INSERT: Final = text(
    f"""
    INSERT INTO runs (id, kind, charger_id, job_id, organization_id, identity, generation, plan, input,
                      hinted, nudge_at)
    VALUES (:id, :kind, :charger_id, :job_id, :organization_id, :identity, :generation, :plan,
            CAST(:input AS jsonb), NOT {_FULL}, clock_timestamp() + :nudge)
    RETURNING {HINT_COLUMNS}, hinted
    """
)


def insert(session: Session, new: NewRun, *, cap: int) -> Hint | None:
    """Insert a run. The hint to send after the commit, or None when the organization's slots are taken."""
    row = session.execute(
        _INSERT,
        {
            "id": new.id,
            "kind": new.kind.value,
            "charger_id": new.charger_id,
            "job_id": new.job_id,
            "organization_id": new.organization_id,
            "identity": new.identity,
            "generation": new.generation,
            "plan": list(PLANS[new.kind]),
            "input": orjson.dumps(new.input).decode(),
            "cap": cap,
            "nudge": timedelta(seconds=NUDGE_S),
        },
    ).one()
    return make_hint(row) if row.hinted else None


# Rows are locked in one order, so that two who wake many never wait for each other in a ring.
# A sleeping run whose slot is free is hinted by the wake-up itself; any other wake-up leaves a mark (`wakes`)
# that the worker sees when it parks, or a due time that the keeper sees.
_WAKE: Final = text(
    f"""
    WITH woken AS (
        SELECT id FROM runs WHERE status = 'active' AND charger_id = ANY(:charger_ids)
        ORDER BY id FOR UPDATE)
    UPDATE runs SET wakes = wakes + 1, due_at = least(due_at, clock_timestamp()),
           nudge_at = CASE WHEN lease_until > clock_timestamp() THEN nudge_at
                           ELSE least(nudge_at, clock_timestamp() + :nudge) END
    FROM woken WHERE runs.id = woken.id
    RETURNING {HINT_COLUMNS}, organization_id, hinted
    """
)


def wake_many(session: Session, charger_ids: Collection[str], *, cap: int) -> list[Hint]:
    """A fact about these chargers is written: their active runs look again. Hints to send after commit."""
    if not charger_ids:
        return []
    rows = session.execute(
        _WAKE, {"charger_ids": sorted(charger_ids), "nudge": timedelta(seconds=NUDGE_S)}
    ).all()
    organizations = {row.organization_id: 0 for row in rows if not row.hinted}
    hints: list[Hint] = []
    for organization_id in sorted(organizations):
        hints += admit_organization(session, organization_id, cap=cap)
    return hints


def wake(session: Session, charger_id: str, *, cap: int) -> list[Hint]:
    """`wake_many` for one charger."""
    return wake_many(session, [charger_id], cap=cap)


def wake_job(session: Session, job_id: uuid.UUID, *, cap: int) -> list[Hint]:
    """The bulk run of a job looks again."""
    row = session.execute(
        text(
            """UPDATE runs SET wakes = wakes + 1, due_at = least(due_at, clock_timestamp())
               WHERE status = 'active' AND job_id = :job_id AND kind = 'bulk'
               RETURNING organization_id, hinted"""
        ),
        {"job_id": job_id},
    ).one_or_none()
    if row is None or row.hinted:
        return []
    return admit_organization(session, row.organization_id, cap=cap)


# Single orders go before a job's children, the longest due first: the order of the index `ix_runs_waiting`. Its
# time must not change within the statement, else the index is read to its end; and the runs are named by an
# array, else a plan for many reads the whole table.
_ORDER: Final = "(job_id IS NOT NULL AND kind <> 'bulk'), due_at"
_WAITS: Final = "status = 'active' AND NOT hinted AND due_at <= statement_timestamp()"

_ADMIT: Final = text(
    f"""
    WITH room AS (
        SELECT :cap - count(*) AS free FROM (
            SELECT FROM runs WHERE organization_id = :organization_id AND status = 'active' AND hinted
               AND due_at <= clock_timestamp() + interval '1 second' LIMIT :cap) AS busy),
    picked AS (
        SELECT id FROM runs WHERE organization_id = :organization_id AND {_WAITS} ORDER BY {_ORDER}
        LIMIT greatest(0, (SELECT free FROM room)) FOR UPDATE SKIP LOCKED)
    UPDATE runs SET hinted = true, nudge_at = clock_timestamp() + :nudge
    WHERE id = ANY(ARRAY(SELECT id FROM picked))
    RETURNING {HINT_COLUMNS}
    """
)


def admit_organization(session: Session, organization_id: str, *, cap: int) -> list[Hint]:
    """Hint the organization's due runs as far as its slots go."""
    values = {"organization_id": organization_id, "cap": cap, "nudge": timedelta(seconds=NUDGE_S)}
    return [make_hint(row) for row in session.execute(_ADMIT, values)]


# Round-robin: every organization's first due run, then every second one, and so on.
_ADMIT_ALL: Final = text(
    f"""
    WITH waiting AS (SELECT DISTINCT organization_id FROM runs WHERE {_WAITS}),
    due AS (
        SELECT head.id, organization_id, head.place FROM waiting CROSS JOIN LATERAL (
            SELECT id, row_number() OVER (ORDER BY {_ORDER}) AS place FROM (
                SELECT id, job_id, kind, due_at FROM runs
                WHERE runs.organization_id = waiting.organization_id AND {_WAITS}
                ORDER BY {_ORDER} LIMIT :cap) AS first) AS head),
    busy AS (
        SELECT organization_id, count(*) AS taken FROM runs
        WHERE status = 'active' AND hinted AND due_at <= clock_timestamp() + interval '1 second'
        GROUP BY organization_id),
    picked AS (
        SELECT due.id FROM due LEFT JOIN busy USING (organization_id)
        WHERE due.place + coalesce(busy.taken, 0) <= :cap
        ORDER BY due.place LIMIT :batch),
    locked AS (
        SELECT runs.id FROM runs JOIN picked USING (id)
        WHERE status = 'active' AND NOT hinted FOR UPDATE OF runs SKIP LOCKED)
    UPDATE runs SET hinted = true, nudge_at = clock_timestamp() + :nudge
    WHERE id = ANY(ARRAY(SELECT id FROM locked))
    RETURNING {HINT_COLUMNS}
    """
)


def admit_all(session: Session, *, cap: int, batch: int) -> list[Hint]:
    """Hint due runs of every organization, fairly."""
    values = {"cap": cap, "batch": batch, "nudge": timedelta(seconds=NUDGE_S)}
    return [make_hint(row) for row in session.execute(_ADMIT_ALL, values)]


_SWEEP: Final = text(
    f"""
    WITH late AS (
        SELECT id FROM runs WHERE status = 'active' AND hinted AND nudge_at <= clock_timestamp()
           AND (lease_until IS NULL OR lease_until < clock_timestamp())
        ORDER BY nudge_at LIMIT :batch FOR UPDATE SKIP LOCKED)
    UPDATE runs SET nudges = nudges + 1,
           nudge_at = clock_timestamp()
                      + least(:longest, :nudge * power(2, least(nudges, 10))) * interval '1 second'
    FROM late WHERE runs.id = late.id
    RETURNING {HINT_COLUMNS}
    """
)


_HURRY: Final = text(
    """
    WITH late AS (
        SELECT id FROM runs WHERE status = 'active' AND hinted AND nudges > 0
           AND (lease_until IS NULL OR lease_until < clock_timestamp())
        ORDER BY id FOR UPDATE SKIP LOCKED)
    UPDATE runs SET nudge_at = least(nudge_at, clock_timestamp()), nudges = 0
    FROM late WHERE runs.id = late.id RETURNING runs.id
    """
)


def hurry(session: Session) -> int:
    """What was hinted again and again in vain is late now: the broker was away, and is back. How many."""
    return len(session.execute(_HURRY).all())


def sweep(session: Session, *, nudge: float, longest: float, batch: int) -> Sequence[Hint]:
    """Hint again what nobody took up: its message was lost, or its worker died."""
    values: dict[str, Any] = {"nudge": nudge, "longest": longest, "batch": batch}
    return [make_hint(row, swept=True) for row in session.execute(_SWEEP, values)]
