"""Processes of app.link: that they live, and what becomes of the sessions of those that do not.

A link touches its row every few seconds. `runtimes.link_id` names the link that holds a runtime's session;
it is taken off some seconds after the session was lost (`lose`), and then the charger's verdict is `unknown`
while its stage stays: a runtime that cannot be heard may be well.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.advice import LINK_AWAY
from app.db import CHANNEL_NEWS

#: Chargers locked by one transaction here.
BATCH: Final = 500


def touch(session: Session, link_id: str, host_ids: Collection[str] = ()) -> None:
    """This link lives, and so do these hosts that are connected to it."""
    session.execute(
        text(
            """INSERT INTO links (link_id) VALUES (:link_id)
               ON CONFLICT (link_id) DO UPDATE SET seen_at = clock_timestamp()"""
        ),
        {"link_id": link_id},
    )
    if host_ids:
        session.execute(
            text(
                """UPDATE hosts SET seen_at = clock_timestamp(), connected = true
                   WHERE link_id = :link_id AND host_id = ANY(:host_ids)"""
            ),
            {"link_id": link_id, "host_ids": list(host_ids)},
        )


def close(session: Session, link_id: str) -> None:
    """This link ends in order. Its sessions come back to another link, or to the next one."""
    session.execute(text("DELETE FROM links WHERE link_id = :link_id"), {"link_id": link_id})


def is_alive(session: Session, *, away_s: float) -> bool:
    """Whether any link was heard of within `away_s` seconds."""
    found = session.execute(
        text("SELECT 1 FROM links WHERE seen_at > clock_timestamp() - :away LIMIT 1"),
        {"away": timedelta(seconds=away_s)},
    )
    return found.one_or_none() is not None


_LOST: Final = """
    SELECT c.id FROM runtimes AS r JOIN chargers AS c ON c.id = r.charger_id
    WHERE r.state <> 'gone' AND {whose}
    ORDER BY c.id LIMIT :batch FOR NO KEY UPDATE OF c
"""

_LOST_BY: Final = {
    "host": text(_LOST.format(whose="r.link_id = :link_id AND r.host_id = :holder_id")),
    "charger": text(_LOST.format(whose="r.link_id = :link_id AND r.charger_id = :holder_id")),
    "dead": text(
        _LOST.format(
            whose="""r.link_id IS NOT NULL AND r.link_id NOT IN (
                     SELECT link_id FROM links WHERE seen_at > clock_timestamp() - CAST(:away AS interval))"""
        )
    ),
}

_LET_GO: Final = """
    WITH lost AS (
        UPDATE runtimes AS r SET link_id = NULL
        WHERE r.charger_id = ANY(:charger_ids) AND r.state <> 'gone' AND {whose}
        RETURNING r.charger_id, r.incarnation, r.stop_requested_at)
    UPDATE chargers AS c SET verdict = 'unknown', hint = :hint FROM lost
    WHERE c.id = lost.charger_id AND c.incarnation = lost.incarnation
      AND lost.stop_requested_at IS NULL AND c.deleted_at IS NULL
    RETURNING pg_notify(:channel, c.id)
"""

_LET_GO_OF_LINK: Final = text(_LET_GO.format(whose="r.link_id = :link_id"))
_LET_GO_OF_DEAD: Final = text(
    _LET_GO.format(
        whose="""r.link_id IS NOT NULL AND r.link_id NOT IN (
                 SELECT link_id FROM links WHERE seen_at > clock_timestamp() - CAST(:away AS interval))"""
    )
)


def lose_host(session: Session, link_id: str, host_id: str) -> int:
    """The host did not come back to this link in time. Repeat until it returns 0."""
    return _lose(session, "host", _LET_GO_OF_LINK, {"link_id": link_id, "holder_id": host_id})


def lose_charger(session: Session, link_id: str, charger_id: str) -> int:
    """The single-charger runtime did not come back to this link in time. Repeat until it returns 0."""
    return _lose(session, "charger", _LET_GO_OF_LINK, {"link_id": link_id, "holder_id": charger_id})


def lose_dead(session: Session, *, away_s: float) -> int:
    """Sessions of links that died, or ended and were not replaced. Repeat until it returns 0."""
    lost = _lose(session, "dead", _LET_GO_OF_DEAD, {"away": timedelta(seconds=away_s)})
    if not lost:
        session.execute(
            text("DELETE FROM links WHERE seen_at < clock_timestamp() - :away"),
            {"away": timedelta(seconds=away_s)},
        )
    return lost


def _lose(session: Session, whose: str, let_go: Any, values: dict[str, Any]) -> int:
    charger_ids = session.scalars(_LOST_BY[whose], values | {"batch": BATCH}).all()
    if charger_ids:
        session.execute(
            let_go,
            values | {"charger_ids": list(charger_ids), "hint": LINK_AWAY, "channel": CHANNEL_NEWS},
        )
    return len(charger_ids)
