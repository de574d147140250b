"""Variable monitors of an OCPP 2.0.1 station: set, cleared, reported, and asked whether they fire.

As much of part 2, section N, as a station without sensors needs: thresholds, deltas and periodic
monitors on the variables marked as monitored in `simulator.variables201`. What fires becomes a
NotifyEvent elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from simulator.device_model import Address, DeviceModel, write_component, write_variable

_PERIODIC = frozenset({"Periodic", "PeriodicClockAligned"})
#: Monitors per station, as DeviceDataCtrlr would say.
_MAXIMUM = 100


@dataclass(slots=True)
class Monitor:
    """One monitor. `seen` is the value at which it last fired, for deltas and to fire only once."""

    id: int
    address: Address
    kind: str
    value: float
    severity: int
    transaction: bool
    seen: float | None = None
    told: str | None = None
    fired: bool = False

    def describe(self) -> dict[str, Any]:
        """The VariableMonitoringType of a report."""
        return {
            "id": self.id,
            "transaction": self.transaction,
            "value": self.value,
            "type": self.kind,
            "severity": self.severity,
        }

    def notices(self, value: str) -> bool:
        """Whether this value, as it would be reported, makes it fire; words can only differ."""
        try:
            return self.fires(float(value))
        except ValueError:
            fires = self.told is not None and self.told != value
            self.told = value
            return fires

    def fires(self, value: float) -> bool:
        """Whether this value makes it fire now. A threshold fires once until it is left again."""
        if self.kind == "Delta":
            if self.seen is None:
                self.seen = value
                return False
            if abs(value - self.seen) < self.value:
                return False
            self.seen = value
            return True
        beyond = value > self.value if self.kind == "UpperThreshold" else value < self.value
        fires = beyond and not self.fired
        self.fired = beyond
        return fires


class Monitors:
    """Every monitor of one station."""

    __slots__ = ("_by_id", "_next_id", "level")

    def __init__(self) -> None:
        #: Monitors with a higher number than this stay silent (SetMonitoringLevel).
        self.level = 9
        self._by_id: dict[int, Monitor] = {}
        self._next_id = 1

    def __len__(self) -> int:
        return len(self._by_id)

    def all(self) -> list[Monitor]:
        """Every monitor, by id."""
        return [self._by_id[key] for key in sorted(self._by_id)]

    def set(self, item: Mapping[str, Any], model: DeviceModel) -> dict[str, Any]:
        """Carry out one SetMonitoringDataType; the SetMonitoringResultType that answers it."""
        result = {
            "type": item["type"],
            "severity": item["severity"],
            "component": item["component"],
            "variable": item["variable"],
        }
        found = model.find(item["component"], item["variable"])
        if isinstance(found, str):
            return result | {"status": found}
        refusal = self._refusal(item, found)
        if refusal:
            return result | {"status": refusal}
        number = item.get("id")
        if number is None:
            number = self._next_id
            self._next_id += 1
        self._by_id[number] = Monitor(
            number,
            found,
            item["type"],
            float(item["value"]),
            item["severity"],
            item.get("transaction", False),
        )
        return result | {"status": "Accepted", "id": number}

    def clear(self, ids: Iterable[int]) -> list[dict[str, Any]]:
        """Take monitors out; a ClearMonitoringResultType each."""
        return [
            {"id": number, "status": "Accepted" if self._by_id.pop(number, None) else "NotFound"}
            for number in ids
        ]

    def clear_all(self) -> None:
        """Take every monitor out (SetMonitoringBase FactoryDefault and HardWiredOnly)."""
        self._by_id.clear()

    def report(self, monitors: Iterable[Monitor]) -> list[dict[str, Any]]:
        """The MonitoringDataType list, one entry per variable."""
        grouped: dict[Address, list[Monitor]] = {}
        for monitor in monitors:
            grouped.setdefault(monitor.address, []).append(monitor)
        return [
            {
                "component": write_component(*address),
                "variable": write_variable(address.variable),
                "variableMonitoring": [monitor.describe() for monitor in group],
            }
            for address, group in grouped.items()
        ]

    def _refusal(self, item: Mapping[str, Any], address: Address) -> str | None:
        number = item.get("id")
        if number is not None and number not in self._by_id:
            return "Rejected"
        kind = item["type"]
        numeric = address.variable.data_type in ("integer", "decimal")
        if not address.variable.monitored or not (numeric or kind == "Delta" or kind in _PERIODIC):
            return "UnsupportedMonitorType"
        if kind in _PERIODIC and item["value"] <= 0:
            return "Rejected"
        same = any(
            m.address == address and m.kind == kind and m.severity == item["severity"]
            for m in self._by_id.values()
            if m.id != number
        )
        if same:
            return "Duplicate"
        return "Rejected" if number is None and len(self._by_id) >= _MAXIMUM else None
