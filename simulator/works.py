"""Service, reset, firmware and logs at work on a charger. The same for both OCPP versions.

`install` registers the timers `reset`, `firmware` and `upload`, and what a reboot and an end do to the facts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator import sessions
from simulator.behaviour import Moment
from simulator.conclusions import refresh, refresh_all
from simulator.lifecycles import (
    FirmwareOrder,
    FirmwareUpdate,
    LogUpload,
    file_name,
    parse_pace,
)
from simulator.station import Bay, station_of
from simulator.transactions import End

if TYPE_CHECKING:
    from simulator.behaviour import Behaviour
    from simulator.charger import Charger

#: How long a reset waits for the CSMS to take the last messages of transactions.
_RESET_GRACE_S = 10.0
_RESET_STEP_S = 0.5
#: From "InstallRebooting" to the reboot, so that it can be heard.
_REBOOT_DELAY_S = 1.0


def install(behaviour: Behaviour) -> None:
    """Register with one version."""
    behaviour.timer("reset")(on_reset)
    behaviour.timer("firmware")(on_firmware)
    behaviour.timer("upload")(on_upload)
    behaviour.moment(Moment.REBOOTING)(forget_presence)
    behaviour.moment(Moment.ACCEPTED)(come_back)
    behaviour.moment(Moment.ENDING)(switch_off)


# --- service ----------------------------------------------------------------------------------


def change_service(charger: Charger, bays: list[Bay], now: float, *, operative: bool) -> bool:
    """Put bays in or out of service; true when a transaction delays it."""
    for bay in bays:
        bay.in_service = operative
        refresh(charger, bay, now)
    charger.save()
    return not operative and any(bay.tx is not None for bay in bays)


# --- reset ------------------------------------------------------------------------------------


def reset(charger: Charger, kind: str, now: float) -> None:
    """Begin a reset right after the answer: `Soft`, `Hard` (1.6), `Immediate` or `OnIdle` (2.0.1)."""
    charger.set_timer(f"reset:{kind}", now)


def on_reset(charger: Charger, argument: str, now: float) -> None:
    """Stop what runs, let the CSMS hear it for a moment, and reboot."""
    kind, _, deadline = argument.partition(" ")
    station = station_of(charger)
    station.idle_reset = False
    for bay in station.bays:
        if bay.tx is not None:
            sessions.end(charger, bay, End.HARD_RESET if kind == "Hard" else End.SOFT_RESET, now)
    until = float(deadline) if deadline else now + _RESET_GRACE_S
    waits = kind not in ("Hard", "Firmware") and charger.is_up and charger.is_online
    if waits and charger.outbox.waiting() and now < until:
        charger.set_timer(f"reset:{kind} {until}", now + _RESET_STEP_S)
        return
    charger.reboot(now, "FirmwareUpdate" if kind == "Firmware" else _reason(kind))


def _reason(kind: str) -> str:
    return "ScheduledReset" if kind == "OnIdle" else "RemoteReset"


def forget_presence(charger: Charger, now: float) -> None:
    """A reboot forgets who stood at the reader; cables stay in."""
    for bay in station_of(charger).bays:
        bay.asking = None
        if bay.token is not None:
            sessions.forget_token(charger, bay, now)


def switch_off(charger: Charger, now: float) -> None:
    """Nobody will go on with what runs here: to the CSMS the power was lost."""
    for bay in station_of(charger).bays:
        sessions.end(charger, bay, End.POWER_LOST, now)


def come_back(charger: Charger, now: float) -> None:
    """The CSMS accepted the boot: an update that rebooted has been installed."""
    station = station_of(charger)
    if charger.boot_reason in ("PowerUp", "RemoteReset"):
        kind = "StartupOfTheDevice" if charger.boot_reason == "PowerUp" else "ResetOrReboot"
        station.voice.say_security_event(charger, kind, now)
    if station.firmware is not None:
        station.firmware.rebooted(now)
        _wait_for_firmware(charger, station.firmware)


# --- firmware ---------------------------------------------------------------------------------


def update_firmware(charger: Charger, order: FirmwareOrder, now: float) -> bool:
    """Begin an update; true when it takes the place of one under way."""
    station = station_of(charger)
    older = station.firmware
    replaces = older is not None and not older.is_over
    if older is not None and older.blocks_charging:
        older.cancel()
    station.firmware = FirmwareUpdate(order, now, parse_pace(charger.config.settings))
    refresh_all(charger, now)
    _wait_for_firmware(charger, station.firmware)
    return replaces


def on_firmware(charger: Charger, argument: str, now: float) -> None:
    """The update goes on."""
    del argument
    station = station_of(charger)
    update = station.firmware
    if update is None:
        return
    status = update.advance(now, busy=station.is_busy)
    if status is not None:
        charger.happen("firmware_status", {"status": status})
        if status == "InstallRebooting":
            name = file_name(update.order.location)
            station.firmware_version = name[:50] or station.firmware_version
            charger.save()
        refresh_all(charger, now)
        station.voice.say_firmware(charger, update, triggered=False)
        if status == "InvalidSignature":
            station.voice.say_security_event(charger, "InvalidFirmwareSignature", now)
        if status == "InstallRebooting":
            charger.set_timer("reset:Firmware", now + _REBOOT_DELAY_S)
    _wait_for_firmware(charger, update)


def _wait_for_firmware(charger: Charger, update: FirmwareUpdate) -> None:
    if update.is_over:
        charger.cancel_timer("firmware")
    else:
        charger.set_timer("firmware", update.due)


# --- logs -------------------------------------------------------------------------------------


def upload_log(
    charger: Charger,
    location: str,
    now: float,
    *,
    request_id: int | None = None,
    retries: int = 0,
    retry_interval_s: float = 30.0,
) -> tuple[str, bool]:
    """Begin an upload: (file name, whether it takes the place of one under way)."""
    station = station_of(charger)
    older = station.upload
    replaces = older is not None and not older.is_over
    if older is not None and replaces and older.request_id is not None:
        older.status = "AcceptedCanceled"
        station.voice.say_upload(charger, older, triggered=False)
    station.upload = LogUpload(
        location,
        now,
        parse_pace(charger.config.settings),
        request_id=request_id,
        retries=retries,
        retry_interval_s=retry_interval_s,
    )
    charger.set_timer("upload", now)
    return f"{charger.config.identity}-{int(now)}.log"[:255], replaces


def on_upload(charger: Charger, argument: str, now: float) -> None:
    """The upload goes on."""
    del argument
    station = station_of(charger)
    upload = station.upload
    if upload is None:
        return
    status = upload.advance(now)
    if status is not None:
        charger.happen("log_status", {"status": status})
        station.voice.say_upload(charger, upload, triggered=False)
    if not upload.is_over:
        charger.set_timer("upload", upload.due)
