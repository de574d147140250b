"""Local host processes: who they are, whether they live, and what is placed on them.

A host is *live* while its session is open and its link was heard of lately. Placement (`place`) is one commit:
it writes `runtimes.host_id`, and from then on the host's link gives it the charger. Lock order: runtimes, hosts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.db import CHANNEL_LINK, notify
from app.processes import has_ended
from app.store.runtimes import Gone


@dataclass(frozen=True, slots=True)
class Hello:
    """What a host says about itself (docs/link.md)."""

    host_id: str
    epoch: str
    capacity: int
    machine: str | None
    pid: int | None
    pid_start: float | None


_GREET: Final = text(
    """
    INSERT INTO hosts (host_id, epoch, capacity, link_id, machine, pid, pid_start, connected)
    VALUES (:host_id, :epoch, :capacity, :link_id, :machine, :pid, :pid_start, true)
    ON CONFLICT (host_id) DO UPDATE SET epoch = excluded.epoch, capacity = excluded.capacity,
        link_id = excluded.link_id, machine = excluded.machine, pid = excluded.pid,
        pid_start = excluded.pid_start, connected = true, seen_at = clock_timestamp()
    """
)


def greet(session: Session, hello: Hello, link_id: str, *, away_s: float) -> bool:
    """Write down who this host is. False: another process of this host id is connected and lives."""
    known = session.execute(
        text(
            """SELECT hosts.*, connected AND hosts.seen_at > clock_timestamp() - :away
                      AND EXISTS (SELECT FROM links WHERE links.link_id = hosts.link_id) AS live
               FROM hosts WHERE host_id = :host_id FOR UPDATE"""
        ),
        {"host_id": hello.host_id, "away": timedelta(seconds=away_s)},
    ).one_or_none()
    if known is not None and known.live and known.epoch != hello.epoch:  # noqa: SIM102  # for the comment
        # Its link may not have noticed yet that it ended.
        if not has_ended(known.machine, known.pid, known.pid_start):
            return False
    session.execute(
        _GREET,
        {
            "host_id": hello.host_id,
            "epoch": hello.epoch,
            "capacity": hello.capacity,
            "link_id": link_id,
            "machine": hello.machine,
            "pid": hello.pid,
            "pid_start": hello.pid_start,
        },
    )
    return True


def leave(session: Session, host_id: str, epoch: str, link_id: str) -> None:
    """The host's session with this link ended."""
    session.execute(
        text(
            """UPDATE hosts SET connected = false
               WHERE host_id = :host_id AND epoch = :epoch AND link_id = :link_id"""
        ),
        {"host_id": host_id, "epoch": epoch, "link_id": link_id},
    )


def list_restarted(session: Session, host_id: str, epoch: str, *, batch: int) -> list[Gone]:
    """Runtimes that an earlier process of this host ran: they ended with it."""
    rows = session.execute(
        text(
            """SELECT charger_id, incarnation, stop_requested_at IS NOT NULL AS asked FROM runtimes
               WHERE host_id = :host_id AND state <> 'gone' AND host_epoch <> :epoch
               ORDER BY charger_id LIMIT :batch"""
        ),
        {"host_id": host_id, "epoch": epoch, "batch": batch},
    )
    return [
        Gone(row.charger_id, row.incarnation, make_end("host_restarted", asked=row.asked))
        for row in rows
    ]


_SENTENCES: Final = {
    "stopped": "The runtime was stopped.",
    "host_restarted": "The simulator host that ran it was restarted.",
    "host_ended": "The simulator host that ran it has ended.",
    "runtime_ended": "The simulator host does not run it any more.",
}


def make_end(
    code: str, *, asked: bool = False, facts: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The end of a runtime on a host, as JSON of `workers.runtimes.base.End`.

    A host that cannot run a charger at all says why under `error` of the facts: that will not mend by itself.
    """
    refusal = (facts or {}).get("error")
    if refusal and not asked:
        code = "config_invalid"
    return {
        "kind": "expected" if asked else "permanent" if refusal else "transient",
        "code": code,
        "message": str(refusal)[:2000] if code == "config_invalid" else _SENTENCES[code],
        "retryable": True,
        "exit_code": None,
        "facts": dict(facts or {}),
    }


_ROOM: Final = """
    SELECT host_id, capacity - (SELECT count(*) FROM runtimes AS r
                                WHERE r.host_id = hosts.host_id AND r.state <> 'gone') AS room
    FROM hosts WHERE connected AND seen_at > clock_timestamp() - :away
"""


@dataclass(frozen=True, slots=True)
class Room:
    """What the live hosts can take."""

    hosts: int
    free: int


def measure_room(session: Session, *, away_s: float) -> Room:
    """How many live hosts there are, and how many chargers they can still take."""
    rooms = session.execute(text(_ROOM), {"away": timedelta(seconds=away_s)}).all()
    return Room(len(rooms), sum(max(0, row.room) for row in rooms))


@dataclass(frozen=True, slots=True)
class Placement:
    """What `place` found. `host_id` is None when there is no room, or when the start is `over`."""

    host_id: str | None
    over: bool = False


def place(session: Session, charger_id: str, incarnation: int, *, away_s: float) -> Placement:
    """Give this start to the live host with most room; twice gives the same host.

    A start that is to be stopped, is gone, or was never written down is `over`: the row's lock makes a late
    start and a stop see each other.
    """
    row = session.execute(
        text(
            """SELECT host_id, state = 'gone' OR stop_requested_at IS NOT NULL AS over FROM runtimes
               WHERE charger_id = :charger_id AND incarnation = :incarnation FOR UPDATE"""
        ),
        {"charger_id": charger_id, "incarnation": incarnation},
    ).one_or_none()
    if row is not None and row.host_id is not None:
        return Placement(row.host_id)
    if row is None or row.over:
        return Placement(None, over=True)
    # One placement at a time, so that two do not take the last place of a host.
    session.execute(text("SELECT host_id FROM hosts ORDER BY host_id FOR UPDATE"))
    rooms = session.execute(text(_ROOM), {"away": timedelta(seconds=away_s)}).all()
    best = max(rooms, key=lambda one: (one.room, one.host_id), default=None)
    if best is None or best.room <= 0:
        return Placement(None)
    session.execute(
        text(
            """UPDATE runtimes SET host_id = :host_id
               WHERE charger_id = :charger_id AND incarnation = :incarnation"""
        ),
        {"host_id": best.host_id, "charger_id": charger_id, "incarnation": incarnation},
    )
    notify(session, CHANNEL_LINK, f"host:{best.host_id}")
    return Placement(best.host_id)


def find_place(session: Session, charger_id: str, incarnation: int) -> str | None:
    """The host that this start was given to."""
    found: str | None = session.execute(
        text(
            """SELECT host_id FROM runtimes
               WHERE charger_id = :charger_id AND incarnation = :incarnation"""
        ),
        {"charger_id": charger_id, "incarnation": incarnation},
    ).scalar_one_or_none()
    return found


def list_placed(session: Session) -> Sequence[Any]:
    """(charger id, incarnation, host id) of every runtime that is on a host and not gone."""
    return session.execute(
        text(
            """SELECT charger_id, incarnation, host_id FROM runtimes
               WHERE host_id IS NOT NULL AND state <> 'gone'"""
        )
    ).all()


_LOOK: Final = text(
    """
    SELECT t.charger_id, t.incarnation, r.state, r."end", r.stop_requested_at IS NOT NULL AS stopping,
           r.host_epoch, h.epoch, h.machine, h.pid, h.pid_start, h.host_id IS NOT NULL AS known,
           coalesce(h.connected AND h.seen_at > clock_timestamp() - :away, false) AS live,
           coalesce(h.seen_at < clock_timestamp() - :away, true) AS long_away
    FROM unnest(CAST(:charger_ids AS text[]), CAST(:incarnations AS int[]))
         WITH ORDINALITY AS t (charger_id, incarnation, place)
    LEFT JOIN runtimes AS r USING (charger_id, incarnation)
    LEFT JOIN hosts AS h USING (host_id)
    ORDER BY t.place
    """
)


def look(session: Session, keys: Sequence[tuple[str, int]], *, away_s: float) -> Sequence[Any]:
    """One row per (charger id, incarnation), in order: the runtime's own facts and its host's."""
    return session.execute(
        _LOOK,
        {
            "charger_ids": [charger_id for charger_id, _ in keys],
            "incarnations": [incarnation for _, incarnation in keys],
            "away": timedelta(seconds=away_s),
        },
    ).all()
