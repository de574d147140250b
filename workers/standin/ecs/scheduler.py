"""Makes things happen later: one thread, a heap of due actions, and processes to look after.

Every action runs under the world's lock. All child processes are started by this one thread: Linux sends the
parent-death signal when the *thread* that forked ends, so it must live as long as the stand-in.
"""

from __future__ import annotations

import heapq
import itertools
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Final

from workers.standin.ecs.clock import ScaledClock

#: Pause between two looks at running processes, in real seconds.
_LOOK_S: Final = 0.02
#: Longest sleep while nothing runs; bounds how late a clock moved by hand is noticed without a call.
_IDLE_S: Final = 1.0


class Scheduler:
    """The thread. `changed` is the world's lock, and is notified after each action."""

    def __init__(self, clock: ScaledClock, changed: threading.Condition) -> None:
        self._clock = clock
        self._changed = changed
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._watched: dict[int, Callable[[], bool]] = {}
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="ecs-standin", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; what was due later never happens."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Run `action` in `seconds` AWS seconds. Call it with the lock held."""
        entry = (self._clock.now() + seconds, next(self._order), action)
        heapq.heappush(self._due, entry)
        self._changed.notify_all()

    def watch(self, look: Callable[[], bool]) -> None:
        """Call `look` often, until it answers True. Call it with the lock held."""
        self._watched[next(self._order)] = look
        self._changed.notify_all()

    def _work(self) -> None:
        with self._changed:
            while not self._is_closing:
                if self._run_due() or self._look_around():
                    self._changed.notify_all()
                self._changed.wait(self._pause())

    def _pause(self) -> float:
        pause = _LOOK_S if self._watched else _IDLE_S
        if self._due:
            pause = min(pause, self._clock.to_real(self._due[0][0] - self._clock.now()))
        return max(pause, 0.0005)

    def _run_due(self) -> bool:
        has_run = False
        while self._due and self._due[0][0] <= self._clock.now():
            _, _, action = heapq.heappop(self._due)
            self._guard(action)
            has_run = True
        return has_run

    def _look_around(self) -> bool:
        over = [number for number, look in list(self._watched.items()) if self._guard(look)]
        for number in over:
            self._watched.pop(number, None)
        return bool(over)

    @staticmethod
    def _guard(action: Callable[[], bool | None]) -> bool:
        """Run it; a mistake of ours must be seen and must not end the thread that keeps all tasks moving."""
        try:
            return bool(action())
        except Exception:  # noqa: BLE001 - see the docstring
            traceback.print_exc(file=sys.stderr)
            return False
