"""`gateway evacuate`: ends every runtime of this installation that lives elsewhere (containers, ECS tasks).

For `gateway down --runtimes stop`, and before a machine is given back. It asks the backends, not the rows, so that
nothing is overlooked; orders stay as they are, so the chargers come back with the gateway. Workers must not run
meanwhile: they would bring the chargers back at once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from app.store import census
from workers.runs.context import Context
from workers.runtimes.base import Driver, Stray

_PAUSE_S: Final = 1.0


def evacuate(context: Context, *, patience_s: float) -> int:
    """End them and wait until they are gone; how many there were.

    Raises `RuntimeUnavailable` when a backend does not answer, `TimeoutError` when something does not end.
    """
    with context.sessions() as session:
        providers = set(census.take(session).elsewhere) | {context.provider}
    ended = 0
    for provider in sorted(providers - {"local"}):
        ended += _evacuate_one(context, context.driver(provider), patience_s)
    return ended


def _evacuate_one(context: Context, driver: Driver, patience_s: float) -> int:
    living = _list_living(context, driver)
    number = len(living)
    for runtime in living:
        driver.stop(runtime.handle, f"{context.settings.install_id}:evacuate")
    deadline = time.monotonic() + patience_s
    while living and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
        living = _list_living(context, driver)
    if living:
        raise TimeoutError(f"{len(living)} runtimes on {driver.provider} have not ended.")
    return number


def _list_living(context: Context, driver: Driver) -> Sequence[Stray]:
    return [s for s in driver.list_strays(context.settings.install_id) if not s.has_ended]
