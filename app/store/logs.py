"""What a charger said and heard: OCPP frames and its own events, read newest first.

Rows are written by app.link. `event` filters by action; dates are inclusive. Every order and filter here has an
index (`ix_ocpp_frames_at`, `ix_ocpp_frames_action`, `ix_charger_events_at`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from app.models import ChargerEvent, Frame

Entry = TypeVar("Entry", Frame, ChargerEvent)


@dataclass(frozen=True, slots=True)
class Window:
    """Which entries: aware times, both inclusive; how many after how many."""

    start: datetime | None
    end: datetime | None
    limit: int
    offset: int


def list_frames(
    session: Session, charger_id: str, window: Window, *, action: str | None = None
) -> tuple[Sequence[Frame], int]:
    """Frames of a charger, and how many there are in all."""
    wanted = [] if action is None else [Frame.action == action]
    return _list(session, Frame, charger_id, window, wanted)


def list_events(
    session: Session, charger_id: str, window: Window, *, kind: str | None = None
) -> tuple[Sequence[ChargerEvent], int]:
    """Events of a charger, and how many there are in all."""
    wanted = [] if kind is None else [ChargerEvent.kind == kind]
    return _list(session, ChargerEvent, charger_id, window, wanted)


def _list(
    session: Session,
    table: type[Entry],
    charger_id: str,
    window: Window,
    wanted: list[ColumnElement[bool]],
) -> tuple[Sequence[Entry], int]:
    conditions = [table.charger_id == charger_id, *wanted]
    if window.start is not None:
        conditions.append(table.at >= window.start)
    if window.end is not None:
        conditions.append(table.at <= window.end)
    total = session.scalar(select(func.count()).select_from(table).where(*conditions)) or 0
    if window.offset >= total:
        return [], total
    rows = session.scalars(
        select(table)
        .where(*conditions)
        .order_by(table.at.desc(), table.number.desc())
        .offset(window.offset)
        .limit(window.limit)
    )
    return rows.all(), total
