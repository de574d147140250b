"""Firmware updates, log uploads, transactions' identities and wire faults, each as a script over
time.
"""

from __future__ import annotations

import pytest

from simulator.behaviour import Sent
from simulator.lifecycles import FirmwareOrder, FirmwareUpdate, LogUpload, Pace
from simulator.transactions import End, Token, Transaction, bind, load_transaction
from simulator.wire import Plan, WireFaults, WireFaultsInvalid, parse_wire_faults

GOOD = "https://files.example.com/firmware-2.bin"


def play(script, until=5000.0, **facts):
    """Every status with its time, calling exactly when the script asks for it."""
    seen = []
    now = 0.0
    while now <= until and not script.is_over:
        now = max(now, script.due)
        if now > until:
            break
        status = script.advance(now, **facts)
        if status:
            seen.append(status)
    return seen


@pytest.mark.parametrize(
    ("order", "statuses"),
    [
        (
            FirmwareOrder(GOOD, 0),
            "Downloading Downloaded Installing InstallRebooting Installed",
        ),
        (
            FirmwareOrder(GOOD, 50, install_at=100, request_id=1, signed=True, detailed=True),
            "DownloadScheduled Downloading Downloaded SignatureVerified InstallScheduled"
            " Installing InstallRebooting Installed",
        ),
        (FirmwareOrder("ftp://files.invalid/x", 0, retries=2), "Downloading DownloadFailed"),
        (FirmwareOrder("gopher://a.example/x", 0), "Downloading DownloadFailed"),
        (
            FirmwareOrder("http://a.example/corrupt.bin", 0),
            "Downloading Downloaded Installing InstallationFailed",
        ),
        (
            FirmwareOrder(GOOD, 0, signed=True, certificate="not a certificate"),
            "Downloading Downloaded InvalidSignature",
        ),
    ],
)
def test_the_statuses_come_in_the_order_of_the_specification(order, statuses):
    script = FirmwareUpdate(order, 0, Pace())
    assert play(script, busy=False) == statuses.split()
    assert script.is_over


def test_nothing_is_installed_while_somebody_charges():
    script = FirmwareUpdate(FirmwareOrder(GOOD, 0, detailed=True), 0, Pace())
    assert play(script, until=200, busy=True)[-1] == "InstallScheduled"
    assert not script.blocks_charging
    assert script.advance(500, busy=False) == "Installing"
    assert script.blocks_charging


def test_retries_take_their_interval():
    order = FirmwareOrder("ftp://files.invalid/x", 0, retries=2, retry_interval_s=100)
    script = FirmwareUpdate(order, 0, Pace(download_s=5))
    assert play(script, until=204, busy=False) == ["Downloading"]
    assert play(script, until=205, busy=False) == ["DownloadFailed"]


@pytest.mark.parametrize(
    ("location", "end"), [(GOOD, "Uploaded"), ("ftp://logs.invalid/", "UploadFailed")]
)
def test_a_log_is_uploaded_or_not(location, end):
    assert play(LogUpload(location, 0, Pace())) == ["Uploading", end]


# --- transactions -----------------------------------------------------------------------------


def test_a_transaction_comes_back_from_what_was_kept():
    transaction = Transaction("key", Token("TAG", "Central"), 5.0, 100.0)
    transaction.csms_id = 42
    transaction.next_sequence()
    again = load_transaction(transaction.dump())
    assert again.dump() == transaction.dump()
    assert again.next_sequence() == 1
    assert again.is_called("42")
    assert again.is_called("key")


def test_the_number_of_the_csms_reaches_every_message_that_waits():
    mine = {"transaction": "key"}
    start = Sent("StartTransaction", {"connectorId": 1, "idTag": "TAG"}, mine, durable=True)
    meter = Sent("MeterValues", {"connectorId": 1, "transactionId": -1}, mine, durable=True)
    stop = Sent("StopTransaction", {"transactionId": -1, "idTag": "TAG"}, mine, durable=True)
    other = Sent("StopTransaction", {"transactionId": -1}, {"transaction": "b"}, durable=True)
    bind([start, meter, stop, other], "key", 7)
    assert [s.payload.get("transactionId") for s in (start, meter, stop, other)] == [None, 7, 7, -1]


def test_every_reason_has_words_in_both_versions():
    reasons16 = {
        "EmergencyStop", "EVDisconnected", "HardReset", "Local", "Other", "PowerLoss", "Reboot",
        "Remote", "SoftReset", "UnlockCommand", "DeAuthorized",
    }  # fmt: skip
    assert {end.value.reason16 for end in End} <= reasons16


# --- the wire -------------------------------------------------------------------------------


def test_no_faults_change_nothing():
    assert parse_wire_faults({}) is None
    assert parse_wire_faults({"seed": 3}) is None


@pytest.mark.parametrize(
    "raw", [{"drop_rate": 2}, {"drop_rate": -1}, {"drop_rate": "often"}, {"gremlins": 1}]
)
def test_a_setting_that_makes_no_sense_is_refused(raw):
    with pytest.raises(WireFaultsInvalid):
        parse_wire_faults(raw)


def test_the_same_seed_makes_the_same_faults():
    def run(seed):
        faults = WireFaults(Plan(seed=seed, drop_rate=0.3, jitter_s=1, duplicate_rate=0.2), 0)
        return [faults.deliveries("[2,1]", n, ours=True) for n in range(50)]

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert {len(d) for d in run(1)} == {0, 1, 2}


def test_frames_arrive_late_and_in_order():
    faults = WireFaults(Plan(latency_s=1, jitter_s=5), 0)
    times = [d.at for n in range(50) for d in faults.deliveries("[]", n / 10, ours=False)]
    assert times == sorted(times)
    assert times[0] >= 1


def test_answers_of_ours_are_slow_wrong_or_broken():
    answer = '[3,"1",{"status":"Accepted"}]'
    call = '[2,"1","Heartbeat",{}]'
    slow = WireFaults(Plan(slow_answer_s=9), 0)
    assert slow.deliveries(call, 0, ours=True)[0].at < 0.01
    assert slow.deliveries(answer, 1, ours=True)[0].at == 10
    wrong = WireFaults(Plan(wrong_answer_rate=1), 0)
    assert "unexpected" in wrong.deliveries(answer, 0, ours=True)[0].text
    assert wrong.deliveries(call, 0, ours=True)[0].text == call
    broken = WireFaults(Plan(malformed_rate=1), 0)
    assert call.startswith(broken.deliveries(call, 0, ours=True)[0].text)
    assert broken.deliveries(call, 0, ours=False)[0].text == call


def test_a_cut_connection_stays_away_and_all_of_it_ends():
    faults = WireFaults(Plan(disconnect_every_s=10, refuse_connect_s=5, duration_s=60), 0)
    assert faults.refusal(1) == 4
    at = faults.next_disconnect(5)
    assert at is not None
    assert 10 <= at <= 20
    faults.cut(at)
    assert faults.refusal(at) == 5
    assert faults.refusal(60) == 0
    assert faults.next_disconnect(60) is None


def test_nothing_stays_away_for_longer_than_all_of_it_lasts():
    faults = WireFaults(Plan(refuse_connect_s=3600, duration_s=20), 0)
    assert faults.refusal(5) == 15
    assert faults.refusal(20) == 0
