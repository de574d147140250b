"""Wire faults at work on a charger: from its configuration or by the command `wire_faults`.

Frames are garbled and delayed by whoever owns the socket, who asks `charger.wire_faults`; what
belongs to the charger's own clock (cutting the connection, keeping it away) is here and in
`Charger`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simulator import lifeline
from simulator.behaviour import CommandRejected, Moment
from simulator.effects import Abandon
from simulator.wire import WireFaults, WireFaultsInvalid, parse_wire_faults

if TYPE_CHECKING:
    from simulator.behaviour import Behaviour, Command
    from simulator.charger import Charger


def install(behaviour: Behaviour) -> None:
    """Register with one version."""
    behaviour.moment(Moment.BORN)(take_config)
    behaviour.moment(Moment.ONLINE)(arm)
    behaviour.timer("cut")(cut)
    behaviour.command("wire_faults")(set_faults)


def take_config(charger: Charger, now: float) -> None:
    """The faults that the configuration asks for; ones that make no sense are left out and told."""
    raw = charger.config.wire_faults
    if not raw:
        return
    try:
        plan = parse_wire_faults(raw)
    except WireFaultsInvalid as invalid:
        charger.happen("wire_faults_invalid", {"reason": str(invalid)})
        return
    charger.wire_faults = WireFaults(plan, now) if plan is not None else None


def set_faults(charger: Charger, command: Command, now: float) -> Mapping[str, Any]:
    """wire_faults: what the network does to this charger from now on; nothing asked for ends it."""
    try:
        plan = parse_wire_faults(command.args)
    except WireFaultsInvalid as invalid:
        raise CommandRejected(str(invalid)) from None
    charger.cancel_timer("cut")
    was_kept_away = charger.wire_faults is not None and charger.wire_faults.refusal(now) > 0
    charger.wire_faults = WireFaults(plan, now) if plan is not None else None
    charger.happen("wire_faults", dict(command.args))
    if was_kept_away:
        _hasten(charger, now)
    if plan is not None and plan.refuse_connect_s > 0 and charger.is_up:
        cut(charger, "", now)
    else:
        arm(charger, now)
    return {"active": plan is not None}


def _hasten(charger: Charger, now: float) -> None:
    """The faults that kept the CSMS away are not in force any more: connect after an ordinary pause."""
    waits_until = charger.timers.get("reconnect")
    if waits_until is not None:
        lifeline.pause(charger, now)
        charger.set_timer("reconnect", min(waits_until, charger.timers["reconnect"]))


def arm(charger: Charger, now: float) -> None:
    """Say when the connection will be cut."""
    at = charger.wire_faults.next_disconnect(now) if charger.wire_faults is not None else None
    if at is not None:
        charger.set_timer("cut", at)


def cut(charger: Charger, argument: str, now: float) -> None:
    """Break the connection, as a cable that is pulled does."""
    del argument
    if charger.wire_faults is None or not charger.is_up:
        return
    charger.wire_faults.cut(now)
    charger.emit(Abandon("A wire fault cut the connection"))
