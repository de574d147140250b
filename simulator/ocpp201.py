"""OCPP 2.0.1: what a charging station of this version says and answers when it is idle.

`BEHAVIOUR` is the version's table of handlers; the modules of transactions, authorization and so on
add to it. Each connector of the catalog is an EVSE of its own with one connector, numbered 1. Use
cases and requirements (B01, F06.FR.17) are those of "OCPP 2.0.1 Part 2".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.behaviour import Answered, Behaviour, Moment, Outcome, Sent
from simulator.rpc import WIRE201
from simulator.sampling import timestamp
from simulator.schemas import SCHEMAS201

if TYPE_CHECKING:
    from simulator.charger import Charger
    from simulator.outlet import Outlet

FIRMWARE_VERSION = "1.0.0"


def write_boot(charger: Charger) -> dict[str, Any]:
    """BootNotificationRequest (B01); its vendor has 50 characters, its model 20, its serial number
    25.
    """
    return {
        "reason": charger.boot_reason,
        "chargingStation": {
            "vendorName": charger.config.vendor_name[:50],
            "model": charger.config.model[:20],
            "serialNumber": charger.config.identity[:25],
            "firmwareVersion": FIRMWARE_VERSION,
        },
    }


BEHAVIOUR = Behaviour(
    wire=WIRE201,
    schemas=SCHEMAS201,
    write_boot=write_boot,
    refuses_while_rejected="SecurityError",  # B03.FR.08
)


# --- status ---------------------------------------------------------------------------------------


def report_outlet(charger: Charger, outlet: Outlet, now: float, *, triggered: bool = False) -> None:
    """StatusNotificationRequest (G01); what it says counts as told unless it gets lost."""
    payload = {
        "timestamp": timestamp(now),
        "connectorStatus": outlet.status,
        "evseId": outlet.spec.id,
        "connectorId": 1,
    }
    if charger.call("StatusNotification", payload, context=outlet.spec.id, triggered=triggered):
        outlet.reported = (outlet.status, outlet.error_code)


@BEHAVIOUR.answer("StatusNotification")
def note_report(charger: Charger, sent: Sent, outcome: Outcome, now: float) -> None:
    """A report that the CSMS did not take is made again when the connection is back."""
    del now
    if isinstance(outcome, Answered):
        return
    for outlet in charger.outlets:
        if outlet.spec.id == sent.context:
            outlet.reported = None


@BEHAVIOUR.moment(Moment.ACCEPTED)
def forget_reports(charger: Charger, now: float) -> None:
    """After a boot the CSMS is told the status of every connector (B01.FR.05)."""
    del now
    for outlet in charger.outlets:
        outlet.reported = None


@BEHAVIOUR.moment(Moment.ONLINE)
def report_changes(charger: Charger, now: float) -> None:
    """Report each connector whose status the CSMS does not know."""
    for outlet in charger.outlets:
        if outlet.reported != (outlet.status, outlet.error_code):
            report_outlet(charger, outlet, now)


# --- what the CSMS asks ---------------------------------------------------------------------------


@BEHAVIOUR.action("TriggerMessage")
def trigger_message(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """TriggerMessageRequest (F06): the message follows the answer."""
    handler = BEHAVIOUR.triggers.get(payload["requestedMessage"])
    return {"status": handler(charger, payload, now) if handler else "NotImplemented"}


@BEHAVIOUR.trigger("BootNotification")
def trigger_boot(charger: Charger, payload: dict[str, Any], now: float) -> str:
    """Boot again, unless the CSMS accepted us already (F06.FR.17)."""
    del payload, now
    if charger.is_online:
        return "Rejected"
    charger.boot_now("Triggered")
    return "Accepted"


@BEHAVIOUR.trigger("Heartbeat")
def trigger_heartbeat(charger: Charger, payload: dict[str, Any], now: float) -> str:
    """One heartbeat out of turn."""
    del payload, now
    charger.call("Heartbeat", {}, triggered=True)
    return "Accepted"


@BEHAVIOUR.trigger("StatusNotification")
def trigger_status(charger: Charger, payload: dict[str, Any], now: float) -> str:
    """The status of one connector, which must be named (F06.FR.12), or of every connector of an
    EVSE.
    """
    evse = payload.get("evse", {})
    for outlet in charger.outlets:
        if evse.get("id") == outlet.spec.id and evse.get("connectorId", 1) == 1:
            report_outlet(charger, outlet, now, triggered=True)
            return "Accepted"
    return "Rejected"


@BEHAVIOUR.action("DataTransfer")
def data_transfer(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """DataTransferRequest (P01): no vendor's extension is known here."""
    del charger, payload, now
    return {"status": "UnknownVendorId"}
