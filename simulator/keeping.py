"""What a charger remembers across a restart of its process, as JSON.

Cables and cars stay where they are, transactions go on, lists and settings are as they were.
`install` registers it with one version; `restore` ends in the timer `resume`, since loading knows
no time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simulator.connectors import Connector
from simulator.profiles import Profile, ProfileRejected, Purpose, parse16, parse201
from simulator.reservations import Reservation, Reservations
from simulator.stacking import ProfileStack
from simulator.station import FACET, Bay, Station, station_of
from simulator.transactions import Token, load_transaction

if TYPE_CHECKING:
    from simulator.behaviour import Behaviour
    from simulator.charger import Charger

_FACTS = (
    "authorized",
    "ev_ready",
    "fault",
    "finished",
    "operative",
    "plugged",
    "reserved",
    "transacting",
)


def install(behaviour: Behaviour) -> None:
    """Keep the station of every charger of this version."""
    behaviour.keep(FACET, dump, restore)


def dump(charger: Charger) -> dict[str, Any]:
    """Everything worth keeping."""
    station = station_of(charger)
    kept: dict[str, Any] = {
        "operative": station.operative,
        "firmware_version": station.firmware_version,
        "settings": station.settings.dump(),
        "bays": {str(bay.id): _dump_bay(bay) for bay in station.bays},
    }
    if station.listed is not None:
        kept["list"] = station.listed.dump()
    if station.reservations is not None:
        kept["reservations"] = [list(r) for r in station.reservations.all()]
    if station.profiles is not None:
        kept["profiles"] = [
            [p.evse_id, p.transaction, p.start, p.source] for p in station.profiles.installed
        ]
    return kept


def restore(charger: Charger, kept: Mapping[str, Any]) -> None:
    """Take over what `dump` gave; connectors that the model no longer has are left out."""
    station = station_of(charger)
    station.operative = kept["operative"]
    station.firmware_version = kept["firmware_version"]
    if kept["settings"]:
        station.own_settings().load(kept["settings"])
    for bay in station.bays:
        if str(bay.id) in kept["bays"]:
            _restore_bay(station, bay, kept["bays"][str(bay.id)])
    if "list" in kept:
        station.need_list().load(kept["list"])
    if "reservations" in kept:
        station.reservations = Reservations(Reservation(*line) for line in kept["reservations"])
        charger.set_timer("expiry", 0.0)
    if "profiles" in kept:
        parsed = (_restore_profile(line) for line in kept["profiles"])
        station.profiles = ProfileStack(p for p in parsed if p is not None)
    charger.set_timer("resume", 0.0)


def _dump_bay(bay: Bay) -> dict[str, Any]:
    connector: Connector = bay.connector
    kept: dict[str, Any] = {
        "energy_wh": bay.meter.energy_wh,
        "in_service": bay.in_service,
        "facts": [name for name in _FACTS if getattr(connector, name) is True],
    }
    if connector.fault is not None:
        kept["fault"] = connector.fault
    if bay.meter.soc is not None:
        kept["soc"] = bay.meter.soc
    if bay.tx is not None:
        kept["tx"] = bay.tx.dump()
    if bay.token is not None:
        kept["token"] = list(bay.token)
    if bay.override_w is not None:
        kept["override_w"] = bay.override_w
    return kept


def _restore_bay(station: Station, bay: Bay, kept: Mapping[str, Any]) -> None:
    connector = bay.connector
    for name in _FACTS:
        if name != "fault":
            setattr(connector, name, name in kept["facts"])
    connector.fault = kept.get("fault")
    bay.meter.energy_wh = kept["energy_wh"]
    bay.in_service = kept["in_service"]
    bay.override_w = kept.get("override_w")
    if "soc" in kept:
        bay.meter.connect(station.ev[0], kept["soc"])
    if "tx" in kept:
        bay.tx = load_transaction(kept["tx"])
    if "token" in kept:
        bay.token = Token(*kept["token"])


def _restore_profile(line: list[Any]) -> Profile | None:
    evse_id, transaction, start, source = line
    try:
        if "chargingProfileId" in source:
            # An Absolute profile without a start began when it was installed.
            profile = parse16(evse_id, source, start or 0.0)
        else:
            profile = parse201(evse_id, source)
    except ProfileRejected:
        return None
    return profile.bound_to(transaction) if profile.purpose is Purpose.TX else profile
