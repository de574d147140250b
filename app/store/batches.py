"""Rows of many chargers and runs in a few statements, whatever their number.

The caller has locked what it changes (`lock_chargers` first, then `lock_active_runs`), so that two batches that
meet wait for each other in one order. Runs are inserted unhinted: `app.store.hints` admits them fairly.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

import orjson
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.db import CHANNEL_NEWS
from app.lifecycle import Desired, Stage, Status
from app.models import Charger, Run
from app.store.hints import NewRun
from app.workflows import PLANS

_INSERT_CHARGERS: Final = text(
    """
    INSERT INTO chargers (id, organization_id, identity, name, brand_slug, model_slug, connector_type,
                          ocpp_version, ws_url, location_id, location_name, job_id, security_profile,
                          authorization_key, status, desired_state, stage, current_run_id)
    SELECT t.id, :organization_id, t.identity, t.name, t.brand_slug, t.model_slug, t.connector_type,
           t.ocpp_version, t.ws_url, :location_id, t.location_name, :job_id, t.security_profile,
           t.authorization_key, :status, :desired, :stage, t.current_run_id
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS t (
         id text, identity text, name text, brand_slug text, model_slug text, connector_type text,
         ocpp_version text, ws_url text, location_name text, security_profile smallint,
         authorization_key text, current_run_id text)
    ORDER BY t.identity
    ON CONFLICT (organization_id, identity) WHERE deleted_at IS NULL DO NOTHING
    RETURNING id
    """
)
_COLUMNS: Final = (
    "id",
    "identity",
    "name",
    "brand_slug",
    "model_slug",
    "connector_type",
    "ocpp_version",
    "ws_url",
    "location_name",
    "security_profile",
    "authorization_key",
    "current_run_id",
)


def insert_chargers(
    session: Session,
    chargers: Sequence[Charger],
    *,
    organization_id: str,
    location_id: uuid.UUID,
    job_id: uuid.UUID,
) -> set[str]:
    """Insert new chargers of one job; ids of those whose identity was free. The others are not there.

    They are PENDING and `current_run_id` is their first run, which `insert_runs` has to write too.
    """
    if not chargers:
        return set()
    rows = [{name: getattr(charger, name) for name in _COLUMNS} for charger in chargers]
    values = {
        "rows": orjson.dumps(rows).decode(),
        "organization_id": organization_id,
        "location_id": location_id,
        "job_id": job_id,
        "status": Status.PENDING.value,
        "desired": Desired.RUNNING.value,
        "stage": Stage.QUEUED.value,
    }
    return set(session.scalars(_INSERT_CHARGERS, values))


_INSERT_RUNS: Final = text(
    """
    INSERT INTO runs (id, kind, charger_id, job_id, organization_id, identity, generation, plan, input, hinted)
    SELECT t.id, t.kind, t.charger_id, t.job_id, t.organization_id, t.identity, t.generation,
           ARRAY(SELECT jsonb_array_elements_text(CAST(:plans AS jsonb) -> t.kind)), t.input, false
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS t (
         id text, kind text, charger_id text, job_id uuid, organization_id text, identity text,
         generation int, input jsonb)
    """
)


def insert_runs(session: Session, new: Sequence[NewRun]) -> None:
    """Insert runs that wait for admission."""
    if not new:
        return
    rows = [
        {
            "id": run.id,
            "kind": run.kind.value,
            "charger_id": run.charger_id,
            "job_id": run.job_id,
            "organization_id": run.organization_id,
            "identity": run.identity,
            "generation": run.generation,
            "input": run.input,
        }
        for run in new
    ]
    plans = {run.kind.value: PLANS[run.kind] for run in new}
    session.execute(
        _INSERT_RUNS, {"rows": orjson.dumps(rows).decode(), "plans": orjson.dumps(plans).decode()}
    )


def lock_chargers(
    session: Session,
    organization_id: str,
    *,
    location_id: uuid.UUID,
    charger_ids: Collection[str] | None = None,
) -> dict[str, Charger]:
    """The live chargers of a location (those of `charger_ids`, if given), locked, by id."""
    query = select(Charger).where(
        Charger.organization_id == organization_id,
        Charger.location_id == location_id,
        Charger.deleted_at.is_(None),
    )
    if charger_ids is not None:
        query = query.where(Charger.id.in_(set(charger_ids)))
    locked = session.scalars(
        query.order_by(Charger.id).with_for_update().execution_options(populate_existing=True)
    )
    return {charger.id: charger for charger in locked}


def lock_active_runs(session: Session, charger_ids: Collection[str]) -> dict[str, Run]:
    """The active run of each of these chargers that has one, locked, by charger."""
    query = (
        select(Run)
        .where(Run.charger_id.in_(charger_ids), Run.status == "active")
        .order_by(Run.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {str(run.charger_id): run for run in session.scalars(query)}


def supersede(session: Session, run_ids: Collection[str]) -> None:
    """End these active runs in favour of newer orders; their leases stay as they are."""
    if not run_ids:
        return
    session.execute(
        text(
            """UPDATE runs SET status = 'superseded', hinted = false, finished_at = clock_timestamp()
               WHERE id = ANY(:ids) AND status = 'active'"""
        ),
        {"ids": sorted(run_ids)},
    )


_FORGET: Final = text(
    """
    UPDATE chargers AS c SET desired_state = 'stopped', recover_at = NULL, deleted_at = clock_timestamp(),
           updated_at = clock_timestamp(), generation = c.generation + 1, current_run_id = t.run_id
    FROM unnest(CAST(:ids AS text[]), CAST(:run_ids AS text[])) AS t (id, run_id)
    WHERE c.id = t.id
    """
)


def mark_deleted(session: Session, runs: Mapping[str, str]) -> None:
    """Make tombstones of these locked chargers; charger id → the DELETE run that ends its runtime."""
    session.execute(_FORGET, {"ids": list(runs), "run_ids": list(runs.values())})


def list_deleted(
    session: Session, organization_id: str, location_id: uuid.UUID, charger_ids: Collection[str]
) -> set[str]:
    """Those of `charger_ids` that were at this location and are tombstones."""
    query = select(Charger.id).where(
        Charger.id.in_(set(charger_ids)),
        Charger.organization_id == organization_id,
        Charger.location_id == location_id,
        Charger.deleted_at.is_not(None),
    )
    return set(session.scalars(query))


def find_identities(
    session: Session, organization_id: str, identities: Collection[str]
) -> dict[str, Charger]:
    """The live chargers of an organization that have these identities, by identity."""
    query = select(Charger).where(
        Charger.organization_id == organization_id,
        Charger.identity.in_(set(identities)),
        Charger.deleted_at.is_(None),
    )
    return {charger.identity: charger for charger in session.scalars(query)}


def ring_news(session: Session, subjects: Collection[str]) -> None:
    """Tell those who wait for these ids to look again, at commit."""
    if subjects:
        session.execute(
            text("SELECT pg_notify(:channel, id) FROM unnest(CAST(:ids AS text[])) AS id"),
            {"channel": CHANNEL_NEWS, "ids": sorted(subjects)},
        )


def read_clock(session: Session) -> datetime:
    """The database's time, for rows that are written together."""
    moment: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return moment
