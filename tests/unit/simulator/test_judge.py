"""The strict CSMS catches what it is there to catch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulator.judge import Judge, Offence, SocketLife, find_overlaps
from simulator.rpc import Call


class Court:
    """A judge, and a charger that says what the test wants."""

    def __init__(self, subprotocol: str = "ocpp1.6", *, boot: str | None = "Accepted") -> None:
        self.offences: list[Offence] = []
        self.judge = Judge("CP-1", self.offences)
        self.judge.opened(subprotocol)
        self._count = 0
        if boot is not None:
            self.judge.answered_boot(boot)

    def call(self, action: str, payload: dict[str, Any], message_id: str | None = None) -> None:
        self._count += 1
        message = self.judge.hear(
            json.dumps([2, message_id or f"m{self._count}", action, payload]), 1
        )
        assert isinstance(message, Call)
        self.judge.waits_for_us = None

    def status(self, connector: int, status: str) -> None:
        self.call(
            "StatusNotification",
            {"connectorId": connector, "errorCode": "NoError", "status": status},
        )

    def sentences(self) -> str:
        return " | ".join(offence.sentence for offence in self.offences)


def test_a_well_behaved_charger_commits_no_offence() -> None:
    court = Court()
    for status in ("Available", "Preparing", "Charging", "SuspendedEV", "Finishing", "Available"):
        court.status(1, status)
    court.status(0, "Available")
    court.call("Heartbeat", {})
    assert court.offences == []


@pytest.mark.parametrize("boot", [None, "Pending", "Rejected"])
def test_speaking_before_accepted_is_an_offence(boot: str | None) -> None:
    court = Court(boot=boot)
    court.call("Heartbeat", {})
    assert "SecurityError" in court.sentences()


def test_a_triggered_message_is_allowed_once_while_pending() -> None:
    court = Court(boot="Pending")
    court.judge.triggered.add("Heartbeat")
    court.call("Heartbeat", {})
    assert court.offences == []
    court.call("Heartbeat", {})
    assert len(court.offences) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Available", "Finishing"),
        ("Finishing", "Charging"),
        ("Reserved", "Charging"),
        ("Preparing", "Unavailable"),
        ("Charging", "Preparing"),
    ],
)
def test_an_illegal_step_between_connector_states_is_an_offence(before: str, after: str) -> None:
    court = Court()
    court.status(1, before)
    court.status(2, after)
    assert court.offences == [], "each connector has its own state"
    court.status(1, after)
    assert f"from {before} to {after}" in court.sentences()


def test_connector_0_is_never_charging() -> None:
    court = Court()
    court.status(0, "Charging")
    assert "Connector 0" in court.sentences()


def test_any_state_may_be_the_first_on_a_new_socket() -> None:
    court = Court()
    court.status(1, "Available")
    court.judge.opened("ocpp1.6")
    court.status(1, "Finishing")
    assert court.offences == []


def test_two_calls_in_the_air_and_a_repeated_id_are_offences() -> None:
    court = Court()
    court.judge.hear('[2,"a","Heartbeat",{}]', 1)
    court.judge.hear('[2,"b","Heartbeat",{}]', 1)
    assert "second call" in court.sentences()
    court = Court()
    court.call("Heartbeat", {}, "same")
    court.call("Heartbeat", {}, "same")
    assert "used before" in court.sentences()


@pytest.mark.parametrize(
    "text",
    [
        '[2,"a","Heartbeat",{"x":1}]',
        '[2,"a","MakeCoffee",{}]',
        '[2,"a","BootNotification",{"chargePointVendor":"123456789012345678901","chargePointModel":"x"}]',
        "nonsense",
        '[3,"never-asked",{}]',
    ],
)
def test_broken_frames_and_payloads_are_offences(text: str) -> None:
    court = Court()
    court.judge.hear(text, 1)
    assert len(court.offences) == 1


def test_an_answer_that_breaks_its_schema_is_an_offence() -> None:
    court = Court()
    court.judge.asked["q1"] = "Reset"
    court.judge.hear('[3,"q1",{"status":"Perhaps"}]', 1)
    assert "Reset answer" in court.sentences()


def life(opened: float, closed: float | None, identity: str = "CP-1") -> SocketLife:
    return SocketLife(identity, "ocpp1.6", opened, closed)


@pytest.mark.parametrize(
    ("sockets", "count"),
    [
        ([life(1, 2), life(2, 3), life(4, None)], 0),
        ([life(1, 3), life(2, 4)], 1),
        ([life(1, None), life(2, 3), life(4, 5)], 2),
        ([life(1, 10), life(2, 3), life(4, 5)], 2),
        ([life(4, 5), life(1, 4.5)], 1),
        ([life(1, None), life(2, None, "CP-2")], 0),
    ],
)
def test_overlaps_are_pairs_of_sockets_of_one_identity(
    sockets: list[SocketLife], count: int
) -> None:
    assert len(find_overlaps(sockets)) == count
