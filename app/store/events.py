"""A charger's own events: what its runtime tells (numbered by the runtime, from 1), and moves of its stage.

Moves are noted by the link and by no runtime, so their numbers are no runtime's either: nanoseconds of the
database's clock (the last three digits tell moves of one statement apart). Readers order by time, then by number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session


class EventRow(NamedTuple):
    """One event of a runtime. `at` is Unix milliseconds of the sender; `data` is JSON text."""

    charger_id: str
    incarnation: int
    number: int
    at: int
    kind: str
    data: str


_INSERT: Final = text(
    """
    INSERT INTO charger_events (charger_id, incarnation, number, at, kind, data)
    SELECT charger_id, incarnation, number, to_timestamp(at / 1000.0), kind, data::jsonb
    FROM unnest(CAST(:charger_id AS text[]), CAST(:incarnation AS int[]), CAST(:number AS bigint[]),
                CAST(:at AS bigint[]), CAST(:kind AS text[]), CAST(:data AS text[]))
         AS t (charger_id, incarnation, number, at, kind, data)
    ON CONFLICT DO NOTHING
    """
)


def insert_many(session: Session, rows: Sequence[EventRow]) -> None:
    """Store these events; those that are there already stay as they are."""
    if rows:
        columns = zip(*rows, strict=True)
        session.execute(
            _INSERT, dict(zip(EventRow._fields, (list(column) for column in columns), strict=True))
        )


@dataclass(frozen=True, slots=True)
class Move:
    """A charger's runtime reached a stage. `at` is Unix milliseconds of the runtime; None: now."""

    charger_id: str
    incarnation: int
    stage: str
    verdict: str
    detail: Mapping[str, Any] | None = None
    at: int | None = None


_INSERT_MOVES: Final = text(
    """
    INSERT INTO charger_events (charger_id, incarnation, number, at, kind, data)
    SELECT charger_id, incarnation,
           (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000 + place % 1000,
           coalesce(to_timestamp(at / 1000.0), clock_timestamp()), 'stage', data::jsonb
    FROM unnest(CAST(:charger_ids AS text[]), CAST(:incarnations AS int[]), CAST(:ats AS bigint[]),
                CAST(:data AS text[])) WITH ORDINALITY AS t (charger_id, incarnation, at, data, place)
    ON CONFLICT DO NOTHING
    """
)


def insert_moves(session: Session, moves: Sequence[Move]) -> None:
    """Note these moves as events of kind `stage`."""
    if not moves:
        return
    data = [{"stage": move.stage, "verdict": move.verdict, **(move.detail or {})} for move in moves]
    session.execute(
        _INSERT_MOVES,
        {
            "charger_ids": [move.charger_id for move in moves],
            "incarnations": [move.incarnation for move in moves],
            "ats": [move.at for move in moves],
            "data": [orjson.dumps(one).decode() for one in data],
        },
    )
