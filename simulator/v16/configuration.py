"""GetConfiguration and ChangeConfiguration (OCPP 1.6 sections 5.3 and 5.8), and what a change does."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from simulator import sessions
from simulator.keys16 import KEYS, ChangeStatus, KeyValue
from simulator.ocpp16 import BEHAVIOUR
from simulator.pulses import rearm_samples
from simulator.station import station_of
from simulator.v16.voice import keys_of, keys_to_change

if TYPE_CHECKING:
    from simulator.charger import Charger

_SAMPLING = frozenset(
    {"metervaluesampleinterval", "clockaligneddatainterval", "stoptxnsampleddata"}
)


@BEHAVIOUR.action("GetConfiguration")
def get(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """The keys asked for, or all; unknown names are listed apart."""
    del now
    lines, unknown = keys_of(station_of(charger)).show(payload.get("key"))
    answer: dict[str, Any] = {"configurationKey": [_write(charger, line) for line in lines]}
    if unknown:
        answer["unknownKey"] = unknown
    return answer


def _write(charger: Charger, line: KeyValue) -> dict[str, Any]:
    value = line.value
    if line.name == "HeartbeatInterval":
        # The interval of the last boot counts, whatever was set before it.
        value = str(int(charger.interval_s))
    written: dict[str, Any] = {"key": line.name, "readonly": line.readonly}
    if value is not None:
        written["value"] = value[:500]
    return written


@BEHAVIOUR.action("ChangeConfiguration")
def change_key(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Change one key."""
    return {"status": change(charger, payload["key"], payload["value"], now)}


def change(charger: Charger, name: str, value: str, now: float) -> ChangeStatus:
    """Change one key and let the change take effect."""
    status = keys_to_change(station_of(charger)).change(name, value)
    if status in (ChangeStatus.ACCEPTED, ChangeStatus.REBOOT_REQUIRED):
        _take_effect(charger, name.lower(), value, now)
        charger.save()
        shown = None if KEYS[name.lower()].secret else value
        charger.happen("configuration_changed", {"key": KEYS[name.lower()].name, "value": shown})
    return status


def _take_effect(charger: Charger, name: str, value: str, now: float) -> None:
    if name in _SAMPLING:
        rearm_samples(charger, now)
    elif name == "heartbeatinterval":
        charger.interval_s = float(value)
        if "heartbeat" in charger.timers:
            charger.set_timer("heartbeat", now + charger.interval_s)
    elif name == "websocketpinginterval" and int(value) > 0:
        clocks = dataclasses.replace(charger.config.clocks, ping_interval_s=float(value))
        charger.config = dataclasses.replace(charger.config, clocks=clocks)
    elif name == "authorizationkey":
        # It takes effect with the next connection, which the reboot brings.
        charger.config = dataclasses.replace(charger.config, authorization_key=value)
    elif name == "connectiontimeout":
        for bay in station_of(charger).bays:
            if f"connect:{bay.id}" in charger.timers:
                at = now + sessions.timeout(station_of(charger))
                charger.set_timer(f"connect:{bay.id}", at)
