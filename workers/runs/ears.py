"""Hears of ends from a driver whose backend tells them (`base.Herald`), so that the watch looks at once.

Only the driver of new runtimes is listened to; every other runtime is found by the watch in its own time. What is
heard moves a row's next look to now and rings; it decides nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from sqlalchemy import text

from app.db import DatabaseAway
from workers.runs.context import Context
from workers.runtimes.base import Herald, RuntimeTrouble

log = logging.getLogger(__name__)

_LISTEN_AGAIN_S: Final = 5.0
_LOOK_NOW: Final = text(
    """
    UPDATE runtimes SET observed_at = NULL
    WHERE charger_id = :charger_id AND incarnation = :incarnation AND state <> 'gone'
    """
)


class Ears:
    """One process's ears."""

    def __init__(self, context: Context, ring: Callable[[], None]) -> None:
        """`ring` makes the watch of this process look now; another process's looks within its pause."""
        self._context = context
        self._ring = ring

    def run(self, stopped: threading.Event) -> None:
        """Listen until `stopped`, again and again; ends at once when the driver has nothing to tell."""
        while not stopped.is_set():
            try:
                driver = self._context.driver(self._context.provider)
                if not isinstance(driver, Herald):
                    return
                driver.listen(self.hear)
            except RuntimeTrouble as trouble:
                log.info("the runtime backend cannot be heard: %s", trouble)
            except Exception:
                log.exception("listening failed and begins again")
            stopped.wait(_LISTEN_AGAIN_S)

    def hear(self, charger_id: str, incarnation: int) -> None:
        """Something happened to this runtime."""
        try:
            with self._context.sessions.begin() as session:
                session.execute(_LOOK_NOW, {"charger_id": charger_id, "incarnation": incarnation})
        except DatabaseAway as error:
            log.info("not looked at early: %s", type(error).__name__)
        self._ring()
