"""The configuration keys of an OCPP 1.6 charger: types, defaults, read-only and reboot marks.

`KEYS` is the table (OCPP 1.6 section 9 and "Improved security for OCPP 1.6-J" edition 3, table 5;
the last group is ours). A `Configuration` holds only what differs from it, so a charger whose keys
nobody touched costs an empty dict. Read `Key.problem` for what a value may be and
`Configuration.change` for what the answers mean.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from simulator.sampling import ENERGY, parse_measurands


class Kind(enum.Enum):
    """The type of a key's value."""

    BOOL = "boolean"
    INT = "integer"
    TEXT = "string"
    LIST = "comma separated list"


class ChangeStatus(enum.StrEnum):
    """ConfigurationStatus of OCPP 1.6 section 7.22."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    REBOOT_REQUIRED = "RebootRequired"
    NOT_SUPPORTED = "NotSupported"


@dataclass(frozen=True, slots=True)
class Key:
    """One configuration key."""

    name: str
    kind: Kind
    default: str
    readonly: bool = False
    reboot: bool = False
    low: int = 0
    high: int = 2**31 - 1
    #: What a list or text may hold; None is anything.
    allows: Callable[[str], bool] | None = None
    #: Never shown, never logged.
    secret: bool = False

    def problem(self, value: str) -> str | None:
        """Why this value does not fit, in one sentence; None when it does."""
        if self.kind is Kind.BOOL and value.lower() not in ("true", "false"):
            return f"{self.name} is true or false."
        if self.kind is Kind.INT and not self._is_in_range(value):
            return f"{self.name} is a whole number from {self.low} to {self.high}."
        if self.allows is not None and not self.allows(value):
            return f"{self.name} cannot take this value."
        return None

    def _is_in_range(self, value: str) -> bool:
        try:
            return self.low <= int(value) <= self.high
        except ValueError:
            return False


def _are_measurands(value: str) -> bool:
    return parse_measurands(value) is not None


def _is_auth_key(value: str) -> bool:
    """Security whitepaper, A00.FR.205: 16 to 40 bytes; hexadecimal or printable text."""
    return 16 <= len(value) <= 40 and value.isprintable()


def _flag(name: str, default: str) -> Key:
    return Key(name, Kind.BOOL, default)


def _number(name: str, default: int, low: int = 0, high: int = 2**31 - 1) -> Key:
    return Key(name, Kind.INT, str(default), low=low, high=high)


def _fixed(name: str, value: str, kind: Kind = Kind.INT) -> Key:
    return Key(name, kind, value, readonly=True)


def _measurands(name: str, default: str) -> Key:
    return Key(name, Kind.LIST, default, allows=_are_measurands)


PROFILES = "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger"
_SAMPLED = f"{ENERGY},Power.Active.Import,Current.Import,Voltage,SoC"

_CORE = (
    _flag("AllowOfflineTxForUnknownId", "false"),
    _flag("AuthorizationCacheEnabled", "true"),
    _flag("AuthorizeRemoteTxRequests", "false"),
    _number("BlinkRepeat", 1),
    _number("ClockAlignedDataInterval", 0, 0, 86_400),
    _number("ConnectionTimeOut", 60, 1, 86_400),
    Key("ConnectorPhaseRotation", Kind.LIST, "NotApplicable"),
    _fixed("ConnectorPhaseRotationMaxLength", "100"),
    _fixed("GetConfigurationMaxKeys", "100"),
    _number("HeartbeatInterval", 300, 1, 86_400),
    _number("LightIntensity", 100, 0, 100),
    _flag("LocalAuthorizeOffline", "true"),
    _flag("LocalPreAuthorize", "false"),
    _number("MaxEnergyOnInvalidId", 0),
    _measurands("MeterValuesAlignedData", ENERGY),
    _fixed("MeterValuesAlignedDataMaxLength", "9"),
    _measurands("MeterValuesSampledData", _SAMPLED),
    _fixed("MeterValuesSampledDataMaxLength", "9"),
    _number("MeterValueSampleInterval", 60, 0, 86_400),
    _fixed("NumberOfConnectors", "1"),
    _number("ResetRetries", 1, 0, 10),
    _flag("StopTransactionOnEVSideDisconnect", "true"),
    _flag("StopTransactionOnInvalidId", "true"),
    _measurands("StopTxnAlignedData", ""),
    _fixed("StopTxnAlignedDataMaxLength", "9"),
    _measurands("StopTxnSampledData", ""),
    _fixed("StopTxnSampledDataMaxLength", "9"),
    _fixed("SupportedFeatureProfiles", PROFILES, Kind.LIST),
    _fixed("SupportedFeatureProfilesMaxLength", "6"),
    _number("TransactionMessageAttempts", 3, 1, 100),
    _number("TransactionMessageRetryInterval", 60, 0, 86_400),
    _flag("UnlockConnectorOnEVSideDisconnect", "true"),
    _number("WebSocketPingInterval", 20, 0, 3600),
)
_LOCAL_AUTH = (
    _flag("LocalAuthListEnabled", "true"),
    _fixed("LocalAuthListMaxLength", "10000"),
    _fixed("SendLocalListMaxLength", "1000"),
)
_RESERVATION = (_fixed("ReserveConnectorZeroSupported", "true", Kind.BOOL),)
_SMART_CHARGING = (
    _fixed("ChargeProfileMaxStackLevel", "9"),
    _fixed("ChargingScheduleAllowedChargingRateUnit", "Current,Power", Kind.LIST),
    _fixed("ChargingScheduleMaxPeriods", "100"),
    _fixed("ConnectorSwitch3to1PhaseSupported", "true", Kind.BOOL),
    _fixed("MaxChargingProfilesInstalled", "100"),
)
_FIRMWARE = (_fixed("SupportedFileTransferProtocols", "HTTP,HTTPS,FTP,FTPS,SFTP", Kind.LIST),)
_SECURITY = (
    _fixed("AdditionalRootCertificateCheck", "false", Kind.BOOL),
    Key("AuthorizationKey", Kind.TEXT, "", reboot=True, allows=_is_auth_key, secret=True),
    _fixed("CertificateSignedMaxChainSize", "10000"),
    _fixed("CertificateStoreMaxLength", "100"),
    Key("CpoName", Kind.TEXT, "", reboot=True, allows=lambda value: 0 < len(value) <= 500),
    Key("SecurityProfile", Kind.INT, "0", low=0, high=3, reboot=True),
)

#: Every key, by lower-case name: a key is a CiString (section 7.30).
KEYS: Mapping[str, Key] = {
    key.name.lower(): key
    for key in (*_CORE, *_LOCAL_AUTH, *_RESERVATION, *_SMART_CHARGING, *_FIRMWARE, *_SECURITY)
}


class KeyValue(NamedTuple):
    """One line of a GetConfiguration answer."""

    name: str
    readonly: bool
    value: str | None


class Configuration:
    """The keys of one charger, as far as they differ from the table."""

    __slots__ = ("_facts", "_set")

    def __init__(
        self, facts: Mapping[str, str] | None = None, changed: Mapping[str, str] | None = None
    ) -> None:
        #: Values of this very charger that nobody changes (NumberOfConnectors), by lower-case name.
        self._facts = {name.lower(): value for name, value in (facts or {}).items()}
        self._set: dict[str, str] = {k.lower(): v for k, v in (changed or {}).items()}

    def copy(self) -> Configuration:
        """The same keys, to be changed independently."""
        copied = Configuration()
        copied._facts, copied._set = self._facts, dict(self._set)
        return copied

    def text(self, name: str) -> str:
        """A value as it is sent. Raises KeyError for a key that is not in the table."""
        key = KEYS[name.lower()]
        lower = name.lower()
        return self._set.get(lower, self._facts.get(lower, key.default))

    def flag(self, name: str) -> bool:
        """A boolean value."""
        return self.text(name).lower() == "true"

    def number(self, name: str) -> int:
        """An integer value."""
        return int(self.text(name))

    def items(self, name: str) -> list[str]:
        """The items of a list."""
        return [item.strip() for item in self.text(name).split(",") if item.strip()]

    def show(self, names: list[str] | None) -> tuple[list[KeyValue], list[str]]:
        """(lines, unknown names) of a GetConfiguration; no names, or an empty list, means all."""
        if not names:
            return [self._line(key) for key in KEYS.values()], []
        known = [KEYS[name.lower()] for name in names if name.lower() in KEYS]
        return [self._line(key) for key in known], [n for n in names if n.lower() not in KEYS]

    def change(self, name: str, value: str) -> ChangeStatus:
        """Carry out a ChangeConfiguration; the table says what the answer is."""
        key = KEYS.get(name.lower())
        if key is None:
            return ChangeStatus.NOT_SUPPORTED
        if key.readonly or key.problem(value) is not None or self._is_downgrade(key, value):
            return ChangeStatus.REJECTED
        self.put(key.name, value.lower() if key.kind is Kind.BOOL else value)
        return ChangeStatus.REBOOT_REQUIRED if key.reboot else ChangeStatus.ACCEPTED

    def put(self, name: str, value: str) -> None:
        """Set a value without asking, as the charger itself does (HeartbeatInterval at boot)."""
        self._set[name.lower()] = value

    def dump(self) -> dict[str, str]:
        """What was changed, as JSON."""
        return dict(self._set)

    def load(self, changed: Any) -> None:
        """Take over what `dump` gave; keys that no longer exist are left out."""
        self._set.update({name: value for name, value in changed.items() if name in KEYS})

    def _line(self, key: Key) -> KeyValue:
        return KeyValue(key.name, key.readonly, None if key.secret else self.text(key.name))

    def _is_downgrade(self, key: Key, value: str) -> bool:
        """A00.FR.005 of the security whitepaper: a security profile is never lowered."""
        return key.name == "SecurityProfile" and int(value) < self.number("SecurityProfile")
