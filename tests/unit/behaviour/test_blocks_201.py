"""Everything else that a CSMS may ask of an OCPP 2.0.1 station."""

from __future__ import annotations

import pytest

from simulator.sampling import timestamp
from tests.unit.behaviour.bench import NOON, Bench
from tests.unit.behaviour.test_blocks_16 import certificate

V201 = "OCPP2.0.1"
LATER = timestamp(NOON + 60)
TOKEN = {"idToken": "AABBCCDD", "type": "ISO14443"}
OTHER = {"idToken": "11223344", "type": "ISO14443"}
GOOD = "https://files.example.com/firmware-2.0.bin"


def variable(component, name, **more):
    return {"component": {"name": component}, "variable": {"name": name}, **more}


# --- device model -----------------------------------------------------------------------------


def test_variables_are_got_and_set():
    bench = Bench(V201)
    item = variable("TxCtrlr", "EVConnectionTimeOut")
    [result] = bench.ask("SetVariables", setVariableData=[item | {"attributeValue": "90"}])[
        "setVariableResult"
    ]
    assert result["attributeStatus"] == "Accepted"
    [result] = bench.ask("GetVariables", getVariableData=[item])["getVariableResult"]
    assert (result["attributeStatus"], result["attributeValue"]) == ("Accepted", "90")
    [result] = bench.ask("GetVariables", getVariableData=[variable("X", "Y")])["getVariableResult"]
    assert result["attributeStatus"] == "UnknownComponent"


def test_live_variables_tell_how_it_is():
    bench = Bench(V201, connectors=2)
    bench.do("start_transaction", id_tag="AABBCCDD")
    asked = [
        {"component": {"name": "EVSE", "evse": {"id": n}}, "variable": {"name": name}}
        for n in (1, 2)
        for name in ("AvailabilityState", "Power")
    ]
    results = bench.ask("GetVariables", getVariableData=asked)["getVariableResult"]
    assert [r["attributeValue"] for r in results] == ["Occupied", "22000.0", "Available", "0.0"]


@pytest.mark.parametrize("base", ["FullInventory", "ConfigurationInventory", "SummaryInventory"])
def test_a_base_report_comes_in_numbered_pages(base):
    bench = Bench(V201, connectors=2)
    assert bench.ask("GetBaseReport", requestId=4, reportBase=base) == {"status": "Accepted"}
    pages = bench.said("NotifyReport")
    assert [p["seqNo"] for p in pages] == list(range(len(pages)))
    assert [p["tbc"] for p in pages] == [True] * (len(pages) - 1) + [False]
    assert {p["requestId"] for p in pages} == {4}
    lines = [str((d["component"], d["variable"])) for p in pages for d in p["reportData"]]
    assert len(lines) == len(set(lines))


def test_a_report_by_criteria_or_names_or_an_empty_one():
    bench = Bench(V201)
    answer = bench.ask("GetReport", requestId=1, componentCriteria=["Problem"])
    assert answer == {"status": "EmptyResultSet"}
    bench.do("inject_fault", fault_type="GroundFailure")
    answer = bench.ask("GetReport", requestId=2, componentCriteria=["Problem"])
    assert answer == {"status": "Accepted"}
    names = {d["component"]["name"] for d in bench.last("NotifyReport")["reportData"]}
    assert names == {"ChargingStation", "EVSE", "Connector"}
    wanted = [{"component": {"name": "TxCtrlr"}, "variable": {"name": "TxStartPoint"}}]
    bench.ask("GetReport", requestId=3, componentVariable=wanted)
    assert len(bench.last("NotifyReport")["reportData"]) == 1


def test_a_new_password_is_used_and_never_shown():
    bench = Bench(V201)
    secret = "0123456789abcdef"
    item = variable("SecurityCtrlr", "BasicAuthPassword", attributeValue=secret)
    bench.ask("SetVariables", setVariableData=[item])
    assert bench.charger.config.authorization_key == secret
    bench.ask("GetBaseReport", requestId=1, reportBase="FullInventory")
    assert secret not in str(bench.said("NotifyReport"))
    assert secret not in str(bench.events("configuration_changed"))


# --- availability and reset -------------------------------------------------------------------


def test_service_ends_for_an_evse_or_for_all():
    bench = Bench(V201, connectors=2)
    ask = {"operationalStatus": "Inoperative", "evse": {"id": 1, "connectorId": 1}}
    assert bench.ask("ChangeAvailability", **ask) == {"status": "Accepted"}
    assert (bench.statuses(1)[-1], bench.statuses(2)[-1]) == ("Unavailable", "Available")
    bench.do("start_transaction", id_tag="AABBCCDD", evse_id=2)
    answer = bench.ask("ChangeAvailability", operationalStatus="Inoperative")
    assert answer == {"status": "Scheduled"}
    bench.do("stop_session", connector_id=2)
    assert bench.statuses(2)[-1] == "Unavailable"
    answer = bench.ask("ChangeAvailability", operationalStatus="Operative", evse={"id": 9})
    assert answer["status"] == "Rejected"


def test_a_reset_waits_for_idleness_or_does_not():
    bench = Bench(V201)
    bench.do("start_transaction", id_tag="AABBCCDD")
    assert bench.ask("Reset", type="OnIdle") == {"status": "Scheduled"}
    bench.wait(60)
    assert len(bench.said("BootNotification")) == 1
    bench.do("stop_transaction")
    bench.wait(20)
    assert bench.last("BootNotification")["reason"] == "ScheduledReset"
    bench.do("start_transaction", id_tag="AABBCCDD")
    bench.ask("Reset", type="Immediate")
    bench.wait(20)
    ended = bench.last("TransactionEvent")
    assert (ended["triggerReason"], ended["transactionInfo"]["stoppedReason"]) == (
        "ResetCommand",
        "ImmediateReset",
    )
    assert bench.last("BootNotification")["reason"] == "RemoteReset"


@pytest.mark.parametrize(("away_s", "told"), [(50, 0), (70, 2)])
def test_after_a_long_absence_every_status_is_told_again(away_s, told):
    bench = Bench(V201, connectors=2)
    bench.lose()
    bench.forget()
    bench.wait(away_s)
    bench.connect()
    assert len(bench.said("StatusNotification")) == told


def test_unlocking_respects_who_charges():
    bench = Bench(V201)
    ask = {"evseId": 1, "connectorId": 1}
    assert bench.ask("UnlockConnector", **ask) == {"status": "Unlocked"}
    bench.do("start_transaction", id_tag="AABBCCDD")
    assert bench.ask("UnlockConnector", **ask) == {"status": "OngoingAuthorizedTransaction"}
    answer = bench.ask("UnlockConnector", evseId=9, connectorId=1)
    assert answer == {"status": "UnknownConnector"}


# --- lists and reservations -------------------------------------------------------------------


def test_the_local_list_follows_its_versions():
    bench = Bench(V201)
    line = {"idToken": TOKEN, "idTokenInfo": {"status": "Accepted"}}

    def send(version, kind, *lines):
        more = {"localAuthorizationList": lines} if lines else {}
        return bench.ask("SendLocalList", versionNumber=version, updateType=kind, **more)["status"]

    assert bench.ask("GetLocalListVersion") == {"versionNumber": 0}
    assert send(1, "Full", line) == "Accepted"
    assert send(1, "Differential", line) == "VersionMismatch"
    assert send(2, "Full", line, line) == "Failed"
    assert bench.ask("GetLocalListVersion") == {"versionNumber": 1}
    bench.lose()
    assert bench.do("start_transaction", id_tag="AABBCCDD").state == "applied"


def test_the_cache_is_cleared():
    bench = Bench(V201)
    bench.do("authorize_id_tag", id_tag="AABBCCDD")
    assert bench.ask("ClearCache") == {"status": "Accepted"}
    bench.lose()
    assert bench.do("start_transaction", id_tag="AABBCCDD").state == "rejected"


def test_a_reservation_is_kept_used_and_told_when_it_expires():
    bench = Bench(V201)
    ask = {"id": 1, "evseId": 1, "idToken": TOKEN, "expiryDateTime": LATER}
    assert bench.ask("ReserveNow", **ask) == {"status": "Accepted"}
    assert bench.statuses()[-1] == "Reserved"
    answer = bench.ask("RequestStartTransaction", idToken=OTHER, remoteStartId=1, evseId=1)
    assert answer["status"] == "Rejected"
    bench.do("start_transaction", id_tag="AABBCCDD")
    assert bench.said("TransactionEvent")[0]["reservationId"] == 1
    bench.do("stop_session")
    bench.ask("ReserveNow", **(ask | {"id": 2, "expiryDateTime": timestamp(bench.now + 60)}))
    bench.wait(61)
    assert bench.said("ReservationStatusUpdate") == [
        {"reservationId": 2, "reservationUpdateStatus": "Expired"}
    ]
    assert bench.ask("CancelReservation", reservationId=2)["status"] == "Rejected"


# --- maintenance ------------------------------------------------------------------------------


def test_a_firmware_update_names_its_request_and_boots_the_new_version():
    bench = Bench(V201)
    firmware = {"location": GOOD, "retrieveDateTime": LATER}
    answer = bench.ask("UpdateFirmware", requestId=5, firmware=firmware)
    assert answer == {"status": "Accepted"}
    bench.wait(300)
    seen = bench.said("FirmwareStatusNotification")
    assert [p["status"] for p in seen] == [
        "DownloadScheduled",
        "Downloading",
        "Downloaded",
        "Installing",
        "InstallRebooting",
        "Installed",
    ]
    assert {p["requestId"] for p in seen} == {5}
    boot = bench.last("BootNotification")
    assert (boot["reason"], boot["chargingStation"]["firmwareVersion"]) == (
        "FirmwareUpdate",
        "firmware-2.0.bin",
    )


def test_a_second_log_takes_the_place_of_the_first():
    bench = Bench(V201)
    log = {"remoteLocation": "https://logs.example.com/up"}
    answer = bench.ask("GetLog", logType="DiagnosticsLog", requestId=1, log=log)
    assert answer["status"] == "Accepted"
    bench.wait(1)
    answer = bench.ask("GetLog", logType="SecurityLog", requestId=2, log=log)
    assert answer["status"] == "AcceptedCanceled"
    bench.wait(10)
    assert [(p["requestId"], p["status"]) for p in bench.said("LogStatusNotification")] == [
        (1, "Uploading"),
        (1, "AcceptedCanceled"),
        (2, "Uploading"),
        (2, "Uploaded"),
    ]


@pytest.mark.parametrize(
    "message",
    [
        "Heartbeat",
        "MeterValues",
        "TransactionEvent",
        "LogStatusNotification",
        "FirmwareStatusNotification",
        "StatusNotification",
    ],
)
def test_a_trigger_brings_its_message(message):
    bench = Bench(V201)
    bench.do("start_transaction", id_tag="AABBCCDD")
    bench.calls.clear()
    evse = {"id": 1, "connectorId": 1}
    answer = bench.ask("TriggerMessage", requestedMessage=message, evse=evse)
    assert answer == {"status": "Accepted"}
    assert [name for name, _ in bench.calls] == [message]


def test_a_status_without_a_request_has_no_request_id():
    bench = Bench(V201)
    bench.ask("TriggerMessage", requestedMessage="FirmwareStatusNotification")
    assert bench.last("FirmwareStatusNotification") == {"status": "Idle"}


# --- monitoring and the rest ------------------------------------------------------------------


def monitor(kind, value, name, evse=1, **more):
    return {
        "type": kind,
        "value": value,
        "severity": 5,
        "component": {"name": "EVSE", "evse": {"id": evse}},
        "variable": {"name": name},
        **more,
    }


def test_a_monitor_fires_is_reported_and_cleared():
    bench = Bench(V201)
    asked = [monitor("UpperThreshold", 10_000, "Power"), monitor("Delta", 1, "AvailabilityState")]
    results = bench.ask("SetVariableMonitoring", setMonitoringData=asked)["setMonitoringResult"]
    assert [(r["status"], r["id"]) for r in results] == [("Accepted", 1), ("Accepted", 2)]
    bench.do("start_transaction", id_tag="AABBCCDD")
    fired = [p["eventData"][0] for p in bench.said("NotifyEvent")]
    assert [(f["variableMonitoringId"], f["actualValue"], f["trigger"]) for f in fired] == [
        (2, "Occupied", "Delta"),
        (1, "22000.0", "Alerting"),
    ]
    answer = bench.ask("GetMonitoringReport", requestId=1)
    assert answer == {"status": "Accepted"}
    assert len(bench.last("NotifyMonitoringReport")["monitor"]) == 2
    results = bench.ask("ClearVariableMonitoring", id=[1, 2, 3])["clearMonitoringResult"]
    assert [r["status"] for r in results] == ["Accepted", "Accepted", "NotFound"]
    assert bench.ask("GetMonitoringReport", requestId=2) == {"status": "EmptyResultSet"}


def test_a_periodic_monitor_speaks_by_itself_and_only_when_loud_enough():
    bench = Bench(V201)
    asked = [monitor("Periodic", 10, "Power")]
    bench.ask("SetVariableMonitoring", setMonitoringData=asked)
    bench.wait(35)
    assert len(bench.said("NotifyEvent")) == 3
    assert bench.ask("SetMonitoringLevel", severity=3) == {"status": "Accepted"}
    assert bench.ask("SetMonitoringLevel", severity=12)["status"] == "Rejected"
    bench.wait(30)
    assert len(bench.said("NotifyEvent")) == 3
    assert bench.ask("SetMonitoringBase", monitoringBase="HardWiredOnly") == {"status": "Accepted"}
    assert "monitor:1" not in bench.charger.timers


def test_a_fault_is_an_event_and_a_status_and_so_is_its_end():
    bench = Bench(V201)
    bench.do("inject_fault", fault_type="OverCurrent")
    bench.do("clear_fault")
    assert bench.statuses() == ["Available", "Faulted", "Available"]
    told = [p["eventData"][0] for p in bench.said("NotifyEvent")]
    assert [(e["actualValue"], e["cleared"], e["techCode"]) for e in told] == [
        ("true", False, "OverCurrentFailure"),
        ("false", True, "OverCurrentFailure"),
    ]


def test_customer_information_is_reported_and_forgotten():
    bench = Bench(V201)
    bench.do("authorize_id_tag", id_tag="AABBCCDD")
    ask = {"requestId": 1, "report": True, "clear": True, "idToken": TOKEN}
    assert bench.ask("CustomerInformation", **ask) == {"status": "Accepted"}
    assert "cache" in bench.last("NotifyCustomerInformation")["data"]
    bench.ask("CustomerInformation", **ask)
    assert bench.last("NotifyCustomerInformation")["data"] == ""


def test_certificates_are_installed_listed_and_deleted():
    bench = Bench(V201)
    kind = "CSMSRootCertificate"
    assert bench.ask("GetInstalledCertificateIds") == {"status": "NotFound"}
    install = {"certificateType": kind, "certificate": certificate()}
    assert bench.ask("InstallCertificate", **install) == {"status": "Accepted"}
    [chain] = bench.ask("GetInstalledCertificateIds")["certificateHashDataChain"]
    assert chain["certificateType"] == kind
    data = chain["certificateHashData"]
    assert bench.ask("DeleteCertificate", certificateHashData=data) == {"status": "Accepted"}


def test_what_the_gateway_decides_is_not_the_csms_s_to_set():
    connection = {
        "ocppVersion": "OCPP20",
        "ocppTransport": "JSON",
        "ocppCsmsUrl": "ws://elsewhere.example.com",
        "messageTimeout": 30,
        "securityProfile": 1,
        "ocppInterface": "Wired0",
    }
    answer = Bench(V201).ask("SetNetworkProfile", configurationSlot=1, connectionData=connection)
    assert answer["status"] == "Rejected"
