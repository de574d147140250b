"""Stores frames and events: one thread, large transactions, an acknowledgement after the commit.

What arrives while a transaction is under way is written by the next one, so a busy link writes larger ones and
not more of them. The queue is bounded by the sessions' credits. A database that is away is waited for; a batch
that it refuses is split until the one bad record stands alone, and that one is stored as plain ASCII or given up.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session as Transaction
from sqlalchemy.orm import sessionmaker

from app.db import DatabaseAway
from app.link.counters import Counters
from app.link.sessions import Session
from app.link.wire import Records
from app.store import admissions, events, frames
from app.store.events import EventRow
from app.store.frames import FrameRow

log = logging.getLogger(__name__)

#: A transaction takes no further batch once it has so many records.
_ENOUGH: Final = 5_000
_PAUSE_MIN_S: Final = 0.1
_PAUSE_MAX_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one session, and what to do in the event loop once they are stored."""

    session: Session
    records: Records


class Writer:
    """The thread. `on_stored` is called in `loop` with batches that are committed."""

    def __init__(
        self,
        database: sessionmaker[Transaction],
        counters: Counters,
        loop: asyncio.AbstractEventLoop,
        on_stored: Callable[[Sequence[Batch]], None],
    ) -> None:
        self._database = database
        self._counters = counters
        self._loop = loop
        self._on_stored = on_stored
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="link-writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, batch: Batch) -> None:
        """Write this soon."""
        self._queue.put(batch)

    def close(self, timeout_s: float) -> None:
        """Write what is queued, for at most `timeout_s` seconds; what is not acknowledged is sent again."""
        self._queue.put(None)
        self._thread.join(timeout_s)
        self._closing.set()
        # A statement that a frozen database never answers cannot be waited for.
        self._thread.join(timeout_s)

    def _run(self) -> None:
        ended = False
        while not ended and not self._closing.is_set():
            batches, ended = self._take()
            if batches and self._store_whatever(batches):
                self._loop.call_soon_threadsafe(self._on_stored, batches)

    def _take(self) -> tuple[list[Batch], bool]:
        """Wait for a batch; take what else is there, until it is enough. Whether that was the last."""
        taken: list[Batch] = []
        count = 0
        item = self._queue.get()
        while item is not None:
            taken.append(item)
            count += len(item.records)
            if count >= _ENOUGH:
                return taken, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return taken, False
        return taken, True

    def _store_whatever(self, batches: Sequence[Batch]) -> bool:
        """`_store`; a mistake of this program costs these batches and not the thread."""
        try:
            return self._store(batches)
        except Exception:
            log.exception("records were given up")
            self._counters.lost += sum(len(batch.records) for batch in batches)
            return True

    def _store(self, batches: Sequence[Batch]) -> bool:
        """Commit these; False when the link ends before the database is back."""
        if not self._patiently(lambda transaction: self._learn(transaction, batches)):
            return False
        kept_frames: list[FrameRow] = []
        kept_events: list[EventRow] = []
        for batch in batches:
            known = batch.session.known
            kept_frames += (row for row in batch.records.frames if row[:2] in known)
            kept_events += (row for row in batch.records.events if row[:2] in known)
            self._counters.malformed += batch.records.malformed
            self._counters.gaps += batch.records.lost
        total = sum(len(batch.records) for batch in batches)
        if not self._insert(kept_frames, kept_events):
            return False
        self._counters.foreign += total - len(kept_frames) - len(kept_events)
        self._counters.records += len(kept_frames) + len(kept_events)
        self._counters.batches += len(batches)
        return True

    def _learn(self, transaction: Transaction, batches: Sequence[Batch]) -> None:
        """A host may still hold records of chargers that it was given in an earlier session."""
        for batch in batches:
            session, records = batch.session, batch.records
            pairs = {(row.charger_id, row.incarnation) for row in records.frames}
            pairs |= {(row.charger_id, row.incarnation) for row in records.events}
            strangers = pairs - session.known
            if strangers and session.claimant.host_id is not None:
                session.known |= admissions.list_known(
                    transaction, session.claimant.host_id, strangers
                )

    def _insert(self, frame_rows: Sequence[FrameRow], event_rows: Sequence[EventRow]) -> bool:
        """Store rows; those that the database refuses alone. False when the link ends first."""
        if not frame_rows and not event_rows:
            return True
        try:
            return self._patiently(lambda transaction: _insert(transaction, frame_rows, event_rows))
        except Exception as error:  # noqa: BLE001  # whatever one record causes must not stop the others
            return self._insert_apart(frame_rows, event_rows, error)

    def _insert_apart(
        self, frame_rows: Sequence[FrameRow], event_rows: Sequence[EventRow], error: Exception
    ) -> bool:
        if frame_rows and event_rows:
            return self._insert(frame_rows, ()) and self._insert((), event_rows)
        if len(frame_rows) + len(event_rows) > 1:
            half_frames, half_events = len(frame_rows) // 2, len(event_rows) // 2
            return self._insert(frame_rows[:half_frames], event_rows[:half_events]) and (
                self._insert(frame_rows[half_frames:], event_rows[half_events:])
            )
        log.warning("a record was refused: %s", type(error).__name__)
        if frame_rows and not frame_rows[0].message.isascii():
            plain = frame_rows[0]._replace(
                action=ascii(frame_rows[0].action)[1:-1], message=ascii(frame_rows[0].message)[1:-1]
            )
            return self._insert((plain,), ())
        self._counters.lost += 1
        return True

    def _patiently(self, work: Callable[[Transaction], None]) -> bool:
        """Run `work` in a transaction, again and again while the database is away."""
        pause = _PAUSE_MIN_S
        while True:
            try:
                with self._database.begin() as transaction:
                    work(transaction)
            except DatabaseAway as error:
                self._counters.retries += 1
                log.warning("records wait for the database: %s", type(error).__name__)
            else:
                return True
            if self._closing.wait(pause):
                return False
            pause = min(pause * 2, _PAUSE_MAX_S)


def _insert(
    transaction: Transaction, frame_rows: Sequence[FrameRow], event_rows: Sequence[EventRow]
) -> None:
    frames.insert_many(transaction, frame_rows)
    events.insert_many(transaction, event_rows)
