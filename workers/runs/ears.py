"""Hears of ends from a driver whose backend tells them (`base.Herald`), so that the watch looks at once.

Only the driver of new runtimes is listened to; every other runtime is found by the watch in its own time. What is
heard rings, and moves a row's next look to now; it decides nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from sqlalchemy import text

from workers.runs.context import Context
from workers.runtimes.base import Driver, Herald, RuntimeTrouble

log = logging.getLogger(__name__)

_LISTEN_AGAIN_S: Final = 5.0
#: Backends tell of an end a moment before they list it; a burst of news is answered by one look.
_SETTLE_S: Final = 0.3
_LOOK_NOW: Final = text(
    """
    UPDATE runtimes SET observed_at = NULL
    FROM unnest(CAST(:charger_ids AS text[]), CAST(:incarnations AS int[])) AS heard (charger_id, incarnation)
    WHERE runtimes.charger_id = heard.charger_id AND runtimes.incarnation = heard.incarnation
      AND state <> 'gone'
    """
)


class Ears:
    """One process's ears."""

    def __init__(self, context: Context, ring: Callable[[], None]) -> None:
        """`ring` makes the watch of this process begin its next round now."""
        self._context = context
        self._ring = ring
        self._guard = threading.Lock()
        self._heard: set[tuple[str, int]] = set()

    def run(self, stopped: threading.Event) -> None:
        """Listen until `stopped`, again and again; ends at once when the driver has nothing to tell."""
        while not stopped.is_set():
            try:
                herald: Herald | Driver = self._context.driver(self._context.provider)
                listen = getattr(herald, "listen", None)
                if listen is None:
                    return
                listen(self.hear)
            except RuntimeTrouble as trouble:
                log.info("the runtime backend cannot be heard: %s", trouble)
            except Exception:
                log.exception("listening failed and begins again")
            stopped.wait(_LISTEN_AGAIN_S)

    def hear(self, charger_id: str, incarnation: int) -> None:
        """Something happened to this runtime."""
        with self._guard:
            self._heard.add((charger_id, incarnation))
        self._ring()

    def settle(self) -> None:
        """Make what was heard of due for a look, whichever process looks next. Raises `DatabaseAway`."""
        if not self._heard:
            return
        time.sleep(_SETTLE_S)
        with self._guard:
            heard, self._heard = sorted(self._heard), set()
        values = {
            "charger_ids": [charger_id for charger_id, _ in heard],
            "incarnations": [incarnation for _, incarnation in heard],
        }
        with self._context.sessions.begin() as session:
            session.execute(_LOOK_NOW, values)
