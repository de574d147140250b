"""The device model on the wire: variables and reports (OCPP 2.0.1 part 2, B05 to B08), and what a
change does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from simulator.device_model import Address, DeviceModel, Facts, Place, base_filter, report_filter
from simulator.ocpp201 import BEHAVIOUR, FIRMWARE_VERSION
from simulator.pulses import rearm_samples
from simulator.sampling import timestamp
from simulator.station import Bay, Station, station_of
from simulator.v201.events import live_value
from simulator.v201.settings import find_by_name
from simulator.v201.voice import model_of, model_to_change
from simulator.variables201 import Mutability, Variable

if TYPE_CHECKING:
    from simulator.charger import Charger

_TAKEN = frozenset({"Accepted", "RebootRequired"})


@BEHAVIOUR.action("GetVariables")
def get(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """The values asked for."""
    model = model_of(station_of(charger))
    facts = facts_of(charger, now)
    return {
        "getVariableResult": [model.get_result(item, facts) for item in payload["getVariableData"]]
    }


@BEHAVIOUR.action("SetVariables")
def set_variables(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Change what can be changed; each on its own."""
    return {"setVariableResult": [_set(charger, item, now) for item in payload["setVariableData"]]}


def change(charger: Charger, name: str, value: str, now: float) -> str:
    """Change a variable by a short name, for the gateway's set_configuration."""
    variable = find_by_name(name)
    if variable is None:
        return "UnknownVariable"
    named: dict[str, Any] = {"name": variable.name}
    if variable.instance:
        named["instance"] = variable.instance
    item = {
        "component": {"name": variable.component},
        "variable": named,
        "attributeValue": value,
    }
    return str(_set(charger, item, now)["attributeStatus"])


def _set(charger: Charger, item: dict[str, Any], now: float) -> dict[str, Any]:
    model = model_to_change(station_of(charger))
    result = model.set_result(item)
    if result["attributeStatus"] in _TAKEN:
        found = model.find(item["component"], item["variable"])
        if isinstance(found, Address):
            _take_effect(charger, found.variable, item["attributeValue"], now)
        charger.save()
    return result


def _take_effect(charger: Charger, variable: Variable, value: str, now: float) -> None:
    shown = None if variable.mutability is Mutability.WRITE_ONLY else value
    name = f"{variable.component}.{variable.name}"
    charger.happen("configuration_changed", {"key": name, "value": shown})
    if variable.component in ("SampledDataCtrlr", "AlignedDataCtrlr"):
        rearm_samples(charger, now)
    elif variable.name == "HeartbeatInterval":
        charger.interval_s = float(value)
        if "heartbeat" in charger.timers:
            charger.set_timer("heartbeat", now + charger.interval_s)
    elif variable.name == "BasicAuthPassword":
        # A01: it takes effect with the next connection.
        charger.config = dataclasses.replace(charger.config, authorization_key=value)
    elif variable.name.startswith(("RetryBackOff", "WebSocketPingInterval")):
        _change_clocks(charger, model_of(station_of(charger)))


def _change_clocks(charger: Charger, model: DeviceModel) -> None:
    """Part 4, section 5.3: the pause doubles RepeatTimes times from WaitMinimum, plus RandomRange."""
    first = model.number("OCPPCommCtrlr", "RetryBackOffWaitMinimum")
    repeats = model.number("OCPPCommCtrlr", "RetryBackOffRepeatTimes")
    spread = model.number("OCPPCommCtrlr", "RetryBackOffRandomRange")
    ping = model.number("OCPPCommCtrlr", "WebSocketPingInterval")
    clocks = charger.config.clocks
    clocks = dataclasses.replace(
        clocks,
        reconnect_min_s=float(first),
        reconnect_max_s=float(first * 2**repeats + spread),
        ping_interval_s=float(ping) or clocks.ping_interval_s,
    )
    charger.config = dataclasses.replace(charger.config, clocks=clocks)


# --- reports ----------------------------------------------------------------------------------


@BEHAVIOUR.action("GetBaseReport")
def get_base_report(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """The inventory, in pages that follow the answer (B07)."""
    model = model_of(station_of(charger))
    found = list(model.addresses(base_filter(payload["reportBase"])))
    _report(charger, payload["requestId"], found, now)
    return {"status": "Accepted"}


@BEHAVIOUR.action("GetReport")
def get_report(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """The variables that fit criteria and names (B08)."""
    model = model_of(station_of(charger))
    facts = facts_of(charger, now)

    def current(component: str, place: Place, name: str) -> str | None:
        found = model.find(_component(component, place), {"name": name})
        return model.value(found, facts) if isinstance(found, Address) else None

    accepts = report_filter(
        payload.get("componentCriteria"), payload.get("componentVariable"), current
    )
    addresses = list(model.addresses(accepts))
    if not addresses:
        return {"status": "EmptyResultSet"}
    _report(charger, payload["requestId"], addresses, now)
    return {"status": "Accepted"}


def _component(name: str, place: Place) -> dict[str, Any]:
    evse = {"id": place.evse_id, "connectorId": place.connector_id}
    return {"name": name, "evse": {key: value for key, value in evse.items() if value is not None}}


def _report(charger: Charger, request_id: int, addresses: Iterable[Address], now: float) -> None:
    model = model_of(station_of(charger))
    data = model.report(addresses, facts_of(charger, now))
    size = model.number("DeviceDataCtrlr", "ItemsPerMessage", "GetReport")
    pages = [data[at : at + size] for at in range(0, len(data), size)]
    for number, page in enumerate(pages):
        payload = {
            "requestId": request_id,
            "generatedAt": timestamp(now),
            "seqNo": number,
            "tbc": number + 1 < len(pages),
            "reportData": page,
        }
        charger.call("NotifyReport", payload, triggered=True)


# --- live facts -------------------------------------------------------------------------------


def facts_of(charger: Charger, now: float) -> Facts:
    """What a variable's value is at this moment."""
    station = station_of(charger)

    def fact(variable: Variable, place: Place) -> str | None:
        if place.evse_id is None:
            return _station_fact(charger, station, variable, now)
        bay = station.bay(place.evse_id)
        return None if bay is None else _bay_fact(bay, variable)

    return fact


def _station_fact(charger: Charger, station: Station, variable: Variable, now: float) -> str | None:
    config = charger.config
    if variable.name in ("AvailabilityState", "Problem", "SupplyPhases"):
        return {
            "AvailabilityState": "Available" if station.operative else "Unavailable",
            "Problem": "true" if any(b.connector.fault for b in station.bays) else "false",
            "SupplyPhases": str(max(bay.meter.outlet.phases for bay in station.bays)),
        }[variable.name]
    if variable.name in ("Storage", "Entries", "CertificateEntries"):
        held = {
            "Storage": station.cache,
            "Entries": station.listed,
            "CertificateEntries": station.certificates,
        }[variable.name]
        return str(len(held)) if held is not None else "0"
    return {
        "Identity": config.identity,
        "SecurityProfile": str(config.security_profile),
        "DateTime": timestamp(now),
        "HeartbeatInterval": str(int(charger.interval_s)),
        "Model": config.model,
        "VendorName": config.vendor_name,
        "SerialNumber": config.identity[:25],
        "FirmwareVersion": station.firmware_version or FIRMWARE_VERSION,
    }.get(variable.name)


def _bay_fact(bay: Bay, variable: Variable) -> str | None:
    if variable.name == "SupplyPhases":
        return str(bay.meter.outlet.phases)
    if variable.name == "ConnectorType":
        return bay.outlet.spec.type
    return live_value(bay, variable)
