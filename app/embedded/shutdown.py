"""`gateway down`: asks the supervisor to stop and waits until nothing of it is left."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from app.embedded.errors import CannotStart, NotRunning
from app.embedded.locking import find_leftovers, find_owner, is_alive

#: Programs get 7 s, the servers 13 s at worst.
_PATIENCE_S: Final = 30.0
_PAUSE_S: Final = 0.05


def stop_gateway(data: Path, say: Callable[[str], None]) -> None:
    """Stop the gateway on this folder. Raises `NotRunning`, and `CannotStart` when it does not end in time."""
    owner = find_owner(data / "lock")
    if owner is None:
        raise NotRunning(f"No gateway runs on {data}.")
    owner.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE_S
    while is_alive(owner) or find_leftovers(data):
        if time.monotonic() > deadline:
            raise CannotStart(
                f"The gateway (process {owner.pid}) did not stop in {_PATIENCE_S:g} s."
            )
        time.sleep(_PAUSE_S)
    say(f"Stopped the gateway on {data}; the data is kept.")
