"""What follows from the facts of a bay: the offer, the flow of energy, the status, the next timer.

`refresh` is the one place that concludes, called after any fact changed; it may be called too often
but never too seldom.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simulator.meter import Offer, compose_offer
from simulator.sampling import whole_wh
from simulator.stacking import Limit
from simulator.station import Bay, Station, station_of

if TYPE_CHECKING:
    from simulator.charger import Charger

_LEAST_WAIT_S = 0.01


def refresh(charger: Charger, bay: Bay, now: float, trigger: str | None = None) -> None:
    """Draw every conclusion from the facts of one bay, and tell what changed.

    `trigger` is why, in the words of 2.0.1; a running transaction is then told of in any case.
    """
    station = station_of(charger)
    meter, connector, tx = bay.meter, bay.connector, bay.tx
    meter.advance(now)
    installing = station.firmware is not None and station.firmware.blocks_charging
    connector.operative = bay.in_service and not installing
    limit = _limit(station, bay, now)
    gives = tx is not None and tx.gives_energy(meter.energy_wh) and connector.fault is None
    offer = _offer(charger, station, bay, limit) if gives or tx is None else Offer(0.0, 1)
    if offer != meter.offer:
        meter.limit(now, offer)
    connector.evse_offers = meter.offer.power_w > 0
    if meter.ev is not None and meter.ev.is_full:
        connector.ev_ready = False
    meter.flow(now, flowing=connector.is_charging)
    _report(charger, station, bay, now)
    if bay.tx is not None:
        station.voice.say_changed(charger, bay, now, trigger or "")
        arm(charger, "power", bay, _next_change(bay, limit, now))
    show(charger, bay)


def _offer(charger: Charger, station: Station, bay: Bay, limit: Limit) -> Offer:
    sharers = _sharers(station, bay)
    schedule = limit.power_w
    share = charger.config.max_power_w / sharers
    if share < bay.meter.outlet.max_power_w:
        schedule = share if schedule is None else min(schedule, share)
    return compose_offer(
        bay.meter.outlet,
        schedule_w=schedule,
        schedule_phases=limit.phases,
        override_w=bay.override_w,
    )


def _limit(station: Station, bay: Bay, now: float) -> Limit:
    if station.profiles is None or bay.tx is None:
        return Limit(None, None, math.inf)
    sharers = _sharers(station, bay)
    return station.profiles.limit(bay.id, now, bay.session, bay.electrics, sharers)


def _sharers(station: Station, bay: Bay) -> int:
    """How many bays divide the station's power: this one, and every other that takes some."""
    return 1 + sum(
        other.tx is not None and other.connector.plugged and other.connector.ev_ready
        for other in station.bays
        if other is not bay
    )


def refresh_others(charger: Charger, bay: Bay, now: float) -> None:
    """What happened at one bay changes the share of the others that charge."""
    for other in station_of(charger).bays:
        if other is not bay and other.tx is not None:
            refresh(charger, other, now)


def refresh_all(charger: Charger, now: float) -> None:
    """Something that concerns every bay changed."""
    for bay in station_of(charger).bays:
        refresh(charger, bay, now)


def _report(charger: Charger, station: Station, bay: Bay, now: float) -> None:
    code = bay.connector.fault or "NoError"
    for status in bay.connector.settle():
        bay.outlet.status = str(status)
        bay.outlet.error_code = code
        station.voice.report(charger, bay, now)
        data = {"connector_id": bay.id, "status": str(status), "error_code": code}
        charger.happen("connector_status", data)
    if bay.outlet.error_code != code:
        bay.outlet.error_code = code
        station.voice.report(charger, bay, now)


def show(charger: Charger, bay: Bay) -> None:
    """Bring the visible part up to date."""
    meter, outlet = bay.meter, bay.outlet
    soc = None if meter.soc is None else round(meter.soc * 100, 1)
    seen = (
        round(meter.power_w),
        whole_wh(meter.energy_wh),
        bay.tx.shown_id if bay.tx is not None else None,
        soc,
    )
    outlet.power_w, outlet.energy_wh, outlet.transaction_id, outlet.soc = seen
    charger.change_outlets()


def _next_change(bay: Bay, limit: Limit, now: float) -> float:
    tx = bay.tx
    if tx is None:
        return math.inf
    times = [limit.until, now + bay.meter.seconds_to_full()]
    if tx.ends_at is not None:
        times.append(tx.ends_at)
    if tx.allowance_wh is not None:
        times.append(now + (bay.meter.seconds_to(tx.allowance_wh) or math.inf))
    if tx.energy_goal_wh is not None:
        times.append(now + bay.meter.seconds_to(tx.begin_wh + tx.energy_goal_wh))
    # Never at once again: a time that rounding left a hair short must not ring for ever.
    return max(min(times), now + _LEAST_WAIT_S)


def arm(charger: Charger, timer: str, bay: Bay, at: float) -> None:
    """Set the timer of a bay, or cancel it when it is never due."""
    name = f"{timer}:{bay.id}"
    if math.isinf(at):
        charger.cancel_timer(name)
    else:
        charger.set_timer(name, at)
