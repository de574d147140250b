"""OCPP 1.6: what a charger of this version says and answers when it is idle.

`BEHAVIOUR` is the version's table of handlers; the modules of transactions, authorization and so on
add to it. Section numbers are those of "Open Charge Point Protocol 1.6 edition 2".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.behaviour import Answered, Behaviour, Moment, Outcome, Sent
from simulator.rpc import WIRE16
from simulator.sampling import timestamp
from simulator.schemas import SCHEMAS16
from simulator.station import is_in_service

if TYPE_CHECKING:
    from simulator.charger import Charger
    from simulator.outlet import Outlet

FIRMWARE_VERSION = "1.0.0"


def write_boot(charger: Charger) -> dict[str, Any]:
    """BootNotification (6.3). Its vendor and model are CiString20, the serial number CiString25."""
    return {
        "chargePointVendor": charger.config.vendor_name[:20],
        "chargePointModel": charger.config.model[:20],
        "chargePointSerialNumber": charger.config.identity[:25],
        "firmwareVersion": FIRMWARE_VERSION,
    }


BEHAVIOUR = Behaviour(
    wire=WIRE16,
    schemas=SCHEMAS16,
    write_boot=write_boot,
    refuses_while_rejected=None,  # 4.2: "While Rejected, the Charge Point SHALL NOT respond"
)


# --- status ---------------------------------------------------------------------------------------


def report_station(charger: Charger, now: float, *, triggered: bool = False) -> None:
    """StatusNotification for connector 0, the charge point's own main controller (4.9)."""
    payload = {
        "connectorId": 0,
        "errorCode": "NoError",
        "status": "Available" if is_in_service(charger) else "Unavailable",
        "timestamp": timestamp(now),
    }
    charger.call("StatusNotification", payload, triggered=triggered)


def report_outlet(charger: Charger, outlet: Outlet, now: float, *, triggered: bool = False) -> None:
    """StatusNotification for one connector (4.9); what it says counts as told unless it gets lost."""
    payload = {
        "connectorId": outlet.spec.id,
        "errorCode": outlet.error_code,
        "status": outlet.status,
        "timestamp": timestamp(now),
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
    """After a boot the CSMS is told everything (4.2), the station first."""
    for outlet in charger.outlets:
        outlet.reported = None
    report_station(charger, now)


@BEHAVIOUR.moment(Moment.ONLINE)
def report_changes(charger: Charger, now: float) -> None:
    """Report each connector whose status the CSMS does not know."""
    for outlet in charger.outlets:
        if outlet.reported != (outlet.status, outlet.error_code):
            report_outlet(charger, outlet, now)


# --- what the CSMS asks ---------------------------------------------------------------------------


@BEHAVIOUR.action("TriggerMessage")
def trigger_message(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """TriggerMessage (5.17): the message follows the answer."""
    handler = BEHAVIOUR.triggers.get(payload["requestedMessage"])
    return {"status": handler(charger, payload, now) if handler else "NotImplemented"}


@BEHAVIOUR.trigger("BootNotification")
def trigger_boot(charger: Charger, payload: dict[str, Any], now: float) -> str:
    """Boot again, without a reboot."""
    del payload, now
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
    """The status of one connector, or of all when none is named (5.17)."""
    wanted = payload.get("connectorId")
    if wanted is not None and wanted not in {0, *(outlet.spec.id for outlet in charger.outlets)}:
        return "Rejected"
    if not wanted:
        report_station(charger, now, triggered=True)
    for outlet in charger.outlets:
        if wanted is None or wanted == outlet.spec.id:
            report_outlet(charger, outlet, now, triggered=True)
    return "Accepted"


@BEHAVIOUR.action("DataTransfer")
def data_transfer(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """DataTransfer (5.6): no vendor's extension is known here."""
    del charger, payload, now
    return {"status": "UnknownVendorId"}
