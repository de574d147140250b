"""What each command makes a charger send, in both OCPP versions: the table of
tests/e2e/test_commands_at_the_csms.py.

A `Case` is read downwards: what was ordered `before`, the `order` itself, what is ordered `then`, and the calls
that the CSMS must have seen since the order (`on16`, `on201`), in this order, with at least the fields written
here; `ANY` stands for a value that is not ours to choose. `unseen` actions must not have come. `asks` are calls
of the CSMS's own, for what a command changes without a word: the charger's answer shows it. `after` puts the
charger back, so that every case finds the same one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from unittest.mock import ANY

V16: Final = "OCPP1.6"
V201: Final = "OCPP2.0.1"
TAG: Final = "TAG-RFID-001"
TIME: Final = "2026-11-22T12:00:00.000Z"

#: The name of a command and its event, or an action and its payload.
Words = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Asked:
    """A call of the CSMS, and what the charger's answer holds."""

    words: Words
    answer: Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """One command, and what it causes."""

    about: str
    order: Words
    on16: tuple[Words, ...]
    on201: tuple[Words, ...]
    before: tuple[Words, ...] = ()
    then: tuple[Words, ...] = ()
    after: tuple[Words, ...] = ()
    asks16: Asked | None = None
    asks201: Asked | None = None
    unseen: tuple[str, ...] = ()
    #: What the API's answer, or the command's result, holds.
    result: Mapping[str, Any] = field(default_factory=dict)


HERE: Final = {"evse_id": 1, "connector_id": 1}
START: Final[Words] = ("start_transaction", {"id_tag": TAG, **HERE})
PLUG: Final[Words] = ("plug_connector", HERE)
STOP_ENERGY: Final[Words] = ("ev_stops_energy", HERE)


def _set(name: str, value: str) -> Words:
    return "set_configuration", {"configuration": {name: value}}


#: Whether a token that is listed or cached is accepted without asking; by default it is not.
TRUST: Final = _set("LocalPreAuthorize", "true")
ASK: Final = _set("LocalPreAuthorize", "false")
UNPLUG: Final[Words] = ("unplug_connector", HERE)
LEAVE: Final[Words] = ("stop_session", {"connector_id": 1})
AUTHORIZE: Final[Words] = ("authorize_id_tag", {"id_tag": TAG})
FORGET: Final[Words] = ("reset_auth_cache", {})
CLEAR_LIST: Final[Words] = ("clear_local_list", {})
FAULT: Final[Words] = ("inject_fault", {"fault_type": "OverCurrent", **HERE})
MEND: Final[Words] = ("clear_fault", HERE)


def _status16(status: str, error: str = "NoError") -> Words:
    return "StatusNotification", {"connectorId": 1, "status": status, "errorCode": error}


def _status201(status: str) -> Words:
    return "StatusNotification", {"evseId": 1, "connectorId": 1, "connectorStatus": status}


def _event(kind: str, trigger: str, **info: Any) -> Words:
    return (
        "TransactionEvent",
        {
            "eventType": kind,
            "triggerReason": trigger,
            "evse": {"id": 1, "connectorId": 1},
            "transactionInfo": {"transactionId": ANY, **info},
        },
    )


def _with_sample(words: Words, measurand: str, context: str, value: Any = ANY) -> Words:
    """The same with a meter value in it."""
    sample = {"measurand": measurand, "context": context, "value": value}
    action, payload = words
    return action, {**payload, "meterValue": [{"sampledValue": [sample]}]}


def _problem(*, cleared: bool) -> Words:
    return (
        "NotifyEvent",
        {
            "eventData": [
                {
                    "trigger": "Alerting",
                    "actualValue": "false" if cleared else "true",
                    "component": {"name": "Connector", "evse": {"id": 1, "connectorId": 1}},
                    "variable": {"name": "Problem"},
                    "techCode": "OverCurrentFailure",
                    "cleared": cleared,
                }
            ]
        },
    )


ASKED16: Final[Words] = ("Authorize", {"idTag": TAG})
ASKED201: Final[Words] = ("Authorize", {"idToken": {"idToken": TAG, "type": "Central"}})
BEGUN16: Final[Words] = (
    "StartTransaction",
    {"connectorId": 1, "idTag": TAG, "meterStart": ANY, "timestamp": ANY},
)
ENERGY: Final = "Energy.Active.Import.Register"
POWER: Final = "Power.Active.Import"
BEGUN201: Final = _with_sample(
    (
        "TransactionEvent",
        {
            "eventType": "Started",
            "seqNo": 0,
            "evse": {"id": 1, "connectorId": 1},
            "idToken": {"idToken": TAG, "type": "Central"},
        },
    ),
    ENERGY,
    "Transaction.Begin",
)


def _stopped16(reason: str) -> Words:
    return "StopTransaction", {"transactionId": ANY, "meterStop": ANY, "reason": reason}


def _ended201(trigger: str, reason: str) -> Words:
    ended = _event("Ended", trigger, stoppedReason=reason)
    return _with_sample(ended, ENERGY, "Transaction.End")


def _changed(state: str) -> Words:
    return _event("Updated", "ChargingStateChanged", chargingState=state)


CHARGING201: Final = _changed("Charging")

SESSIONS: Final = (
    Case(
        "plug_connector",
        PLUG,
        on16=(_status16("Preparing"),),
        on201=(_status201("Occupied"),),
        after=(UNPLUG,),
        result=HERE,
    ),
    Case(
        "unplug_connector",
        UNPLUG,
        before=(PLUG,),
        on16=(_status16("Available"),),
        on201=(_status201("Available"),),
        result={"status": "Available"},
    ),
    Case(
        "unplug_connector-while-charging",
        UNPLUG,
        before=(START,),
        on16=(_stopped16("EVDisconnected"), _status16("Available")),
        on201=(_ended201("EVCommunicationLost", "EVDisconnected"), _status201("Available")),
    ),
    Case(
        "authorize_id_tag-known-already",
        AUTHORIZE,
        before=(TRUST, AUTHORIZE),
        on16=(ASKED16,),
        on201=(ASKED201,),
        after=(FORGET, ASK),
    ),
    Case("authorize_id_tag", AUTHORIZE, on16=(ASKED16,), on201=(ASKED201,), after=(FORGET,)),
    Case(
        "start_transaction",
        START,
        on16=(ASKED16, BEGUN16, _status16("Charging")),
        on201=(ASKED201, BEGUN201, CHARGING201),
        after=(LEAVE,),
    ),
    Case(
        "ev_stops_energy",
        STOP_ENERGY,
        before=(START,),
        on16=(_status16("SuspendedEV"),),
        on201=(_changed("SuspendedEV"),),
        after=(LEAVE,),
    ),
    Case(
        "ev_requests_energy",
        ("ev_requests_energy", HERE),
        before=(START, STOP_ENERGY),
        on16=(_status16("Charging"),),
        on201=(CHARGING201,),
        after=(LEAVE,),
    ),
    Case(
        "power_update",
        ("power_update", {"power_w": 3000, **HERE}),
        before=(_set("MeterValueSampleInterval", "1"), START),
        on16=(
            _with_sample(
                ("MeterValues", {"connectorId": 1, "transactionId": ANY}),
                POWER,
                "Sample.Periodic",
                "3000",
            ),
        ),
        on201=(
            _with_sample(_event("Updated", "ChargingRateChanged"), POWER, "Other", 3000),
            _with_sample(_event("Updated", "MeterValuePeriodic"), POWER, "Sample.Periodic", 3000),
        ),
        after=(LEAVE, _set("MeterValueSampleInterval", "60")),
        result={"power_w": 3000},
    ),
    Case(
        "stop_transaction",
        ("stop_transaction", {}),
        before=(START,),
        on16=(_stopped16("Local"), _status16("Finishing")),
        on201=(_ended201("StopAuthorized", "Local"),),
        after=(UNPLUG,),
    ),
    Case(
        "unlock_connector",
        ("unlock_connector", HERE),
        before=(START,),
        on16=(_stopped16("UnlockCommand"), _status16("Finishing")),
        on201=(_ended201("UnlockCommand", "Other"),),
        after=(UNPLUG,),
    ),
    Case(
        "start_session",
        ("start_session", {"id_tag": TAG, "connector_id": 1}),
        on16=(_status16("Preparing"), ASKED16, BEGUN16, _status16("Charging")),
        on201=(_status201("Occupied"), ASKED201, BEGUN201, CHARGING201),
        after=(LEAVE,),
    ),
    Case(
        "start_session-until-an-energy",
        ("start_session", {"id_tag": TAG, "target_energy_kwh": 0.001}),
        on16=(BEGUN16, _stopped16("Local"), _status16("Available")),
        on201=(
            BEGUN201,
            _ended201("EnergyLimitReached", "EnergyLimitReached"),
            _status201("Available"),
        ),
    ),
    Case(
        "start_session-for-a-time",
        ("start_session", {"id_tag": TAG, "duration_seconds": 1}),
        on16=(BEGUN16, _stopped16("Local"), _status16("Available")),
        on201=(
            BEGUN201,
            _ended201("TimeLimitReached", "TimeLimitReached"),
            _status201("Available"),
        ),
    ),
    Case(
        "stop_session",
        LEAVE,
        before=(_set("StopTxnSampledData", ENERGY), START),
        on16=(
            (
                "StopTransaction",
                {
                    "reason": "Local",
                    "transactionData": [
                        {"sampledValue": [{"measurand": ENERGY, "context": "Transaction.End"}]}
                    ],
                },
            ),
            _status16("Available"),
        ),
        on201=(_ended201("StopAuthorized", "Local"), _status201("Available")),
        after=(_set("StopTxnSampledData", ""),),
    ),
)

SETTINGS: Final = (
    Case(
        "set_configuration",
        _set("HeartbeatInterval", "1"),
        on16=(("Heartbeat", {}),),
        on201=(("Heartbeat", {}),),
        asks16=Asked(
            ("GetConfiguration", {"key": ["HeartbeatInterval"]}),
            {"configurationKey": [{"key": "HeartbeatInterval", "value": "1"}]},
        ),
        asks201=Asked(
            (
                "GetVariables",
                {
                    "getVariableData": [
                        {
                            "component": {"name": "OCPPCommCtrlr"},
                            "variable": {"name": "HeartbeatInterval"},
                        }
                    ]
                },
            ),
            {"getVariableResult": [{"attributeStatus": "Accepted", "attributeValue": "1"}]},
        ),
        after=(_set("HeartbeatInterval", "30"),),
        result={"status": "Accepted", "configured": ["HeartbeatInterval"]},
    ),
    Case(
        "reset_auth_cache",
        FORGET,
        before=(TRUST, AUTHORIZE),
        then=(START,),
        on16=(ASKED16, BEGUN16),
        on201=(ASKED201, BEGUN201),
        after=(LEAVE, ASK),
        result={"cleared_entries": 1},
    ),
    Case(
        "send_local_list",
        ("send_local_list", {"list_version": 7, "entries": [{"id_tag": TAG}]}),
        before=(FORGET, TRUST),
        then=(START,),
        on16=(BEGUN16,),
        on201=(BEGUN201,),
        unseen=("Authorize",),
        asks16=Asked(("GetLocalListVersion", {}), {"listVersion": 7}),
        asks201=Asked(("GetLocalListVersion", {}), {"versionNumber": 7}),
        after=(LEAVE, ASK, CLEAR_LIST),
        result={"status": "Accepted", "list_version": 7, "entries_received": 1},
    ),
    Case(
        "clear_local_list",
        CLEAR_LIST,
        before=(
            FORGET,
            TRUST,
            ("send_local_list", {"list_version": 7, "entries": [{"id_tag": TAG}]}),
        ),
        then=(START,),
        on16=(ASKED16, BEGUN16),
        on201=(ASKED201, BEGUN201),
        asks16=Asked(("GetLocalListVersion", {}), {"listVersion": 0}),
        asks201=Asked(("GetLocalListVersion", {}), {"versionNumber": 0}),
        after=(LEAVE, ASK),
        result={"status": "Accepted", "entries_deleted": 1, "list_version": 0},
    ),
    Case(
        "inject_fault",
        FAULT,
        on16=(_status16("Faulted", "OverCurrentFailure"),),
        on201=(_status201("Faulted"), _problem(cleared=False)),
        after=(MEND,),
        result={"status": "Faulted", "fault_type": "OverCurrent"},
    ),
    Case(
        "clear_fault",
        MEND,
        before=(FAULT,),
        on16=(_status16("Available"),),
        on201=(_status201("Available"), _problem(cleared=True)),
        result={"status": "Available", "fault_type": "OverCurrentFailure"},
    ),
)

CASES: Final = (*SESSIONS, *SETTINGS)
