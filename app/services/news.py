"""Wakes threads of this process that wait for a charger's status or a command's result.

One thread listens on the database's `CHANNEL_NEWS` and rings the bells of whoever follows the id that it hears.
A bell says «look again» and nothing more: a lost one costs a waiter `LOOK_S`, never its answer. How many may
wait at once is bounded per room (`seats`), so that waiting never takes every thread of the server.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import psycopg

from app.db import CHANNEL_NEWS, listen

log = logging.getLogger(__name__)

#: Who waits looks again after this, bell or none; seconds.
LOOK_S: Final = 5.0
_POLL_S: Final = 1.0
T = TypeVar("T")


class News:
    """Follow ids; start it lazily, close it at the end. Safe to make before a fork, not to use."""

    def __init__(self, database_url: str, *, seats: int) -> None:
        self._url = database_url
        self._seats = seats
        self._rooms: dict[str, int] = {}
        self._bells: dict[str, set[threading.Event]] = {}
        self._guard = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def follow(self, subject: str, *, room: str = "status") -> Iterator[threading.Event | None]:
        """A bell that rings when there is news of `subject`; None when the room is full."""
        bell = threading.Event()
        with self._guard:
            taken = self._rooms.get(room, 0)
            if taken >= self._seats:
                full = True
            else:
                full = False
                self._rooms[room] = taken + 1
                self._bells.setdefault(subject, set()).add(bell)
                self._start()
        if full:
            yield None
            return
        try:
            yield bell
        finally:
            self._leave(subject, bell, room)

    def _leave(self, subject: str, bell: threading.Event, room: str) -> None:
        with self._guard:
            self._rooms[room] -= 1
            followers = self._bells[subject]
            followers.discard(bell)
            if not followers:
                del self._bells[subject]

    @property
    def is_closing(self) -> bool:
        """Nobody should begin to wait any more."""
        return self._closing.is_set()

    def hush(self) -> None:
        """Send home who waits; they look once more. Returns at once, so it may be called by a signal."""
        self._closing.set()
        self._ring(None)

    def close(self) -> None:
        """Stop listening."""
        self.hush()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="news", daemon=True)
            self._thread.start()

    def _ring(self, subject: str | None) -> None:
        """Ring for one subject, or for all of them."""
        with self._guard:
            groups = self._bells.values() if subject is None else [self._bells.get(subject, set())]
            for bells in groups:
                for bell in bells:
                    bell.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                with listen(self._url, CHANNEL_NEWS) as connection:
                    self._ring(None)  # whatever was said while nobody listened
                    self._hear(connection)
            except psycopg.Error as error:
                log.warning("news: the database is away (%s)", type(error).__name__)
                self._closing.wait(_POLL_S)

    def _hear(self, connection: psycopg.Connection[Any]) -> None:
        while not self._closing.is_set():
            for notice in connection.notifies(timeout=_POLL_S, stop_after=1):
                self._ring(notice.payload)


def wait_until(
    news: News,
    subject: str,
    look: Callable[[], tuple[T, bool]],
    *,
    seconds: float,
    room: str = "status",
) -> tuple[T, bool]:
    """Look until it is settled or the time is over: (what was seen last, whether there was a seat).

    `look` returns what it sees and whether that is settled; it must hold no connection when it returns.
    """
    with news.follow(subject, room=room) as bell:
        seen, settled = look()
        if bell is None:
            return seen, settled
        until = time.monotonic() + seconds
        while not settled and not news.is_closing and (left := until - time.monotonic()) > 0:
            bell.wait(min(left, LOOK_S))
            bell.clear()
            seen, settled = look()
        return seen, True
