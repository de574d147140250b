"""Keeping the connection: pauses between attempts, and pings that tell whether anybody is there.

Functions of the core, taking the charger they work on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.effects import Ping
from simulator.problems import Problem

if TYPE_CHECKING:
    from simulator.charger import Charger


def pause(charger: Charger, now: float) -> None:
    """Connect again after a pause: capped exponential, full jitter."""
    clocks = charger.config.clocks
    ceiling = min(clocks.reconnect_max_s, clocks.reconnect_min_s * 2 ** min(charger.failures, 16))
    charger.set_timer("reconnect", now + charger.draw() * ceiling)


def reconnect(charger: Charger, now: float) -> None:
    """Connect, unless a wire fault keeps the CSMS away for now."""
    away = charger.wire_faults.refusal(now) if charger.wire_faults else 0.0
    if away:
        charger.attempts += 1
        charger.state_problem(Problem("network", "A wire fault refuses connections."))
        charger.set_timer("reconnect", now + away)
    else:
        charger.open()


def check_pulse(charger: Charger, now: float) -> None:
    """Ask for a sign of life when there was none for long; give up when none came."""
    interval = charger.config.clocks.ping_interval_s
    if charger.pinged:
        charger.abandon("The CSMS did not answer a ping")
    elif now - charger.heard_at >= interval:
        charger.pinged = True
        charger.emit(Ping())
        charger.set_timer("ping", now + interval)
    else:
        charger.set_timer("ping", charger.heard_at + interval)
