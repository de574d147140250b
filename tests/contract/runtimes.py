"""Stands for app.link and the chargers behind it, where only the API is under test."""

from __future__ import annotations

import threading
import time

from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from app.db import CHANNEL_NEWS, notify


class Runtimes:
    """Puts chargers online, stops them, and ends their commands as it is told, in a thread."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._ends = threading.Event()
        self._thread: threading.Thread | None = None

    def put_online(self, *charger_ids: str) -> None:
        """Their CSMS has accepted them."""
        self._change("stage = 'online', status = 'READY'", charger_ids)

    def stop(self, *charger_ids: str) -> None:
        self._change("stage = 'stopped', status = 'READY', desired_state = 'stopped'", charger_ids)

    def fail(self, *charger_ids: str) -> None:
        self._change("status = 'FAILED'", charger_ids)

    def _change(self, change: str, charger_ids: tuple[str, ...]) -> None:
        with self._sessions.begin() as session:
            session.execute(
                text(f"UPDATE chargers SET {change} WHERE id = ANY(:ids)"),
                {"ids": list(charger_ids)},
            )

    def answer(self, state: str, result: str = "null", error: str = "null") -> None:
        """Every command that arrives from now on ends like that (JSON)."""

        def work() -> None:
            while not self._ends.is_set():
                self._end_all(state, result, error)
                time.sleep(0.01)

        self._thread = threading.Thread(target=work)
        self._thread.start()

    def _end_all(self, state: str, result: str, error: str) -> None:
        with self._sessions.begin() as session:
            ended = session.scalars(
                text(
                    """UPDATE commands SET state = :state, result = CAST(:result AS jsonb),
                              error = CAST(:error AS jsonb), finished_at = clock_timestamp()
                       WHERE state = 'received' RETURNING id"""
                ),
                {"state": state, "result": result, "error": error},
            ).all()
            for command_id in ended:
                notify(session, CHANNEL_NEWS, command_id)

    def close(self) -> None:
        self._ends.set()
        if self._thread is not None:
            self._thread.join()
