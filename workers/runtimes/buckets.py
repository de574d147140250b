"""Token buckets: how many calls an API takes, and how long to wait for the next one.

`TokenBucket` is arithmetic over a clock that is passed in. `Buckets` joins several of them per operation.
`Throttle` is what a driver uses: it waits a moment for its turn and otherwise says how long it would take.
The limits of ECS at the end of the file are those of one account in one region.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from workers.runtimes.base import CapacityUnavailable


@dataclass(frozen=True, slots=True)
class Limit:
    """The size of a bucket."""

    #: Calls that a full bucket admits at once.
    burst: float
    #: Calls per second that flow back.
    refill_per_s: float


class TokenBucket:
    """One bucket, full at the start. Not thread-safe; `Buckets` is."""

    def __init__(self, limit: Limit, now: float) -> None:
        self._limit = limit
        self._tokens = limit.burst
        self._at = now

    def look(self, now: float) -> float:
        """Seconds until one token is there; 0.0 when it is."""
        grown = max(0.0, now - self._at) * self._limit.refill_per_s
        self._tokens = min(self._limit.burst, self._tokens + grown)
        self._at = max(now, self._at)
        # The tolerance forgives the rounding of a wait that was exactly long enough.
        if self._tokens >= 1.0 - 1e-9:
            return 0.0
        return (1.0 - self._tokens) / self._limit.refill_per_s

    def take(self) -> None:
        """Use one token; call it only right after `look` answered 0.0."""
        self._tokens -= 1.0


class Buckets:
    """The buckets of all operations. An operation takes one token of each bucket that lists it, or of none."""

    def __init__(
        self, limits: Mapping[str, Limit], members: Mapping[str, Iterable[str]], now: float
    ) -> None:
        """`members`: bucket name → the operations that draw on it."""
        self._buckets = {name: TokenBucket(limit, now) for name, limit in limits.items()}
        self._of: dict[str, list[TokenBucket]] = {}
        for name, operations in members.items():
            for operation in operations:
                self._of.setdefault(operation, []).append(self._buckets[name])
        self._lock = threading.Lock()

    def take(self, operation: str, now: float) -> float:
        """Take the tokens of one call: 0.0, or the seconds until they are there (then nothing is taken)."""
        with self._lock:
            buckets = self._of.get(operation, [])
            wait = max((bucket.look(now) for bucket in buckets), default=0.0)
            if wait == 0.0:
                for bucket in buckets:
                    bucket.take()
            return wait


class Throttle:
    """Admits the calls of one process to an API, in turn."""

    def __init__(
        self,
        buckets: Buckets,
        *,
        patience_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`patience_s`: how long a call may wait here; a longer wait is handed to the engine."""
        self._buckets = buckets
        self._patience_s = patience_s
        self._clock = clock
        self._sleep = sleep

    def admit(self, operation: str) -> None:
        """Return when `operation` may be called.

        Raises `CapacityUnavailable` (`ecs_throttled`) when its turn is further away than our patience.
        """
        deadline = self._clock() + self._patience_s
        while True:
            now = self._clock()
            wait = self._buckets.take(operation, now)
            if wait == 0.0:
                return
            if now + wait > deadline:
                raise CapacityUnavailable(
                    f"Too many calls of {operation} are waiting for their turn.",
                    code="ecs_throttled",
                    hint="Many chargers start or stop at once; this one follows in its turn.",
                    retry_after_s=max(wait, 0.1),
                )
            self._sleep(wait)


#: Per account and region: "Request throttling for the Amazon ECS API" and "AWS Fargate throttling quotas".
ECS_LIMITS: Final[Mapping[str, Limit]] = {
    "register": Limit(20, 1),
    "delete_definitions": Limit(5, 1),
    "read_definitions": Limit(50, 20),
    "modify_tasks": Limit(100, 40),
    "run_fargate": Limit(20, 20),
    "launch_fargate": Limit(100, 20),
    "read_tasks": Limit(100, 20),
    "read_clusters": Limit(50, 20),
}

#: `RunTask:FARGATE` is a RunTask that lands on Fargate, which has limits of its own besides.
ECS_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "register": ("RegisterTaskDefinition", "DeregisterTaskDefinition"),
    "delete_definitions": ("DeleteTaskDefinitions",),
    "read_definitions": (
        "DescribeTaskDefinition",
        "ListTaskDefinitions",
        "ListTaskDefinitionFamilies",
    ),
    "modify_tasks": ("RunTask", "RunTask:FARGATE", "StopTask"),
    "run_fargate": ("RunTask:FARGATE",),
    "launch_fargate": ("RunTask:FARGATE",),
    "read_tasks": ("DescribeTasks", "ListTasks"),
    "read_clusters": ("DescribeClusters",),
}


def make_ecs_buckets(share: float, now: float) -> Buckets:
    """Buckets of this process: `share` (0 to 1) of what the account may call in a region.

    A bucket never holds less than one token, so that a small share slows a process and does not stop it.
    """
    limits = {
        name: Limit(max(1.0, limit.burst * share), limit.refill_per_s * share)
        for name, limit in ECS_LIMITS.items()
    }
    return Buckets(limits, ECS_MEMBERS, now)
