"""The local list and the cache of an OCPP 2.0.1 station (C11, D01, D02)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.ocpp201 import BEHAVIOUR
from simulator.station import station_of
from simulator.tokens import Entry, UpdateStatus
from simulator.v201.remote import rejected
from simulator.v201.transactions import parse_known
from simulator.v201.voice import model_of

if TYPE_CHECKING:
    from simulator.charger import Charger

_MAX_ENTRIES = 10_000


@BEHAVIOUR.action("ClearCache")
def clear_cache(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Forget what the CSMS said of tokens; Rejected while the cache is off (C11.FR.04)."""
    del payload, now
    station = station_of(charger)
    if not model_of(station).flag("AuthCacheCtrlr", "Enabled"):
        return rejected("NotEnabled", "The authorization cache is not enabled.")
    if station.cache is not None:
        station.cache.clear()
    return {"status": "Accepted"}


@BEHAVIOUR.action("GetLocalListVersion")
def get_version(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """The version of the list; 0 while it is empty or off (D02.FR.02, .03)."""
    del payload, now
    station = station_of(charger)
    enabled = model_of(station).flag("LocalAuthListCtrlr", "Enabled")
    version = station.listed.version if enabled and station.listed is not None else 0
    return {"versionNumber": version}


@BEHAVIOUR.action("SendLocalList")
def send_list(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Replace or change the list."""
    del now
    station = station_of(charger)
    model = model_of(station)
    if not model.flag("LocalAuthListCtrlr", "Enabled"):
        return {"status": "Failed", "statusInfo": {"reasonCode": "NotEnabled"}}
    lines = payload.get("localAuthorizationList", [])
    if len(lines) > model.number("LocalAuthListCtrlr", "ItemsPerMessage"):
        return {"status": "Failed", "statusInfo": {"reasonCode": "TooManyElements"}}
    entries = [
        Entry(
            line["idToken"]["idToken"],
            parse_known(line["idTokenInfo"]) if "idTokenInfo" in line else None,
        )
        for line in lines
    ]
    listed = station.need_list()
    update = listed.replace if payload["updateType"] == "Full" else listed.merge
    status = update(payload["versionNumber"], entries, _MAX_ENTRIES)
    charger.save()
    return {"status": "Failed" if status is UpdateStatus.NOT_SUPPORTED else status}
