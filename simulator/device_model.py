"""The device model of one OCPP 2.0.1 station: Get/SetVariables and reports.

`DeviceModel` holds only what was changed; everything else comes from `simulator.variables201` or,
for live facts (availability, power, clock), from the `Facts` that the caller passes in. An address
is (component, EVSE, connector, variable, instance). Source: OCPP 2.0.1 part 2, sections B05 to B08.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from simulator.variables201 import COMPONENTS, VARIABLES, Mutability, Scope, Variable


class Place(NamedTuple):
    """Where a component sits: nothing, an EVSE, or a connector of one."""

    evse_id: int | None = None
    connector_id: int | None = None


#: The live value of a variable at a place; None when it has none.
Facts: TypeAlias = Callable[[Variable, Place], str | None]


class Address(NamedTuple):
    """A variable at a place."""

    variable: Variable
    place: Place


class DeviceModel:
    """What was changed in one station's variables."""

    __slots__ = ("_places", "_set")

    def __init__(self, places: Sequence[tuple[int, int]]) -> None:
        #: (EVSE, connector) of every connector; shared by all stations alike.
        self._places = places
        self._set: dict[tuple[str, str, str], str] = {}

    def copy(self) -> DeviceModel:
        """The same values, to be changed independently."""
        copied = DeviceModel(self._places)
        copied._set = dict(self._set)
        return copied

    def text(self, component: str, name: str, instance: str = "") -> str:
        """A value of the station's own level, as it is sent. Raises KeyError for an unknown one."""
        key = (component.lower(), name.lower(), instance.lower())
        changed = self._set.get(key)
        return VARIABLES[key].default if changed is None else changed

    def flag(self, component: str, name: str) -> bool:
        """A boolean value."""
        return self.text(component, name).lower() == "true"

    def number(self, component: str, name: str, instance: str = "") -> int:
        """An integer value."""
        return int(self.text(component, name, instance))

    def put(self, component: str, name: str, value: str, instance: str = "") -> None:
        """Set a value without asking, as the station itself does."""
        self._set[component.lower(), name.lower(), instance.lower()] = value

    def get_result(self, item: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
        """One GetVariableResultType for one GetVariableDataType."""
        kind = item.get("attributeType", "Actual")
        result = {
            "component": item["component"],
            "variable": item["variable"],
            "attributeType": kind,
        }
        found = self.find(item["component"], item["variable"])
        if isinstance(found, str):
            return result | {"attributeStatus": found}
        if kind != "Actual":
            return result | {"attributeStatus": "NotSupportedAttributeType"}
        if found.variable.mutability is Mutability.WRITE_ONLY:
            return result | {"attributeStatus": "Rejected"}
        value = self.value(found, facts)
        return result | {"attributeStatus": "Accepted", "attributeValue": value[:2500]}

    def set_result(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one SetVariableDataType; the SetVariableResultType that answers it."""
        kind = item.get("attributeType", "Actual")
        status, reason = self._change(item, kind)
        result = {
            "component": item["component"],
            "variable": item["variable"],
            "attributeType": kind,
            "attributeStatus": status,
        }
        if reason:
            result["attributeStatusInfo"] = {
                "reasonCode": "InvalidValue",
                "additionalInfo": reason[:512],
            }
        return result

    def find(self, component: Mapping[str, Any], variable: Mapping[str, Any]) -> Address | str:
        """The variable at this address, or UnknownComponent or UnknownVariable."""
        name = component["name"].lower()
        if name not in COMPONENTS or component.get("instance"):
            return "UnknownComponent"
        evse = component.get("evse") or {}
        place = Place(evse.get("id"), evse.get("connectorId"))
        found = VARIABLES.get(
            (name, variable["name"].lower(), (variable.get("instance") or "").lower())
        )
        scope = found.scope if found else _scope_of(name)
        if place not in self._of_scope(scope):
            return "UnknownComponent"
        return Address(found, place) if found else "UnknownVariable"

    def value(self, address: Address, facts: Facts) -> str:
        """The value as it is reported."""
        variable, place = address
        live = facts(variable, place) if variable.live else None
        if live is not None:
            return live
        changed = self._set.get(variable.key) if place == Place() else None
        return variable.default if changed is None else changed

    def addresses(self, accepts: Callable[[Address], bool]) -> Iterator[Address]:
        """Every address that is accepted, station first, in the order of the table."""
        for variable in VARIABLES.values():
            for place in self._of_scope(variable.scope):
                address = Address(variable, place)
                if accepts(address):
                    yield address

    def report(self, addresses: Iterable[Address], facts: Facts) -> list[dict[str, Any]]:
        """The reportData of a NotifyReport for these addresses."""
        return [self._describe(address, facts) for address in addresses]

    def dump(self) -> list[list[str]]:
        """What was changed, as JSON."""
        return [[*key, value] for key, value in self._set.items()]

    def load(self, state: Any) -> None:
        """Take over what `dump` gave; variables that no longer exist are left out."""
        for component, name, instance, value in state:
            if (component, name, instance) in VARIABLES:
                self._set[component, name, instance] = value

    def _change(self, item: Mapping[str, Any], kind: str) -> tuple[str, str | None]:
        found = self.find(item["component"], item["variable"])
        if isinstance(found, str):
            return found, None
        if kind != "Actual":
            return "NotSupportedAttributeType", None
        variable = found.variable
        if variable.mutability is Mutability.READ_ONLY:
            return "Rejected", f"{variable.name} is read-only."
        problem = variable.problem(item["attributeValue"])
        if problem:
            return "Rejected", problem
        self._set[variable.key] = item["attributeValue"]
        return ("RebootRequired" if variable.reboot else "Accepted"), None

    def _of_scope(self, scope: Scope) -> list[Place]:
        if scope is Scope.STATION:
            return [Place()]
        if scope is Scope.EVSE:
            return [Place(evse) for evse in dict.fromkeys(evse for evse, _ in self._places)]
        return [Place(*place) for place in self._places]

    def _describe(self, address: Address, facts: Facts) -> dict[str, Any]:
        variable, place = address
        attribute: dict[str, Any] = {"type": "Actual", "mutability": variable.mutability.value}
        if variable.mutability is not Mutability.WRITE_ONLY:
            attribute["value"] = self.value(address, facts)[:2500]
        if variable.mutability is not Mutability.READ_ONLY:
            attribute["persistent"] = True
        return {
            "component": write_component(variable, place),
            "variable": write_variable(variable),
            "variableAttribute": [attribute],
            "variableCharacteristics": _characteristics(variable),
        }


def write_component(variable: Variable, place: Place) -> dict[str, Any]:
    """The ComponentType of an address."""
    component: dict[str, Any] = {"name": variable.component}
    if place.evse_id is not None:
        component["evse"] = {"id": place.evse_id}
        if place.connector_id is not None:
            component["evse"]["connectorId"] = place.connector_id
    return component


def write_variable(variable: Variable) -> dict[str, Any]:
    """The VariableType of a variable."""
    named: dict[str, Any] = {"name": variable.name}
    if variable.instance:
        named["instance"] = variable.instance
    return named


def base_filter(base: str) -> Callable[[Address], bool]:
    """Which addresses a GetBaseReport of this kind wants (ReportBaseEnumType, section B07).

    A summary says what an operator looks at first: availability and problems.
    """
    if base == "FullInventory":
        return lambda _: True
    if base == "ConfigurationInventory":
        return lambda address: address.variable.mutability is not Mutability.READ_ONLY
    return lambda address: address.variable.name in ("AvailabilityState", "Problem")


def report_filter(
    criteria: Sequence[str] | None,
    wanted: Sequence[Mapping[str, Any]] | None,
    current: Callable[[str, Place, str], str | None],
) -> Callable[[Address], bool]:
    """Which addresses a GetReport wants (section B08).

    A component without a variable of the criterion's name passes when the criterion is Active,
    Available or Enabled (B08.FR.10); `current` gives a component's value of such a variable.
    """

    def meets(address: Address) -> bool:
        for name in criteria or ():
            value = current(address.variable.component, address.place, name)
            if value is None and name != "Problem":
                return True
            if value is not None and value.lower() == "true":
                return True
        return not criteria

    def asked(address: Address) -> bool:
        return not wanted or any(_names(item, address) for item in wanted)

    return lambda address: asked(address) and meets(address)


def _names(item: Mapping[str, Any], address: Address) -> bool:
    """Whether a ComponentVariableType names this address; what it leaves out is any."""
    variable, place = address
    component = item["component"]
    if component["name"].lower() != variable.component.lower():
        return False
    evse = component.get("evse")
    if evse and evse["id"] != place.evse_id:
        return False
    if evse and evse.get("connectorId") not in (None, place.connector_id):
        return False
    named = item.get("variable")
    if named is None:
        return True
    same = named["name"].lower() == variable.name.lower()
    return same and named.get("instance") in (None, variable.instance)


def _scope_of(component: str) -> Scope:
    return next(v.scope for v in VARIABLES.values() if v.component.lower() == component)


def _characteristics(variable: Variable) -> dict[str, Any]:
    described: dict[str, Any] = {
        "dataType": variable.data_type,
        "supportsMonitoring": variable.monitored,
    }
    if variable.unit:
        described["unit"] = variable.unit
    if variable.low is not None:
        described["minLimit"] = variable.low
    if variable.high is not None:
        described["maxLimit"] = variable.high
    if variable.values:
        described["valuesList"] = ",".join(variable.values)
    return described
