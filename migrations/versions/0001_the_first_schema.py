"""The first schema."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
TEXT = sa.Text()
TIME = sa.DateTime(timezone=True)
INTEGER = sa.Integer()
BIGINT = sa.BigInteger()
SMALLINT = sa.SmallInteger()
BOOLEAN = sa.Boolean()
DOUBLE = sa.Double()
UUID = sa.Uuid()
JSONB = postgresql.JSONB(astext_type=sa.Text())
TEXTS = postgresql.ARRAY(sa.Text())


def column(
    name: str, kind: Any, *, default: str | None = None, null: bool = False
) -> sa.Column[Any]:
    """A column; `default` is SQL."""
    given = None if default is None else sa.text(default)
    return sa.Column(name, kind, server_default=given, nullable=null)


def key(*columns: str, name: str) -> sa.PrimaryKeyConstraint:
    """The primary key."""
    return sa.PrimaryKeyConstraint(*columns, name=name)


def index(
    name: str,
    table: str,
    columns: list[Any],
    *,
    unique: bool = False,
    where: str | None = None,
    using: str | None = None,
) -> None:
    """An index; `where` makes it partial."""
    partial = {} if where is None else {"postgresql_where": sa.text(where)}
    method = {} if using is None else {"postgresql_using": using}
    op.create_index(name, table, columns, unique=unique, **partial, **method)


def upgrade() -> None:
    op.create_table(
        "charger_events",
        column("charger_id", TEXT),
        column("incarnation", INTEGER),
        column("number", BIGINT),
        column("at", TIME),
        column("kind", TEXT),
        column("data", JSONB, default="'{}'::jsonb"),
        key("charger_id", "incarnation", "number", name="pk_charger_events"),
    )
    index("ix_charger_events_age", "charger_events", ["at"], using="brin")
    index("ix_charger_events_at", "charger_events", ["charger_id", "at", "number"])
    op.create_table(
        "chargers",
        column("id", TEXT),
        column("organization_id", TEXT),
        column("identity", TEXT),
        column("name", TEXT, null=True),
        column("brand_slug", TEXT),
        column("model_slug", TEXT),
        column("connector_type", TEXT),
        column("ocpp_version", TEXT),
        column("ws_url", TEXT),
        column("location_id", UUID, null=True),
        column("location_name", TEXT, null=True),
        column("job_id", UUID, null=True),
        column("security_profile", SMALLINT, default="0"),
        column("authorization_key", TEXT, null=True),
        column("settings", JSONB, default="'{}'::jsonb"),
        column("status", TEXT),
        column("desired_state", TEXT),
        column("error", JSONB, null=True),
        column("current_run_id", TEXT, null=True),
        column("generation", INTEGER, default="1"),
        column("incarnation", INTEGER, default="0"),
        column("provisioned_at", TIME, null=True),
        column("created_at", TIME, default="clock_timestamp()"),
        column("updated_at", TIME, default="clock_timestamp()"),
        column("deleted_at", TIME, null=True),
        column("provider", TEXT, null=True),
        column("stage", TEXT, default="'not_deployed'"),
        column("verdict", TEXT, default="'scheduling'"),
        column("hint", TEXT, null=True),
        column("stage_since", TIME, default="clock_timestamp()"),
        column("restarts", INTEGER, default="0"),
        column("last_error", JSONB, null=True),
        column("connectors", JSONB, null=True),
        column("recover_at", TIME, null=True),
        column("recover_pause", DOUBLE, default="0"),
        key("id", name="pk_chargers"),
    )
    index(
        "ix_chargers_identity_prefix",
        "chargers",
        ["organization_id", sa.literal_column("identity text_pattern_ops")],
        where="deleted_at IS NULL",
    )
    index("ix_chargers_job", "chargers", ["job_id", "id"], where="job_id IS NOT NULL")
    index("ix_chargers_location", "chargers", ["location_id", "id"], where="deleted_at IS NULL")
    index("ix_chargers_org", "chargers", ["organization_id", "id"], where="deleted_at IS NULL")
    index(
        "ix_chargers_org_stage",
        "chargers",
        ["organization_id", "stage", "id"],
        where="deleted_at IS NULL",
    )
    index(
        "ix_chargers_org_status",
        "chargers",
        ["organization_id", "status", "id"],
        where="deleted_at IS NULL",
    )
    index("ix_chargers_tombstones", "chargers", ["deleted_at"], where="deleted_at IS NOT NULL")
    index(
        "uq_chargers_live_identity",
        "chargers",
        ["organization_id", "identity"],
        unique=True,
        where="deleted_at IS NULL",
    )
    op.create_table(
        "commands",
        column("id", TEXT),
        column("organization_id", TEXT),
        column("charger_id", TEXT),
        column("identity", TEXT),
        column("name", TEXT),
        column("args", JSONB, default="'{}'::jsonb"),
        column("event_type", TEXT),
        column("ocpp_version", TEXT),
        column("state", TEXT, default="'received'"),
        column("incarnation", INTEGER, null=True),
        column("session", INTEGER, null=True),
        column("result", JSONB, null=True),
        column("error", JSONB, null=True),
        column("created_at", TIME, default="clock_timestamp()"),
        column("delivered_at", TIME, null=True),
        column("finished_at", TIME, null=True),
        column("expires_at", TIME),
        key("id", name="pk_commands"),
    )
    index("ix_commands_age", "commands", ["created_at"])
    index(
        "ix_commands_expiry",
        "commands",
        ["expires_at"],
        where="state IN ('received', 'deferred', 'delivered')",
    )
    index(
        "ix_commands_open",
        "commands",
        ["charger_id", "created_at"],
        where="state IN ('received', 'deferred', 'delivered')",
    )
    op.create_table(
        "hosts",
        column("host_id", TEXT),
        column("epoch", TEXT),
        column("capacity", INTEGER),
        column("link_id", TEXT, null=True),
        column("machine", TEXT, null=True),
        column("pid", INTEGER, null=True),
        column("pid_start", DOUBLE, null=True),
        column("connected", BOOLEAN, default="false"),
        column("seen_at", TIME, default="clock_timestamp()"),
        key("host_id", name="pk_hosts"),
    )
    op.create_table(
        "idempotency_keys",
        column("organization_id", TEXT),
        column("method", TEXT),
        column("path", TEXT),
        column("key", TEXT),
        column("body_hash", TEXT),
        column("status", INTEGER),
        column("answer", JSONB, null=True),
        column("created_at", TIME, default="clock_timestamp()"),
        key("organization_id", "method", "path", "key", name="pk_idempotency_keys"),
    )
    index("ix_idempotency_keys_age", "idempotency_keys", ["created_at"])
    op.create_table(
        "installation",
        column("singleton", BOOLEAN, default="true"),
        column("install_id", TEXT),
        column("created_at", TIME, default="clock_timestamp()"),
        key("singleton", name="pk_installation"),
    )
    op.create_table(
        "jobs",
        column("id", UUID),
        column("organization_id", TEXT),
        column("location_id", UUID),
        column("job_type", TEXT),
        column("status", TEXT),
        column("workflow_run_id", TEXT),
        column("total", INTEGER),
        column("refused", JSONB, default="'[]'::jsonb"),
        column("error", JSONB, null=True),
        column("cancelled_at", TIME, null=True),
        column("created_at", TIME, default="clock_timestamp()"),
        column("finished_at", TIME, null=True),
        key("id", name="pk_jobs"),
    )
    index("ix_jobs_location", "jobs", ["location_id", "id"])
    op.create_table(
        "links",
        column("link_id", TEXT),
        column("started_at", TIME, default="clock_timestamp()"),
        column("seen_at", TIME, default="clock_timestamp()"),
        key("link_id", name="pk_links"),
    )
    op.create_table(
        "locations",
        column("id", UUID),
        column("organization_id", TEXT),
        column("slug", TEXT),
        column("name", TEXT),
        column("address", TEXT),
        column("city", TEXT),
        column("country", TEXT),
        column("latitude", DOUBLE),
        column("longitude", DOUBLE),
        column("timezone", TEXT, null=True),
        column("owner_name", TEXT, null=True),
        column("public", BOOLEAN, default="false"),
        column("status", TEXT, default="'active'"),
        column("created_at", TIME, default="clock_timestamp()"),
        column("updated_at", TIME, default="clock_timestamp()"),
        column("deleted_at", TIME, null=True),
        key("id", name="pk_locations"),
    )
    index("ix_locations_org", "locations", ["organization_id", "id"], where="deleted_at IS NULL")
    index("uq_locations_slug", "locations", ["organization_id", "slug"], unique=True)
    op.create_table(
        "ocpp_frames",
        column("charger_id", TEXT),
        column("incarnation", INTEGER),
        column("number", BIGINT),
        column("at", TIME),
        column("direction", TEXT),
        column("action", TEXT),
        column("message", TEXT),
        key("charger_id", "incarnation", "number", name="pk_ocpp_frames"),
    )
    index("ix_ocpp_frames_action", "ocpp_frames", ["charger_id", "action", "at", "number"])
    index("ix_ocpp_frames_age", "ocpp_frames", ["at"], using="brin")
    index("ix_ocpp_frames_at", "ocpp_frames", ["charger_id", "at", "number"])
    op.create_table(
        "run_steps",
        column("run_id", TEXT),
        column("position", INTEGER),
        column("name", TEXT),
        column("status", TEXT),
        column("attempt", INTEGER),
        column("started_at", TIME, null=True),
        column("finished_at", TIME, default="clock_timestamp()"),
        column("output", JSONB, default="'{}'::jsonb"),
        column("error", JSONB, null=True),
        key("run_id", "position", name="pk_run_steps"),
    )
    op.create_table(
        "runs",
        column("id", TEXT),
        column("kind", TEXT),
        column("charger_id", TEXT, null=True),
        column("job_id", UUID, null=True),
        column("organization_id", TEXT),
        column("identity", TEXT),
        column("generation", INTEGER, default="1"),
        column("plan", TEXTS),
        column("at", INTEGER, default="0"),
        column("phase", TEXT, default="'forward'"),
        column("status", TEXT, default="'active'"),
        column("fence", BIGINT, default="0"),
        column("attempts", INTEGER, default="0"),
        column("unended", INTEGER, default="0"),
        column("due_at", TIME, default="clock_timestamp()"),
        column("hinted", BOOLEAN, default="false"),
        column("nudge_at", TIME, default="clock_timestamp()"),
        column("nudges", INTEGER, default="0"),
        column("wakes", BIGINT, default="0"),
        column("lease_until", TIME, null=True),
        column("deadlines", JSONB, default="'{}'::jsonb"),
        column("hint", TEXT, null=True),
        column("error", JSONB, null=True),
        column("input", JSONB, default="'{}'::jsonb"),
        column("step_started_at", TIME, null=True),
        column("created_at", TIME, default="clock_timestamp()"),
        column("finished_at", TIME, null=True),
        key("id", name="pk_runs"),
    )
    index("ix_runs_charger", "runs", ["charger_id", "id"])
    index("ix_runs_finished", "runs", ["finished_at"], where="finished_at IS NOT NULL")
    index("ix_runs_hinted", "runs", ["organization_id"], where="status = 'active' AND hinted")
    index("ix_runs_job", "runs", ["job_id", "status"], where="job_id IS NOT NULL")
    index("ix_runs_leased", "runs", ["charger_id"], where="lease_until IS NOT NULL")
    index("ix_runs_nudge", "runs", ["nudge_at"], where="status = 'active' AND hinted")
    index("ix_runs_org", "runs", ["organization_id", "id"])
    index("ix_runs_org_status", "runs", ["organization_id", "status", "id"])
    index(
        "ix_runs_waiting",
        "runs",
        ["organization_id", "due_at"],
        where="status = 'active' AND NOT hinted",
    )
    index("uq_runs_active_charger", "runs", ["charger_id"], unique=True, where="status = 'active'")
    op.create_table(
        "runtime_templates",
        column("provider", TEXT),
        column("hash", TEXT),
        column("family", TEXT),
        column("arn", TEXT, null=True),
        column("status", TEXT),
        column("facts", JSONB, default="'{}'::jsonb"),
        column("created_at", TIME, default="clock_timestamp()"),
        column("used_at", TIME, default="clock_timestamp()"),
        key("provider", "hash", name="pk_runtime_templates"),
    )
    op.create_table(
        "runtimes",
        column("charger_id", TEXT),
        column("incarnation", INTEGER),
        column("generation", INTEGER),
        column("organization_id", TEXT),
        column("identity", TEXT),
        column("run_id", TEXT),
        column("provider", TEXT),
        column("attempt", INTEGER, default="1"),
        column("request", JSONB, null=True),
        column("handle", JSONB, null=True),
        column("state", TEXT, default="'intended'"),
        column("stop_requested_at", TIME, null=True),
        column("host_id", TEXT, null=True),
        column("host_epoch", TEXT, null=True),
        column("link_id", TEXT, null=True),
        column("session", INTEGER, default="0"),
        column("stage", TEXT, default="'queued'"),
        column("verdict", TEXT, default="'scheduling'"),
        column("detail", JSONB, default="'{}'::jsonb"),
        column("refusals", INTEGER, default="0"),
        column("refused_since", TIME, null=True),
        column("phase", TEXT, null=True),
        column("observed_at", TIME, null=True),
        column("facts", JSONB, default="'{}'::jsonb"),
        column("end", JSONB, null=True),
        column("created_at", TIME, default="clock_timestamp()"),
        column("accepted_at", TIME, null=True),
        column("called_home_at", TIME, null=True),
        column("online_at", TIME, null=True),
        column("seen_at", TIME, null=True),
        column("gone_at", TIME, null=True),
        key("charger_id", "incarnation", name="pk_runtimes"),
    )
    index("ix_runtimes_host", "runtimes", ["host_id"], where="state <> 'gone'")
    index(
        "ix_runtimes_identity", "runtimes", ["organization_id", "identity"], where="state <> 'gone'"
    )
    index("ix_runtimes_link", "runtimes", ["link_id"], where="state <> 'gone'")
    index(
        "ix_runtimes_observe",
        "runtimes",
        ["provider", "observed_at"],
        where="state <> 'gone' AND handle IS NOT NULL",
    )


def downgrade() -> None:
    for table in [
        "runtimes",
        "runtime_templates",
        "runs",
        "run_steps",
        "ocpp_frames",
        "locations",
        "links",
        "jobs",
        "installation",
        "idempotency_keys",
        "hosts",
        "commands",
        "chargers",
        "charger_events",
    ]:
        op.drop_table(table)
