"""The local list and the cache of an OCPP 1.6 charger (sections 5.4, 5.10, 5.15)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.ocpp16 import BEHAVIOUR
from simulator.station import station_of
from simulator.tokens import Entry, UpdateStatus
from simulator.v16.transactions import parse_known
from simulator.v16.voice import keys_of

if TYPE_CHECKING:
    from simulator.charger import Charger


@BEHAVIOUR.action("ClearCache")
def clear_cache(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Forget what the CSMS said of tokens; Rejected without a cache (errata 3.23)."""
    del payload, now
    station = station_of(charger)
    if not keys_of(station).flag("AuthorizationCacheEnabled"):
        return {"status": "Rejected"}
    if station.cache is not None:
        station.cache.clear()
    return {"status": "Accepted"}


@BEHAVIOUR.action("GetLocalListVersion")
def get_version(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """The version of the list; 0 is an empty one, -1 none at all."""
    del payload, now
    station = station_of(charger)
    if not keys_of(station).flag("LocalAuthListEnabled"):
        return {"listVersion": -1}
    return {"listVersion": station.listed.version if station.listed is not None else 0}


@BEHAVIOUR.action("SendLocalList")
def send_list(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Replace or change the list."""
    del now
    station = station_of(charger)
    keys = keys_of(station)
    if not keys.flag("LocalAuthListEnabled"):
        return {"status": UpdateStatus.NOT_SUPPORTED}
    entries = [
        Entry(line["idTag"], parse_known(line["idTagInfo"]) if "idTagInfo" in line else None)
        for line in payload.get("localAuthorizationList", [])
    ]
    if len(entries) > keys.number("SendLocalListMaxLength"):
        return {"status": UpdateStatus.FAILED}
    listed = station.need_list()
    update = listed.replace if payload["updateType"] == "Full" else listed.merge
    status = update(payload["listVersion"], entries, keys.number("LocalAuthListMaxLength"))
    charger.save()
    return {"status": status}
