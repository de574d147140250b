"""Listens to the database's doorbell in a thread and tells the event loop who rang.

A doorbell may be missed (the connection was lost, the database restarted): then everybody is looked after once,
and the regular look covers the rest. So nothing here has to be reliable, only cheap.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

import psycopg

from app.db import CHANNEL_LINK, listen

log = logging.getLogger(__name__)

#: How long the thread is deaf to `close`, and the pause before listening again, in seconds.
_PATIENCE_S: Final = 0.25


class Doorbell:
    """The thread. `on_ring` gets `host:<id>` or `charger:<id>`, `on_reopen` is called when rings may be lost."""

    def __init__(
        self, database_url: str, on_ring: Callable[[str], object], on_reopen: Callable[[], object]
    ) -> None:
        self._database_url = database_url
        self._on_ring = on_ring
        self._on_reopen = on_reopen
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="link-doorbell", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening; returns when the thread has ended."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._listen()
            except (psycopg.Error, OSError) as error:
                log.warning("doorbell lost: %s", type(error).__name__)
                self._closing.wait(_PATIENCE_S)

    def _listen(self) -> None:
        with listen(self._database_url, CHANNEL_LINK) as connection:
            self._on_reopen()
            while not self._closing.is_set():
                for ring in connection.notifies(timeout=_PATIENCE_S):
                    self._on_ring(ring.payload)
