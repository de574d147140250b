"""Each start of a simulator and where it runs: `Runtime`, `RuntimeTemplate`, `Host`, `Link`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import EMPTY, NOW, Base


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
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    #: Definite refusals of the CSMS since it last was online, and when the first was seen.
    refusals: Mapped[int] = mapped_column(server_default=text("0"))
    refused_since: Mapped[datetime | None]
    #: What the driver last saw, and when.
    phase: Mapped[str | None]
    observed_at: Mapped[datetime | None]
    facts: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    #: How it ended (`workers.runtimes.base.End`).
    end: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    #: When a worker last went to call the driver's start.
    asked_at: Mapped[datetime] = mapped_column(server_default=NOW)
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
    facts: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    used_at: Mapped[datetime] = mapped_column(server_default=NOW)


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
    seen_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Link(Base):
    """A process of app.link. Clocks that need the link do not run while none is alive."""

    __tablename__ = "links"

    link_id: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime] = mapped_column(server_default=NOW)
    seen_at: Mapped[datetime] = mapped_column(server_default=NOW)
