"""Variable monitoring (OCPP 2.0.1 part 2, N02 to N06): set, clear, report; and the periodic
monitors' timer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.conclusions import refresh_all
from simulator.monitors import Monitor
from simulator.ocpp201 import BEHAVIOUR
from simulator.sampling import Cadence, timestamp
from simulator.station import station_of
from simulator.v201.events import live_value, monitors_of, say_fired
from simulator.v201.remote import rejected
from simulator.v201.voice import model_of

if TYPE_CHECKING:
    from simulator.charger import Charger

_MAX_SEVERITY = 9
#: MonitoringCriterionEnumType and the monitors that it means.
_CRITERIA = {
    "ThresholdMonitoring": ("UpperThreshold", "LowerThreshold"),
    "DeltaMonitoring": ("Delta",),
    "PeriodicMonitoring": ("Periodic", "PeriodicClockAligned"),
}


@BEHAVIOUR.action("SetVariableMonitoring")
def set_monitors(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Set monitors; each on its own (N04)."""
    station = station_of(charger)
    monitors = monitors_of(station)
    results = [monitors.set(item, model_of(station)) for item in payload["setMonitoringData"]]
    for monitor in monitors.all():
        _arm(charger, monitor, now)
    # A first look, so that a delta has something to differ from.
    refresh_all(charger, now)
    for bay in station.bays:
        for monitor in monitors.all():
            if monitor.address.place.evse_id == bay.id and monitor.kind == "Delta":
                monitor.notices(live_value(bay, monitor.address.variable) or "")
    return {"setMonitoringResult": results}


@BEHAVIOUR.action("ClearVariableMonitoring")
def clear_monitors(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Clear monitors by their ids (N06)."""
    del now
    results = monitors_of(station_of(charger)).clear(payload["id"])
    for number in payload["id"]:
        charger.cancel_timer(f"monitor:{number}")
    return {"clearMonitoringResult": results}


@BEHAVIOUR.action("SetMonitoringBase")
def set_base(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """All keeps what was set; the two others go back to what is built in (N03)."""
    del now
    if payload["monitoringBase"] != "All":
        monitors = monitors_of(station_of(charger))
        for monitor in monitors.all():
            charger.cancel_timer(f"monitor:{monitor.id}")
        monitors.clear_all()
    return {"status": "Accepted"}


@BEHAVIOUR.action("SetMonitoringLevel")
def set_level(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Only monitors of this severity or a worse one speak from now on (N05); 0 is the worst."""
    del now
    severity = payload["severity"]
    if not 0 <= severity <= _MAX_SEVERITY:
        return rejected("ValueOutOfRange", "A severity is a number from 0 to 9.")
    monitors_of(station_of(charger)).level = severity
    return {"status": "Accepted"}


@BEHAVIOUR.action("GetMonitoringReport")
def get_report(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Report the monitors that fit, in a message that follows the answer (N02)."""
    station = station_of(charger)
    monitors = monitors_of(station)
    kinds = {k for name in payload.get("monitoringCriteria", ()) for k in _CRITERIA[name]}
    names = [
        (item["component"]["name"].lower(), item.get("variable", {}).get("name", "").lower())
        for item in payload.get("componentVariable", ())
    ]
    found = [
        monitor
        for monitor in monitors.all()
        if (not kinds or monitor.kind in kinds) and (not names or _is_named(monitor, names))
    ]
    if not found:
        return {"status": "EmptyResultSet"}
    report = {
        "requestId": payload["requestId"],
        "seqNo": 0,
        "generatedAt": timestamp(now),
        "tbc": False,
        "monitor": monitors.report(found),
    }
    charger.call("NotifyMonitoringReport", report, triggered=True)
    return {"status": "Accepted"}


def _is_named(monitor: Monitor, names: list[tuple[str, str]]) -> bool:
    component, variable, _ = monitor.address.variable.key
    return (component, variable) in names or (component, "") in names


def _arm(charger: Charger, monitor: Monitor, now: float) -> None:
    if not monitor.kind.startswith("Periodic"):
        return
    origin = 0.0 if monitor.kind == "PeriodicClockAligned" else now
    charger.set_timer(f"monitor:{monitor.id}", Cadence(origin, monitor.value).after(now))


@BEHAVIOUR.timer("monitor")
def on_period(charger: Charger, argument: str, now: float) -> None:
    """A periodic monitor is due."""
    station = station_of(charger)
    for monitor in monitors_of(station).all():
        if monitor.id != int(argument):
            continue
        bay = station.bay(monitor.address.place.evse_id)
        if bay is not None and monitor.severity <= monitors_of(station).level:
            bay.meter.advance(now)
            say_fired(charger, monitor, live_value(bay, monitor.address.variable) or "", now)
        _arm(charger, monitor, now)
