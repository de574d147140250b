"""What runtimes tell about themselves, written for many at once: stage, verdict, refusals, connectors.

A `Report` is what one runtime told since the last write, folded (`app.link.control`). Only reports that bring
the newest fence (`session` of this link) are written; the others are of sessions that ended. Each writes the
runtime's row, what clients see of the charger (while it is the newest runtime and nobody asked it to stop), an
event per change of stage, and wakes the charger's run when the run may want to know. Lock order: chargers,
runs, runtimes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.jobs import Hint
from app.store import events, hints
from app.store.admissions import ring_news
from app.store.shown import Shown, show_connectors, show_many


@dataclass(slots=True)
class Report:
    """What one runtime told since the last write."""

    charger_id: str
    incarnation: int
    session: int
    #: The newest state; None when it told only of connectors.
    stage: str | None = None
    verdict: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    #: Stages on the way there, oldest first.
    moves: list[events.Move] = field(default_factory=list)
    #: Whether it was online meanwhile, and the definite refusals after that.
    was_online: bool = False
    refusals: int = 0
    connectors: Sequence[Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """What a write did. `online`: chargers that can take commands now."""

    hints: Sequence[Hint]
    online: Sequence[str]
    refused: int


_LOCK: Final = text(
    """
    SELECT c.id, c.ws_url, c.ocpp_version, r.provider, r.incarnation, r.stage, r.detail, t.place,
           c.incarnation = r.incarnation AND r.stop_requested_at IS NULL AND c.deleted_at IS NULL AS is_shown
    FROM unnest(CAST(:charger_ids AS text[]), CAST(:incarnations AS int[]), CAST(:sessions AS int[]))
         WITH ORDINALITY AS t (charger_id, incarnation, session, place)
    JOIN runtimes AS r USING (charger_id, incarnation, session)
    JOIN chargers AS c ON c.id = r.charger_id
    WHERE r.link_id = :link_id AND r.state <> 'gone'
    ORDER BY c.id FOR NO KEY UPDATE OF c
    """
)

_WRITE: Final = text(
    """
    UPDATE runtimes AS r SET seen_at = clock_timestamp(),
           stage = coalesce(t.stage, r.stage), verdict = coalesce(t.verdict, r.verdict),
           detail = coalesce(CAST(t.detail AS jsonb), r.detail),
           online_at = CASE WHEN t.came_online THEN clock_timestamp() ELSE r.online_at END,
           refusals = t.refusals + CASE WHEN t.was_online THEN 0 ELSE r.refusals END,
           refused_since = CASE WHEN t.refusals = 0 AND t.was_online THEN NULL
                                WHEN t.refusals = 0 THEN r.refused_since
                                WHEN t.was_online THEN clock_timestamp()
                                ELSE coalesce(r.refused_since, clock_timestamp()) END
    FROM unnest(CAST(:charger_ids AS text[]), CAST(:incarnations AS int[]), CAST(:sessions AS int[]),
                CAST(:stages AS text[]), CAST(:verdicts AS text[]), CAST(:details AS text[]),
                CAST(:came AS boolean[]), CAST(:was AS boolean[]), CAST(:refusals AS int[]))
         AS t (charger_id, incarnation, session, stage, verdict, detail, came_online, was_online, refusals)
    WHERE r.charger_id = t.charger_id AND r.incarnation = t.incarnation AND r.session = t.session
      AND r.link_id = :link_id AND r.state <> 'gone'
    RETURNING r.charger_id, r.incarnation
    """
)


def apply(session: Session, link_id: str, reports: Sequence[Report], *, cap: int) -> Applied:
    """Write these reports in one go. Hints to send after commit."""
    rows = session.execute(
        _LOCK,
        {
            "link_id": link_id,
            "charger_ids": [one.charger_id for one in reports],
            "incarnations": [one.incarnation for one in reports],
            "sessions": [one.session for one in reports],
        },
    ).all()
    pairs = [(row, reports[row.place - 1]) for row in rows]
    woken = hints.wake_many(
        session, {row.id for row, told in pairs if _matters(row, told)}, cap=cap
    )
    written = _write(session, link_id, pairs)
    kept = [(row, told) for row, told in pairs if (row.id, row.incarnation) in written]
    _show(session, kept)
    online = [row.id for row, told in kept if told.stage == "online"]
    return Applied(woken, online, len(reports) - len(kept))


def _matters(row: Any, told: Report) -> bool:
    """Whether the charger's run may want to look: it came online, was refused, or the boot's answer changed."""
    if told.stage is None:
        return False
    changed = told.stage != row.stage and "online" in (told.stage, row.stage)
    booted = told.detail.get("boot_status") != row.detail.get("boot_status")
    return changed or booted or told.refusals > 0 or told.was_online


def _write(
    session: Session, link_id: str, pairs: Sequence[tuple[Any, Report]]
) -> set[tuple[str, int]]:
    if not pairs:
        return set()
    told = [report for _, report in pairs]
    rows = session.execute(
        _WRITE,
        {
            "link_id": link_id,
            "charger_ids": [one.charger_id for one in told],
            "incarnations": [one.incarnation for one in told],
            "sessions": [one.session for one in told],
            "stages": [one.stage for one in told],
            "verdicts": [one.verdict for one in told],
            "details": [one.stage and orjson.dumps(one.detail).decode() for one in told],
            "came": [_came_online(row, one) for row, one in pairs],
            "was": [one.was_online for one in told],
            "refusals": [one.refusals for one in told],
        },
    )
    return {(row.charger_id, row.incarnation) for row in rows}


def _came_online(row: Any, told: Report) -> bool:
    if told.stage == "online" and row.stage == "online":
        # It may have been away and back since the last write.
        return any(move.stage != "online" for move in told.moves)
    return told.was_online


def _show(session: Session, kept: Sequence[tuple[Any, Report]]) -> None:
    shown = [
        Shown.of(row, told.stage, told.verdict or "", told.detail)
        for row, told in kept
        if row.is_shown and told.stage is not None
    ]
    show_many(session, shown)
    show_connectors(
        session,
        {
            row.id: told.connectors
            for row, told in kept
            if row.is_shown and told.connectors is not None
        },
    )
    moves = []
    for row, told in kept:
        last = row.stage
        for move in told.moves:
            if move.stage != last:
                moves.append(move)
            last = move.stage
    events.insert_moves(session, moves)
    ring_news(session, [one.charger_id for one in shown])
