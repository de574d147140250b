"""What a station knows of a customer, and where it connects (OCPP 2.0.1 part 2, N09, N10, B09)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.ocpp201 import BEHAVIOUR
from simulator.sampling import timestamp
from simulator.station import Station, station_of
from simulator.tokens import same_token
from simulator.v201.remote import rejected

if TYPE_CHECKING:
    from simulator.charger import Charger


@BEHAVIOUR.action("CustomerInformation")
def customer_information(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Report, and forget where asked to, what is stored of one customer."""
    station = station_of(charger)
    name = payload["idToken"]["idToken"] if "idToken" in payload else None
    if name is None and not {"customerIdentifier", "customerCertificate"} & payload.keys():
        return {"status": "Invalid"}
    known = _describe(station, name) if name is not None else ""
    if payload["clear"] and name is not None:
        _forget(station, name)
        charger.save()
    if payload["report"] or payload["clear"]:
        notice = {
            "requestId": payload["requestId"],
            "data": known[:512] if payload["report"] else "",
            "seqNo": 0,
            "generatedAt": timestamp(now),
            "tbc": False,
        }
        charger.call("NotifyCustomerInformation", notice, triggered=True)
    return {"status": "Accepted"}


def _describe(station: Station, name: str) -> str:
    facts = []
    listed = station.listed.get(name) if station.listed is not None else None
    if listed is not None:
        facts.append(f"local list: {listed.status}")
    cached = station.cache.get(name, 0.0) if station.cache is not None else None
    if cached is not None:
        facts.append(f"authorization cache: {cached.status}")
    for bay in station.bays:
        if bay.tx is not None and bay.tx.token is not None and same_token(bay.tx.token.id, name):
            facts.append(f"transaction {bay.tx.key} on EVSE {bay.id}")
    return "; ".join(facts)


def _forget(station: Station, name: str) -> None:
    if station.cache is not None:
        station.cache.forget(name)


@BEHAVIOUR.action("SetNetworkProfile")
def set_network_profile(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Refused: where this station connects is the gateway's to say, and it would not know."""
    del charger, payload, now
    return rejected("NotEnabled", "The station's connection is set by who operates it.")
