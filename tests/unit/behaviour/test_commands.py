"""The gateway's commands, for both versions: the effect at the charger and the frame at the CSMS."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.behaviour.bench import Bench

VERSIONS = ("OCPP1.6", "OCPP2.0.1")
versions = pytest.mark.parametrize("version", VERSIONS)


def begun(bench: Bench) -> int:
    """How many transactions the CSMS heard begin."""
    events = [p for p in bench.said("TransactionEvent") if p["eventType"] == "Started"]
    return len(bench.said("StartTransaction")) + len(events)


def ended(bench: Bench) -> int:
    """How many transactions the CSMS heard end."""
    events = [p for p in bench.said("TransactionEvent") if p["eventType"] == "Ended"]
    return len(bench.said("StopTransaction")) + len(events)


def done(bench: Bench, name: str, **args: Any) -> dict[str, Any]:
    """The result of a command that has to be applied."""
    end = bench.do(name, **args)
    assert end is not None
    assert end.state == "applied", end.error
    return dict(end.result)


def refused(bench: Bench, name: str, **args: Any) -> str:
    """The sentence of a command that has to be rejected."""
    end = bench.do(name, **args)
    assert end is not None
    assert end.state == "rejected"
    assert end.error is not None
    return end.error


@versions
def test_a_cable_goes_in_once_and_out_once(version):
    bench = Bench(version)
    taken = "Preparing" if version == "OCPP1.6" else "Occupied"
    assert done(bench, "plug_connector")["status"] == taken
    assert "already" in refused(bench, "plug_connector")
    assert done(bench, "unplug_connector")["status"] == "Available"
    assert "No cable" in refused(bench, "unplug_connector")
    assert bench.statuses() == ["Available", taken, "Available"]


@versions
def test_either_number_names_a_connector(version):
    bench = Bench(version, connectors=2)
    done(bench, "plug_connector", evse_id=2)
    assert "already" in refused(bench, "plug_connector", connector_id=2)
    assert "no connector 3" in refused(bench, "plug_connector", connector_id=3)


@versions
def test_a_transaction_is_started_and_stopped_by_its_id(version):
    bench = Bench(version)
    result = done(bench, "start_transaction", id_tag="AABBCCDD")
    assert begun(bench) == 1
    assert "runs" in refused(bench, "start_transaction", id_tag="AABBCCDD")
    assert "no transaction" in refused(bench, "stop_transaction", transaction_id="nope")
    assert bench.shown()["transaction_id"] is not None
    done(bench, "stop_transaction", transaction_id=result["transaction_id"])
    assert ended(bench) == 1
    assert "no transaction" in refused(bench, "stop_transaction")


@versions
def test_a_session_ends_by_itself_at_its_energy(version):
    bench = Bench(version)
    done(bench, "start_session", id_tag="AABBCCDD", target_energy_kwh=1.5)
    before = bench.shown()["energy_wh"]
    bench.wait(1.5 / 22 * 3600 + 1)
    assert ended(bench) == 1
    assert bench.shown()["energy_wh"] - before == pytest.approx(1500, abs=1)
    assert bench.shown()["status"] == "Available"


@versions
def test_a_session_ends_by_itself_after_its_time(version):
    bench = Bench(version)
    done(bench, "start_session", id_tag="AABBCCDD", duration_seconds=300)
    bench.wait(299)
    assert ended(bench) == 0
    bench.wait(2)
    assert ended(bench) == 1
    assert bench.shown()["status"] == "Available"


@versions
def test_stop_session_stops_and_unplugs(version):
    bench = Bench(version)
    done(bench, "start_session", id_tag="AABBCCDD")
    assert done(bench, "stop_session")["status"] == "Available"
    assert ended(bench) == 1
    assert "no session" in refused(bench, "stop_session")


@versions
def test_a_start_that_the_csms_refuses_is_refused_with_its_reason(version):
    bench = Bench(version)
    bench.refused_tokens["AABBCCDD"] = "Blocked"
    assert "Blocked" in refused(bench, "start_transaction", id_tag="AABBCCDD")
    assert begun(bench) == 0


@versions
def test_a_start_waits_for_a_slow_csms(version):
    bench = Bench(version)
    bench.is_awake = False
    assert bench.do("start_transaction", id_tag="AABBCCDD") is None
    bench.wait(25)
    assert bench.ended() is None
    bench.is_awake = True
    bench.wait(10)
    end = bench.ended()
    assert end is not None
    assert end.state == "applied"


@versions
def test_a_start_without_any_answer_is_decided_by_the_charger_alone(version):
    bench = Bench(version)
    bench.is_awake = False
    bench.do("start_transaction", id_tag="AABBCCDD")
    bench.wait(70)
    end = bench.ended()
    assert end is not None
    assert end.state == "rejected"


@versions
def test_authorize_asks_the_csms_and_says_what_it_said(version):
    bench = Bench(version)
    bench.refused_tokens["BAD"] = "Blocked"
    assert done(bench, "authorize_id_tag", id_tag="GOOD")["status"] == "Accepted"
    assert done(bench, "authorize_id_tag", id_tag="BAD")["status"] == "Blocked"
    assert len(bench.said("Authorize")) == 2


@versions
def test_the_car_pauses_and_goes_on(version):
    bench = Bench(version)
    assert "No car" in refused(bench, "ev_stops_energy")
    done(bench, "start_transaction", id_tag="AABBCCDD")
    done(bench, "ev_stops_energy")
    assert bench.shown()["power_w"] == 0
    done(bench, "ev_requests_energy")
    assert bench.shown()["power_w"] == 22_000


@versions
def test_a_power_update_is_seen_in_the_next_values(version):
    bench = Bench(version)
    done(bench, "start_transaction", id_tag="AABBCCDD")
    assert done(bench, "power_update", power_w=7000)["power_w"] == 7000
    bench.wait(61)
    assert "7000" in str(bench.calls[-1])
    assert "not negative" in refused(bench, "power_update", power_w=-1)
    done(bench, "stop_session")
    done(bench, "start_session", id_tag="AABBCCDD")
    assert bench.shown()["power_w"] == 22_000


@versions
def test_unlock_ends_what_runs(version):
    bench = Bench(version)
    done(bench, "start_transaction", id_tag="AABBCCDD")
    done(bench, "unlock_connector")
    assert ended(bench) == 1
    done(bench, "inject_fault", fault_type="ConnectorLockFailure")
    assert "lock" in refused(bench, "unlock_connector")


@versions
def test_a_fault_stops_the_energy_until_it_is_cleared(version):
    bench = Bench(version)
    done(bench, "start_transaction", id_tag="AABBCCDD")
    before = bench.shown()["status"]
    result = done(bench, "inject_fault", fault_type="OverCurrent")
    assert (result["status"], result["fault_type"]) == ("Faulted", "OverCurrent")
    assert bench.shown()["error_code"] == "OverCurrentFailure"
    assert bench.shown()["power_w"] == 0
    done(bench, "clear_fault")
    assert bench.shown()["status"] == before
    assert bench.shown()["power_w"] == 22_000
    assert done(bench, "clear_fault")["fault_type"] is None
    assert "Gremlins" in refused(bench, "inject_fault", fault_type="Gremlins")


@versions
def test_a_local_list_grows_or_is_the_same(version):
    bench = Bench(version)
    entries = [{"id_tag": "A", "expiry_date": "2030-01-01T00:00:00Z"}, {"id_tag": "B"}]
    result = done(bench, "send_local_list", list_version=5, entries=entries)
    assert (result["status"], result["list_version"], result["entries_received"]) == (
        "Accepted",
        5,
        2,
    )
    assert done(bench, "send_local_list", list_version=5, entries=entries) == result
    assert "grow" in refused(bench, "send_local_list", list_version=5, entries=entries[:1])
    assert "grow" in refused(bench, "send_local_list", list_version=4, entries=entries)
    result = done(bench, "clear_local_list")
    assert (result["entries_deleted"], result["list_version"]) == (2, 0)


@versions
def test_the_cache_is_reset(version):
    bench = Bench(version)
    done(bench, "authorize_id_tag", id_tag="A")
    assert done(bench, "reset_auth_cache")["cleared_entries"] == 1
    assert done(bench, "reset_auth_cache")["cleared_entries"] == 0


@versions
def test_settings_are_changed_each_on_its_own(version):
    bench = Bench(version)
    good = "TxCtrlr.EVConnectionTimeOut" if version == "OCPP2.0.1" else "ConnectionTimeOut"
    result = done(bench, "set_configuration", configuration={good: "90", "Gremlins": "1"})
    assert (result["status"], result["configured"]) == ("PartiallyAccepted", [good])
    assert set(result["results"]) == {good, "Gremlins"}
    result = done(bench, "set_configuration", configuration={"HeartbeatInterval": "10"})
    assert result["status"] == "Accepted"
    bench.wait(25)
    assert len(bench.said("Heartbeat")) == 2
    result = done(bench, "set_configuration", configuration={"Gremlins": "1"})
    assert (result["status"], result["configured"]) == ("Rejected", [])


PROXIED = [
    ("OCPP1.6", "authorize", {"id_tag": "A"}),
    ("OCPP1.6", "data_transfer", {"vendor_id": "Acme", "message_id": "m"}),
    ("OCPP1.6", "diagnostics_status_notification", {"status": "Idle"}),
    ("OCPP1.6", "firmware_status_notification", {"status": "Idle"}),
    ("OCPP1.6", "heartbeat", {}),
    (
        "OCPP1.6",
        "meter_values",
        {
            "connector_id": 1,
            "meter_value": [
                {"timestamp": "2026-01-01T00:00:00Z", "sampled_value": [{"value": "1"}]}
            ],
        },
    ),
    ("OCPP1.6", "security_event_notification", {"type": "x", "timestamp": "2026-01-01T00:00:00Z"}),
    (
        "OCPP1.6",
        "start_transaction",
        {"connector_id": 1, "id_tag": "A", "meter_start": 0, "timestamp": "2026-01-01T00:00:00Z"},
    ),
    ("OCPP1.6", "status_notification", {"connector_id": 1, "error_code": "NoError", "status": "Available"}),
    ("OCPP1.6", "stop_transaction", {"transaction_id": 5, "meter_stop": 9, "timestamp": "2026-01-01T00:00:00Z"}),
    ("OCPP2.0.1", "authorize", {"id_token": {"id_token": "A", "type": "Central"}}),
    ("OCPP2.0.1", "firmware_status_notification", {"status": "Idle"}),
    (
        "OCPP2.0.1",
        "notify_event",
        {
            "generated_at": "2026-01-01T00:00:00Z",
            "seq_no": 0,
            "event_data": [
                {
                    "event_id": 1,
                    "timestamp": "2026-01-01T00:00:00Z",
                    "trigger": "Alerting",
                    "actual_value": "1",
                    "event_notification_type": "CustomMonitor",
                    "component": {"name": "EVSE"},
                    "variable": {"name": "Power"},
                }
            ],
        },
    ),
    ("OCPP2.0.1", "notify_report", {"request_id": 1, "generated_at": "2026-01-01T00:00:00Z", "seq_no": 0}),
    ("OCPP2.0.1", "publish_firmware_status_notification", {"status": "Idle"}),
    ("OCPP2.0.1", "reservation_status_update", {"reservation_id": 1, "reservation_update_status": "Expired"}),
    (
        "OCPP2.0.1",
        "notify_customer_information",
        {"data": "x", "seq_no": 0, "generated_at": "2026-01-01T00:00:00Z", "request_id": 1},
    ),
    (
        "OCPP2.0.1",
        "transaction_event",
        {
            "event_type": "Started",
            "timestamp": "2026-01-01T00:00:00Z",
            "trigger_reason": "Authorized",
            "seq_no": 0,
            "transaction_info": {"transaction_id": "t"},
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("version", "action", "payload"), PROXIED)
def test_a_message_by_hand_goes_out_as_ocpp_spells_it(version, action, payload):
    bench = Bench(version)
    bench.forget()
    wire = version.lower()
    result = done(bench, "proxy_message", action=action, ocpp_version=wire, payload=payload)
    [(name, sent)] = bench.calls
    assert name.lower() == action.replace("_", "")
    assert len(str(sent).replace("_", "")) == len(str(payload).replace("_", ""))
    assert "_" not in "".join(sent)
    assert "answer" in result
    assert bench.shown()["transaction_id"] is None


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ({"action": "reboot_everything", "payload": {}}, "does not send"),
        ({"action": "transaction_event", "payload": {}}, "does not send"),
        ({"action": "heartbeat", "payload": {"x": 1}}, "is not a Heartbeat"),
        ({"action": "heartbeat", "payload": {}, "ocpp_version": "ocpp2.0.1"}, "speaks ocpp1.6"),
    ],
)
def test_a_message_that_cannot_be_is_refused(args, word):
    assert word in refused(Bench(), "proxy_message", **args)


def test_a_message_by_hand_never_waits():
    bench = Bench()
    bench.lose()
    assert "not connected" in refused(bench, "proxy_message", action="heartbeat", payload={})


@versions
def test_wire_faults_cut_the_connection_and_keep_it_away(version):
    bench = Bench(version)
    result = done(bench, "wire_faults", refuse_connect_s=60, seed=1)
    assert result == {"active": True}
    assert not bench.charger.is_up
    bench.wait(50)
    assert not bench.charger.is_up
    bench.wait(30)
    assert bench.charger.is_up
    assert done(bench, "wire_faults") == {"active": False}
    assert "no wire fault" in refused(bench, "wire_faults", gremlins=1)


@versions
def test_when_wire_faults_are_ended_the_charger_does_not_wait_for_their_time(version):
    bench = Bench(version)
    done(bench, "wire_faults", refuse_connect_s=3600)
    bench.wait(50)
    assert not bench.charger.is_up
    assert done(bench, "wire_faults") == {"active": False}
    bench.wait(10)
    assert bench.charger.is_up


@versions
def test_other_wire_faults_may_keep_the_csms_away_for_another_time(version):
    bench = Bench(version)
    done(bench, "wire_faults", refuse_connect_s=3600)
    done(bench, "wire_faults", refuse_connect_s=30, seed=1)
    bench.wait(20)
    assert not bench.charger.is_up
    bench.wait(30)
    assert bench.charger.is_up
