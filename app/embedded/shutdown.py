"""`gateway down`: asks the supervisor to stop and waits until nothing of it is left."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from app.db import DatabaseAway, make_engine, make_sessions
from app.embedded.errors import CannotStop, NotRunning
from app.embedded.locking import find_leftovers, find_owner, is_alive
from app.embedded.state import read_state
from app.settings import load_settings
from app.store import census

#: Programs get 7 s, the servers 13 s at worst.
_PATIENCE_S: Final = 30.0
_EVACUATION_S: Final = 180.0
_PAUSE_S: Final = 0.05


def count_elsewhere(data: Path) -> dict[str, int]:
    """Runtimes that go on when the gateway on this folder stops, by provider.

    Empty for those that end with it, and when the database cannot say.
    """
    state = read_state(data / "state.json")
    if state is None or state.runtime == "ecs-standin" or find_owner(data / "lock") is None:
        return {}
    engine = make_engine(load_settings().database_url, pool_size=1, name="down")
    try:
        with make_sessions(engine)() as session:
            return dict(census.take(session).elsewhere)
    except DatabaseAway:
        return {}
    finally:
        engine.dispose()


def stop_gateway(data: Path, say: Callable[[str], None], *, evacuates: bool = False) -> None:
    """Stop the gateway on this folder; with `evacuates`, its runtimes elsewhere first.

    Raises `NotRunning`, and `CannotStop` when it does not end in time.
    """
    owner = find_owner(data / "lock")
    if owner is None:
        raise NotRunning(f"No gateway runs on {data}.")
    owner.send_signal(signal.SIGUSR1 if evacuates else signal.SIGTERM)
    patience = _PATIENCE_S + (_EVACUATION_S if evacuates else 0)
    deadline = time.monotonic() + patience
    while is_alive(owner) or find_leftovers(data):
        if time.monotonic() > deadline:
            raise CannotStop(f"The gateway (process {owner.pid}) did not stop in {patience:g} s.")
        time.sleep(_PAUSE_S)
    say(f"Stopped the gateway on {data}; the data is kept.")
