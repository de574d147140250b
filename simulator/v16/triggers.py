"""What TriggerMessage and ExtendedTriggerMessage may ask for, beside boot, heartbeat and status.

OCPP 1.6 section 5.17; "Improved security for OCPP 1.6-J" edition 3, section 4.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.lifecycles import FirmwareOrder, FirmwareUpdate, LogUpload, Pace
from simulator.ocpp16 import BEHAVIOUR
from simulator.station import station_of

if TYPE_CHECKING:
    from simulator.charger import Charger


@BEHAVIOUR.action("ExtendedTriggerMessage")
def extended(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """TriggerMessage with the security extension's messages; no certificate is ever asked for."""
    wanted = payload["requestedMessage"]
    name = "SignedFirmwareStatusNotification" if wanted == "FirmwareStatusNotification" else wanted
    handler = BEHAVIOUR.triggers.get(name)
    return {"status": handler(charger, payload, now) if handler else "NotImplemented"}


@BEHAVIOUR.trigger("MeterValues")
def meter_values(charger: Charger, payload: dict[str, Any], now: float) -> str:
    """The newest values of one connector, or of all."""
    station = station_of(charger)
    wanted = payload.get("connectorId")
    bays = [bay for bay in station.bays if wanted in (None, 0, bay.id)]
    for bay in bays:
        bay.meter.advance(now)
        station.voice.say_sample(charger, bay, now, "Trigger")
    return "Accepted" if bays else "Rejected"


@BEHAVIOUR.trigger("DiagnosticsStatusNotification")
def diagnostics_status(charger: Charger, payload: dict[str, Any], now: float) -> str:
    """Where an upload under way is; Idle when there is none (section 4.4)."""
    del payload
    station = station_of(charger)
    upload = station.upload
    if upload is None or upload.is_over or upload.request_id is not None:
        upload = LogUpload("", now, Pace())
    station.voice.say_upload(charger, upload, triggered=True)
    return "Accepted"


@BEHAVIOUR.trigger("LogStatusNotification")
def log_status(charger: Charger, payload: dict[str, Any], now: float) -> str:
    """Where the upload of a GetLog is; Idle when there is none."""
    del payload, now
    station = station_of(charger)
    upload = station.upload
    if upload is None or upload.is_over or upload.request_id is None:
        charger.call("LogStatusNotification", {"status": "Idle"}, triggered=True)
    else:
        station.voice.say_upload(charger, upload, triggered=True)
    return "Accepted"


@BEHAVIOUR.trigger("FirmwareStatusNotification")
def firmware_status(charger: Charger, payload: dict[str, Any], now: float) -> str:
    """Where an unsigned update is; Idle when there is none (section 4.5)."""
    del payload
    return _firmware_status(charger, now, detailed=False)


@BEHAVIOUR.trigger("SignedFirmwareStatusNotification")
def signed_firmware_status(charger: Charger, payload: dict[str, Any], now: float) -> str:
    """Where a signed update is; Idle when there is none."""
    del payload
    return _firmware_status(charger, now, detailed=True)


def _firmware_status(charger: Charger, now: float, *, detailed: bool) -> str:
    station = station_of(charger)
    update = station.firmware
    if update is None or update.is_over or update.order.detailed != detailed:
        update = FirmwareUpdate(FirmwareOrder("", now, detailed=detailed), now, Pace())
    station.voice.say_firmware(charger, update, triggered=True)
    return "Accepted"
