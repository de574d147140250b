"""The gateway's commands: what a person beside the charger, or at its keyboard, would do.

`install` registers one handler per command of docs/link.md with a version; what differs between the
versions (settings) comes from the version's `Keyboard`. A handler returns its result when it is
done at once, or None when the end comes later (a start waits for the CSMS). Every result carries
what the API's answer needs; refusals are sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from simulator import authorization, sessions
from simulator.behaviour import CommandRejected
from simulator.conclusions import refresh
from simulator.connectors import ERROR_CODES
from simulator.sampling import parse_timestamp
from simulator.station import Bay, Order, station_of
from simulator.tokens import ACCEPTED, Entry, Known, UpdateStatus
from simulator.transactions import End, Token

if TYPE_CHECKING:
    from simulator.behaviour import Behaviour, Command
    from simulator.charger import Charger

#: Changes one setting by name: the status of the change, in the words of the version.
ChangeSetting: TypeAlias = "Callable[[Charger, str, str, float], str]"
#: Makes a token of an id tag.
MakeToken: TypeAlias = Callable[[str], Token]

#: Names that people use for a 1.6 error code.
_ALIASES = {"OverCurrent": "OverCurrentFailure"}
_TAKEN = frozenset({"Accepted", "RebootRequired"})
_MAX_LIST = 10_000


def install(behaviour: Behaviour, change_setting: ChangeSetting, make_token: MakeToken) -> None:
    """Register every command with one version."""
    for name, handler in _HANDLERS.items():
        behaviour.command(name)(handler)
    for name, presents in _PRESENTING.items():
        behaviour.command(name)(_with_token(presents, make_token))

    @behaviour.command("set_configuration")
    def set_configuration(charger: Charger, command: Command, now: float) -> Mapping[str, Any]:
        return _configure(charger, command, now, change_setting)


def _bay(charger: Charger, args: Mapping[str, Any]) -> Bay:
    """The bay that a command means. Each connector is an EVSE of its own, so either number will do."""
    evse, connector = args.get("evse_id") or 1, args.get("connector_id") or 1
    number = connector if connector > 1 else evse
    bay = station_of(charger).bay(number)
    if bay is None:
        raise CommandRejected(f"This charger has no connector {number}.")
    return bay


def _place(bay: Bay) -> dict[str, Any]:
    return {"evse_id": bay.id, "connector_id": bay.id, "status": bay.outlet.status}


# --- cable and car ----------------------------------------------------------------------------


def plug(charger: Charger, command: Command, now: float) -> Mapping[str, Any]:
    """plug_connector: a car arrives."""
    bay = _bay(charger, command.args)
    if not sessions.plug(charger, bay, now):
        raise CommandRejected(f"A cable is plugged in to connector {bay.id} already.")
    return _place(bay)


def unplug(charger: Charger, command: Command, now: float) -> Mapping[str, Any]:
    """unplug_connector: the car leaves."""
    bay = _bay(charger, command.args)
    if not sessions.unplug(charger, bay, now):
        raise CommandRejected(f"No cable is plugged in to connector {bay.id}.")
    return _place(bay)


def unlock(charger: Charger, command: Command, now: float) -> Mapping[str, Any]:
    """unlock_connector: stop what runs there and release the lock."""
    bay = _bay(charger, command.args)
    if bay.connector.fault == "ConnectorLockFailure":
        raise CommandRejected(f"The lock of connector {bay.id} is broken.")
    sessions.stop(charger, bay, End.UNLOCKED, now)
    return _place(bay)


def request_energy(charger: Charger, command: Command, now: float) -> Mapping[str, Any]:
    """ev_requests_energy: the car closes its contactor."""
    return _ask_energy(charger, command, now, wants=True)


def stop_energy(charger: Charger, command: Command, now: float) -> Mapping[str, Any]:
    """ev_stops_energy: the car opens its contactor."""
    return _ask_energy(charger, command, now, wants=False)


def _ask_energy(
    charger: Charger, command: Command, now: float, *, wants: bool
) -> Mapping[str, Any]:
    bay = _bay(charger, command.args)
    if not bay.connector.plugged:
        raise CommandRejected(f"No car is plugged in to connector {bay.id}.")
    if wants and bay.meter.ev is not None and bay.meter.ev.is_full:
        raise CommandRejected("The car's battery is full.")
    sessions.ask_energy(charger, bay, now, wants=wants)
    return _place(bay)


def update_power(charger: Charger, command: Command, now: float) -> Mapping[str, Any]:
    """power_update: the charger gives at most this much from now on, until the car leaves."""
    bay = _bay(charger, command.args)
    power = command.args["power_w"]
    if power < 0:
        raise CommandRejected("power_w is not negative: this charger does not feed back.")
    bay.override_w = float(power)
    refresh(charger, bay, now)
    charger.save()
    return _place(bay) | {"power_w": round(bay.meter.power_w)}


# --- transactions -----------------------------------------------------------------------------


def _with_token(
    presents: Callable[[Charger, Command, Token, float], Mapping[str, Any] | None],
    make_token: MakeToken,
) -> Callable[[Charger, Command, float], Mapping[str, Any] | None]:
    def handle(charger: Charger, command: Command, now: float) -> Mapping[str, Any] | None:
        return presents(charger, command, make_token(command.args["id_tag"]), now)

    return handle


def start(charger: Charger, command: Command, token: Token, now: float) -> Mapping[str, Any] | None:
    """start_transaction and start_session: a car is there or comes, and a token is presented.

    Ends when the transaction begins, or when it is clear that it will not.
    """
    bay = _bay(charger, command.args)
    obstacle = authorization.obstacle(station_of(charger), bay)
    if obstacle is not None:
        raise CommandRejected(obstacle)
    goal = command.args.get("target_energy_kwh")
    order = Order(
        command.id, command.args.get("duration_seconds"), None if goal is None else goal * 1000.0
    )
    sessions.plug(charger, bay, now)
    if bay.token is not None:
        sessions.forget_token(charger, bay, now)
    sessions.expect(charger, bay, order)
    authorization.present(charger, bay, token, now)
    return None


def stop(charger: Charger, command: Command, now: float) -> Mapping[str, Any]:
    """stop_transaction: by its number, or the only one that runs."""
    station = station_of(charger)
    wanted = command.args.get("transaction_id")
    running = [bay for bay in station.bays if bay.tx is not None]
    if wanted is not None:
        running = [bay for bay in running if bay.tx is not None and bay.tx.is_called(str(wanted))]
    if len(running) != 1:
        what = f"called {wanted}" if wanted is not None else "to stop"
        raise CommandRejected(
            f"There is no transaction {what}." if not running else "Several transactions run."
        )
    ended = sessions.stop(charger, running[0], End.LOCAL, now)
    return _place(running[0]) | {"transaction_id": ended.shown_id if ended else None}


def stop_session(charger: Charger, command: Command, now: float) -> Mapping[str, Any]:
    """stop_session: stop with final meter values, then the car leaves."""
    bay = _bay(charger, command.args)
    ended = sessions.end(charger, bay, End.LOCAL, now)
    if not sessions.unplug(charger, bay, now) and ended is None:
        raise CommandRejected(f"There is no session on connector {bay.id}.")
    return _place(bay) | {"transaction_id": ended.shown_id if ended else None}


def authorize(charger: Charger, command: Command, token: Token, now: float) -> None:
    """authorize_id_tag: ask the CSMS about a token."""
    authorization.check(charger, token, command.id, now)


# --- lists and settings -----------------------------------------------------------------------


def reset_cache(charger: Charger, command: Command, now: float) -> Mapping[str, Any]:
    """reset_auth_cache."""
    del command, now
    station = station_of(charger)
    count = station.cache.clear() if station.cache is not None else 0
    return {"msg": "The authorization cache was cleared.", "cleared_entries": count}


def send_list(charger: Charger, command: Command, now: float) -> Mapping[str, Any]:
    """send_local_list: replaces the list by a newer version; the same again is the same answer."""
    del now
    station = station_of(charger)
    version = command.args["list_version"]
    entries = [_entry(line) for line in command.args["entries"]]
    listed = station.need_list()
    if not (version == listed.version and entries == listed.entries()):
        if version <= listed.version:
            raise CommandRejected(
                f"The list version has to grow: {listed.version} is stored, {version} was sent."
            )
        if listed.replace(version, entries, _MAX_LIST) is not UpdateStatus.ACCEPTED:
            raise CommandRejected("The list names a token twice, or is too long.")
        charger.save()
    return {
        "status": ACCEPTED,
        "list_version": version,
        "entries_received": len(entries),
        "msg": f"The local list is at version {version}.",
    }


def _entry(line: Mapping[str, Any]) -> Entry:
    expiry = line.get("expiry_date")
    try:
        at = parse_timestamp(expiry) if expiry else None
    except ValueError:
        raise CommandRejected(f"expiry_date is not a date and time: {expiry!r}.") from None
    return Entry(line["id_tag"], Known(ACCEPTED, line.get("parent_id_tag"), at))


def clear_list(charger: Charger, command: Command, now: float) -> Mapping[str, Any]:
    """clear_local_list: no entries, version 0."""
    del command, now
    station = station_of(charger)
    count = station.listed.clear() if station.listed is not None else 0
    charger.save()
    return {
        "msg": "The local list was cleared.",
        "entries_deleted": count,
        "status": ACCEPTED,
        "list_version": 0,
    }


def _configure(
    charger: Charger, command: Command, now: float, change_setting: ChangeSetting
) -> Mapping[str, Any]:
    """set_configuration: every key on its own; `results` says what became of each."""
    results = {
        name: str(change_setting(charger, name, value, now))
        for name, value in command.args["configuration"].items()
    }
    configured = [name for name, status in results.items() if status in _TAKEN]
    if len(configured) == len(results):
        status, msg = "Accepted", "Every key was set."
    elif configured:
        status = "PartiallyAccepted"
        msg = f"{len(configured)} of {len(results)} keys were set."
    else:
        status, msg = "Rejected", "No key was set."
    if "RebootRequired" in results.values():
        msg += " Some take effect after a reset."
    return {"status": status, "configured": configured, "msg": msg, "results": results}


# --- faults -----------------------------------------------------------------------------------


def inject_fault(charger: Charger, command: Command, now: float) -> Mapping[str, Any]:
    """inject_fault: the connector is Faulted, energy stops, a transaction waits."""
    bay = _bay(charger, command.args)
    wanted = command.args["fault_type"]
    code = _ALIASES.get(wanted, wanted)
    if code not in ERROR_CODES:
        raise CommandRejected(
            f"There is no fault {wanted!r}; there are {', '.join(sorted(ERROR_CODES))}."
        )
    bay.connector.fault = code
    refresh(charger, bay, now)
    charger.happen("fault_injected", {"connector_id": bay.id, "fault_type": code})
    station_of(charger).voice.say_fault(charger, bay, code, now, over=False)
    charger.save()
    return _place(bay) | {"msg": f"Connector {bay.id} is faulted.", "fault_type": wanted}


def clear_fault(charger: Charger, command: Command, now: float) -> Mapping[str, Any]:
    """clear_fault: the connector goes back to what it was."""
    bay = _bay(charger, command.args)
    code, bay.connector.fault = bay.connector.fault, None
    if code is None:
        return _place(bay) | {"msg": f"Connector {bay.id} had no fault.", "fault_type": None}
    refresh(charger, bay, now)
    charger.happen("fault_cleared", {"connector_id": bay.id, "fault_type": code})
    station_of(charger).voice.say_fault(charger, bay, code, now, over=True)
    charger.save()
    return _place(bay) | {"msg": f"The fault on connector {bay.id} is over.", "fault_type": code}


_HANDLERS: Mapping[str, Callable[[Charger, Command, float], Mapping[str, Any] | None]] = {
    "plug_connector": plug,
    "unplug_connector": unplug,
    "unlock_connector": unlock,
    "ev_requests_energy": request_energy,
    "ev_stops_energy": stop_energy,
    "power_update": update_power,
    "stop_transaction": stop,
    "stop_session": stop_session,
    "reset_auth_cache": reset_cache,
    "send_local_list": send_list,
    "clear_local_list": clear_list,
    "inject_fault": inject_fault,
    "clear_fault": clear_fault,
}
_PRESENTING: Mapping[str, Callable[[Charger, Command, Token, float], Mapping[str, Any] | None]] = {
    "start_transaction": start,
    "start_session": start,
    "authorize_id_tag": authorize,
}
