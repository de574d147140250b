"""The three clocks of a bring-up: placement, start, CSMS.

A clock counts only time in which somebody looked: between two looks it gains at most what the first planned to
sleep, plus a little. So no clock runs while workers are away, and none while the link is (`running=False`).
State is the run's `deadlines`: {name: {"used": s, "planned": s, "looked_at": Unix s}}.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

#: A wake-up or a busy queue may make a look this much later than planned, seconds.
_SLACK_S: Final = 5.0


def look(
    deadlines: Mapping[str, Any], name: str, *, now: datetime, planned: float, running: bool = True
) -> tuple[float, dict[str, Any]]:
    """Seconds used so far on this clock, and the deadlines to store."""
    known = deadlines.get(name)
    moment = now.timestamp()
    if known is None:
        used = 0.0
    else:
        gained = min(max(0.0, moment - known["looked_at"]), known["planned"] + _SLACK_S)
        used = known["used"] + (gained if running and known.get("running", True) else 0.0)
    entry = {"used": used, "planned": planned, "looked_at": moment, "running": running}
    return used, {**deadlines, name: entry}
