"""What runtimes tell and are told, and kept answers: `Frame`, `ChargerEvent`, `Command`, `IdempotencyKey`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import BigInteger

from app.models.base import EMPTY, NOW, Base


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
    data: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)

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
    args: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    #: The answer's `event_type` and `ocpp_version`.
    event_type: Mapped[str]
    ocpp_version: Mapped[str]
    #: `received`, `deferred`, `delivered`, `applied`, `rejected`, `expired` or `failed`.
    state: Mapped[str] = mapped_column(server_default=text("'received'"))
    incarnation: Mapped[int | None]
    session: Mapped[int | None]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
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
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)

    __table_args__ = (Index("ix_idempotency_keys_age", "created_at"),)
