"""Whatever happens in whatever order: no crash, no invalid message, no illegal jump, nothing lost."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.connectors import TRANSITIONS
from simulator.sampling import timestamp
from tests.unit.behaviour.bench import Bench

#: Whole lives of a charger, on top of the examples of the pure machines.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "10000")) // 50
LEGAL = {(a.value, b.value) for a, targets in TRANSITIONS.items() for b in targets}
TOKENS = ["AABBCCDD", "11223344", "BLOCKED"]


def limit(watts, purpose):
    return {
        "chargingProfileId": 1,
        "id": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": {
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": watts}],
        },
    }


def set_limit(bench, watts):
    message = limit(watts, "TxDefaultProfile")
    if bench.is_201:
        del message["chargingProfileId"]
        message["chargingSchedule"] = [message["chargingSchedule"] | {"id": 1}]
        bench.ask("SetChargingProfile", evseId=1, chargingProfile=message)
    else:
        del message["id"]
        bench.ask("SetChargingProfile", connectorId=1, csChargingProfiles=message)


def remote_start(bench, token):
    if bench.is_201:
        id_token = {"idToken": token, "type": "Central"}
        bench.ask("RequestStartTransaction", idToken=id_token, remoteStartId=1, evseId=1)
    else:
        bench.ask("RemoteStartTransaction", idTag=token, connectorId=1)


def remote_stop(bench):
    name = bench.shown()["transaction_id"]
    if bench.is_201:
        bench.ask("RequestStopTransaction", transactionId=name or "none")
    elif name is None or name.lstrip("-").isdigit():
        bench.ask("RemoteStopTransaction", transactionId=int(name or 0))


def reserve(bench, token):
    expiry = timestamp(bench.now + 120)
    if bench.is_201:
        id_token = {"idToken": token, "type": "Central"}
        bench.ask("ReserveNow", id=1, evseId=1, idToken=id_token, expiryDateTime=expiry)
    else:
        bench.ask("ReserveNow", reservationId=1, connectorId=1, idTag=token, expiryDate=expiry)


def change_service(bench, word):
    if bench.is_201:
        bench.ask("ChangeAvailability", operationalStatus=word, evse={"id": 1})
    else:
        bench.ask("ChangeAvailability", connectorId=1, type=word)


def reset(bench):
    bench.ask("Reset", type="Immediate" if bench.is_201 else "Hard")


ONLINE = {
    "limit": (set_limit, st.sampled_from([0, 1000, 5000, 30_000])),
    "remote start": (remote_start, st.sampled_from(TOKENS)),
    "remote stop": (remote_stop,),
    "reserve": (reserve, st.sampled_from(TOKENS)),
    "cancel": (lambda bench: bench.ask("CancelReservation", reservationId=1),),
    "service": (change_service, st.sampled_from(["Operative", "Inoperative"])),
    "reset": (reset,),
}
ANYTIME = {
    "wait": (lambda bench, seconds: bench.wait(seconds), st.sampled_from([1, 40, 700, 20_000])),
    "lose": (lambda bench: bench.charger.is_up and bench.lose(),),
    "connect": (lambda bench: bench.charger.is_up or bench.come_back(),),
    "restart": (lambda bench: bench.restart(),),
    "start": (
        lambda bench, token: bench.do("start_transaction", id_tag=token),
        st.sampled_from(TOKENS),
    ),
    "power": (
        lambda bench, watts: bench.do("power_update", power_w=watts),
        st.sampled_from([0, 7000, 50_000]),
    ),
    **{
        name: (lambda bench, name=name: bench.do(name),)
        for name in (
            "plug_connector",
            "unplug_connector",
            "unlock_connector",
            "ev_requests_energy",
            "ev_stops_energy",
            "stop_transaction",
            "stop_session",
            "clear_fault",
        )
    },
    "fault": (lambda bench: bench.do("inject_fault", fault_type="GroundFailure"),),
}
EVENTS = {**ONLINE, **ANYTIME}
steps = st.one_of(*(st.tuples(st.just(name), *parts[1:]) for name, parts in sorted(EVENTS.items())))


class Life(Bench):
    """A bench that remembers the version."""

    @property
    def is_201(self) -> bool:
        return self.charger.config.ocpp_version == "OCPP2.0.1"

    def come_back(self) -> None:
        """The CSMS can be reached again, and the charger tries at its own time."""
        self.is_reachable = True
        self.wait(120)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(["OCPP1.6", "OCPP2.0.1"]), st.lists(steps, max_size=14))
def test_any_life_of_a_charger_is_legal_and_complete(version, life):
    bench = Life(version)
    bench.refused_tokens["BLOCKED"] = "Blocked"
    for name, *arguments in life:
        if name in ANYTIME or (bench.charger.is_up and bench.charger.is_online):
            EVENTS[name][0](bench, *arguments)
        check_shown(bench)
    finish(bench)
    if bench.is_201:
        check_events(bench)
    else:
        check_statuses(bench)
        check_transactions(bench)


def check_shown(bench):
    shown = bench.shown()
    assert 0 <= shown["power_w"] <= 22_000
    if shown["status"] not in ("Charging", "Occupied"):
        assert shown["power_w"] == 0


def finish(bench):
    """Let it come home: everything that waits is delivered."""
    bench.do("clear_fault")
    if not bench.charger.is_up:
        bench.come_back()
    bench.wait(30)
    bench.do("stop_session")
    bench.wait(30)
    assert bench.charger.outbox.waiting() == []
    assert len(bench.charger.timers) < 12


def check_statuses(bench):
    """Every jump that was told on one connection is in the table."""
    before = None
    for name, payload in bench.calls:
        if name in ("BootNotification", "connected"):
            before = None
        if name == "StatusNotification" and payload["connectorId"] == 1:
            assert before in (None, payload["status"]) or (before, payload["status"]) in LEGAL
            before = payload["status"]


def check_transactions(bench):
    """Each transaction that began has ended, with its number, and its register only grew."""
    begun = [p["meterStart"] for p in bench.said("StartTransaction")]
    stops = bench.said("StopTransaction")
    assert len(stops) == len(begun)
    assert len({p["transactionId"] for p in stops}) == len(stops)
    for start, stop in zip(begun, stops, strict=True):
        assert start <= stop["meterStop"]
    register = [
        float(v["value"])
        for p in bench.said("MeterValues")
        for m in p["meterValue"]
        for v in m["sampledValue"]
        if v["measurand"] == "Energy.Active.Import.Register"
    ]
    assert register == sorted(register)


def check_events(bench):
    """Each transaction counts from 0 without a gap, begins with Started and closes with Ended."""
    numbers: dict[str, list[tuple[int, str]]] = {}
    for payload in bench.said("TransactionEvent"):
        key = payload["transactionInfo"]["transactionId"]
        numbers.setdefault(key, []).append((payload["seqNo"], payload["eventType"]))
    for events in numbers.values():
        assert [number for number, _ in events] == list(range(len(events)))
        assert events[0][1] == "Started"
        assert events[-1][1] == "Ended"
        assert {kind for _, kind in events[1:-1]} <= {"Updated"}
