"""An OCPP 2.0.1 station from plug to plug: TransactionEvents that are complete, in order, and true."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.behaviour.bench import Bench

V201 = "OCPP2.0.1"
TOKEN = {"idToken": "AABBCCDD", "type": "ISO14443"}


def events(bench: Bench) -> list[dict[str, Any]]:
    return bench.said("TransactionEvent")


def told(bench: Bench) -> list[tuple[str, str, str | None]]:
    return [
        (e["eventType"], e["triggerReason"], e["transactionInfo"].get("chargingState"))
        for e in events(bench)
    ]


def charging(**settings: Any) -> Bench:
    bench = Bench(V201, **settings)
    bench.do("plug_connector")
    bench.do("start_transaction", id_tag="AABBCCDD")
    assert bench.shown()["power_w"] > 0
    return bench


def transaction(bench: Bench) -> str:
    return events(bench)[-1]["transactionInfo"]["transactionId"]


def profile(limit, *, unit="W", number=1, level=0, purpose="TxDefaultProfile", **more):
    return {
        "id": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": [
            {
                "id": number,
                "chargingRateUnit": unit,
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
            }
        ],
        **more,
    }


def test_a_session_is_told_in_its_order():
    bench = charging()
    bench.wait(130)
    bench.do("stop_session")
    assert told(bench) == [
        ("Started", "Authorized", "EVConnected"),
        ("Updated", "ChargingStateChanged", "Charging"),
        ("Updated", "MeterValuePeriodic", "Charging"),
        ("Updated", "MeterValuePeriodic", "Charging"),
        ("Ended", "StopAuthorized", "EVConnected"),
    ]
    assert [e["seqNo"] for e in events(bench)] == [0, 1, 2, 3, 4]
    assert {e["transactionInfo"]["transactionId"] for e in events(bench)} == {transaction(bench)}
    assert [e.get("idToken") for e in events(bench)] == [TOKEN, None, None, None, None]
    assert events(bench)[-1]["transactionInfo"]["stoppedReason"] == "Local"
    assert bench.statuses() == ["Available", "Occupied", "Available"]
    assert not any("offline" in e for e in events(bench))


def test_the_energy_of_a_transaction_is_the_integral_of_its_power():
    bench = charging(configuration={"SampledDataCtrlr.TxUpdatedInterval": "10"})
    bench.wait(600)
    bench.ask("SetChargingProfile", evseId=1, chargingProfile=profile(5000))
    bench.wait(900)
    bench.do("power_update", power_w=2000)
    bench.wait(600)
    bench.do("stop_transaction")
    moments = [m for e in events(bench) if e["eventType"] == "Updated" for m in e["meterValue"]]
    powers = [read(m, "Power.Active.Import") for m in moments if context(m) == "Sample.Periodic"]
    final = events(bench)[-1]["meterValue"]
    energy = read(final[-1], "Energy.Active.Import.Register") - read(
        final[0], "Energy.Active.Import.Register"
    )
    assert [context(m) for m in final] == ["Transaction.Begin", "Transaction.End"]
    assert energy == pytest.approx(sum(powers) * 10 / 3600, rel=0.01)
    assert energy == pytest.approx(22_000 / 6 + 5000 / 4 + 2000 / 6, rel=0.001)
    assert ("Updated", "ChargingRateChanged", "Charging") in told(bench)


def read(moment: dict[str, Any], measurand: str) -> float:
    return next(v["value"] for v in moment["sampledValue"] if v["measurand"] == measurand)


def context(moment: dict[str, Any]) -> str:
    return moment["sampledValue"][0]["context"]


def test_a_remote_start_names_its_request():
    bench = Bench(V201)
    ask = {"idToken": TOKEN, "remoteStartId": 77, "evseId": 1}
    assert bench.ask("RequestStartTransaction", **ask) == {"status": "Accepted"}
    assert events(bench) == []
    bench.do("plug_connector")
    first = events(bench)[0]
    assert (first["eventType"], first["triggerReason"]) == ("Started", "CablePluggedIn")
    assert first["transactionInfo"]["remoteStartId"] == 77
    assert first["idToken"] == TOKEN
    assert bench.said("Authorize") == []
    answer = bench.ask("RequestStartTransaction", **ask)
    assert answer["status"] == "Rejected"
    answer = bench.ask("RequestStartTransaction", **(ask | {"evseId": 9}))
    assert answer["status"] == "Rejected"


def test_the_cable_first_and_then_a_remote_start():
    bench = Bench(V201)
    bench.do("plug_connector")
    bench.ask("RequestStartTransaction", idToken=TOKEN, remoteStartId=7)
    assert told(bench)[0] == ("Started", "RemoteStart", "EVConnected")
    name = transaction(bench)
    assert bench.ask("GetTransactionStatus", transactionId=name) == {
        "ongoingIndicator": True,
        "messagesInQueue": False,
    }
    assert bench.ask("RequestStopTransaction", transactionId=name) == {"status": "Accepted"}
    assert told(bench)[-1] == ("Ended", "RemoteStop", "EVConnected")
    assert bench.ask("RequestStopTransaction", transactionId=name)["status"] == "Rejected"


def test_a_transaction_may_begin_with_the_cable_alone():
    bench = Bench(V201, configuration={"TxStartPoint": "EVConnected", "TxStopPoint": "EVConnected"})
    bench.do("plug_connector")
    assert told(bench) == [("Started", "CablePluggedIn", "EVConnected")]
    assert bench.shown()["power_w"] == 0
    answer = bench.ask("RequestStartTransaction", idToken=TOKEN, remoteStartId=7, evseId=1)
    assert answer == {"status": "Accepted", "transactionId": transaction(bench)}
    assert told(bench)[-1] == ("Updated", "RemoteStart", "Charging")
    assert events(bench)[-1]["idToken"] == TOKEN
    bench.ask("RequestStopTransaction", transactionId=transaction(bench))
    assert told(bench)[-1] == ("Updated", "RemoteStop", "EVConnected")
    assert bench.shown()["power_w"] == 0
    bench.do("unplug_connector")
    assert (told(bench)[-1][0], told(bench)[-1][2]) == ("Ended", "Idle")
    assert events(bench)[-1]["transactionInfo"]["stoppedReason"] == "Remote"


def test_a_transaction_may_begin_with_the_token_alone_and_time_out():
    bench = Bench(V201, configuration={"TxStartPoint": "Authorized", "EVConnectionTimeOut": "30"})
    bench.ask("RequestStartTransaction", idToken=TOKEN, remoteStartId=7)
    assert told(bench) == [("Started", "RemoteStart", "Idle")]
    bench.wait(31)
    assert told(bench)[-1] == ("Ended", "EVConnectTimeout", "Idle")
    assert events(bench)[-1]["transactionInfo"]["stoppedReason"] == "Timeout"


def test_the_car_and_a_limit_suspend_each_in_its_own_way():
    bench = charging()
    bench.do("ev_stops_energy")
    assert told(bench)[-1] == ("Updated", "ChargingStateChanged", "SuspendedEV")
    bench.do("ev_requests_energy")
    assert told(bench)[-1] == ("Updated", "ChargingStateChanged", "Charging")
    bench.ask("SetChargingProfile", evseId=1, chargingProfile=profile(0))
    assert told(bench)[-1] == ("Updated", "ChargingStateChanged", "SuspendedEVSE")
    assert bench.statuses()[-1] == "Occupied"


def test_a_token_refused_by_the_event_ends_the_transaction():
    bench = Bench(V201)
    bench.says["TransactionEvent"] = {"idTokenInfo": {"status": "Blocked"}}
    bench.do("start_transaction", id_tag="AABBCCDD")
    assert told(bench)[-1][:2] == ("Ended", "Deauthorized")
    assert events(bench)[-1]["transactionInfo"]["stoppedReason"] == "DeAuthorized"


def test_without_stop_on_invalid_id_the_energy_is_withheld():
    bench = Bench(V201, configuration={"StopTxOnInvalidId": "false"})
    bench.says["TransactionEvent"] = {"idTokenInfo": {"status": "Blocked"}}
    bench.do("start_transaction", id_tag="AABBCCDD")
    assert told(bench)[-1][2] == "SuspendedEVSE"
    assert bench.shown()["power_w"] == 0


def test_pulling_the_cable_ends_it():
    bench = charging()
    bench.do("unplug_connector")
    assert told(bench)[-1] == ("Ended", "EVCommunicationLost", "Idle")
    assert events(bench)[-1]["transactionInfo"]["stoppedReason"] == "EVDisconnected"


def test_events_of_an_offline_time_are_marked_and_in_order():
    bench = charging()
    bench.lose()
    bench.forget()
    bench.wait(130)
    bench.do("stop_session")
    bench.connect()
    assert [e["seqNo"] for e in events(bench)] == [2, 3, 4]
    assert all(e["offline"] is True for e in events(bench))
    assert events(bench)[-1]["eventType"] == "Ended"


def test_a_restart_of_the_process_keeps_the_transaction_and_its_numbers():
    bench = charging()
    name = transaction(bench)
    bench.wait(70)
    bench.lose()
    bench.restart()
    bench.wait(60)
    assert transaction(bench) == name
    numbers = [e["seqNo"] for e in events(bench)]
    assert numbers == list(range(len(numbers)))


def test_a_refused_event_is_tried_again():
    bench = Bench(
        V201, configuration={"OCPPCommCtrlr.MessageAttemptInterval.TransactionEvent": "10"}
    )
    bench.says["TransactionEvent"] = "InternalError"
    bench.do("start_transaction", id_tag="AABBCCDD")
    bench.wait(11)
    assert [e["seqNo"] for e in events(bench)] == [0, 0]
    del bench.says["TransactionEvent"]
    bench.wait(25)
    assert [e["seqNo"] for e in events(bench)][:4] == [0, 0, 0, 1]


def test_a_profile_of_the_transaction_is_reported_when_asked_for():
    bench = charging()
    name = transaction(bench)
    message = profile(16, unit="A", purpose="TxProfile", transactionId=name)
    assert bench.ask("SetChargingProfile", evseId=1, chargingProfile=message) == {
        "status": "Accepted"
    }
    assert bench.shown()["power_w"] == 11_040
    answer = bench.ask("GetChargingProfiles", requestId=5, chargingProfile={})
    assert answer == {"status": "Accepted"}
    report = bench.last("ReportChargingProfiles")
    assert (report["requestId"], report["evseId"], report["tbc"]) == (5, 1, False)
    assert report["chargingProfile"] == [message]
    answer = bench.ask("GetCompositeSchedule", evseId=1, duration=60, chargingRateUnit="A")
    assert answer["schedule"]["chargingSchedulePeriod"] == [
        {"startPeriod": 0, "limit": 16.0, "numberPhases": 3}
    ]
    bench.do("stop_session")
    answer = bench.ask("GetChargingProfiles", requestId=6, chargingProfile={})
    assert answer == {"status": "NoProfiles"}


@pytest.mark.parametrize(
    ("evse", "message", "code"),
    [
        (1, profile(1, purpose="TxProfile"), "MissingParam"),
        (1, profile(1, purpose="TxProfile", transactionId="no"), "TxNotFound"),
        (9, profile(1), "UnknownEvse"),
        (1, profile(1, level=99), "InvalidProfile"),
        (1, profile(1, number=2), "DuplicateProfile"),
    ],
)
def test_a_profile_that_cannot_be_is_refused_with_a_reason(evse, message, code):
    bench = Bench(V201)
    bench.ask("SetChargingProfile", evseId=1, chargingProfile=profile(5000))
    answer = bench.ask("SetChargingProfile", evseId=evse, chargingProfile=message)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", code)
