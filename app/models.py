"""The tables. PostgreSQL rows are the truth of this gateway; everything else is a hint or a cache.

Read in this order: `Charger` (what was ordered), `Run` and `RunStep` (the work it caused), `Runtime` (each start
of its simulator), then what runtimes tell (`Frame`, `ChargerEvent`), what they are told (`Command`), and the
small tables. Migrations in `migrations/versions` make these tables; a test compares the two.

Lock order, to keep orders and steps from waiting for each other in a ring: chargers, runs, runtimes, the rest.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Index, MetaData, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import BigInteger, SmallInteger, Uuid

_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

#: Every moment is written by the database's own clock.
_NOW = text("clock_timestamp()")
_EMPTY = text("'{}'::jsonb")


class Base(DeclarativeBase):
    """Registry and type map of all tables."""

    metadata = MetaData(naming_convention=_NAMING)
    type_annotation_map = {
        str: Text,
        datetime: DateTime(timezone=True),
        # None is SQL NULL, not the JSON value null: `IS NULL` means what it says.
        dict[str, Any]: JSONB(none_as_null=True),
        list[dict[str, Any]]: JSONB(none_as_null=True),
        list[str]: ARRAY(Text),
        uuid.UUID: Uuid,
    }


class Installation(Base):
    """One row: which installation this database belongs to. A copied database shows by its id."""

    __tablename__ = "installation"

    singleton: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    install_id: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)


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
    settings: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY)
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
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    deleted_at: Mapped[datetime | None]
    #: What the newest runtime does, as clients see it; its own row has the facts.
    provider: Mapped[str | None]
    stage: Mapped[str] = mapped_column(server_default=text("'not_deployed'"))
    verdict: Mapped[str] = mapped_column(server_default=text("'scheduling'"))
    hint: Mapped[str | None]
    stage_since: Mapped[datetime] = mapped_column(server_default=_NOW)
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
            text("identity text_pattern_ops"),
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
    due_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    #: Whether a message for this run should be on its way or in a worker's hands.
    hinted: Mapped[bool] = mapped_column(server_default=text("false"))
    #: When the keeper sends that message again.
    nudge_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    nudges: Mapped[int] = mapped_column(server_default=text("0"))
    #: Counts wake-ups, so that a park that missed one sees it.
    wakes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    lease_until: Mapped[datetime | None]
    #: Clock name → {"used": seconds, "looked_at": time}; see `workers.runs.clocks`.
    deadlines: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY)
    #: Why the step at hand waits, for people.
    hint: Mapped[str | None]
    error: Mapped[dict[str, Any] | None]
    input: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY)
    step_started_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
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
    finished_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    #: Facts for people; never a secret.
    output: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY)
    error: Mapped[dict[str, Any] | None]


class Runtime(Base):
    """One start of a charger's simulator: the intent before the call, then every fact learnt about it."""

    __tablename__ = "runtimes"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    incarnation: Mapped[int] = mapped_column(primary_key=True)
    generation: Mapped[int]
    organization_id: Mapped[str]
    identity: Mapped[str]
    #: The run that ordered this start.
    run_id: Mapped[str]
    #: `local`, `docker` or `aws`.
    provider: Mapped[str]
    #: Attempt number of the key; grows after a definite refusal.
    attempt: Mapped[int] = mapped_column(server_default=text("1"))
    #: The rendered outside request, committed before the call.
    request: Mapped[dict[str, Any] | None]
    handle: Mapped[dict[str, Any] | None]
    #: `intended`, `started` or `gone`.
    state: Mapped[str] = mapped_column(server_default=text("'intended'"))
    stop_requested_at: Mapped[datetime | None]
    host_id: Mapped[str | None]
    #: The host process that was told to run it.
    host_epoch: Mapped[str | None]
    link_id: Mapped[str | None]
    #: The fence of link sessions.
    session: Mapped[int] = mapped_column(server_default=text("0"))
    stage: Mapped[str] = mapped_column(server_default=text("'queued'"))
    verdict: Mapped[str] = mapped_column(server_default=text("'scheduling'"))
    #: The newest `detail` that it told (docs/link.md).
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY)
    #: Definite refusals of the CSMS since it last was online, and when the first was seen.
    refusals: Mapped[int] = mapped_column(server_default=text("0"))
    refused_since: Mapped[datetime | None]
    #: What the driver last saw, and when.
    phase: Mapped[str | None]
    observed_at: Mapped[datetime | None]
    facts: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY)
    #: How it ended (`workers.runtimes.base.End`).
    end: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    accepted_at: Mapped[datetime | None]
    called_home_at: Mapped[datetime | None]
    online_at: Mapped[datetime | None]
    seen_at: Mapped[datetime | None]
    gone_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "ix_runtimes_identity",
            "organization_id",
            "identity",
            postgresql_where=text("state <> 'gone'"),
        ),
        Index("ix_runtimes_host", "host_id", postgresql_where=text("state <> 'gone'")),
        Index(
            "ix_runtimes_observe",
            "provider",
            "observed_at",
            postgresql_where=text("state <> 'gone' AND handle IS NOT NULL"),
        ),
        Index("ix_runtimes_link", "link_id", postgresql_where=text("state <> 'gone'")),
    )


class RuntimeTemplate(Base):
    """What every start of one content hash needs at its provider (an ECS task definition)."""

    __tablename__ = "runtime_templates"

    provider: Mapped[str] = mapped_column(primary_key=True)
    hash: Mapped[str] = mapped_column(primary_key=True)
    family: Mapped[str]
    arn: Mapped[str | None]
    status: Mapped[str]
    facts: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY)
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    used_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class Host(Base):
    """A local simulator process that carries many chargers."""

    __tablename__ = "hosts"

    host_id: Mapped[str] = mapped_column(primary_key=True)
    #: New at each start of its process.
    epoch: Mapped[str]
    capacity: Mapped[int]
    link_id: Mapped[str | None]
    #: Where its process can be looked for: boot id of the machine, pid, start time.
    machine: Mapped[str | None]
    pid: Mapped[int | None]
    pid_start: Mapped[float | None]
    connected: Mapped[bool] = mapped_column(server_default=text("false"))
    seen_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class Link(Base):
    """A process of app.link. Clocks that need the link do not run while none is alive."""

    __tablename__ = "links"

    link_id: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    seen_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class Frame(Base):
    """One OCPP-J frame. No foreign key: a late frame of a deleted charger blocks nobody."""

    __tablename__ = "ocpp_frames"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    incarnation: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[datetime]
    #: `u`: charger to CSMS. `d`: CSMS to charger.
    direction: Mapped[str]
    action: Mapped[str]
    message: Mapped[str]

    __table_args__ = (
        Index("ix_ocpp_frames_at", "charger_id", "at", "number"),
        Index("ix_ocpp_frames_action", "charger_id", "action", "at", "number"),
        Index("ix_ocpp_frames_age", "at", postgresql_using="brin"),
    )


class ChargerEvent(Base):
    """One event of the charger itself: a stage, a connector state, a fault, a gap in the frames."""

    __tablename__ = "charger_events"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    incarnation: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[datetime]
    kind: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY)

    __table_args__ = (
        Index("ix_charger_events_at", "charger_id", "at", "number"),
        Index("ix_charger_events_age", "at", postgresql_using="brin"),
    )


class Command(Base):
    """One thing a runtime is told to do, at most once."""

    __tablename__ = "commands"

    #: 12 hex digits.
    id: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[str]
    charger_id: Mapped[str]
    identity: Mapped[str]
    name: Mapped[str]
    args: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY)
    #: The answer's `event_type` and `ocpp_version`.
    event_type: Mapped[str]
    ocpp_version: Mapped[str]
    #: `received`, `deferred`, `delivered`, `applied`, `rejected`, `expired` or `failed`.
    state: Mapped[str] = mapped_column(server_default=text("'received'"))
    incarnation: Mapped[int | None]
    session: Mapped[int | None]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    delivered_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]

    __table_args__ = (
        Index(
            "ix_commands_open",
            "charger_id",
            "created_at",
            postgresql_where=text("state IN ('received', 'deferred', 'delivered')"),
        ),
        Index(
            "ix_commands_expiry",
            "expires_at",
            postgresql_where=text("state IN ('received', 'deferred', 'delivered')"),
        ),
        Index("ix_commands_age", "created_at"),
    )


class Location(Base):
    """A site of an organization."""

    __tablename__ = "locations"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[str]
    slug: Mapped[str]
    name: Mapped[str]
    address: Mapped[str]
    city: Mapped[str]
    #: ISO 3166-1 alpha-2.
    country: Mapped[str]
    latitude: Mapped[float]
    longitude: Mapped[float]
    timezone: Mapped[str | None]
    owner_name: Mapped[str | None]
    public: Mapped[bool] = mapped_column(server_default=text("false"))
    status: Mapped[str] = mapped_column(server_default=text("'active'"))
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    deleted_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "ix_locations_org", "organization_id", "id", postgresql_where=text("deleted_at IS NULL")
        ),
        Index("uq_locations_slug", "organization_id", "slug", unique=True),
    )


class Job(Base):
    """A bulk order. Its children are runs with its id."""

    __tablename__ = "jobs"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[str]
    location_id: Mapped[uuid.UUID]
    job_type: Mapped[str]
    #: As a charger's: PENDING, PROVISIONING, READY, FAILED.
    status: Mapped[str]
    workflow_run_id: Mapped[str]
    #: Chargers asked for, and those that could not even be written: [{identity, error, code}].
    total: Mapped[int]
    refused: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'::jsonb"))
    error: Mapped[dict[str, Any] | None]
    #: Once it has ended: {"created": [charger id], "failed": [{identity, charger_id, error, code}]}.
    results: Mapped[dict[str, Any] | None]
    cancelled_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    finished_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_jobs_location", "location_id", "id"),)


class IdempotencyKey(Base):
    """The first answer to a request, kept for 24 h; written in the transaction of its effect."""

    __tablename__ = "idempotency_keys"

    organization_id: Mapped[str] = mapped_column(primary_key=True)
    method: Mapped[str] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    #: SHA-256 of the body.
    body_hash: Mapped[str]
    status: Mapped[int]
    answer: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)

    __table_args__ = (Index("ix_idempotency_keys_age", "created_at"),)
