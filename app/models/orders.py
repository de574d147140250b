"""What was ordered and the work it caused: `Charger`, `Run`, `RunStep`."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import BigInteger, SmallInteger

from app.models.base import EMPTY, NOW, Base


class Installation(Base):
    """One row: which installation this database belongs to. A copied database shows by its id."""

    __tablename__ = "installation"

    singleton: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    install_id: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Charger(Base):
    """What a client ordered, and what it sees. `deleted_at` makes it a tombstone."""

    __tablename__ = "chargers"

    id: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[str]
    #: The OCPP charge point id.
    identity: Mapped[str]
    name: Mapped[str | None]
    brand_slug: Mapped[str]
    model_slug: Mapped[str]
    connector_type: Mapped[str]
    #: `OCPP1.6` or `OCPP2.0.1`.
    ocpp_version: Mapped[str]
    ws_url: Mapped[str]
    location_id: Mapped[uuid.UUID | None]
    location_name: Mapped[str | None]
    job_id: Mapped[uuid.UUID | None]
    security_profile: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    #: Write-only for clients.
    authorization_key: Mapped[str | None]
    #: Overrides of the simulator's clocks and wire faults, given to the runtime as they are.
    settings: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    #: `app.lifecycle.Status`.
    status: Mapped[str]
    #: Written by the API alone.
    desired_state: Mapped[str]
    error: Mapped[dict[str, Any] | None]
    current_run_id: Mapped[str | None]
    #: Version of what was ordered; the API bumps it.
    generation: Mapped[int] = mapped_column(server_default=text("1"))
    #: The number last given to a start; `run_task` takes the next.
    incarnation: Mapped[int] = mapped_column(server_default=text("0"))
    provisioned_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)
    deleted_at: Mapped[datetime | None]
    #: What the newest runtime does, as clients see it; its own row has the facts.
    provider: Mapped[str | None]
    stage: Mapped[str] = mapped_column(server_default=text("'not_deployed'"))
    verdict: Mapped[str] = mapped_column(server_default=text("'scheduling'"))
    hint: Mapped[str | None]
    stage_since: Mapped[datetime] = mapped_column(server_default=NOW)
    restarts: Mapped[int] = mapped_column(server_default=text("0"))
    last_error: Mapped[dict[str, Any] | None]
    connectors: Mapped[list[dict[str, Any]] | None]
    #: When the reconciler may next open a RECOVER run, and the pause after that one, in seconds.
    recover_at: Mapped[datetime | None]
    recover_pause: Mapped[float] = mapped_column(server_default=text("0"))

    __table_args__ = (
        Index(
            "uq_chargers_live_identity",
            "organization_id",
            "identity",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "ix_chargers_identity_prefix",
            "organization_id",
            "identity",
            postgresql_ops={"identity": "text_pattern_ops"},
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "ix_chargers_org", "organization_id", "id", postgresql_where=text("deleted_at IS NULL")
        ),
        Index(
            "ix_chargers_org_status",
            "organization_id",
            "status",
            "id",
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "ix_chargers_org_stage",
            "organization_id",
            "stage",
            "id",
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "ix_chargers_location", "location_id", "id", postgresql_where=text("deleted_at IS NULL")
        ),
        Index("ix_chargers_job", "job_id", "id", postgresql_where=text("job_id IS NOT NULL")),
        Index(
            "ix_chargers_tombstones", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")
        ),
    )


class Run(Base):
    """One order being carried out. `plan[at]` is the next step; see `app.store.runs` for its life."""

    __tablename__ = "runs"

    id: Mapped[str] = mapped_column(primary_key=True)
    #: `app.workflows.Kind`.
    kind: Mapped[str]
    charger_id: Mapped[str | None]
    #: Of a bulk run: its job. Of a child: the job that ordered it.
    job_id: Mapped[uuid.UUID | None]
    organization_id: Mapped[str]
    identity: Mapped[str]
    generation: Mapped[int] = mapped_column(server_default=text("1"))
    plan: Mapped[list[str]]
    #: Number of steps done.
    at: Mapped[int] = mapped_column(server_default=text("0"))
    #: `forward` or `compensating`.
    phase: Mapped[str] = mapped_column(server_default=text("'forward'"))
    #: `active`, `done`, `failed`, `superseded` or `cancelled`.
    status: Mapped[str] = mapped_column(server_default=text("'active'"))
    #: Grows with each claim; only the newest claim may finish.
    fence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    #: Claims of the step at hand that did not end in a park.
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    #: Claims of the step at hand that neither ended nor were handed back: a worker died under them.
    unended: Mapped[int] = mapped_column(server_default=text("0"))
    due_at: Mapped[datetime] = mapped_column(server_default=NOW)
    #: Whether a message for this run should be on its way or in a worker's hands.
    hinted: Mapped[bool] = mapped_column(server_default=text("false"))
    #: When the keeper sends that message again.
    nudge_at: Mapped[datetime] = mapped_column(server_default=NOW)
    nudges: Mapped[int] = mapped_column(server_default=text("0"))
    #: Counts wake-ups, so that a park that missed one sees it.
    wakes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    lease_until: Mapped[datetime | None]
    #: Clock name → {"used": seconds, "looked_at": time}; see `workers.runs.clocks`.
    deadlines: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    #: Why the step at hand waits, for people.
    hint: Mapped[str | None]
    error: Mapped[dict[str, Any] | None]
    input: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    step_started_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "uq_runs_active_charger",
            "charger_id",
            unique=True,
            postgresql_where=text("status = 'active'"),
        ),
        Index(
            "ix_runs_waiting",
            "organization_id",
            # A job's children come after single orders.
            text("(job_id IS NOT NULL AND kind <> 'bulk')"),
            "due_at",
            postgresql_where=text("status = 'active' AND NOT hinted"),
        ),
        Index(
            "ix_runs_hinted",
            "organization_id",
            postgresql_where=text("status = 'active' AND hinted"),
        ),
        Index("ix_runs_nudge", "nudge_at", postgresql_where=text("status = 'active' AND hinted")),
        Index("ix_runs_leased", "charger_id", postgresql_where=text("lease_until IS NOT NULL")),
        Index("ix_runs_charger", "charger_id", "id"),
        Index("ix_runs_org", "organization_id", "id"),
        Index("ix_runs_org_status", "organization_id", "status", "id"),
        Index("ix_runs_kind", "organization_id", "kind", "id"),
        Index("ix_runs_failed", "id", postgresql_where=text("status = 'failed'")),
        Index("ix_runs_job", "job_id", "status", postgresql_where=text("job_id IS NOT NULL")),
        Index("ix_runs_finished", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
    )


class RunStep(Base):
    """One step that ended: done, or failed for good."""

    __tablename__ = "run_steps"

    run_id: Mapped[str] = mapped_column(primary_key=True)
    #: Its place in `runs.plan`, from 0.
    position: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    #: `done` or `failed`.
    status: Mapped[str]
    #: Claims that it took.
    attempt: Mapped[int]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime] = mapped_column(server_default=NOW)
    #: Facts for people; never a secret.
    output: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    error: Mapped[dict[str, Any] | None]
