"""Everything else that a CSMS may ask of an OCPP 1.6 charger."""

from __future__ import annotations

import base64

import pytest

from simulator.authorization import present
from simulator.sampling import timestamp
from simulator.station import station_of
from simulator.transactions import Token
from tests.unit.behaviour.bench import NOON, Bench

LATER = timestamp(NOON + 60)
GOOD = "https://files.example.com/firmware-2.0.bin"


# --- configuration ----------------------------------------------------------------------------


def test_every_key_is_listed_once_and_unknown_ones_apart():
    bench = Bench(connectors=2)
    lines = bench.ask("GetConfiguration")["configurationKey"]
    values = {line["key"]: line.get("value") for line in lines}
    assert len(values) == len(lines)
    assert values["NumberOfConnectors"] == "2"
    assert values["HeartbeatInterval"] == "3600"
    assert values["AuthorizationKey"] is None
    answer = bench.ask("GetConfiguration", key=["NumberOfConnectors", "Gremlins"])
    assert answer["unknownKey"] == ["Gremlins"]


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("ConnectionTimeOut", "90", "Accepted"),
        ("ConnectionTimeOut", "soon", "Rejected"),
        ("NumberOfConnectors", "9", "Rejected"),
        ("CpoName", "Acme", "RebootRequired"),
        ("Gremlins", "1", "NotSupported"),
    ],
)
def test_a_key_is_changed_by_the_table(key, value, status):
    assert Bench().ask("ChangeConfiguration", key=key, value=value) == {"status": status}


def test_a_changed_heartbeat_interval_changes_the_heartbeats():
    bench = Bench()
    bench.ask("ChangeConfiguration", key="HeartbeatInterval", value="10")
    bench.wait(35)
    assert len(bench.said("Heartbeat")) == 3


def test_a_new_authorization_key_is_used_and_never_shown():
    bench = Bench()
    secret = "0123456789abcdef"
    bench.ask("ChangeConfiguration", key="AuthorizationKey", value=secret)
    assert bench.charger.config.authorization_key == secret
    assert secret not in str(bench.events("configuration_changed"))


# --- availability and reset -------------------------------------------------------------------


def test_an_inoperative_connector_is_unavailable_and_the_station_says_so_for_itself():
    bench = Bench(connectors=2)
    answer = bench.ask("ChangeAvailability", connectorId=1, type="Inoperative")
    assert answer == {"status": "Accepted"}
    assert (bench.statuses(1)[-1], bench.statuses(2)[-1]) == ("Unavailable", "Available")
    bench.ask("ChangeAvailability", connectorId=0, type="Inoperative")
    assert [bench.statuses(n)[-1] for n in (0, 1, 2)] == ["Unavailable"] * 3
    bench.ask("ChangeAvailability", connectorId=0, type="Operative")
    assert [bench.statuses(n)[-1] for n in (0, 1, 2)] == ["Available"] * 3
    assert bench.ask("ChangeAvailability", connectorId=9, type="Operative") == {
        "status": "Rejected"
    }


def test_a_transaction_delays_the_end_of_service():
    bench = Bench()
    bench.do("start_transaction", id_tag="TAG")
    answer = bench.ask("ChangeAvailability", connectorId=1, type="Inoperative")
    assert answer == {"status": "Scheduled"}
    assert bench.statuses()[-1] == "Charging"
    bench.do("stop_session")
    assert bench.statuses()[-1] == "Unavailable"


@pytest.mark.parametrize(("kind", "reason"), [("Soft", "SoftReset"), ("Hard", "HardReset")])
def test_a_reset_stops_what_runs_and_boots_again(kind, reason):
    bench = Bench()
    bench.do("start_transaction", id_tag="TAG")
    bench.forget()
    assert bench.ask("Reset", type=kind) == {"status": "Accepted"}
    bench.wait(20)
    assert bench.last("StopTransaction")["reason"] == reason
    assert bench.last("StopTransaction")["transactionId"] == 101
    names = bench.names()
    order = [names.index(name) for name in ("StopTransaction", "BootNotification")]
    assert (order == sorted(order)) == (kind == "Soft")
    assert bench.statuses()[-1] == "Finishing"


# --- lists ------------------------------------------------------------------------------------


def line(token, status="Accepted", **more):
    return {"idTag": token, "idTagInfo": {"status": status, **more}}


def test_the_local_list_follows_its_versions():
    bench = Bench()
    assert bench.ask("GetLocalListVersion") == {"listVersion": 0}

    def send(version, kind, *lines):
        return bench.ask(
            "SendLocalList", listVersion=version, updateType=kind, localAuthorizationList=lines
        )["status"]

    assert send(1, "Full", line("A"), line("B", "Blocked")) == "Accepted"
    assert send(1, "Differential", line("C")) == "VersionMismatch"
    assert send(2, "Differential", {"idTag": "A"}, line("C")) == "Accepted"
    assert send(3, "Full", line("A"), line("a")) == "Failed"
    assert bench.ask("GetLocalListVersion") == {"listVersion": 2}
    bench.lose()
    assert [bench.do("start_transaction", id_tag=t).state for t in "ABC"] == [
        "rejected",
        "rejected",
        "applied",
    ]


def test_a_list_that_is_switched_off_is_not_supported():
    bench = Bench()
    bench.ask("ChangeConfiguration", key="LocalAuthListEnabled", value="false")
    assert bench.ask("GetLocalListVersion") == {"listVersion": -1}
    answer = bench.ask("SendLocalList", listVersion=1, updateType="Full")
    assert answer == {"status": "NotSupported"}


def test_a_listed_token_is_not_asked_about_when_pre_authorized():
    bench = Bench(configuration={"LocalPreAuthorize": "true"})
    bench.ask("SendLocalList", listVersion=1, updateType="Full", localAuthorizationList=[line("A")])
    bench.do("start_transaction", id_tag="A")
    assert bench.said("Authorize") == []
    assert len(bench.said("StartTransaction")) == 1


def test_the_cache_is_cleared_and_cannot_be_when_it_is_off():
    bench = Bench()
    bench.do("authorize_id_tag", id_tag="A")
    assert bench.ask("ClearCache") == {"status": "Accepted"}
    bench.lose()
    assert bench.do("start_transaction", id_tag="A").state == "rejected"
    bench.connect()
    bench.ask("ChangeConfiguration", key="AuthorizationCacheEnabled", value="false")
    assert bench.ask("ClearCache") == {"status": "Rejected"}


def test_a_token_of_the_same_group_ends_a_transaction():
    bench = Bench()
    bench.says["Authorize"] = {"idTagInfo": {"status": "Accepted", "parentIdTag": "FLEET"}}
    bench.says["StartTransaction"] = {
        "transactionId": 5,
        "idTagInfo": {"status": "Accepted", "parentIdTag": "FLEET"},
    }
    bench.do("start_transaction", id_tag="A")
    bench.do("authorize_id_tag", id_tag="B")
    present(bench.charger, station_of(bench.charger).bays[0], Token("B"), bench.now)
    bench.take(bench.charger.tick(bench.now))
    assert bench.last("StopTransaction")["idTag"] == "B"


# --- reservations -----------------------------------------------------------------------------


def reserve(bench, number=1, connector=1, token="MINE", expiry=LATER):
    return bench.ask(
        "ReserveNow",
        reservationId=number,
        connectorId=connector,
        idTag=token,
        expiryDate=expiry,
    )["status"]


def test_a_reservation_is_kept_for_its_token_and_used_up_by_it():
    bench = Bench()
    assert reserve(bench) == "Accepted"
    assert bench.statuses()[-1] == "Reserved"
    refused = bench.do("start_transaction", id_tag="OTHER")
    assert (refused.state, "reserved" in refused.error) == ("rejected", True)
    assert bench.do("start_transaction", id_tag="MINE").state == "applied"
    assert bench.last("StartTransaction")["reservationId"] == 1
    assert bench.statuses()[-2:] == ["Preparing", "Charging"]
    assert reserve(bench, 2) == "Occupied"


def test_a_reservation_expires_or_is_cancelled():
    bench = Bench()
    reserve(bench)
    bench.wait(61)
    assert bench.statuses()[-1] == "Available"
    reserve(bench, 2, expiry=timestamp(bench.now + 60))
    assert bench.ask("CancelReservation", reservationId=2) == {"status": "Accepted"}
    assert bench.statuses()[-1] == "Available"
    assert bench.ask("CancelReservation", reservationId=2) == {"status": "Rejected"}


@pytest.mark.parametrize(
    ("prepare", "status"),
    [
        (lambda b: b.do("inject_fault", fault_type="GroundFailure"), "Faulted"),
        (lambda b: b.ask("ChangeAvailability", connectorId=1, type="Inoperative"), "Unavailable"),
        (lambda b: b.do("plug_connector"), "Occupied"),
    ],
)
def test_what_cannot_be_reserved_says_why(prepare, status):
    bench = Bench()
    prepare(bench)
    assert reserve(bench) == status


# --- firmware, diagnostics, logs --------------------------------------------------------------


def test_a_firmware_update_goes_its_way_and_the_new_version_boots():
    bench = Bench()
    assert bench.ask("UpdateFirmware", location=GOOD, retrieveDate=LATER) == {}
    bench.wait(200)
    statuses = [p["status"] for p in bench.said("FirmwareStatusNotification")]
    assert statuses == ["Downloading", "Downloaded", "Installing", "Installed"]
    assert bench.last("BootNotification")["firmwareVersion"] == "firmware-2.0.bin"
    assert bench.statuses()[-3:] == ["Unavailable", "Unavailable", "Available"]


def test_an_update_waits_for_the_transaction():
    bench = Bench()
    bench.do("start_transaction", id_tag="TAG")
    bench.ask("UpdateFirmware", location=GOOD, retrieveDate=LATER)
    bench.wait(300)
    assert bench.last("FirmwareStatusNotification")["status"] == "Downloaded"
    bench.do("stop_session")
    bench.wait(60)
    assert bench.last("FirmwareStatusNotification")["status"] == "Installed"


@pytest.mark.parametrize(
    ("location", "status"),
    [
        ("ftp://files.invalid/a.bin", "DownloadFailed"),
        ("https://files.example.com/corrupt.bin", "InstallationFailed"),
    ],
)
def test_an_update_that_fails_says_so_and_leaves_the_charger_in_service(location, status):
    bench = Bench()
    bench.ask("UpdateFirmware", location=location, retrieveDate=LATER)
    bench.wait(300)
    assert bench.last("FirmwareStatusNotification")["status"] == status
    assert bench.shown()["status"] == "Available"


def test_a_signed_update_names_its_request():
    bench = Bench()
    firmware = {
        "location": GOOD,
        "retrieveDateTime": LATER,
        "signingCertificate": "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----",
        "signature": "c2lnbmVk",
    }
    answer = bench.ask("SignedUpdateFirmware", requestId=9, firmware=firmware)
    assert answer == {"status": "Accepted"}
    bench.wait(300)
    seen = bench.said("SignedFirmwareStatusNotification")
    assert [p["status"] for p in seen] == [
        "DownloadScheduled",
        "Downloading",
        "Downloaded",
        "SignatureVerified",
        "Installing",
        "InstallRebooting",
        "Installed",
    ]
    assert {p["requestId"] for p in seen} == {9}
    bad = firmware | {"signingCertificate": "none"}
    answer = bench.ask("SignedUpdateFirmware", requestId=10, firmware=bad)
    assert answer == {"status": "InvalidCertificate"}


def test_diagnostics_and_logs_are_uploaded():
    bench = Bench()
    answer = bench.ask("GetDiagnostics", location="ftp://logs.example.com/")
    assert answer["fileName"].endswith(".log")
    bench.wait(10)
    seen = [p["status"] for p in bench.said("DiagnosticsStatusNotification")]
    assert seen == ["Uploading", "Uploaded"]
    log = {"remoteLocation": "ftp://logs.invalid/"}
    answer = bench.ask("GetLog", logType="SecurityLog", requestId=3, log=log)
    assert answer["status"] == "Accepted"
    bench.wait(10)
    assert bench.said("LogStatusNotification") == [
        {"status": "Uploading", "requestId": 3},
        {"status": "UploadFailure", "requestId": 3},
    ]


# --- triggers and certificates ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "message", "heard"),
    [
        ("TriggerMessage", "BootNotification", "BootNotification"),
        ("TriggerMessage", "Heartbeat", "Heartbeat"),
        ("TriggerMessage", "StatusNotification", "StatusNotification"),
        ("TriggerMessage", "MeterValues", "MeterValues"),
        ("TriggerMessage", "DiagnosticsStatusNotification", "DiagnosticsStatusNotification"),
        ("TriggerMessage", "FirmwareStatusNotification", "FirmwareStatusNotification"),
        ("ExtendedTriggerMessage", "LogStatusNotification", "LogStatusNotification"),
        (
            "ExtendedTriggerMessage",
            "FirmwareStatusNotification",
            "SignedFirmwareStatusNotification",
        ),
        ("ExtendedTriggerMessage", "MeterValues", "MeterValues"),
    ],
)
def test_a_trigger_brings_its_message(action, message, heard):
    bench = Bench()
    bench.forget()
    assert bench.ask(action, requestedMessage=message) == {"status": "Accepted"}
    assert heard in [name for name, _ in bench.calls]


def test_triggered_meter_values_say_that_they_were():
    bench = Bench(connectors=2)
    bench.ask("TriggerMessage", requestedMessage="MeterValues", connectorId=2)
    [value, *_] = bench.last("MeterValues")["meterValue"][0]["sampledValue"]
    assert (bench.last("MeterValues")["connectorId"], value["context"]) == (2, "Trigger")
    answer = bench.ask("TriggerMessage", requestedMessage="MeterValues", connectorId=9)
    assert answer == {"status": "Rejected"}


def der(tag, *parts):
    body = b"".join(parts)
    length = bytes([len(body)]) if len(body) < 128 else b"\x82" + len(body).to_bytes(2, "big")
    return bytes([tag]) + length + body


def certificate(serial=0x4D2, name=b"root"):
    """A certificate in shape only; nobody checks its signature."""
    subject = der(0x30, der(0x31, der(0x30, der(0x06, b"\x55\x04\x03"), der(0x0C, name))))
    algorithm = der(0x30, der(0x06, b"\x2a\x86\x48"))
    key = der(0x30, algorithm, der(0x03, b"\x00" + b"k" * 200))
    body = der(
        0x30,
        der(0xA0, der(0x02, b"\x02")),
        der(0x02, serial.to_bytes(2, "big")),
        algorithm,
        subject,
        der(0x30, der(0x17, b"260101000000Z"), der(0x17, b"360101000000Z")),
        subject,
        key,
    )
    text = base64.b64encode(der(0x30, body, algorithm, der(0x03, b"\x00s"))).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"


def test_certificates_are_installed_listed_and_deleted():
    bench = Bench()
    kind = "CentralSystemRootCertificate"
    assert bench.ask("GetInstalledCertificateIds", certificateType=kind) == {"status": "NotFound"}
    install = {"certificateType": kind, "certificate": certificate()}
    assert bench.ask("InstallCertificate", **install) == {"status": "Accepted"}
    broken = {"certificateType": kind, "certificate": "-----BEGIN CERTIFICATE-----"}
    assert bench.ask("InstallCertificate", **broken) == {"status": "Rejected"}
    [data] = bench.ask("GetInstalledCertificateIds", certificateType=kind)["certificateHashData"]
    assert data["serialNumber"] == "4d2"
    assert len(data["issuerNameHash"]) == len(data["issuerKeyHash"]) == 64
    assert bench.ask("DeleteCertificate", certificateHashData=data) == {"status": "Accepted"}
    assert bench.ask("DeleteCertificate", certificateHashData=data) == {"status": "NotFound"}


def test_a_certificate_that_nobody_asked_for_is_refused():
    answer = Bench().ask("CertificateSigned", certificateChain=certificate())
    assert answer == {"status": "Rejected"}
