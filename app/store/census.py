"""Counts over everything, for the operator of this installation; no tenant sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Census:
    """How many there are of what."""

    #: Live chargers by `status`, and by the `stage` of their runtime.
    by_status: Mapping[str, int]
    by_stage: Mapping[str, int]
    active_runs: int
    #: Runtimes that are not gone and do not live in our own host process, by provider.
    elsewhere: Mapping[str, int]


def take(session: Session) -> Census:
    """Count the live chargers and the active runs."""
    counts = session.execute(
        text(
            """SELECT status, stage, count(*) AS number FROM chargers
               WHERE deleted_at IS NULL GROUP BY status, stage"""
        )
    )
    by_status: dict[str, int] = {}
    by_stage: dict[str, int] = {}
    for status, stage, number in counts:
        by_status[status] = by_status.get(status, 0) + number
        by_stage[stage] = by_stage.get(stage, 0) + number
    active = session.scalar(text("SELECT count(*) FROM runs WHERE status = 'active'"))
    elsewhere = session.execute(
        text(
            """SELECT provider, count(*) FROM runtimes
               WHERE state <> 'gone' AND provider <> 'local' GROUP BY provider"""
        )
    )
    return Census(by_status, by_stage, int(active or 0), {row[0]: row[1] for row in elsewhere})
