"""Use cases of commands: order one or many, wait for an end, look at one.

A command is a row that app.link delivers (`app.store.commands`). Here is who gets one, and what is said of those
who do not. The names and arguments are those of docs/link.md: what `simulator` carries out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session, sessionmaker

from app.errors import CommandNotFound, InvalidOrder
from app.models import Command
from app.services.locations import read_id
from app.services.news import News, wait_until
from app.store import commands as store
from app.store import locations, targets
from app.store.commands import NewCommand
from app.store.targets import Target

#: How long an operation that answers with a result waits for it, seconds.
WAIT_S: Final = 5.0
#: States that will not change soon.
_SETTLED: Final = frozenset({"deferred", "applied", "rejected", "expired", "failed"})
_ID: Final = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Ordered:
    """One command that was written, and whom it is for."""

    command: NewCommand
    #: `received` or `deferred`.
    state: str
    target: Target


@dataclass(frozen=True, slots=True)
class Failure:
    """A charger that got no command; `identity` is unknown of one that is not there."""

    charger_id: str
    identity: str | None
    error: str


def order_one(
    session: Session,
    organization_id: str,
    charger_id: str,
    name: str,
    args: Mapping[str, Any],
    *,
    event_type: str | None = None,
) -> Ordered:
    """Order a command of one charger, whatever its state: it is carried out when it is online in time.

    Raises `ChargerNotFound`; `InvalidOrder` when `args` names another OCPP version than the charger speaks.
    """
    target = targets.get(session, organization_id, charger_id)
    version = args.get("ocpp_version")
    if version is not None and version != target.ocpp_version.lower():
        raise InvalidOrder(
            f"The charger speaks {target.ocpp_version.lower()}.",
            code="ocpp_version_mismatch",
            param="ocpp_version",
        )
    command = _make(organization_id, target, name, args, event_type)
    states = store.insert_many(session, [command])
    return Ordered(command, states[command.id], target)


def order_many(
    session: Session,
    organization_id: str,
    name: str,
    args: Mapping[str, Any],
    *,
    charger_id: str | None = None,
    location_id: str | None = None,
    charger_ids: Sequence[str] | None = None,
) -> tuple[list[Ordered], list[Failure]]:
    """Order a command of one charger, or of those of a location: (ordered, those who got none).

    Raises `ChargerNotFound` for a single charger, `LocationNotFound`.
    """
    failed: list[Failure] = []
    if location_id is None:
        wanted: Sequence[Target] = [targets.get(session, organization_id, charger_id or "")]
    else:
        found = read_id(location_id)
        locations.get(session, organization_id, found)
        wanted = targets.list_at(session, organization_id, found, charger_ids)
        known = {target.id for target in wanted}
        absent = [one for one in dict.fromkeys(charger_ids or ()) if one not in known]
        error = "No charger with this id at this location."
        failed += [Failure(one, None, error) for one in absent]
    failed += [Failure(one.id, one.identity, one.obstacle) for one in wanted if one.obstacle]
    willing = [target for target in wanted if target.obstacle is None]
    new = [_make(organization_id, target, name, args) for target in willing]
    states = store.insert_many(session, new)
    ordered = [
        Ordered(command, states[command.id], target)
        for command, target in zip(new, willing, strict=True)
    ]
    return ordered, failed


def _make(
    organization_id: str,
    target: Target,
    name: str,
    args: Mapping[str, Any],
    event_type: str | None = None,
) -> NewCommand:
    return NewCommand(
        organization_id,
        target.id,
        target.identity,
        name,
        args,
        event_type or name,
        target.ocpp_version,
    )


def get(session: Session, organization_id: str, command_id: str) -> Command:
    """What became of a command. Raises `CommandNotFound`."""
    command = None
    if _ID.fullmatch(command_id):
        command = store.get(session, organization_id, command_id)
    if command is None:
        raise CommandNotFound("No command with this id.")
    return command


def wait(
    reads: sessionmaker[Session], news: News, organization_id: str, ordered: Ordered
) -> Command:
    """The command when it has ended, was deferred, or after `WAIT_S`. Holds no connection while it waits."""
    command_id = ordered.command.id

    def look() -> tuple[Command, bool]:
        with reads() as session:
            command = get(session, organization_id, command_id)
        return command, command.state in _SETTLED

    return wait_until(news, command_id, look, seconds=WAIT_S, room="commands")[0]
