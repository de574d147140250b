"""One timer for thousands of sleepers: a heap of wake-up times and a single callback of the event loop.

A task per timer would cost more than the chargers themselves. Old entries are left in the heap and ignored
when they come up (`wake_at` says which one counts).
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from typing import Protocol

#: A difference to the system's clock below this is no reason to move, in seconds.
_TOLERANCE_S = 2.0


class Sleeper(Protocol):
    """Whoever wants to be woken."""

    #: When it wants to be woken, kept by the alarm; None: not at all.
    wake_at: float | None

    def wake(self, now: float) -> None:
        """The time has come."""


class Clock:
    """Unix seconds that never jump: read from the system once, then counted by the event loop's clock."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, read: Callable[[], float] = time.time
    ) -> None:
        self._loop = loop
        self._read = read
        self._start = read() - loop.time()

    def catch_up(self) -> bool:
        """Follow the system's clock when it has run ahead; whether it had.

        The event loop's clock stands still while a machine sleeps. A system clock that was set back
        is not followed: every timer would wait longer by as much.
        """
        ahead = self._read() - self.now()
        if ahead < _TOLERANCE_S:
            return False
        self._start += ahead
        return True

    def now(self) -> float:
        """Unix seconds."""
        return self._start + self._loop.time()


class Alarm:
    """Wakes sleepers, in the order of their times."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._loop = loop
        self._clock = clock
        self._heap: list[tuple[float, int, Sleeper]] = []
        self._count = 0
        self._handle: asyncio.TimerHandle | None = None
        self._rings_at = 0.0

    def set(self, sleeper: Sleeper, at: float | None) -> None:
        """Wake the sleeper then (Unix seconds), and not when it was set before; None: not at all."""
        if at == sleeper.wake_at:
            return
        sleeper.wake_at = at
        if at is None:
            return
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, sleeper))
        if self._handle is None or at < self._rings_at:
            self._arm()

    def rearm(self) -> None:
        """The clock has caught up: count the time to the next ring anew."""
        self._arm()

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = None
        if self._heap:
            self._rings_at = self._heap[0][0]
            delay = max(0.0, self._rings_at - self._clock.now())
            self._handle = self._loop.call_later(delay, self._ring)

    def _ring(self) -> None:
        self._handle = None
        now = self._clock.now()
        due = []
        while self._heap and self._heap[0][0] <= now:
            at, _, sleeper = heapq.heappop(self._heap)
            if sleeper.wake_at == at:
                sleeper.wake_at = None
                due.append(sleeper)
        for sleeper in due:
            sleeper.wake(now)
        if self._handle is None:
            self._arm()
