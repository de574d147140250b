"""Configuration keys of 1.6 and the device model of 2.0.1 know their types, limits and marks."""

from __future__ import annotations

import pytest

from simulator.device_model import DeviceModel, base_filter, report_filter
from simulator.keys16 import KEYS, Configuration
from simulator.monitors import Monitors
from simulator.sampling import ENERGY

CORE_REQUIRED = """
AuthorizeRemoteTxRequests ClockAlignedDataInterval ConnectionTimeOut ConnectorPhaseRotation
GetConfigurationMaxKeys HeartbeatInterval LocalAuthorizeOffline LocalPreAuthorize
MeterValuesAlignedData MeterValuesSampledData MeterValueSampleInterval NumberOfConnectors
ResetRetries StopTransactionOnEVSideDisconnect StopTransactionOnInvalidId StopTxnAlignedData
StopTxnSampledData SupportedFeatureProfiles TransactionMessageAttempts
TransactionMessageRetryInterval UnlockConnectorOnEVSideDisconnect LocalAuthListEnabled
LocalAuthListMaxLength SendLocalListMaxLength ChargeProfileMaxStackLevel
ChargingScheduleAllowedChargingRateUnit ChargingScheduleMaxPeriods MaxChargingProfilesInstalled
SecurityProfile AuthorizationKey CpoName
"""


def test_every_required_key_is_there():
    names = CORE_REQUIRED.split()
    lines, unknown = Configuration().show(names)
    assert unknown == []
    assert len(lines) == len(names)


def test_every_default_is_a_value_that_the_key_takes():
    assert [k.name for k in KEYS.values() if k.default and k.problem(k.default)] == []


@pytest.mark.parametrize(
    ("name", "value", "answer"),
    [
        ("MeterValueSampleInterval", "30", "Accepted"),
        ("metervaluesampleinterval", "30", "Accepted"),
        ("MeterValueSampleInterval", "-1", "Rejected"),
        ("MeterValueSampleInterval", "soon", "Rejected"),
        ("LocalPreAuthorize", "TRUE", "Accepted"),
        ("LocalPreAuthorize", "1", "Rejected"),
        ("NumberOfConnectors", "3", "Rejected"),
        ("MeterValuesSampledData", "SoC,Voltage", "Accepted"),
        ("MeterValuesSampledData", "Flux", "Rejected"),
        ("AuthorizationKey", "0123456789abcdef", "RebootRequired"),
        ("AuthorizationKey", "short", "Rejected"),
        ("SecurityProfile", "2", "RebootRequired"),
        ("NoSuchKey", "x", "NotSupported"),
    ],
)
def test_a_change_is_answered_by_the_table(name, value, answer):
    assert Configuration().change(name, value) == answer


def test_a_security_profile_is_never_lowered():
    keys = Configuration(facts={"SecurityProfile": "2"})
    assert keys.change("SecurityProfile", "1") == "Rejected"
    assert keys.change("SecurityProfile", "3") == "RebootRequired"


def test_a_secret_is_taken_and_never_shown():
    keys = Configuration()
    keys.change("AuthorizationKey", "0123456789abcdef")
    [line], _ = keys.show(["AuthorizationKey"])
    assert line.value is None
    assert keys.text("AuthorizationKey") == "0123456789abcdef"


def test_changed_keys_come_back_and_the_facts_of_the_charger_stay_its_own():
    keys = Configuration(facts={"NumberOfConnectors": "2"})
    keys.change("ConnectionTimeOut", "90")
    again = Configuration(facts={"NumberOfConnectors": "4"})
    again.load(keys.dump())
    assert again.number("ConnectionTimeOut") == 90
    assert again.number("NumberOfConnectors") == 4


# --- 2.0.1 ------------------------------------------------------------------------------------


def facts(variable, place):
    return {"AvailabilityState": "Occupied", "Power": "22000"}.get(variable.name)


def model() -> DeviceModel:
    return DeviceModel([(1, 1), (2, 1)])


def ask(component, variable, instance=None, evse=None, connector=None, kind=None):
    item = {"component": {"name": component}, "variable": {"name": variable}}
    if instance:
        item["variable"]["instance"] = instance
    if evse:
        item["component"]["evse"] = {"id": evse}
    if connector:
        item["component"]["evse"]["connectorId"] = connector
    if kind:
        item["attributeType"] = kind
    return item


@pytest.mark.parametrize(
    ("item", "status", "value"),
    [
        (ask("TxCtrlr", "EVConnectionTimeOut"), "Accepted", "60"),
        (ask("txctrlr", "evconnectiontimeout"), "Accepted", "60"),
        (ask("DeviceDataCtrlr", "ItemsPerMessage", "GetReport"), "Accepted", "50"),
        (ask("DeviceDataCtrlr", "ItemsPerMessage"), "UnknownVariable", None),
        (ask("EVSE", "AvailabilityState", evse=2), "Accepted", "Occupied"),
        (ask("EVSE", "AvailabilityState", evse=3), "UnknownComponent", None),
        (ask("EVSE", "AvailabilityState"), "UnknownComponent", None),
        (ask("Connector", "AvailabilityState", evse=1, connector=1), "Accepted", "Occupied"),
        (ask("NoSuchCtrlr", "Enabled"), "UnknownComponent", None),
        (ask("TxCtrlr", "NoSuch"), "UnknownVariable", None),
        (ask("TxCtrlr", "EVConnectionTimeOut", kind="Target"), "NotSupportedAttributeType", None),
        (ask("SecurityCtrlr", "BasicAuthPassword"), "Rejected", None),
    ],
)
def test_a_variable_is_found_by_its_address_or_the_answer_says_what_is_missing(item, status, value):
    result = model().get_result(item, facts)
    assert (result["attributeStatus"], result.get("attributeValue")) == (status, value)


@pytest.mark.parametrize(
    ("component", "variable", "value", "status"),
    [
        ("TxCtrlr", "EVConnectionTimeOut", "90", "Accepted"),
        ("TxCtrlr", "EVConnectionTimeOut", "0", "Rejected"),
        ("TxCtrlr", "EVConnectionTimeOut", "soon", "Rejected"),
        ("AuthCtrlr", "LocalPreAuthorize", "true", "Accepted"),
        ("AuthCtrlr", "LocalPreAuthorize", "yes", "Rejected"),
        ("TxCtrlr", "TxStartPoint", "EVConnected,Authorized", "Accepted"),
        ("TxCtrlr", "TxStartPoint", "Sunrise", "Rejected"),
        ("SmartChargingCtrlr", "ProfileStackLevel", "20", "Rejected"),
        ("OCPPCommCtrlr", "NetworkConfigurationPriority", "2,1", "RebootRequired"),
        ("SampledDataCtrlr", "TxUpdatedMeasurands", f"{ENERGY},SoC", "Accepted"),
        ("NoSuchCtrlr", "Enabled", "true", "UnknownComponent"),
    ],
)
def test_a_variable_is_set_when_its_characteristics_allow(component, variable, value, status):
    device = model()
    item = ask(component, variable) | {"attributeValue": value}
    assert device.set_result(item)["attributeStatus"] == status
    if status == "Accepted":
        assert device.text(component, variable) == value


def test_the_full_inventory_lists_every_level_and_the_configuration_only_what_can_be_set():
    device = model()
    full = device.report(device.addresses(base_filter("FullInventory")), facts)
    settable = device.report(device.addresses(base_filter("ConfigurationInventory")), facts)
    evses = [r for r in full if r["component"]["name"] == "EVSE"]
    assert {r["component"]["evse"]["id"] for r in evses} == {1, 2}
    assert all(r["variableAttribute"][0]["mutability"] != "ReadOnly" for r in settable)
    assert len(settable) < len(full)
    secret = [r for r in full if r["variable"]["name"] == "BasicAuthPassword"]
    assert "value" not in secret[0]["variableAttribute"][0]


def test_a_report_by_criteria_names_the_enabled_components():
    device = model()
    device.put("ReservationCtrlr", "Enabled", "false")

    def current(component, place, name):
        try:
            return device.text(component, name)
        except KeyError:
            return None

    found = {
        a.variable.component for a in device.addresses(report_filter(["Enabled"], None, current))
    }
    assert "SmartChargingCtrlr" in found
    assert "ReservationCtrlr" not in found
    assert not list(device.addresses(report_filter(["Problem"], None, current)))


def test_a_report_by_names_lists_just_those():
    device = model()
    wanted = [{"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}}]
    [found] = device.addresses(report_filter(None, wanted, lambda *_: None))
    assert (found.variable.name, found.place.evse_id) == ("Power", 1)


def test_a_monitor_is_set_fires_once_and_is_cleared():
    device, monitors = model(), Monitors()
    item = {
        "value": 20_000,
        "type": "UpperThreshold",
        "severity": 5,
        "component": {"name": "EVSE", "evse": {"id": 1}},
        "variable": {"name": "Power"},
    }
    first = monitors.set(item, device)
    assert (first["status"], first["id"]) == ("Accepted", 1)
    assert monitors.set(item, device)["status"] == "Duplicate"
    [monitor] = monitors.all()
    assert [monitor.fires(v) for v in (10_000, 21_000, 22_000, 10_000, 21_000)] == [
        False,
        True,
        False,
        False,
        True,
    ]
    assert monitors.report(monitors.all())[0]["variableMonitoring"][0]["id"] == 1
    assert [r["status"] for r in monitors.clear([1, 2])] == ["Accepted", "NotFound"]


def test_what_cannot_be_monitored_is_said():
    item = {
        "value": 1,
        "type": "UpperThreshold",
        "severity": 5,
        "component": {"name": "TxCtrlr"},
        "variable": {"name": "EVConnectionTimeOut"},
    }
    assert Monitors().set(item, model())["status"] == "UnsupportedMonitorType"
