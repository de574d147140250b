"""Certificates (OCPP 2.0.1 part 2, M03 to M05, A02).

The station asks for no certificate of its own, so a signed one that it did not ask for is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.certificates import CertificateStore
from simulator.ocpp201 import BEHAVIOUR
from simulator.station import station_of
from simulator.v201.remote import rejected

if TYPE_CHECKING:
    from simulator.charger import Charger

#: SecurityCtrlr.CertificateEntries, maximum.
_MAX_ENTRIES = 100


def store_of(charger: Charger) -> CertificateStore:
    """The certificates of a station, made when there were none."""
    station = station_of(charger)
    if station.certificates is None:
        station.certificates = CertificateStore()
    return station.certificates


@BEHAVIOUR.action("InstallCertificate")
def install(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Store a root certificate."""
    kind = payload["certificateType"]
    status = store_of(charger).install(payload["certificate"], kind, _MAX_ENTRIES)
    if status == "Rejected":
        station_of(charger).voice.say_security_event(charger, "InvalidCsmsCertificate", now)
        return rejected("InvalidCertificate", "This is not a certificate in PEM.")
    return {"status": status}


@BEHAVIOUR.action("GetInstalledCertificateIds")
def list_ids(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """The hashes of the stored certificates of some kinds, or of all."""
    del now
    found = store_of(charger).list(payload.get("certificateType"))
    if not found:
        return {"status": "NotFound"}
    chain = [{"certificateType": kind, "certificateHashData": hashed} for kind, hashed in found]
    return {"status": "Accepted", "certificateHashDataChain": chain}


@BEHAVIOUR.action("DeleteCertificate")
def delete(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Remove one certificate by its hashes."""
    del now
    return {"status": store_of(charger).delete(payload["certificateHashData"])}


@BEHAVIOUR.action("CertificateSigned")
def take_signed(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """A certificate that nobody asked for has no key here."""
    del payload
    kind = "InvalidChargingStationCertificate"
    station_of(charger).voice.say_security_event(charger, kind, now)
    return rejected("InvalidCertificate", "This station asked for no certificate.")
