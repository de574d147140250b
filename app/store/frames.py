"""OCPP frames, as the runtimes sent and received them. Storing is idempotent by (charger, incarnation, number)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session


class FrameRow(NamedTuple):
    """One frame. `at` is Unix milliseconds of the sender; `direction` is `u` (charger to CSMS) or `d`."""

    charger_id: str
    incarnation: int
    number: int
    at: int
    direction: str
    action: str
    message: str


_INSERT: Final = text(
    """
    INSERT INTO ocpp_frames (charger_id, incarnation, number, at, direction, action, message)
    SELECT charger_id, incarnation, number, to_timestamp(at / 1000.0), direction, action, message
    FROM unnest(CAST(:charger_id AS text[]), CAST(:incarnation AS int[]), CAST(:number AS bigint[]),
                CAST(:at AS bigint[]), CAST(:direction AS text[]), CAST(:action AS text[]),
                CAST(:message AS text[]))
         AS t (charger_id, incarnation, number, at, direction, action, message)
    ON CONFLICT DO NOTHING
    """
)


def insert_many(session: Session, frames: Sequence[FrameRow]) -> None:
    """Store these frames; those that are there already stay as they are."""
    if frames:
        columns = zip(*frames, strict=True)
        session.execute(
            _INSERT, dict(zip(FrameRow._fields, (list(column) for column in columns), strict=True))
        )
