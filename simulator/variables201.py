"""The standard components and variables of an OCPP 2.0.1 station, as one table.

Each line of `VARIABLES` is one variable with its characteristics. It holds what part 2, chapter
"Referenced components and variables", requires for the blocks that this station speaks (A to G, J,
M to P and smart charging), and the optional ones that do something here. `simulator.device_model`
answers from it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from simulator.sampling import ENERGY, SUPPORTED_MEASURANDS


class Scope(enum.Enum):
    """Which level of the station a component belongs to."""

    STATION = "station"
    EVSE = "evse"
    CONNECTOR = "connector"


class Mutability(enum.StrEnum):
    """MutabilityEnumType."""

    READ_ONLY = "ReadOnly"
    READ_WRITE = "ReadWrite"
    WRITE_ONLY = "WriteOnly"


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of one component."""

    component: str
    name: str
    data_type: str
    default: str
    mutability: Mutability = Mutability.READ_WRITE
    instance: str | None = None
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()
    scope: Scope = Scope.STATION
    reboot: bool = False
    monitored: bool = False
    #: The default is a fact of the charger, looked up when asked for.
    live: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """Its address inside a scope; identifiers compare without case."""
        return (self.component.lower(), self.name.lower(), (self.instance or "").lower())

    def problem(self, value: str) -> str | None:
        """Why this value does not fit, in one sentence; None when it does."""
        if self.data_type == "boolean" and value.lower() not in ("true", "false"):
            return f"{self.name} is true or false."
        if self.data_type in ("integer", "decimal"):
            return self._number_problem(value)
        if self.data_type == "OptionList" and value not in self.values:
            return f"{self.name} is one of {', '.join(self.values)}."
        if self.data_type in ("MemberList", "SequenceList") and self.values:
            items = [item.strip() for item in value.split(",") if item.strip()]
            if not set(self.values).issuperset(items):
                return f"{self.name} is a list of {', '.join(self.values)}."
        if self.data_type == "string" and self.high is not None and len(value) > self.high:
            return f"{self.name} has at most {self.high:g} characters."
        return None

    def _number_problem(self, value: str) -> str | None:
        try:
            number = int(value) if self.data_type == "integer" else float(value)
        except ValueError:
            return f"{self.name} is a number."
        low, high = self.low or 0, self.high if self.high is not None else 2**31 - 1
        return None if low <= number <= high else f"{self.name} is from {low:g} to {high:g}."


_RO = Mutability.READ_ONLY
_MEASURANDS = tuple(sorted(SUPPORTED_MEASURANDS))
_SAMPLED = f"{ENERGY},Power.Active.Import,Current.Import,Voltage,SoC"
#: Of TxStartPointEnumType: there is no parking bay sensor, and meter values are not signed.
_TX_POINTS = ("EVConnected", "Authorized", "PowerPathClosed", "EnergyTransfer")
_AVAILABILITY = ("Available", "Occupied", "Reserved", "Unavailable", "Faulted")


def _flag(
    component: str, name: str, default: str = "true", mutability: Mutability = _RO
) -> Variable:
    return Variable(component, name, "boolean", default, mutability)


def _setting(component: str, name: str, default: str) -> Variable:
    return Variable(component, name, "boolean", default)


def _number(
    component: str,
    name: str,
    default: int,
    unit: str | None = None,
    *,
    instance: str | None = None,
    low: float = 0,
    high: float | None = None,
) -> Variable:
    return Variable(
        component, name, "integer", str(default), instance=instance, unit=unit, low=low, high=high
    )


def _fixed(component: str, name: str, value: str, instance: str | None = None) -> Variable:
    return Variable(component, name, "integer", value, _RO, instance)


def _list(component: str, name: str, default: str) -> Variable:
    return Variable(component, name, "MemberList", default, values=_MEASURANDS)


_SECURITY = (
    Variable("SecurityCtrlr", "Identity", "string", "", _RO, live=True),
    Variable("SecurityCtrlr", "BasicAuthPassword", "string", "", Mutability.WRITE_ONLY, high=40),
    Variable("SecurityCtrlr", "OrganizationName", "string", "Charger Gateway"),
    Variable("SecurityCtrlr", "CertificateEntries", "integer", "0", _RO, high=100, live=True),
    Variable("SecurityCtrlr", "SecurityProfile", "integer", "0", _RO, live=True),
    _flag("SecurityCtrlr", "AdditionalRootCertificateCheck", "false"),
    _fixed("SecurityCtrlr", "MaxCertificateChainSize", "10000"),
)
_COMM = (
    Variable("OCPPCommCtrlr", "ActiveNetworkProfile", "integer", "1", _RO),
    Variable(
        "OCPPCommCtrlr", "FileTransferProtocols", "MemberList", "HTTP,HTTPS,FTP,FTPS,SFTP", _RO
    ),
    Variable(
        "OCPPCommCtrlr",
        "HeartbeatInterval",
        "integer",
        "300",
        unit="s",
        low=1,
        high=86_400,
        live=True,
    ),
    Variable("OCPPCommCtrlr", "MessageTimeout", "integer", "30", _RO, "Default", "s"),
    _number("OCPPCommCtrlr", "MessageAttemptInterval", 60, "s", instance="TransactionEvent"),
    _number("OCPPCommCtrlr", "MessageAttempts", 3, instance="TransactionEvent", low=1, high=100),
    Variable("OCPPCommCtrlr", "NetworkConfigurationPriority", "SequenceList", "1", reboot=True),
    _number("OCPPCommCtrlr", "NetworkProfileConnectionAttempts", 3, low=1, high=100),
    _number("OCPPCommCtrlr", "OfflineThreshold", 60, "s"),
    _number("OCPPCommCtrlr", "ResetRetries", 1, high=10),
    _number("OCPPCommCtrlr", "RetryBackOffRandomRange", 10, "s", high=3600),
    _number("OCPPCommCtrlr", "RetryBackOffRepeatTimes", 5, high=20),
    _number("OCPPCommCtrlr", "RetryBackOffWaitMinimum", 1, "s", high=3600),
    _setting("OCPPCommCtrlr", "UnlockOnEVSideDisconnect", "true"),
    _number("OCPPCommCtrlr", "WebSocketPingInterval", 20, "s", high=3600),
)
_DEVICE_DATA = (
    *(
        _fixed("DeviceDataCtrlr", name, value, message)
        for message in ("GetReport", "GetVariables", "SetVariables")
        for name, value in (("ItemsPerMessage", "50"), ("BytesPerMessage", "65536"))
    ),
    _fixed("DeviceDataCtrlr", "ConfigurationValueSize", "1000"),
    _fixed("DeviceDataCtrlr", "ReportingValueSize", "2500"),
    _fixed("DeviceDataCtrlr", "ValueSize", "1000"),
)
_AUTH = (
    _flag("AuthCtrlr", "Enabled"),
    _setting("AuthCtrlr", "AuthorizeRemoteStart", "false"),
    _setting("AuthCtrlr", "LocalAuthorizeOffline", "true"),
    _setting("AuthCtrlr", "LocalPreAuthorize", "false"),
    _setting("AuthCtrlr", "OfflineTxForUnknownIdEnabled", "false"),
    _flag("AuthCacheCtrlr", "Available"),
    _setting("AuthCacheCtrlr", "Enabled", "true"),
    _number("AuthCacheCtrlr", "LifeTime", 86_400, "s"),
    Variable("AuthCacheCtrlr", "Storage", "integer", "0", _RO, high=1_000_000, live=True),
    _flag("LocalAuthListCtrlr", "Available"),
    _setting("LocalAuthListCtrlr", "Enabled", "true"),
    Variable("LocalAuthListCtrlr", "Entries", "integer", "0", _RO, high=10_000, live=True),
    _fixed("LocalAuthListCtrlr", "ItemsPerMessage", "1000"),
    _fixed("LocalAuthListCtrlr", "BytesPerMessage", "1000000"),
)
_TRANSACTION = (
    _number("TxCtrlr", "EVConnectionTimeOut", 60, "s", low=1, high=86_400),
    _setting("TxCtrlr", "StopTxOnEVSideDisconnect", "true"),
    _setting("TxCtrlr", "StopTxOnInvalidId", "true"),
    _number("TxCtrlr", "MaxEnergyOnInvalidId", 0, "Wh"),
    Variable("TxCtrlr", "TxStartPoint", "MemberList", "PowerPathClosed", values=_TX_POINTS),
    Variable("TxCtrlr", "TxStopPoint", "MemberList", "EVConnected,Authorized", values=_TX_POINTS),
)
_SAMPLING = (
    _flag("SampledDataCtrlr", "Available"),
    _setting("SampledDataCtrlr", "Enabled", "true"),
    _list("SampledDataCtrlr", "TxStartedMeasurands", f"{ENERGY},Power.Active.Import,SoC"),
    _list("SampledDataCtrlr", "TxUpdatedMeasurands", _SAMPLED),
    _list("SampledDataCtrlr", "TxEndedMeasurands", f"{ENERGY},Power.Active.Import,SoC"),
    _number("SampledDataCtrlr", "TxUpdatedInterval", 60, "s", high=86_400),
    _number("SampledDataCtrlr", "TxEndedInterval", 0, "s", high=86_400),
    _flag("AlignedDataCtrlr", "Available"),
    _setting("AlignedDataCtrlr", "Enabled", "true"),
    _setting("AlignedDataCtrlr", "SendDuringIdle", "false"),
    _list("AlignedDataCtrlr", "Measurands", ENERGY),
    _list("AlignedDataCtrlr", "TxEndedMeasurands", ENERGY),
    _number("AlignedDataCtrlr", "Interval", 0, "s", high=86_400),
    _number("AlignedDataCtrlr", "TxEndedInterval", 0, "s", high=86_400),
)
_FUNCTIONS = (
    _flag("ReservationCtrlr", "Available"),
    _setting("ReservationCtrlr", "Enabled", "true"),
    _flag("ReservationCtrlr", "NonEvseSpecific"),
    _flag("SmartChargingCtrlr", "Available"),
    _setting("SmartChargingCtrlr", "Enabled", "true"),
    _fixed("SmartChargingCtrlr", "Entries", "100", "ChargingProfiles"),
    _fixed("SmartChargingCtrlr", "PeriodsPerSchedule", "100"),
    _fixed("SmartChargingCtrlr", "ProfileStackLevel", "9"),
    Variable("SmartChargingCtrlr", "RateUnit", "MemberList", "A,W", _RO, values=("A", "W")),
    Variable(
        "SmartChargingCtrlr", "LimitChangeSignificance", "decimal", "1.0", unit="Percent", high=100
    ),
    _flag("SmartChargingCtrlr", "Phases3to1"),
    _flag("SmartChargingCtrlr", "NotifyChargingLimitWithSchedules", "false"),
    _flag("MonitoringCtrlr", "Available"),
    _setting("MonitoringCtrlr", "Enabled", "true"),
    _fixed("MonitoringCtrlr", "ItemsPerMessage", "50", "SetVariableMonitoring"),
    _fixed("MonitoringCtrlr", "ItemsPerMessage", "50", "ClearVariableMonitoring"),
    _fixed("MonitoringCtrlr", "BytesPerMessage", "65536", "SetVariableMonitoring"),
    Variable("ClockCtrlr", "DateTime", "dateTime", "", _RO, live=True),
    Variable(
        "ClockCtrlr",
        "TimeSource",
        "SequenceList",
        "Heartbeat",
        values=(
            "Heartbeat",
            "NTP",
            "GPS",
            "RealTimeClock",
            "MobileNetwork",
            "RadioTimeTransmitter",
        ),
    ),
    Variable("ClockCtrlr", "TimeZone", "string", "UTC"),
)


def _state(component: str, scope: Scope) -> Variable:
    return Variable(
        component,
        "AvailabilityState",
        "OptionList",
        "Available",
        _RO,
        values=_AVAILABILITY,
        scope=scope,
        monitored=True,
        live=True,
    )


def _hardware(component: str, name: str, data_type: str, scope: Scope) -> Variable:
    return Variable(
        component, name, data_type, "", _RO, scope=scope, live=True, monitored=name == "Problem"
    )


def _levels() -> Iterable[Variable]:
    for component, scope in (
        ("ChargingStation", Scope.STATION),
        ("EVSE", Scope.EVSE),
        ("Connector", Scope.CONNECTOR),
    ):
        yield _state(component, scope)
        yield Variable(component, "Available", "boolean", "true", _RO, scope=scope)
        yield _hardware(component, "Problem", "boolean", scope)
        yield _hardware(component, "SupplyPhases", "integer", scope)
    for name in ("Model", "VendorName", "SerialNumber", "FirmwareVersion"):
        yield _hardware("ChargingStation", name, "string", Scope.STATION)
    yield Variable(
        "EVSE", "Power", "decimal", "0", _RO, unit="W", scope=Scope.EVSE, monitored=True, live=True
    )
    yield Variable("EVSE", "AllowReset", "boolean", "false", _RO, scope=Scope.EVSE)
    yield _hardware("Connector", "ConnectorType", "string", Scope.CONNECTOR)


#: Every variable, by (component, name, instance) in lower case.
VARIABLES: Mapping[tuple[str, str, str], Variable] = {
    variable.key: variable
    for variable in (
        *_SECURITY,
        *_COMM,
        *_DEVICE_DATA,
        *_AUTH,
        *_TRANSACTION,
        *_SAMPLING,
        *_FUNCTIONS,
        *_levels(),
    )
}
#: The components that exist, in lower case.
COMPONENTS = frozenset(component for component, _, _ in VARIABLES)
