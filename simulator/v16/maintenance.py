"""UpdateFirmware, GetDiagnostics (OCPP 1.6 sections 5.19, 5.9), and their sisters of the
whitepaper.

SignedUpdateFirmware and GetLog are sections 5.1 and 6.1 of "Improved security for OCPP 1.6-J"
edition 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator import works
from simulator.lifecycles import FirmwareOrder
from simulator.ocpp16 import BEHAVIOUR
from simulator.sampling import parse_timestamp

if TYPE_CHECKING:
    from simulator.charger import Charger

works.install(BEHAVIOUR)

_RETRY_INTERVAL_S = 30.0


@BEHAVIOUR.action("UpdateFirmware")
def update(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Begin an unsigned update; what becomes of it is told by FirmwareStatusNotification."""
    order = FirmwareOrder(
        location=payload["location"],
        retrieve_at=_time(payload["retrieveDate"], now),
        retries=payload.get("retries", 0),
        retry_interval_s=payload.get("retryInterval", _RETRY_INTERVAL_S),
    )
    works.update_firmware(charger, order, now)
    return {}


@BEHAVIOUR.action("SignedUpdateFirmware")
def update_signed(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Begin a signed update. A signing certificate that is none is refused at once."""
    firmware = payload["firmware"]
    if "BEGIN CERTIFICATE" not in firmware["signingCertificate"]:
        return {"status": "InvalidCertificate"}
    install = firmware.get("installDateTime")
    order = FirmwareOrder(
        location=firmware["location"],
        retrieve_at=_time(firmware["retrieveDateTime"], now),
        install_at=_time(install, now) if install else None,
        request_id=payload["requestId"],
        retries=payload.get("retries", 0),
        retry_interval_s=payload.get("retryInterval", _RETRY_INTERVAL_S),
        signed=True,
        certificate=firmware["signingCertificate"],
        detailed=True,
    )
    replaced = works.update_firmware(charger, order, now)
    return {"status": "AcceptedCanceled" if replaced else "Accepted"}


@BEHAVIOUR.action("GetDiagnostics")
def get_diagnostics(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Begin an upload and name the file."""
    name, _ = works.upload_log(
        charger,
        payload["location"],
        now,
        retries=payload.get("retries", 0),
        retry_interval_s=payload.get("retryInterval", _RETRY_INTERVAL_S),
    )
    return {"fileName": name}


@BEHAVIOUR.action("GetLog")
def get_log(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Begin an upload of the diagnostics or the security log."""
    name, replaced = works.upload_log(
        charger,
        payload["log"]["remoteLocation"],
        now,
        request_id=payload["requestId"],
        retries=payload.get("retries", 0),
        retry_interval_s=payload.get("retryInterval", _RETRY_INTERVAL_S),
    )
    return {"status": "AcceptedCanceled" if replaced else "Accepted", "filename": name}


def _time(text: str, now: float) -> float:
    try:
        return parse_timestamp(text)
    except ValueError:
        return now
