"""Keeps a claim alive while its step works: one thread per process, one claim at a time.

When the process is killed or frozen the renewal stops with it, the lease runs out, and the run is taken up by
another. A hard time limit kills a hung step's process for the same reason.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session, sessionmaker

from app.db import DatabaseAway
from app.settings import EngineSettings
from app.store import runs

log = logging.getLogger(__name__)


class Lease:
    """Renews the claim that is held, every `renew_s` seconds."""

    def __init__(self, sessions: sessionmaker[Session], clocks: EngineSettings) -> None:
        self._sessions = sessions
        self._clocks = clocks
        self._changed = threading.Condition()
        self._held: runs.Claim | None = None
        self._thread: threading.Thread | None = None

    @contextmanager
    def hold(self, held: runs.Claim) -> Iterator[None]:
        """Renew this claim until the block ends."""
        with self._changed:
            self._held = held
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._held = None

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait(self._clocks.renew_s)
                held = self._held
            if held is not None:
                self._renew(held)

    def _renew(self, held: runs.Claim) -> None:
        try:
            with self._sessions.begin() as session:
                runs.renew(session, held.run_id, held.fence, lease=self._clocks.lease_s)
        except DatabaseAway as error:
            log.warning(
                "lease not renewed: %s", type(error).__name__, extra={"run_id": held.run_id}
            )
