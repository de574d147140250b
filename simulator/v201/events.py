"""NotifyEvent: problems of connectors, and monitors that fire (OCPP 2.0.1 part 2, N07 and N08)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.device_model import Place, write_component, write_variable
from simulator.monitors import Monitor, Monitors
from simulator.sampling import timestamp
from simulator.station import Bay, Station, station_of
from simulator.variables201 import VARIABLES, Variable

if TYPE_CHECKING:
    from simulator.charger import Charger

_PROBLEM = VARIABLES["connector", "problem", ""]


def say_problem(charger: Charger, bay: Bay, code: str, now: float, *, over: bool) -> None:
    """A hard-wired event: Problem of a connector is true, or no longer."""
    data = {
        **_describe(_PROBLEM, Place(bay.id, 1), "false" if over else "true", now),
        "trigger": "Alerting",
        "eventNotificationType": "HardWiredNotification",
        "techCode": code,
        "cleared": over,
    }
    if bay.tx is not None:
        data["transactionId"] = bay.tx.key
    _send(charger, data, now)


def monitors_of(station: Station) -> Monitors:
    """The monitors of a station, made when there were none."""
    if station.monitors is None:
        station.monitors = Monitors()
    monitors: Monitors = station.monitors
    return monitors


def watch(charger: Charger, bay: Bay, now: float) -> None:
    """Let the monitors on this bay see its state and its power."""
    station = station_of(charger)
    if station.monitors is None:
        return
    for monitor in station.monitors.all():
        place = monitor.address.place
        if place.evse_id != bay.id or monitor.kind.startswith("Periodic"):
            continue
        value = live_value(bay, monitor.address.variable)
        heard = monitor.severity <= station.monitors.level
        if value is not None and monitor.notices(value) and heard:
            say_fired(charger, monitor, value, now)


def live_value(bay: Bay, variable: Variable) -> str | None:
    """The present value of a bay's monitored variable."""
    return {
        "AvailabilityState": bay.outlet.status,
        "Problem": "true" if bay.connector.fault else "false",
        "Power": f"{bay.meter.power_w:.1f}",
    }.get(variable.name)


def say_fired(charger: Charger, monitor: Monitor, value: str, now: float) -> None:
    """A monitor that the CSMS set has something to say."""
    if monitor.kind.startswith("Periodic"):
        trigger = "Periodic"
    else:
        trigger = "Delta" if monitor.kind == "Delta" else "Alerting"
    data = {
        **_describe(monitor.address.variable, monitor.address.place, value, now),
        "trigger": trigger,
        "eventNotificationType": "CustomMonitor",
        "variableMonitoringId": monitor.id,
    }
    _send(charger, data, now)


def _describe(variable: Variable, place: Place, value: str, now: float) -> dict[str, Any]:
    # Ids only have to differ; milliseconds do, and need no counter that outlives a restart.
    return {
        "eventId": int(now * 1000) % 2**31,
        "timestamp": timestamp(now),
        "actualValue": value,
        "component": write_component(variable, place),
        "variable": write_variable(variable),
    }


def _send(charger: Charger, data: dict[str, Any], now: float) -> None:
    payload = {"generatedAt": timestamp(now), "seqNo": 0, "eventData": [data]}
    charger.call("NotifyEvent", payload)
