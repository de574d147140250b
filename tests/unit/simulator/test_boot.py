"""From an open connection to online: the boot and its answers, in both versions."""

from __future__ import annotations

import pytest

from tests.unit.simulator.lab import VERSIONS, Lab

versions = pytest.mark.parametrize("version", VERSIONS)


@versions
def test_boot_is_the_first_and_only_call_until_it_is_answered(version: str) -> None:
    lab = Lab(version).start()
    lab.pass_time(20)
    assert lab.actions() == ["BootNotification"]


def test_a_boot_of_16_names_vendor_model_and_serial_number_within_their_lengths() -> None:
    lab = Lab().start()
    payload = lab.calls("BootNotification")[0][3]
    assert payload["chargePointVendor"] == "Wallbox"
    assert payload["chargePointModel"] == "Pulsar Plus"
    assert payload["chargePointSerialNumber"] == "CP-1"


def test_a_boot_of_201_says_power_up_and_after_a_reset_remote_reset() -> None:
    lab = Lab("OCPP2.0.1").start()
    assert lab.in_air()[3]["reason"] == "PowerUp"
    lab.accept()
    lab.ask("Reset", {"type": "Immediate"})
    lab.pass_time(0)
    lab.lose(1001)
    lab.pass_time(5)
    lab.connect()
    assert lab.in_air()[3]["reason"] == "RemoteReset"


@versions
def test_accepted_makes_it_online_and_every_connector_is_reported(version: str) -> None:
    lab = Lab(version, connectors=2).start()
    lab.accept(interval=10)
    reports = [frame[3] for frame in lab.calls("StatusNotification")]
    if version == "OCPP1.6":
        assert [(r["connectorId"], r["status"]) for r in reports] == [
            (0, "Available"),
            (1, "Available"),
            (2, "Available"),
        ]
    else:
        assert [(r["evseId"], r["connectorId"], r["connectorStatus"]) for r in reports] == [
            (1, 1, "Available"),
            (2, 1, "Available"),
        ]
    assert lab.stages()[-1] == ("online", "connected")
    assert lab.last_state().detail["boot_status"] == "Accepted"


@versions
def test_heartbeats_come_at_the_interval_that_the_csms_gave(version: str) -> None:
    lab = Lab(version).start()
    lab.accept(interval=7)
    lab.pass_time(6.9)
    assert lab.calls("Heartbeat") == []
    for _ in range(3):
        lab.pass_time(7)
        lab.settle()
    assert len(lab.calls("Heartbeat")) == 3


@versions
def test_an_interval_of_zero_leaves_the_heartbeat_to_our_default(version: str) -> None:
    lab = Lab(version, heartbeat_interval_s=60, ping_interval_s=1000).start()
    lab.accept(interval=0)
    lab.pass_time(59)
    assert lab.calls("Heartbeat") == []
    lab.pass_time(1)
    assert len(lab.calls("Heartbeat")) == 1
    assert lab.last_state().detail["interval_s"] == 60


@versions
def test_an_unanswered_heartbeat_is_not_piled_up(version: str) -> None:
    lab = Lab(version, call_timeout_s=25, ping_interval_s=1000).start()
    lab.accept(interval=10)
    lab.pass_time(29)
    assert len(lab.calls("Heartbeat")) == 1


@versions
@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_pending_and_rejected_boot_again_at_the_interval_given(version: str, status: str) -> None:
    lab = Lab(version).start()
    lab.boot(status, interval=5)
    lab.pass_time(4.9)
    assert lab.actions() == ["BootNotification"]
    lab.pass_time(0.1)
    assert lab.actions() == ["BootNotification"] * 2
    lab.accept()
    assert lab.stages()[-1] == ("online", "connected")


@versions
def test_pending_with_interval_zero_waits_for_our_own_pause(version: str) -> None:
    lab = Lab(version, boot_retry_s=12).start()
    lab.boot("Pending", interval=0)
    lab.pass_time(11)
    assert len(lab.calls("BootNotification")) == 1
    lab.pass_time(1)
    assert len(lab.calls("BootNotification")) == 2


@versions
def test_pending_is_told_as_a_wait_and_rejected_as_a_definite_refusal(version: str) -> None:
    lab = Lab(version).start()
    lab.boot("Pending", interval=5)
    state = lab.last_state()
    assert (state.stage, state.verdict) == ("registering", "starting")
    assert state.detail["boot_status"] == "Pending"
    lab.pass_time(5)
    lab.boot("Rejected", interval=5)
    state = lab.last_state()
    assert (state.stage, state.verdict) == ("registering", "csms_rejected")
    assert state.detail["error"] == "boot_rejected"
    assert state.detail["definite"] is True


@versions
def test_the_wait_of_a_rejected_boot_outlives_a_lost_connection(version: str) -> None:
    lab = Lab(version, reconnect_min_s=0.1).start()
    lab.boot("Rejected", interval=60)
    lab.lose()
    lab.pass_time(5)
    lab.connect()
    lab.pass_time(54)
    assert len(lab.calls("BootNotification")) == 1
    lab.pass_time(1)
    assert len(lab.calls("BootNotification")) == 2


@versions
def test_a_boot_that_nobody_answers_is_said_and_tried_again(version: str) -> None:
    lab = Lab(version, call_timeout_s=30, boot_retry_s=10, ping_interval_s=1000).start()
    lab.pass_time(30)
    assert lab.last_state().detail["error"] == "timeout"
    assert "30 seconds" in lab.last_state().detail["message"]
    lab.pass_time(10)
    assert len(lab.calls("BootNotification")) == 2


@versions
@pytest.mark.parametrize(("code", "definite"), [("InternalError", False), ("SecurityError", True)])
def test_a_boot_answered_with_an_error_is_tried_again(
    version: str, code: str, definite: bool
) -> None:
    lab = Lab(version, boot_retry_s=10).start()
    lab.hear(f'[4,"{lab.in_air()[1]}","{code}","no",{{}}]')
    detail = lab.last_state().detail
    assert (detail["error"], detail["definite"]) == ("boot_rejected", definite)
    assert code in detail["message"]
    lab.pass_time(10)
    assert len(lab.calls("BootNotification")) == 2


@versions
def test_a_boot_answer_that_breaks_its_schema_is_not_taken_for_accepted(version: str) -> None:
    lab = Lab(version).start()
    lab.answer({"status": "Accepted", "interval": 10, "currentTime": "yesterday"})
    assert lab.last_state().stage == "registering"
    assert "currentTime" in lab.last_state().detail["message"]
    assert "answer_invalid" in lab.events()


@versions
def test_what_the_csms_asks_while_pending_is_answered(version: str) -> None:
    lab = Lab(version).start()
    lab.boot("Pending", interval=60)
    assert lab.ask("DataTransfer", {"vendorId": "x"}) == [3, "m1", {"status": "UnknownVendorId"}]


@versions
def test_a_message_triggered_while_pending_goes_out_before_accepted(version: str) -> None:
    lab = Lab(version).start()
    lab.boot("Pending", interval=60)
    assert lab.ask("TriggerMessage", {"requestedMessage": "Heartbeat"})[2] == {"status": "Accepted"}
    assert lab.actions() == ["BootNotification", "Heartbeat"]


@versions
def test_a_boot_triggered_while_pending_replaces_the_wait(version: str) -> None:
    lab = Lab(version).start()
    lab.boot("Pending", interval=60)
    lab.ask("TriggerMessage", {"requestedMessage": "BootNotification"})
    assert len(lab.calls("BootNotification")) == 2
    lab.accept(interval=1000)
    lab.pass_time(70)
    assert len(lab.calls("BootNotification")) == 2


def test_a_16_charger_is_silent_while_rejected() -> None:
    lab = Lab().start()
    lab.boot("Rejected", interval=60)
    assert lab.ask("DataTransfer", {"vendorId": "x"}) == []
    assert "call_ignored" in lab.events()


def test_a_201_station_answers_with_a_security_error_while_rejected() -> None:
    lab = Lab("OCPP2.0.1").start()
    lab.boot("Rejected", interval=60)
    assert lab.ask("DataTransfer", {"vendorId": "x"})[:3] == [4, "m1", "SecurityError"]


def test_a_201_station_that_is_accepted_refuses_a_triggered_boot() -> None:
    lab = Lab("OCPP2.0.1").start()
    lab.accept()
    reply = lab.ask("TriggerMessage", {"requestedMessage": "BootNotification"})
    assert reply[2] == {"status": "Rejected"}
    assert len(lab.calls("BootNotification")) == 1


def test_a_16_charger_boots_on_a_trigger_and_a_rejection_takes_it_offline() -> None:
    lab = Lab().start()
    lab.accept(interval=10)
    lab.ask("TriggerMessage", {"requestedMessage": "BootNotification"})
    lab.boot("Rejected", interval=60)
    lab.pass_time(30)
    assert lab.calls("Heartbeat") == []
    assert lab.last_state().verdict == "csms_rejected"
