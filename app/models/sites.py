"""Sites and bulk orders: `Location`, `Job`."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import NOW, Base


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
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)
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
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    finished_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_jobs_location", "location_id", "id"),)
