"""Who keeps runs moving: a few threads in each worker's main process.

The **pass** (each second): sweep hints that nobody took up, admit due runs fairly, open RECOVER runs. The
**watch** (each two seconds, or when the **ears** ring): look at runtimes through their drivers, which can be slow,
and now and then stop strays. Each works under an advisory lock of PostgreSQL, so that one process works at a time
and any may die.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import ClassVar, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from app import metrics
from app.db import DatabaseAway
from app.jobs import Hint
from app.store import hints
from workers.runs.context import Context, get_context
from workers.runs.ears import Ears
from workers.runs.reconciler import open_recoveries
from workers.runs.watch import Watch

log = logging.getLogger(__name__)

_LOCK_PASS: Final = 0x6761_7001
_LOCK_WATCH: Final = 0x6761_7002


class Keeper:
    """The threads of one process."""

    _running: ClassVar[Keeper | None] = None

    def __init__(self, context: Context) -> None:
        self._context = context
        self._clocks = context.engine
        self._watch = Watch(context)
        self._stopped = threading.Event()
        #: When each loop last ended a round, however it ended.
        self._turned = {"pass": time.monotonic(), "watch": time.monotonic()}
        #: Set when the broker was away: what was hinted meanwhile is hinted again at the next pass.
        self._broker_is_back = threading.Event()
        #: Set when the watch should look before its time.
        self._rung = threading.Event()
        self._threads = [
            threading.Thread(target=self._loop, args=args, name=f"keeper-{args[0]}", daemon=True)
            for args in (
                ("pass", self._clocks.sweep_s, self._stopped, self.run_pass),
                ("watch", self._clocks.observe_s, self._rung, self.run_watch),
            )
        ]
        self._ears = Ears(context, self._rung.set)
        self._threads.append(
            threading.Thread(
                target=self._ears.run, args=(self._stopped,), name="keeper-ears", daemon=True
            )
        )

    @classmethod
    def start_in_this_process(cls) -> None:
        """Start once per worker."""
        cls._running = Keeper(get_context())
        for thread in cls._running._threads:
            thread.start()

    @classmethod
    def is_well_in_this_process(cls, patience_s: float) -> bool:
        """Whether the keeper of this worker was started and turns."""
        return cls._running is not None and cls._running.is_turning(patience_s)

    @classmethod
    def hears_of_broker_in_this_process(cls) -> None:
        """The broker answers again after it did not."""
        if cls._running is not None:
            cls._running.hear_of_broker()

    @classmethod
    def stop_in_this_process(cls) -> None:
        """Let the threads end after what they do now."""
        if cls._running is not None:
            cls._running._stopped.set()
            cls._running._rung.set()

    def hear_of_broker(self) -> None:
        """The next pass need not wait for pauses that grew while the broker was away."""
        self._broker_is_back.set()

    def _loop(
        self, name: str, pause: float, bell: threading.Event, work: Callable[[], bool]
    ) -> None:
        while not self._is_stopped_after(pause, bell):
            try:
                while work() and not self._stopped.is_set():
                    pass
            except DatabaseAway as error:
                log.warning("keeper %s waits for the database: %s", name, type(error).__name__)
                outcome = "database_away"
            except Exception:
                log.exception("keeper %s failed and goes on", name)
                outcome = "failed"
            else:
                outcome = "ok"
            metrics.KEEPER_ROUNDS.labels(name, outcome).inc()
            self._turned[name] = time.monotonic()

    def is_turning(self, patience_s: float) -> bool:
        """Whether both loops have ended a round within so many seconds."""
        now = time.monotonic()
        return all(now - turned < patience_s for turned in self._turned.values())

    def _is_stopped_after(self, pause: float, bell: threading.Event) -> bool:
        """Sleep until the bell rings, `pause` seconds at most."""
        bell.wait(pause)
        if bell is not self._stopped:
            bell.clear()
        return self._stopped.is_set()

    def run_pass(self) -> bool:
        """One pass. Whether there may be more to do at once."""
        with self._context.sessions.begin() as session:
            if not _try_lock(session, _LOCK_PASS):
                return False
            found = list(self._sweep(session))
            admitted = hints.admit_all(
                session, cap=self._clocks.org_inflight, batch=self._clocks.sweep_batch
            )
            opened = open_recoveries(session, self._context.queue, batch=self._clocks.recover_batch)
        self._context.queue.send([*found, *admitted])
        metrics.HINTS_SWEPT.inc(len(found))
        metrics.RECOVERIES.inc(opened)
        if found or opened:
            log.info("keeper pass", extra={"swept": len(found), "recovered": opened})
        return len(found) >= self._clocks.sweep_batch

    def _sweep(self, session: Session) -> list[Hint]:
        clocks = self._clocks
        if self._broker_is_back.is_set():
            self._broker_is_back.clear()
            log.info("the broker is back", extra={"hurried": hints.hurry(session)})
        return list(
            hints.sweep(
                session,
                nudge=clocks.nudge_s,
                longest=clocks.nudge_max_s,
                batch=clocks.sweep_batch,
            )
        )

    def run_watch(self) -> bool:
        """One round of looking.

        The lock is a connection's, since drivers are asked between transactions; that connection is kept for the
        round, for one that went back to the pool would take the lock along and keep the next rounds out.
        """
        self._ears.settle()
        with self._context.sessions.kw["bind"].connect() as connection:
            locked = connection.scalar(
                text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK_WATCH}
            )
            connection.commit()
            if not locked:
                return False
            try:
                more = self._watch.look()
                self._watch.stop_strays()
            finally:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK_WATCH})
                connection.commit()
        return more


def _try_lock(session: Session, key: int) -> bool:
    return bool(session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": key}))
