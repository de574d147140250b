"""An OCPP 1.6 charger from plug to plug: what the CSMS hears, and that it is true."""

from __future__ import annotations

import pytest

from tests.unit.behaviour.bench import Bench


def profile(limit, unit="W", purpose="TxDefaultProfile", number=1, level=0, **more):
    return {
        "chargingProfileId": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": {
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
        },
        **more,
    }


def samples(bench: Bench, measurand: str) -> list[float]:
    return [
        float(value["value"])
        for payload in bench.said("MeterValues")
        for moment in payload["meterValue"]
        for value in moment["sampledValue"]
        if value["measurand"] == measurand
    ]


def charging(**settings) -> Bench:
    bench = Bench(**settings)
    bench.do("plug_connector")
    bench.do("start_transaction", id_tag="TAG")
    assert bench.shown()["status"] == "Charging"
    return bench


def test_a_session_is_told_in_its_order():
    bench = charging()
    bench.wait(130)
    bench.do("stop_session")
    assert bench.names() == [
        "BootNotification",
        "StatusNotification",
        "StatusNotification",
        "StatusNotification",
        "Authorize",
        "StartTransaction",
        "StatusNotification",
        "MeterValues",
        "MeterValues",
        "StopTransaction",
        "StatusNotification",
        "StatusNotification",
    ]
    assert bench.statuses() == ["Available", "Preparing", "Charging", "Finishing", "Available"]


def test_the_energy_of_a_transaction_is_the_integral_of_its_power():
    bench = charging(configuration={"MeterValueSampleInterval": "10"})
    bench.wait(600)
    bench.ask("SetChargingProfile", connectorId=1, csChargingProfiles=profile(5000))
    bench.wait(900)
    bench.do("power_update", power_w=2000)
    bench.wait(600)
    bench.do("stop_transaction")
    start = bench.last("StartTransaction")["meterStart"]
    stop = bench.last("StopTransaction")["meterStop"]
    energies = samples(bench, "Energy.Active.Import.Register")
    powers = samples(bench, "Power.Active.Import")
    assert [start, *energies, stop] == sorted([start, *energies, stop])
    assert stop - start == pytest.approx(sum(powers) * 10 / 3600, rel=0.01)
    assert stop - start == pytest.approx(22_000 / 6 + 5000 / 4 + 2000 / 6, rel=0.001)


def test_a_limit_changes_the_power_at_once_and_a_zero_limit_suspends():
    bench = charging()
    bench.ask("SetChargingProfile", connectorId=1, csChargingProfiles=profile(16, "A"))
    assert bench.shown()["power_w"] == 16 * 230 * 3
    bench.ask("SetChargingProfile", connectorId=1, csChargingProfiles=profile(0, "A"))
    assert (bench.shown()["power_w"], bench.shown()["status"]) == (0, "SuspendedEVSE")
    assert bench.ask("ClearChargingProfile", id=1) == {"status": "Accepted"}
    assert (bench.shown()["power_w"], bench.shown()["status"]) == (22_000, "Charging")


def test_a_schedule_takes_effect_by_itself_when_its_time_comes():
    bench = charging()
    message = profile(10_000)
    message["chargingSchedule"]["chargingSchedulePeriod"].append(
        {"startPeriod": 300, "limit": 4000}
    )
    bench.ask("SetChargingProfile", connectorId=1, csChargingProfiles=message)
    bench.wait(299)
    assert bench.shown()["power_w"] == 10_000
    bench.wait(2)
    assert bench.shown()["power_w"] == 4000


def test_the_station_s_maximum_is_shared_between_connectors():
    bench = Bench(connectors=2)
    for connector in (1, 2):
        bench.do("start_transaction", id_tag=f"TAG{connector}", connector_id=connector)
    message = profile(10_000, purpose="ChargePointMaxProfile") | {"chargingProfileKind": "Absolute"}
    assert bench.ask("SetChargingProfile", connectorId=0, csChargingProfiles=message) == {
        "status": "Accepted"
    }
    assert [bench.shown(n)["power_w"] for n in (1, 2)] == [5000, 5000]
    bench.do("stop_transaction", transaction_id=str(101))
    assert [bench.shown(n)["power_w"] for n in (1, 2)] == [0, 10_000]


def test_a_tx_profile_needs_its_transaction_and_goes_with_it():
    bench = Bench()
    message = profile(5000, purpose="TxProfile")
    ask = {"connectorId": 1, "csChargingProfiles": message}
    assert bench.ask("SetChargingProfile", **ask) == {"status": "Rejected"}
    bench.do("start_transaction", id_tag="TAG")
    wrong = {"connectorId": 1, "csChargingProfiles": message | {"transactionId": 999}}
    assert bench.ask("SetChargingProfile", **wrong) == {"status": "Rejected"}
    assert bench.ask("SetChargingProfile", **ask) == {"status": "Accepted"}
    bench.do("stop_session")
    bench.do("start_transaction", id_tag="TAG")
    assert bench.shown()["power_w"] == 22_000


def test_the_composite_schedule_is_what_the_charger_does():
    bench = charging()
    bench.ask("SetChargingProfile", connectorId=1, csChargingProfiles=profile(16, "A"))
    answer = bench.ask("GetCompositeSchedule", connectorId=1, duration=60, chargingRateUnit="A")
    [period] = answer["chargingSchedule"]["chargingSchedulePeriod"]
    assert period == {"startPeriod": 0, "limit": 16.0, "numberPhases": 3}


def test_a_car_that_stops_asking_suspends_and_a_full_one_ends_so():
    bench = charging(ev={"battery_wh": 2000, "soc": 0.5})
    bench.do("ev_stops_energy")
    assert bench.shown()["status"] == "SuspendedEV"
    bench.do("ev_requests_energy")
    assert bench.shown()["status"] == "Charging"
    bench.wait(3600)
    assert (bench.shown()["status"], bench.shown()["soc"]) == ("SuspendedEV", 100.0)
    assert bench.shown()["energy_wh"] in (999, 1000)


def test_a_refused_token_begins_nothing():
    bench = Bench()
    bench.refused_tokens["BAD"] = "Blocked"
    ended = bench.do("start_transaction", id_tag="BAD")
    assert ended is not None
    assert (ended.state, "Blocked" in (ended.error or "")) == ("rejected", True)
    assert bench.said("StartTransaction") == []


def test_a_token_refused_by_start_transaction_ends_it():
    bench = Bench()
    bench.says["StartTransaction"] = {"transactionId": 7, "idTagInfo": {"status": "ConcurrentTx"}}
    bench.do("start_transaction", id_tag="TAG")
    assert bench.last("StopTransaction")["reason"] == "DeAuthorized"
    assert bench.last("StopTransaction")["transactionId"] == 7
    assert bench.statuses()[-1] == "Finishing"


def test_without_stop_on_invalid_id_the_energy_is_withheld():
    bench = Bench(configuration={"StopTransactionOnInvalidId": "false"})
    bench.says["StartTransaction"] = {"transactionId": 7, "idTagInfo": {"status": "Invalid"}}
    bench.do("start_transaction", id_tag="TAG")
    assert bench.said("StopTransaction") == []
    assert (bench.shown()["status"], bench.shown()["power_w"]) == ("SuspendedEVSE", 0)


def test_the_energy_left_to_an_invalid_token_is_counted():
    bench = Bench(
        configuration={"StopTransactionOnInvalidId": "false", "MaxEnergyOnInvalidId": "1000"}
    )
    bench.says["StartTransaction"] = {"transactionId": 7, "idTagInfo": {"status": "Invalid"}}
    bench.do("start_transaction", id_tag="TAG")
    assert bench.shown()["status"] == "Charging"
    bench.wait(3600)
    assert bench.shown()["status"] == "SuspendedEVSE"
    assert bench.shown()["energy_wh"] == 1000


def test_a_token_before_the_cable_waits_and_then_times_out():
    bench = Bench(configuration={"ConnectionTimeOut": "30"})
    assert bench.ask("RemoteStartTransaction", idTag="TAG") == {"status": "Accepted"}
    assert bench.statuses()[-1] == "Preparing"
    bench.wait(31)
    assert bench.statuses()[-1] == "Available"
    bench.do("plug_connector")
    assert bench.said("StartTransaction") == []


def test_a_cable_without_a_token_is_finishing_after_the_time_out():
    bench = Bench(configuration={"ConnectionTimeOut": "30"})
    bench.do("plug_connector")
    bench.wait(31)
    assert bench.statuses() == ["Available", "Preparing", "Finishing"]


def test_a_remote_start_brings_its_profile():
    bench = Bench()
    bench.do("plug_connector")
    message = profile(6900, purpose="TxProfile")
    answer = bench.ask(
        "RemoteStartTransaction", idTag="TAG", connectorId=1, chargingProfile=message
    )
    assert answer == {"status": "Accepted"}
    assert bench.shown()["power_w"] == 6900
    assert bench.said("Authorize") == []


def test_authorize_remote_tx_requests_asks_first():
    bench = Bench(configuration={"AuthorizeRemoteTxRequests": "true"})
    bench.do("plug_connector")
    bench.ask("RemoteStartTransaction", idTag="TAG")
    assert bench.names()[-3:] == ["Authorize", "StartTransaction", "StatusNotification"]


def test_a_remote_stop_of_an_unknown_number_is_rejected():
    bench = charging()
    assert bench.ask("RemoteStopTransaction", transactionId=5) == {"status": "Rejected"}
    assert bench.ask("RemoteStopTransaction", transactionId=101) == {"status": "Accepted"}
    assert bench.last("StopTransaction")["reason"] == "Remote"


def test_pulling_the_cable_ends_the_transaction_or_pauses_it():
    bench = charging()
    bench.do("unplug_connector")
    assert bench.last("StopTransaction")["reason"] == "EVDisconnected"
    assert bench.statuses()[-1] == "Available"
    bench = charging(configuration={"StopTransactionOnEVSideDisconnect": "false"})
    bench.do("unplug_connector")
    assert bench.said("StopTransaction") == []
    assert bench.statuses()[-1] == "SuspendedEV"
    bench.do("plug_connector")
    assert bench.statuses()[-1] == "Charging"


def test_unlocking_ends_the_transaction():
    bench = charging()
    assert bench.ask("UnlockConnector", connectorId=1) == {"status": "Unlocked"}
    assert bench.last("StopTransaction")["reason"] == "UnlockCommand"
    assert bench.ask("UnlockConnector", connectorId=9) == {"status": "NotSupported"}


def test_stop_transaction_carries_its_samples_when_asked_to():
    bench = charging(
        configuration={
            "StopTxnSampledData": "Energy.Active.Import.Register",
            "MeterValueSampleInterval": "60",
        }
    )
    bench.wait(150)
    bench.do("stop_transaction")
    data = bench.last("StopTransaction")["transactionData"]
    contexts = [moment["sampledValue"][0]["context"] for moment in data]
    assert contexts == [
        "Transaction.Begin",
        "Sample.Periodic",
        "Sample.Periodic",
        "Transaction.End",
    ]


def test_clock_aligned_values_come_on_the_clock():
    bench = Bench(configuration={"ClockAlignedDataInterval": "900"})
    bench.wait(1800)
    moments = [p["meterValue"][0]["timestamp"] for p in bench.said("MeterValues")]
    assert [moment[14:19] for moment in moments] == ["15:00", "30:00"]
    assert all("transactionId" not in p for p in bench.said("MeterValues"))


def test_a_changed_interval_counts_from_then_on():
    bench = charging()
    bench.ask("ChangeConfiguration", key="MeterValueSampleInterval", value="5")
    bench.wait(20)
    assert len(bench.said("MeterValues")) == 4
    bench.ask("ChangeConfiguration", key="MeterValueSampleInterval", value="0")
    bench.wait(600)
    assert len(bench.said("MeterValues")) == 4


# --- offline ----------------------------------------------------------------------------------


def test_a_transaction_that_ends_while_offline_is_delivered_in_order():
    bench = charging()
    bench.lose()
    bench.forget()
    bench.wait(150)
    bench.do("stop_session")
    assert bench.calls == []
    bench.connect()
    assert bench.names("StatusNotification") == ["MeterValues", "MeterValues", "StopTransaction"]
    assert bench.last("StopTransaction")["transactionId"] == 101
    assert bench.statuses()[-1] == "Available"


def test_a_transaction_that_happens_while_offline_gets_its_number_afterwards():
    bench = Bench(configuration={"AllowOfflineTxForUnknownId": "true"})
    bench.lose()
    bench.do("start_transaction", id_tag="TAG")
    bench.wait(100)
    bench.do("stop_session")
    bench.connect()
    assert bench.names("StatusNotification")[-3:] == [
        "StartTransaction",
        "MeterValues",
        "StopTransaction",
    ]
    assert bench.last("MeterValues")["transactionId"] == 101
    assert bench.last("StopTransaction")["transactionId"] == 101


def test_an_unknown_token_is_refused_while_offline_and_a_cached_one_is_not():
    bench = Bench()
    bench.do("authorize_id_tag", id_tag="KNOWN")
    bench.lose()
    refused = bench.do("start_transaction", id_tag="STRANGER")
    assert refused is not None
    assert refused.state == "rejected"
    accepted = bench.do("start_transaction", id_tag="KNOWN")
    assert accepted is not None
    assert accepted.state == "applied"


def test_an_offline_night_keeps_its_memory_small():
    bench = charging(configuration={"MeterValueSampleInterval": "60"})
    bench.do("power_update", power_w=100)
    bench.lose()
    bench.wait(12 * 3600)
    bench.do("stop_transaction")
    assert len(bench.charger.outbox.waiting()) < 150
    bench.connect()
    assert bench.names("StatusNotification")[-1] == "StopTransaction"


def test_a_refused_start_is_tried_again_and_then_given_up():
    bench = Bench(
        configuration={"TransactionMessageAttempts": "2", "TransactionMessageRetryInterval": "10"}
    )
    bench.says["StartTransaction"] = "InternalError"
    bench.do("start_transaction", id_tag="TAG")
    assert len(bench.said("StartTransaction")) == 1
    bench.wait(11)
    assert len(bench.said("StartTransaction")) == 2
    bench.do("stop_transaction")
    assert bench.last("StopTransaction")["transactionId"] == -1


def test_a_restart_of_the_process_loses_nothing():
    bench = charging()
    bench.ask("ChangeConfiguration", key="LocalPreAuthorize", value="true")
    bench.ask("SetChargingProfile", connectorId=1, csChargingProfiles=profile(5000))
    bench.do("send_local_list", list_version=3, entries=[{"id_tag": "A"}])
    bench.wait(100)
    energy = bench.shown()["energy_wh"]
    bench.lose()
    bench.wait(50)
    bench.restart()
    bench.wait(1)
    assert (bench.shown()["status"], bench.shown()["power_w"]) == ("Charging", 5000)
    assert bench.shown()["energy_wh"] >= energy
    assert bench.ask("GetLocalListVersion") == {"listVersion": 3}
    [line] = bench.ask("GetConfiguration", key=["LocalPreAuthorize"])["configurationKey"]
    assert line["value"] == "true"
    bench.do("stop_transaction", transaction_id="101")
    assert bench.last("StopTransaction")["transactionId"] == 101
