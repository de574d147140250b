"""One timer for many sleepers, on a loop whose clock the test turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from simulator.alarm import Alarm, Clock


class Handle:
    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at, self.call, self.is_cancelled = at, call, False

    def cancel(self) -> None:
        self.is_cancelled = True


class TurnedLoop:
    """An event loop reduced to its clock."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.handles: list[Handle] = []

    def time(self) -> float:
        return self.seconds

    def call_later(self, delay: float, call: Callable[[], None]) -> Handle:
        handle = Handle(self.seconds + delay, call)
        self.handles.append(handle)
        return handle

    def turn(self, seconds: float) -> None:
        end = self.seconds + seconds
        while due := [h for h in self.handles if not h.is_cancelled and h.at <= end]:
            handle = min(due, key=lambda h: h.at)
            self.handles.remove(handle)
            self.seconds = max(self.seconds, handle.at)
            handle.call()
        self.seconds = end


class Sleeper:
    def __init__(self) -> None:
        self.wake_at: float | None = None
        self.woken: list[float] = []

    def wake(self, now: float) -> None:
        self.woken.append(now)


class Bedroom:
    def __init__(self) -> None:
        self.loop = TurnedLoop()
        self.system = 1000.0
        loop: Any = cast(asyncio.AbstractEventLoop, self.loop)
        self.clock = Clock(loop, lambda: self.system + self.loop.seconds - 100)
        self.alarm = Alarm(loop, self.clock)


@pytest.fixture
def bedroom() -> Bedroom:
    return Bedroom()


def test_each_sleeper_is_woken_once_at_its_time(bedroom: Bedroom) -> None:
    sleepers = [Sleeper() for _ in range(5)]
    for number, sleeper in enumerate(sleepers):
        bedroom.alarm.set(sleeper, 1010.0 - number)
    bedroom.loop.turn(20)
    assert [sleeper.woken for sleeper in sleepers] == [
        [1010.0],
        [1009.0],
        [1008.0],
        [1007.0],
        [1006.0],
    ]


def test_only_the_newest_time_of_a_sleeper_counts(bedroom: Bedroom) -> None:
    sleeper = Sleeper()
    for at in (1005.0, 1003.0, 1008.0):
        bedroom.alarm.set(sleeper, at)
    bedroom.loop.turn(20)
    assert sleeper.woken == [1008.0]


def test_a_sleeper_may_be_left_to_sleep(bedroom: Bedroom) -> None:
    sleeper = Sleeper()
    bedroom.alarm.set(sleeper, 1005.0)
    bedroom.alarm.set(sleeper, None)
    bedroom.loop.turn(20)
    assert sleeper.woken == []


def test_the_alarm_keeps_one_callback_in_the_loop(bedroom: Bedroom) -> None:
    for number in range(100):
        bedroom.alarm.set(Sleeper(), 1000.0 + 100 - number)
    assert len([h for h in bedroom.loop.handles if not h.is_cancelled]) == 1


def test_after_the_machine_slept_the_clock_catches_up_and_due_sleepers_wake(
    bedroom: Bedroom,
) -> None:
    sleeper = Sleeper()
    bedroom.alarm.set(sleeper, 1100.0)
    bedroom.system += 3600
    assert bedroom.clock.now() == 1000.0
    assert bedroom.clock.catch_up()
    bedroom.alarm.rearm()
    bedroom.loop.turn(0)
    assert len(sleeper.woken) == 1
    assert bedroom.clock.now() == 4600.0


def test_a_clock_that_was_set_back_or_drifts_a_little_is_not_followed(bedroom: Bedroom) -> None:
    bedroom.system -= 3600
    assert not bedroom.clock.catch_up()
    bedroom.system += 3601
    assert not bedroom.clock.catch_up()
    assert bedroom.clock.now() == 1000.0
