"""What TriggerMessage may ask for, beside boot, heartbeat and status (OCPP 2.0.1 part 2, F06)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.lifecycles import FirmwareOrder, FirmwareUpdate, LogUpload, Pace
from simulator.ocpp201 import BEHAVIOUR
from simulator.station import Bay, station_of
from simulator.v201.voice import VOICE

if TYPE_CHECKING:
    from simulator.charger import Charger


def _bays(charger: Charger, payload: dict[str, Any]) -> list[Bay]:
    wanted = payload.get("evse", {}).get("id")
    return [bay for bay in station_of(charger).bays if wanted in (None, 0, bay.id)]


@BEHAVIOUR.trigger("MeterValues")
def meter_values(charger: Charger, payload: dict[str, Any], now: float) -> str:
    """The newest values of one EVSE, or of all."""
    bays = _bays(charger, payload)
    for bay in bays:
        bay.meter.advance(now)
        VOICE.say_sample(charger, bay, now, "Trigger")
    return "Accepted" if bays else "Rejected"


@BEHAVIOUR.trigger("TransactionEvent")
def transaction_event(charger: Charger, payload: dict[str, Any], now: float) -> str:
    """The newest values of running transactions; Rejected when there is none."""
    bays = [bay for bay in _bays(charger, payload) if bay.tx is not None]
    for bay in bays:
        bay.meter.advance(now)
        VOICE.say_triggered(charger, bay, now)
    return "Accepted" if bays else "Rejected"


@BEHAVIOUR.trigger("LogStatusNotification")
def log_status(charger: Charger, payload: dict[str, Any], now: float) -> str:
    """Where an upload under way is; Idle when there is none (N01.FR.11)."""
    del payload
    upload = station_of(charger).upload
    if upload is None or upload.is_over:
        upload = LogUpload("", now, Pace())
    VOICE.say_upload(charger, upload, triggered=True)
    return "Accepted"


@BEHAVIOUR.trigger("FirmwareStatusNotification")
def firmware_status(charger: Charger, payload: dict[str, Any], now: float) -> str:
    """Where an update under way is; Idle when there is none (L01.FR.25)."""
    del payload
    update = station_of(charger).firmware
    if update is None or update.is_over:
        update = FirmwareUpdate(FirmwareOrder("", now), now, Pace())
    VOICE.say_firmware(charger, update, triggered=True)
    return "Accepted"
