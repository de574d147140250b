"""UpdateFirmware and GetLog (OCPP 2.0.1 part 2, L01, L02, N01)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator import works
from simulator.lifecycles import FirmwareOrder
from simulator.ocpp201 import BEHAVIOUR
from simulator.sampling import parse_timestamp

if TYPE_CHECKING:
    from simulator.charger import Charger

works.install(BEHAVIOUR)

_RETRY_INTERVAL_S = 30.0


@BEHAVIOUR.action("UpdateFirmware")
def update(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Begin an update. A signing certificate that is none is refused at once (L01.FR.02)."""
    firmware = payload["firmware"]
    certificate = firmware.get("signingCertificate")
    if certificate is not None and "BEGIN CERTIFICATE" not in certificate:
        return {"status": "InvalidCertificate"}
    install = firmware.get("installDateTime")
    order = FirmwareOrder(
        location=firmware["location"],
        retrieve_at=_time(firmware["retrieveDateTime"], now),
        install_at=_time(install, now) if install else None,
        request_id=payload["requestId"],
        retries=payload.get("retries", 0),
        retry_interval_s=payload.get("retryInterval", _RETRY_INTERVAL_S),
        signed=certificate is not None or "signature" in firmware,
        certificate=certificate,
        detailed=True,
    )
    replaced = works.update_firmware(charger, order, now)
    return {"status": "AcceptedCanceled" if replaced else "Accepted"}


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
