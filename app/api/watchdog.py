"""Cuts connections that a frozen database holds.

A server that is gone closes its connections; one that is frozen (a stopped process, a lost network) keeps them
open and never answers, and its own statement timeout does not run. So each connection of the pool has a time by
which it must be back; later its socket is shut down, the thread that waits on it gets an error, and the client
a 503.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from typing import Any, Final

from sqlalchemy import Engine, event

log = logging.getLogger(__name__)

_LOOK_S: Final = 0.5


class Watchdog:
    """Watches one engine for as long as the process lives; its thread starts at the first checkout."""

    def __init__(self, engine: Engine, *, after_s: float) -> None:
        self._after_s = after_s
        self._since: dict[int, tuple[float, Any]] = {}
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        event.listen(engine, "checkout", self._take)
        event.listen(engine, "checkin", self._give)

    def _take(self, connection: Any, record: Any, _proxy: Any) -> None:
        with self._guard:
            self._since[id(record)] = (time.monotonic(), connection)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()

    def _give(self, _connection: Any, record: Any) -> None:
        with self._guard:
            self._since.pop(id(record), None)

    def _run(self) -> None:
        while True:
            time.sleep(_LOOK_S)
            self.look(time.monotonic())

    def look(self, now: float) -> None:
        """Cut what has been out for too long."""
        with self._guard:
            late = [
                (number, connection)
                for number, (since, connection) in self._since.items()
                if now - since > self._after_s
            ]
            for number, connection in late:
                del self._since[number]
                cut(connection)


def cut(connection: Any) -> None:
    """Shut the socket of a psycopg connection down; whoever waits on it sees the server gone."""
    log.warning("a connection to the database did not answer and is cut")
    # A copy of the descriptor, since closing our socket object must not close libpq's.
    with (
        contextlib.suppress(Exception),
        socket.socket(fileno=os.dup(connection.fileno())) as copy,
    ):
        copy.shutdown(socket.SHUT_RDWR)
