"""Celery's consumer, with task events sent a few at a time, and soon back after the broker was away.

Flower's view of tasks is made of events, three or four for each. Celery sends them at the next turn of its loop,
which is nearly one message each: a third of what the worker's main process does, and as much again in Flower. Here
they wait up to `EVENTS_S` for company; two dozen go at once, as before. Nothing but Flower reads them.

Celery's pauses between two attempts to connect grow to 30 s; here they stay short, and the keeper is told when
the broker is back: what it hinted meanwhile was lost.
"""

from __future__ import annotations

import functools
import time
from typing import Any, Final

from celery.worker.consumer import Consumer as CeleryConsumer

from workers.runs.keeper import Keeper

#: How long a task event may wait for others, seconds.
EVENTS_S: Final = 0.25
#: Pause between two attempts to reach the broker, seconds: at first, and at most.
RECONNECT_S: Final = 0.5
RECONNECT_MAX_S: Final = 2.0


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery ships no types
    """Set as `worker_consumer`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        # A time and no mark: whatever becomes of a timer, events are never stuck.
        self._next_flush_at = 0.0
        super().__init__(*args, **options)

    def ensure_connected(self, conn: Any) -> Any:
        """Try until the broker answers."""
        conn.ensure_connection = functools.partial(
            conn.ensure_connection,
            interval_start=RECONNECT_S,
            interval_step=RECONNECT_S,
            interval_max=RECONNECT_MAX_S,
        )
        return super().ensure_connected(conn)

    def connect(self) -> Any:
        """The connection that tasks come from, at the start and whenever it was lost."""
        connection = super().connect()
        if self.restart_count > 0:  # Celery counts from -1; 0 is the start
            Keeper.hears_of_broker_in_this_process()
        return connection

    def on_send_event_buffered(self) -> None:
        """The event dispatcher has put one aside."""
        now = time.monotonic()
        if self.hub and now >= self._next_flush_at:
            self._next_flush_at = now + EVENTS_S
            self.hub.call_later(EVENTS_S, self._flush_events)

    def stop(self) -> None:
        """What is put aside goes before the connection does: else the last tasks look unfinished for ever."""
        self._flush_events()
        super().stop()
