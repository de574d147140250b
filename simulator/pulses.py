"""The timers of sessions: limits and goals, samples, people who do not come, a restart.

Registered for both versions by `install`: `power`, `sample`, `keep`, `connect` (each with a bay's
number), `aligned` and `resume`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simulator.behaviour import Moment
from simulator.conclusions import arm, refresh, show
from simulator.sampling import Cadence
from simulator.sessions import end, forget_token, timeout, unplug
from simulator.station import station_of
from simulator.transactions import End

if TYPE_CHECKING:
    from simulator.behaviour import Behaviour
    from simulator.charger import Charger

#: Wh; a register this close to its goal has reached it.
_NEAR_WH = 1e-3


def on_power(charger: Charger, argument: str, now: float) -> None:
    """A limit changes, a goal is reached, or the battery is full."""
    bay = station_of(charger).bay(int(argument))
    if bay is None or bay.tx is None:
        return
    bay.meter.advance(now)
    tx = bay.tx
    goal = tx.energy_goal_wh
    why: End | None = None
    if goal is not None and bay.meter.energy_wh - tx.begin_wh >= goal - _NEAR_WH:
        why = End.ENERGY_REACHED
    elif tx.ends_at is not None and now >= tx.ends_at:
        why = End.TIME_REACHED
    if why is None:
        refresh(charger, bay, now)
        return
    end(charger, bay, why, now)
    unplug(charger, bay, now)


def on_sample(charger: Charger, argument: str, now: float) -> None:
    """A periodic sample is due."""
    station = station_of(charger)
    bay = station.bay(int(argument))
    if bay is None or bay.tx is None:
        return
    bay.meter.advance(now)
    station.voice.say_sample(charger, bay, now, "Sample.Periodic")
    show(charger, bay)
    interval = station.voice.terms(station).sample_interval_s
    arm(charger, "sample", bay, Cadence(bay.tx.begun, interval).after(now))


def on_keep(charger: Charger, argument: str, now: float) -> None:
    """A sample for the last message is due."""
    station = station_of(charger)
    bay = station.bay(int(argument))
    if bay is None or bay.tx is None:
        return
    bay.meter.advance(now)
    station.voice.keep_sample(charger, bay, now)
    interval = station.voice.terms(station).stop_sample_interval_s
    arm(charger, "keep", bay, Cadence(bay.tx.begun, interval).after(now))


def on_connect(charger: Charger, argument: str, now: float) -> None:
    """Nobody plugged in, or nobody identified, in time."""
    bay = station_of(charger).bay(int(argument))
    if bay is None or (bay.tx is not None and bay.tx.token is not None and bay.connector.plugged):
        return
    if bay.tx is not None:
        end(charger, bay, End.TIMED_OUT, now)
    elif bay.token is not None:
        forget_token(charger, bay, now)
    elif bay.connector.plugged:
        # Transition B6: a cable left in must not be started by the next driver's card.
        bay.connector.finished = True
        refresh(charger, bay, now)


def on_aligned(charger: Charger, argument: str, now: float) -> None:
    """A clock-aligned sample is due, at every bay."""
    del argument
    station = station_of(charger)
    for bay in station.bays:
        bay.meter.advance(now)
        station.voice.say_sample(charger, bay, now, "Sample.Clock")
        show(charger, bay)
    arm_aligned(charger, now)


def arm_aligned(charger: Charger, now: float) -> None:
    """Set or cancel the timer of clock-aligned samples, as the settings say."""
    station = station_of(charger)
    at = Cadence(0.0, station.voice.terms(station).aligned_interval_s).after(now)
    if math.isinf(at):
        charger.cancel_timer("aligned")
    else:
        charger.set_timer("aligned", at)


def rearm_samples(charger: Charger, now: float) -> None:
    """The intervals were changed: transactions that run go by the new ones."""
    station = station_of(charger)
    terms = station.voice.terms(station)
    for bay in station.bays:
        if bay.tx is not None:
            begun = bay.tx.begun
            arm(charger, "sample", bay, Cadence(begun, terms.sample_interval_s).after(now))
            arm(charger, "keep", bay, Cadence(begun, terms.stop_sample_interval_s).after(now))
    arm_aligned(charger, now)


def on_resume(charger: Charger, argument: str, now: float) -> None:
    """First conclusions after a restart of the process; energy did not flow meanwhile."""
    del argument
    for bay in station_of(charger).bays:
        bay.meter.at = now
        refresh(charger, bay, now)
        if bay.tx is None and (bay.token is not None or bay.connector.plugged):
            charger.set_timer(f"connect:{bay.id}", now + timeout(station_of(charger)))
    rearm_samples(charger, now)


def install(behaviour: Behaviour) -> None:
    """Register the timers with one version."""
    for name, handler in (
        ("power", on_power),
        ("sample", on_sample),
        ("keep", on_keep),
        ("connect", on_connect),
        ("aligned", on_aligned),
        ("resume", on_resume),
    ):
        behaviour.timer(name)(handler)
    behaviour.moment(Moment.ONLINE)(arm_aligned)
