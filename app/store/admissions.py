"""Which runtimes a link session may run, and the fence it gets for each.

Admission takes the next `runtimes.session` number for this link: whoever writes about the runtime later must
bring that number, so of two links only one can write. Only the newest incarnation of a charger is admitted,
only while nobody asked it to stop, and only to the process (`host_epoch`) that first called home for it.

A host's *set* is what is placed on it (`runtimes.host_id`; the handle is not waited for, so that a placement
is one commit) and may run by these rules. Lock order: chargers, runs, runtimes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.db import CHANNEL_NEWS
from app.jobs import Hint
from app.store import events, hints
from app.store.shown import Shown, show_many

#: Chargers admitted by one transaction.
BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Claimant:
    """A process that calls home: a host, or a runtime of one charger."""

    link_id: str
    epoch: str
    host_id: str | None = None
    charger_id: str | None = None
    incarnation: int | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """The right to run one charger. `charger` is its row, for the configuration."""

    charger_id: str
    incarnation: int
    session: int
    epoch: str
    charger: Any


@dataclass(frozen=True, slots=True)
class Admitted:
    """One batch. `after` is where the next batch begins, None when this was the last."""

    admissions: Sequence[Admission]
    hints: Sequence[Hint]
    after: str | None = None


_IS_WANTED: Final = """
    r.state <> 'gone' AND r.stop_requested_at IS NULL AND c.incarnation = r.incarnation
    AND c.deleted_at IS NULL
"""
_MAY_RUN: Final = f"{_IS_WANTED} AND (r.host_epoch IS NULL OR r.host_epoch = :epoch)"

_COLUMNS: Final = """
    c.id, r.incarnation, {epoch} AS epoch, r.called_home_at IS NULL AS is_first, r.provider, c.identity, c.name,
    c.brand_slug, c.model_slug, c.connector_type, c.ocpp_version, c.ws_url, c.location_name,
    c.security_profile, c.authorization_key, c.settings, c.verdict AS shown_verdict,
    r.organization_id, r.run_id
"""

# Everything of the host that this link may run; or only what it was not given yet (the usual look: no rows).
_OF_HOST: Final = text(
    f"""
    SELECT {_COLUMNS.format(epoch=":epoch")} FROM runtimes AS r JOIN chargers AS c ON c.id = r.charger_id
    WHERE r.host_id = :host_id AND {_MAY_RUN} AND c.id > :after
      AND (:everything OR r.link_id IS DISTINCT FROM :link_id OR r.host_epoch IS NULL
           OR r.charger_id = ANY(:again))
      AND EXISTS (SELECT FROM hosts AS h WHERE h.host_id = :host_id AND h.epoch = :epoch
                     AND h.link_id = :link_id)
    ORDER BY c.id LIMIT :batch FOR NO KEY UPDATE OF c
    """
)

_OF_CHARGERS: Final = text(
    f"""
    SELECT {_COLUMNS.format(epoch="t.epoch")}
    FROM unnest(CAST(:charger_ids AS text[]), CAST(:incarnations AS int[]), CAST(:epochs AS text[]))
         AS t (charger_id, incarnation, epoch)
    JOIN runtimes AS r USING (charger_id, incarnation) JOIN chargers AS c ON c.id = r.charger_id
    WHERE {_IS_WANTED} AND (r.host_epoch IS NULL OR r.host_epoch = t.epoch)
    ORDER BY c.id FOR NO KEY UPDATE OF c
    """
)

_TAKE: Final = text(
    """
    UPDATE runtimes AS r SET session = r.session + 1, link_id = :link_id, host_epoch = t.epoch,
           seen_at = clock_timestamp(), called_home_at = coalesce(r.called_home_at, clock_timestamp()),
           stage = CASE WHEN r.called_home_at IS NULL THEN 'starting' ELSE r.stage END,
           verdict = CASE WHEN r.called_home_at IS NULL THEN 'starting' ELSE r.verdict END
    FROM unnest(CAST(:charger_ids AS text[]), CAST(:incarnations AS int[]), CAST(:epochs AS text[]))
         AS t (charger_id, incarnation, epoch)
    WHERE r.charger_id = t.charger_id AND r.incarnation = t.incarnation
      AND r.state <> 'gone' AND r.stop_requested_at IS NULL
      AND (r.host_epoch IS NULL OR r.host_epoch = t.epoch)
    RETURNING r.charger_id, r.incarnation, r.session, r.stage, r.verdict, r.detail, r.host_epoch
    """
)


def admit_host(
    session: Session,
    claimant: Claimant,
    *,
    cap: int,
    everything: bool = False,
    again: Collection[str] = (),
    after: str = "",
) -> Admitted:
    """Admit a batch of the host's set: what this link does not hold yet, `again`, or `everything`."""
    rows = session.execute(
        _OF_HOST,
        {
            "host_id": claimant.host_id,
            "epoch": claimant.epoch,
            "link_id": claimant.link_id,
            "everything": everything,
            "again": list(again),
            "after": after,
            "batch": BATCH,
        },
    ).all()
    taken = _take(session, claimant.link_id, rows, cap=cap)
    return Admitted(taken.admissions, taken.hints, rows[-1].id if len(rows) == BATCH else None)


def admit_chargers(
    session: Session, link_id: str, claimants: Sequence[Claimant], *, cap: int
) -> Admitted:
    """Admit runtimes of one charger each; those that may not run are not among the admissions.

    Of two processes that claim one incarnation at the same time, one is admitted.
    """
    values = {
        "charger_ids": [one.charger_id for one in claimants],
        "incarnations": [one.incarnation for one in claimants],
        "epochs": [one.epoch for one in claimants],
    }
    return _take(session, link_id, session.execute(_OF_CHARGERS, values).all(), cap=cap)


def _take(session: Session, link_id: str, rows: Sequence[Any], *, cap: int) -> Admitted:
    if not rows:
        return Admitted((), ())
    newcomers = [row.id for row in rows if row.is_first]
    woken = hints.wake_many(session, newcomers, cap=cap)
    taken = session.execute(
        _TAKE,
        {
            "link_id": link_id,
            "charger_ids": [row.id for row in rows],
            "incarnations": [row.incarnation for row in rows],
            "epochs": [row.epoch for row in rows],
        },
    ).all()
    chargers = {row.id: row for row in rows}
    _show(session, chargers, taken)
    admissions = [
        Admission(
            row.charger_id, row.incarnation, row.session, row.host_epoch, chargers[row.charger_id]
        )
        for row in taken
    ]
    return Admitted(admissions, woken)


def _show(session: Session, chargers: dict[str, Any], taken: Sequence[Any]) -> None:
    """A first call shows as `starting`; a verdict that was `unknown` is again what the runtime last told."""
    shown, moves = [], []
    for row in taken:
        charger = chargers[row.charger_id]
        if charger.is_first or charger.shown_verdict == "unknown":
            shown.append(Shown.of(charger, row.stage, row.verdict, row.detail))
        if charger.is_first:
            moves.append(events.Move(row.charger_id, row.incarnation, row.stage, row.verdict))
    show_many(session, shown)
    events.insert_moves(session, moves)
    ring_news(session, [one.charger_id for one in shown])


def ring_news(session: Session, charger_ids: Collection[str]) -> None:
    """Tell those who wait for these chargers to look again, at commit."""
    if charger_ids:
        session.execute(
            text("SELECT pg_notify(:channel, id) FROM unnest(CAST(:ids AS text[])) AS id"),
            {"channel": CHANNEL_NEWS, "ids": sorted(charger_ids)},
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a single-charger runtime may be here at all."""

    is_over: bool
    is_stopping: bool = False


def check_standings(
    session: Session, claims: Sequence[tuple[str, int, str | None]]
) -> list[Standing]:
    """For each (charger, incarnation, epoch): whether it is over, or is to stop.

    Over: gone, superseded, forgotten, or, where an epoch is given, another process's.
    """
    rows = session.execute(
        text(
            """SELECT c.id IS NULL OR r.state = 'gone' OR c.incarnation <> r.incarnation
                      OR coalesce(r.host_epoch <> t.epoch, false) AS over,
                      r.stop_requested_at IS NOT NULL OR c.deleted_at IS NOT NULL AS stopping
               FROM unnest(CAST(:charger_ids AS text[]), CAST(:incarnations AS int[]),
                           CAST(:epochs AS text[]))
                    WITH ORDINALITY AS t (charger_id, incarnation, epoch, place)
               LEFT JOIN runtimes AS r USING (charger_id, incarnation)
               LEFT JOIN chargers AS c ON c.id = r.charger_id ORDER BY t.place"""
        ),
        {
            "charger_ids": [charger_id for charger_id, _, _ in claims],
            "incarnations": [incarnation for _, incarnation, _ in claims],
            "epochs": [epoch for _, _, epoch in claims],
        },
    )
    return [Standing(row.over, row.stopping) for row in rows]


@dataclass(frozen=True, slots=True)
class Drop:
    """What a runtime must be told to end. `reason` is `stop`, or `delete`: it never comes back."""

    charger_id: str
    incarnation: int
    host_id: str | None
    reason: str


def list_to_drop(session: Session, link_id: str, host_ids: Collection[str]) -> list[Drop]:
    """What this link must tell to end, also when it never began."""
    rows = session.execute(
        text(
            """SELECT r.charger_id, r.incarnation, r.host_id,
                      CASE WHEN c.id IS NULL OR c.deleted_at IS NOT NULL THEN 'delete' ELSE 'stop' END AS reason
               FROM runtimes AS r LEFT JOIN chargers AS c ON c.id = r.charger_id
               WHERE (r.link_id = :link_id OR r.host_id = ANY(:host_ids)) AND r.state <> 'gone'
                 AND r.stop_requested_at IS NOT NULL"""
        ),
        {"link_id": link_id, "host_ids": list(host_ids)},
    )
    return [Drop(**row._mapping) for row in rows]


def list_set(session: Session, claimant: Claimant) -> set[tuple[str, int]]:
    """(charger, incarnation) of the host's whole set."""
    rows = session.execute(
        text(
            f"""SELECT r.charger_id, r.incarnation FROM runtimes AS r JOIN chargers AS c ON c.id = r.charger_id
                WHERE r.host_id = :host_id AND {_MAY_RUN}"""
        ),
        {"host_id": claimant.host_id, "epoch": claimant.epoch},
    )
    return {(row.charger_id, row.incarnation) for row in rows}


def list_known(
    session: Session, host_id: str, pairs: Collection[tuple[str, int]]
) -> set[tuple[str, int]]:
    """Those of `pairs` that were ever placed on this host."""
    rows = session.execute(
        text(
            """SELECT charger_id, incarnation FROM runtimes
               JOIN unnest(CAST(:charger_ids AS text[]), CAST(:incarnations AS int[]))
                    AS t (charger_id, incarnation) USING (charger_id, incarnation)
               WHERE host_id = :host_id"""
        ),
        {
            "host_id": host_id,
            "charger_ids": [charger_id for charger_id, _ in pairs],
            "incarnations": [incarnation for _, incarnation in pairs],
        },
    )
    return {(row.charger_id, row.incarnation) for row in rows}


@dataclass(frozen=True, slots=True)
class Dropped:
    """A host says that it no longer runs this."""

    charger_id: str
    incarnation: int
    host_id: str
    epoch: str
    final: dict[str, Any] = field(default_factory=dict)


def confirm_dropped(
    session: Session, dropped: Sequence[Dropped]
) -> Sequence[tuple[Dropped, bool, bool]]:
    """Those that the host may speak for and that are not gone yet, with (asked to stop, is the newest)."""
    found = session.execute(
        text(
            """SELECT t.place, r.stop_requested_at IS NOT NULL AS asked,
                      coalesce(c.incarnation = r.incarnation AND c.deleted_at IS NULL, false) AS newest
               FROM unnest(CAST(:charger_ids AS text[]), CAST(:incarnations AS int[]),
                           CAST(:host_ids AS text[]), CAST(:epochs AS text[]))
                    WITH ORDINALITY AS t (charger_id, incarnation, host_id, epoch, place)
               JOIN runtimes AS r USING (charger_id, incarnation)
               LEFT JOIN chargers AS c ON c.id = r.charger_id
               WHERE r.state <> 'gone' AND r.host_id = t.host_id
                 AND (r.host_epoch IS NULL OR r.host_epoch = t.epoch)"""
        ),
        {
            "charger_ids": [one.charger_id for one in dropped],
            "incarnations": [one.incarnation for one in dropped],
            "host_ids": [one.host_id for one in dropped],
            "epochs": [one.epoch for one in dropped],
        },
    )
    return [(dropped[row.place - 1], row.asked, row.newest) for row in found]
