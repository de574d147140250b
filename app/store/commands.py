"""Commands to runtimes. The rows are the truth; a doorbell only says that there is something to look at.

    received ──────────▶ delivered ──▶ applied | rejected
       │   ▲                 │
       ▼   │ (online again)  └────────▶ failed (outcome_unknown: its session ended, or its time was up)
    deferred ──▶ expired

At most once: a command is marked `delivered` under the fence of one link session, committed, and only then sent.
From `delivered` there is no way back, so whatever dies in between, it is never sent again. Who inserts rings
`ring` in the same transaction; whoever waits for an end listens to `CHANNEL_NEWS`, whose payload is the
command's id.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.db import CHANNEL_LINK, CHANNEL_NEWS
from app.ids import make_command_id
from app.models import Command

#: Seconds after which a command that could not be delivered expires.
EXPIRES_S: Final = 300.0
#: Commands delivered by one look.
BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class NewCommand:
    """A command to insert. `ocpp_version` is `OCPP1.6` or `OCPP2.0.1`, as the charger's."""

    organization_id: str
    charger_id: str
    identity: str
    name: str
    args: Mapping[str, Any]
    event_type: str
    ocpp_version: str
    id: str = field(default_factory=make_command_id)


#: Whether a runtime can be given a command now. Wire faults concern the way to the CSMS, and may be what keeps a
#: charger offline: they wait for no CSMS.
_TAKES: Final = (
    "({stage} = 'online' OR "
    "({name} = 'wire_faults' AND {stage} IN ('connecting', 'registering', 'offline')))"
)
_CHARGER_TAKES: Final = _TAKES.format(stage="c.stage", name="k.name")

_INSERT: Final = text(
    f"""
    INSERT INTO commands (id, organization_id, charger_id, identity, name, args, event_type, ocpp_version,
                          state, created_at, expires_at)
    SELECT t.id, t.organization_id, t.charger_id, t.identity, t.name, t.args::jsonb, t.event_type,
           t.ocpp_version,
           CASE WHEN {_TAKES.format(stage="c.stage", name="t.name")} THEN 'received' ELSE 'deferred' END,
           statement_timestamp() + t.place * interval '1 microsecond',
           clock_timestamp() + :expires_s * interval '1 second'
    FROM unnest(CAST(:id AS text[]), CAST(:organization_id AS text[]), CAST(:charger_id AS text[]),
                CAST(:identity AS text[]), CAST(:name AS text[]), CAST(:args AS text[]),
                CAST(:event_type AS text[]), CAST(:ocpp_version AS text[]))
         WITH ORDINALITY AS t (id, organization_id, charger_id, identity, name, args, event_type,
                               ocpp_version, place)
    LEFT JOIN chargers AS c ON c.id = t.charger_id ORDER BY t.place
    RETURNING id, state
    """
)


def insert_many(
    session: Session, commands: Sequence[NewCommand], *, expires_s: float = EXPIRES_S
) -> dict[str, str]:
    """Insert commands and ring for their chargers at commit; id → `received` or `deferred`.

    A command to a charger that is not online waits as `deferred` for at most `expires_s` seconds; wire faults wait
    only where no runtime is on the way to its CSMS. Commands to one charger are delivered in the order of this
    list.
    """
    if not commands:
        return {}
    rows = session.execute(
        _INSERT,
        {
            "expires_s": expires_s,
            "id": [one.id for one in commands],
            "organization_id": [one.organization_id for one in commands],
            "charger_id": [one.charger_id for one in commands],
            "identity": [one.identity for one in commands],
            "name": [one.name for one in commands],
            "args": [orjson.dumps(one.args).decode() for one in commands],
            "event_type": [one.event_type for one in commands],
            "ocpp_version": [one.ocpp_version for one in commands],
        },
    ).all()
    ring(session, {one.charger_id for one in commands})
    return {row.id: row.state for row in rows}


def ring(session: Session, charger_ids: Collection[str]) -> None:
    """Tell the links at commit that there is something for these chargers."""
    session.execute(
        text(
            "SELECT pg_notify(:channel, 'charger:' || id) FROM unnest(CAST(:ids AS text[])) AS id"
        ),
        {"channel": CHANNEL_LINK, "ids": sorted(charger_ids)},
    )


def get(session: Session, organization_id: str, command_id: str) -> Command | None:
    """One command of this organization."""
    command = session.get(Command, command_id)
    return command if command is not None and command.organization_id == organization_id else None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One command that may be sent now, and the fence that it is sent under."""

    id: str
    charger_id: str
    incarnation: int
    session: int
    name: str
    args: Mapping[str, Any]


# `everybody` is the regular look; otherwise only the chargers that were rung for.
_DELIVERABLE: Final = text(
    f"""
    SELECT k.id, k.charger_id, r.incarnation, r.session, k.name, k.args
    FROM commands AS k JOIN chargers AS c ON c.id = k.charger_id
    JOIN runtimes AS r ON r.charger_id = c.id AND r.incarnation = c.incarnation
    WHERE k.state IN ('received', 'deferred') AND k.expires_at > clock_timestamp()
      AND (:everybody OR k.charger_id = ANY(:charger_ids))
      AND r.link_id = :link_id AND r.state <> 'gone' AND r.stop_requested_at IS NULL
      AND {_TAKES.format(stage="r.stage", name="k.name")}
    ORDER BY k.created_at, k.id LIMIT :batch FOR UPDATE OF k SKIP LOCKED
    """
)


def deliverable(
    session: Session, link_id: str, charger_ids: Collection[str] | None = None
) -> list[Delivery]:
    """Commands for chargers that are online on this link, oldest first, locked until the transaction ends."""
    rows = session.execute(
        _DELIVERABLE,
        {
            "link_id": link_id,
            "everybody": charger_ids is None,
            "charger_ids": list(charger_ids or ()),
            "batch": BATCH,
        },
    )
    return [Delivery(**row._mapping) for row in rows]


def mark_delivered(session: Session, deliveries: Sequence[Delivery]) -> None:
    """From here on these are never sent again. Commit before sending."""
    if deliveries:
        session.execute(
            text(
                """UPDATE commands AS k SET state = 'delivered', delivered_at = clock_timestamp(),
                          incarnation = t.incarnation, session = t.session
                   FROM unnest(CAST(:ids AS text[]), CAST(:incarnations AS int[]), CAST(:sessions AS int[]))
                        AS t (id, incarnation, session)
                   WHERE k.id = t.id AND k.state IN ('received', 'deferred')"""
            ),
            {
                "ids": [one.id for one in deliveries],
                "incarnations": [one.incarnation for one in deliveries],
                "sessions": [one.session for one in deliveries],
            },
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a runtime says became of a command. `state` is `applied` or `rejected`."""

    id: str
    charger_id: str
    incarnation: int
    session: int
    state: str
    result: Mapping[str, Any] | None
    error: str | None


_FINISH: Final = text(
    """
    UPDATE commands AS k SET state = t.state, result = CAST(t.result AS jsonb), finished_at = clock_timestamp(),
           error = CASE WHEN t.error IS NULL THEN NULL
                        ELSE jsonb_build_object('code', 'command_rejected', 'message', t.error) END
    FROM unnest(CAST(:ids AS text[]), CAST(:charger_ids AS text[]), CAST(:incarnations AS int[]),
                CAST(:sessions AS int[]), CAST(:states AS text[]), CAST(:results AS text[]),
                CAST(:errors AS text[])) AS t (id, charger_id, incarnation, session, state, result, error)
    WHERE k.id = t.id AND k.state = 'delivered' AND k.charger_id = t.charger_id
      AND k.incarnation = t.incarnation AND k.session = t.session
    RETURNING k.id, pg_notify(:channel, k.id)
    """
)


def finish(session: Session, outcomes: Sequence[Outcome]) -> list[str]:
    """Write results; ids of those that were waited for. Others came too late, or from another session."""
    rows = session.execute(
        _FINISH,
        {
            "channel": CHANNEL_NEWS,
            "ids": [one.id for one in outcomes],
            "charger_ids": [one.charger_id for one in outcomes],
            "incarnations": [one.incarnation for one in outcomes],
            "sessions": [one.session for one in outcomes],
            "states": [one.state for one in outcomes],
            "results": [
                None if one.result is None else orjson.dumps(one.result).decode()
                for one in outcomes
            ],
            "errors": [one.error for one in outcomes],
        },
    )
    return [row.id for row in rows]


_UNKNOWN: Final = {
    "code": "outcome_unknown",
    "message": "The connection to the charger was lost before it answered; "
    "the command may or may not have taken effect, and is not sent again.",
}
_EXPIRED: Final = {
    "code": "command_expired",
    "message": "The charger was not online in time to be given the command.",
}

_EXPIRE: Final = text(
    f"""
    WITH late AS (
        UPDATE commands SET state = 'expired', finished_at = clock_timestamp(), error = CAST(:expired AS jsonb)
        WHERE state IN ('received', 'deferred') AND expires_at <= clock_timestamp() RETURNING id),
    waiting AS (
        UPDATE commands AS k SET state = 'deferred'
        WHERE state = 'received' AND expires_at > clock_timestamp()
          AND NOT EXISTS (SELECT FROM chargers AS c WHERE c.id = k.charger_id AND {_CHARGER_TAKES})
        RETURNING id),
    unanswered AS (
        UPDATE commands AS k SET state = 'failed', finished_at = clock_timestamp(),
               error = CAST(:unknown AS jsonb)
        WHERE state = 'delivered'
          AND (greatest(expires_at, delivered_at + interval '60 seconds') <= clock_timestamp() OR NOT EXISTS (
                  SELECT FROM runtimes AS r WHERE r.charger_id = k.charger_id AND r.incarnation = k.incarnation
                     AND r.session = k.session AND r.state <> 'gone' AND r.link_id IS NOT NULL))
        RETURNING id),
    told AS (
        SELECT id FROM late UNION ALL SELECT id FROM waiting UNION ALL SELECT id FROM unanswered)
    SELECT id, pg_notify(:channel, id) FROM told
    """
)


def expire(session: Session) -> list[str]:
    """End what waited too long or whose session ended, and defer what cannot be delivered; ids of both."""
    values = {
        "channel": CHANNEL_NEWS,
        "expired": orjson.dumps(_EXPIRED).decode(),
        "unknown": orjson.dumps(_UNKNOWN).decode(),
    }
    return [row.id for row in session.execute(_EXPIRE, values)]


_FAIL_SESSION: Final = text(
    """
    UPDATE commands AS k SET state = 'failed', finished_at = clock_timestamp(), error = CAST(:unknown AS jsonb)
    FROM unnest(CAST(:charger_ids AS text[]), CAST(:incarnations AS int[]), CAST(:sessions AS int[]))
         AS t (charger_id, incarnation, session)
    WHERE k.charger_id = t.charger_id AND k.incarnation = t.incarnation AND k.session <= t.session
      AND k.state = 'delivered'
    RETURNING k.id, pg_notify(:channel, k.id)
    """
)


def fail_unanswered(session: Session, ended: Sequence[tuple[str, int, int]]) -> list[str]:
    """These sessions (charger, incarnation, session) ended: what they were given and did not answer fails."""
    rows = session.execute(
        _FAIL_SESSION,
        {
            "channel": CHANNEL_NEWS,
            "unknown": orjson.dumps(_UNKNOWN).decode(),
            "charger_ids": [charger_id for charger_id, _, _ in ended],
            "incarnations": [incarnation for _, incarnation, _ in ended],
            "sessions": [number for _, _, number in ended],
        },
    )
    return [row.id for row in rows]
