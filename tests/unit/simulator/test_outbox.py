"""The queue of calls: what is dropped with a connection, what outlives it, and in which order it goes."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.behaviour import Answered, Behaviour, Moment, Refused, Unanswered
from tests.unit.simulator.lab import BEHAVIOURS, Lab

STOP = {"transactionId": 7, "meterStop": 10, "timestamp": "2026-11-22T12:00:00Z"}


class Notes:
    """A behaviour that keeps what became of StopTransaction calls, and some state of its own."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[Any, Any]] = []
        base = BEHAVIOURS["OCPP1.6"]
        self.behaviour = Behaviour(
            wire=base.wire,
            schemas=base.schemas,
            write_boot=base.write_boot,
            refuses_while_rejected=None,
        )
        self.behaviour.answer("StopTransaction")(self.note)
        self.behaviour.keep("visits", self.dump, self.load)
        self.behaviour.moment(Moment.BORN)(self.begin)

    def note(self, charger: Any, sent: Any, outcome: Any, now: float) -> None:
        self.outcomes.append((sent.context, outcome))

    @staticmethod
    def begin(charger: Any, now: float) -> None:
        charger.facets["visits"] = 0

    @staticmethod
    def dump(charger: Any) -> Any:
        return charger.facets["visits"]

    @staticmethod
    def load(charger: Any, saved: Any) -> None:
        charger.facets["visits"] = saved


@pytest.fixture
def notes() -> Notes:
    return Notes()


def stop(lab: Lab, number: int) -> None:
    assert lab.charger.call(
        "StopTransaction", {**STOP, "meterStop": number}, context=number, durable=True
    )
    lab.pass_time(0)
    lab.effects += lab.charger.tick(lab.now)


def stops(lab: Lab) -> list[int]:
    return [frame[3]["meterStop"] for frame in lab.calls("StopTransaction")]


def test_durable_calls_wait_for_the_connection_and_go_in_their_order(notes: Notes) -> None:
    lab = Lab(behaviour=notes.behaviour).start()
    lab.accept(interval=1000)
    lab.lose()
    for number in (1, 2, 3):
        stop(lab, number)
    assert stops(lab) == []
    lab.pass_time(60)
    lab.connect()
    lab.settle()
    assert stops(lab) == [1, 2, 3]
    assert [context for context, _ in notes.outcomes] == [1, 2, 3]
    assert all(isinstance(outcome, Answered) for _, outcome in notes.outcomes)


def test_a_durable_call_lost_in_the_air_is_sent_again_first_under_a_new_id(notes: Notes) -> None:
    lab = Lab(behaviour=notes.behaviour).start()
    lab.accept(interval=1000)
    stop(lab, 1)
    stop(lab, 2)
    lab.lose()
    lab.pass_time(60)
    lab.connect()
    lab.settle()
    assert stops(lab) == [1, 1, 2]
    ids = [frame[1] for frame in lab.calls("StopTransaction")]
    assert len(set(ids)) == 3
    assert notes.outcomes[0] == (1, Unanswered(timed_out=False))


def test_durable_calls_wait_for_the_boot(notes: Notes) -> None:
    lab = Lab(behaviour=notes.behaviour)
    stop(lab, 1)
    lab.start()
    lab.boot("Pending", interval=5)
    assert lab.actions() == ["BootNotification"]
    lab.pass_time(5)
    lab.accept()
    assert stops(lab) == [1]


def test_a_durable_call_that_is_retried_later_holds_the_ones_behind_it(notes: Notes) -> None:
    lab = Lab(behaviour=notes.behaviour).start()
    lab.accept(interval=1000)

    def again(charger: Any, sent: Any, outcome: Any, now: float) -> None:
        if isinstance(outcome, Refused) and sent.attempts < 3:
            charger.retry(sent, now + 10 * sent.attempts)

    notes.behaviour.answers["StopTransaction"] = again
    stop(lab, 1)
    stop(lab, 2)
    for pause in (10, 20):
        lab.hear(f'[4,"{lab.in_air()[1]}","InternalError","later",{{}}]')
        lab.pass_time(pause - 1)
        assert lab.charger.outbox.in_air is None
        lab.pass_time(1)
    lab.settle()
    assert stops(lab) == [1, 1, 1, 2]


def test_volatile_calls_are_refused_offline_and_dropped_with_the_connection(notes: Notes) -> None:
    lab = Lab(behaviour=notes.behaviour)
    assert not lab.charger.call("Heartbeat", {})
    lab.start()
    assert not lab.charger.call("Heartbeat", {}), "before Accepted nothing but the boot may go"
    lab.accept(interval=1000)
    lab.charger.call("Heartbeat", {})
    lab.charger.call("Heartbeat", {})
    lab.lose()
    lab.pass_time(60)
    lab.connect()
    assert lab.calls("Heartbeat") == []


def test_what_is_kept_comes_back_after_a_restart_of_the_process(notes: Notes) -> None:
    lab = Lab(behaviour=notes.behaviour).start()
    lab.accept(interval=1000)
    lab.charger.facets["visits"] = 3
    stop(lab, 1)
    stop(lab, 2)
    saved = lab.charger.snapshot()

    reborn = Lab(behaviour=notes.behaviour, saved=saved)
    assert reborn.charger.facets["visits"] == 3
    reborn.start()
    reborn.accept(interval=1000)
    assert stops(reborn) == [1, 2]
