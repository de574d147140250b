"""Token buckets: what they admit at once, what flows back, and when a call is handed to the engine instead."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from workers.runtimes.base import CapacityUnavailable
from workers.runtimes.buckets import ECS_LIMITS, Buckets, Limit, Throttle, make_ecs_buckets
from workers.standin.ecs import limits as of_aws


class HandClock:
    """A clock that is moved by sleeping on it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


def count_at_once(buckets: Buckets, operation: str, now: float) -> int:
    return next(n for n in range(1000) if buckets.take(operation, now) > 0)


def make_throttle(buckets: Buckets, clock: HandClock, patience_s: float) -> Callable[[str], None]:
    return Throttle(buckets, patience_s=patience_s, clock=clock, sleep=clock.sleep).admit


def test_a_full_bucket_admits_its_burst_and_then_tells_the_wait() -> None:
    buckets = Buckets({"b": Limit(3, 2)}, {"b": ("Call",)}, now=0.0)
    assert [buckets.take("Call", 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_tokens_flow_back_up_to_the_burst() -> None:
    buckets = Buckets({"b": Limit(3, 2)}, {"b": ("Call",)}, now=0.0)
    assert count_at_once(buckets, "Call", 0.0) == 3
    assert count_at_once(buckets, "Call", 1.0) == 2
    assert count_at_once(buckets, "Call", 1000.0) == 3


def test_a_clock_that_goes_back_makes_no_tokens() -> None:
    buckets = Buckets({"b": Limit(1, 1)}, {"b": ("Call",)}, now=10.0)
    assert buckets.take("Call", 10.0) == 0.0
    assert buckets.take("Call", 5.0) == 1.0
    assert buckets.take("Call", 10.5) == 0.5


def test_a_call_takes_of_all_its_buckets_or_of_none() -> None:
    members = {"wide": ("A", "B"), "narrow": ("B",)}
    buckets = Buckets({"wide": Limit(3, 0.1), "narrow": Limit(1, 0.1)}, members, now=0.0)
    assert buckets.take("B", 0.0) == 0.0
    assert buckets.take("B", 0.0) > 0
    assert count_at_once(buckets, "A", 0.0) == 2


def test_an_operation_without_a_bucket_is_free() -> None:
    assert Buckets({}, {}, now=0.0).take("Call", 0.0) == 0.0


def test_a_short_wait_is_waited_for() -> None:
    clock = HandClock()
    admit = make_throttle(Buckets({"b": Limit(1, 2)}, {"b": ("Call",)}, clock.now), clock, 1.0)
    admit("Call")
    admit("Call")
    assert clock.slept == 0.5


def test_a_long_wait_is_handed_to_the_engine_with_its_length() -> None:
    clock = HandClock()
    admit = make_throttle(Buckets({"b": Limit(1, 0.1)}, {"b": ("Call",)}, clock.now), clock, 1.0)
    admit("Call")
    with pytest.raises(CapacityUnavailable) as caught:
        admit("Call")
    assert caught.value.retry_after_s == pytest.approx(10.0)
    assert (caught.value.code, caught.value.new_attempt) == ("ecs_throttled", False)
    assert clock.slept == 0.0


def test_the_shares_of_all_processes_together_stay_below_the_account() -> None:
    for operation, at_once in (("RunTask:FARGATE", 20), ("DescribeTasks", 100), ("StopTask", 100)):
        shares = [make_ecs_buckets(0.8 / 4, now=0.0) for _ in range(4)]
        assert sum(count_at_once(share, operation, 0.0) for share in shares) <= at_once


def test_a_small_share_slows_a_process_and_does_not_stop_it() -> None:
    buckets = make_ecs_buckets(0.001, now=0.0)
    assert buckets.take("RegisterTaskDefinition", 0.0) == 0.0
    wait = buckets.take("RegisterTaskDefinition", 0.0)
    assert wait == pytest.approx(1000.0)
    assert buckets.take("RegisterTaskDefinition", wait) == 0.0


def test_our_limits_are_those_that_the_stand_in_enforces() -> None:
    theirs = {(limit.burst, limit.refill_per_s) for limit in of_aws.LIMITS.values()}
    assert {(limit.burst, limit.refill_per_s) for limit in ECS_LIMITS.values()} <= theirs
