"""Certificates of the security extension ("Improved security for OCPP 1.6-J" edition 3, section 5).

The charger asks for no certificate of its own, so a signed one that it did not ask for is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.certificates import CertificateStore
from simulator.ocpp16 import BEHAVIOUR
from simulator.station import station_of
from simulator.v16.voice import keys_of

if TYPE_CHECKING:
    from simulator.charger import Charger


def store_of(charger: Charger) -> CertificateStore:
    """The certificates of a charger, made when there were none."""
    station = station_of(charger)
    if station.certificates is None:
        station.certificates = CertificateStore()
    return station.certificates


@BEHAVIOUR.action("InstallCertificate")
def install(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Store a root certificate."""
    at_most = keys_of(station_of(charger)).number("CertificateStoreMaxLength")
    status = store_of(charger).install(payload["certificate"], payload["certificateType"], at_most)
    if status == "Rejected":
        station_of(charger).voice.say_security_event(
            charger, "InvalidCentralSystemCertificate", now
        )
    return {"status": status}


@BEHAVIOUR.action("GetInstalledCertificateIds")
def list_ids(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """The hashes of the stored certificates of one kind."""
    del now
    found = store_of(charger).list([payload["certificateType"]])
    if not found:
        return {"status": "NotFound"}
    return {"status": "Accepted", "certificateHashData": [hashed for _, hashed in found]}


@BEHAVIOUR.action("DeleteCertificate")
def delete(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Remove one certificate by its hashes."""
    del now
    return {"status": store_of(charger).delete(payload["certificateHashData"])}


@BEHAVIOUR.action("CertificateSigned")
def take_signed(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """A certificate that nobody asked for has no key here."""
    del payload
    station_of(charger).voice.say_security_event(charger, "InvalidChargePointCertificate", now)
    return {"status": "Rejected"}
