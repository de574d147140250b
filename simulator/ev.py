"""The car at the other end of the cable: a battery with a charging curve.

Power follows the state of charge by straight lines between the points of the curve, cut at whatever
the station offers. Both shapes integrate in closed form (a constant, or an exponential), so energy
is exact between two events, however far apart they are: no stepping, no drift. Read `Ev.charge` and
`Ev.duration`.

Units: watt, watt-hour, second; the state of charge is a share from 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

#: (state of charge, share of the maximum power). AC: the on-board charger limits, not the battery,
#: until the last tenth. DC: a typical pack holds its power to one half and then tapers.
AC_CURVE = ((0.0, 1.0), (0.9, 1.0), (1.0, 0.1))
DC_CURVE = ((0.0, 0.9), (0.1, 1.0), (0.5, 1.0), (0.8, 0.5), (1.0, 0.05))

_HOUR = 3600.0
#: Wh; nearer to the end of a piece than this counts as at it, since floats do not divide evenly.
_NEAR = 1e-9
#: Wh; a battery this close to full is full. Far more than a float of today's seconds can miss.
_FULL = 1e-3
#: W; less than this is nothing.
_LEAST_W = 1e-3


@dataclass(frozen=True, slots=True)
class Model:
    """What kind of car: usable battery, on-board AC charger, highest DC power."""

    battery_wh: float = 75_000.0
    ac_phases: int = 3
    ac_current_a: float = 32.0
    dc_power_w: float = 200_000.0
    ac_curve: tuple[tuple[float, float], ...] = AC_CURVE
    dc_curve: tuple[tuple[float, float], ...] = DC_CURVE


#: Takes whatever an AC station gives, so that the station's own limit is what one sees.
DEFAULT_MODEL = Model()
DEFAULT_SOC = 0.2


class Ev:
    """One car, plugged in to one kind of current. `charge` moves its battery and returns the
    energy.
    """

    __slots__ = ("curve", "energy_wh", "max_power_w", "model")

    def __init__(self, model: Model, soc: float, *, max_power_w: float, is_dc: bool) -> None:
        self.model = model
        self.energy_wh = model.battery_wh * min(max(soc, 0.0), 1.0)
        self.max_power_w = max_power_w
        self.curve = model.dc_curve if is_dc else model.ac_curve

    @property
    def soc(self) -> float:
        """State of charge, 0 to 1."""
        return self.energy_wh / self.model.battery_wh

    @property
    def is_full(self) -> bool:
        """Whether the battery takes no more."""
        return self.model.battery_wh - self.energy_wh <= _FULL

    def power_w(self, offered_w: float) -> float:
        """What it draws right now when the station offers `offered_w`."""
        if self.is_full:
            return 0.0
        for _, _, power, slope, start in self._pieces(offered_w):
            return power + slope * (self.energy_wh - start)
        return 0.0

    def charge(self, offered_w: float, seconds: float) -> float:
        """Charge for a while under a constant offer; the energy taken, in Wh, exactly."""
        taken = 0.0
        left = seconds / _HOUR
        for begin, end, power0, slope, start in self._pieces(offered_w):
            power = power0 + slope * (begin - start)
            needed = _hours(power, slope, end - begin)
            if needed > left:
                taken += _energy(power, slope, left)
                break
            taken += end - begin
            left -= needed
        taken = min(taken, self.model.battery_wh - self.energy_wh)
        self.energy_wh += taken
        return taken

    def duration(self, offered_w: float, energy_wh: float) -> float:
        """Seconds until it has taken `energy_wh` more under this offer; infinite if never."""
        hours = 0.0
        wanted = energy_wh
        if wanted <= 0:
            return 0.0
        for begin, end, power0, slope, start in self._pieces(offered_w):
            power = power0 + slope * (begin - start)
            piece = min(wanted, end - begin)
            hours += _hours(power, slope, piece)
            wanted -= piece
            if wanted <= _NEAR:
                return hours * _HOUR
        return math.inf

    def seconds_to_full(self, offered_w: float) -> float:
        """Seconds until the battery is full under this offer; infinite without power."""
        return self.duration(offered_w, self.model.battery_wh - self.energy_wh)

    def _pieces(self, offered_w: float) -> Iterator[tuple[float, float, float, float, float]]:
        """The way ahead as (from Wh, to Wh, power at `start`, W per Wh, start): straight lines of
        power.
        """
        if min(offered_w, self.max_power_w) < _LEAST_W:
            return
        capacity = self.model.battery_wh
        for (soc0, share0), (soc1, share1) in zip(self.curve, self.curve[1:], strict=False):
            begin, end = soc0 * capacity, soc1 * capacity
            if end - self.energy_wh <= _NEAR:
                continue
            power0, power1 = share0 * self.max_power_w, share1 * self.max_power_w
            for a, b, power, slope in _cut(begin, end, power0, power1, offered_w):
                if b - self.energy_wh > _NEAR:
                    yield max(a, self.energy_wh), b, power, slope, a


def _cut(
    begin: float, end: float, power0: float, power1: float, offered: float
) -> Iterator[tuple[float, float, float, float]]:
    """A line of power under a ceiling: one piece, or two where it crosses the ceiling."""
    slope = (power1 - power0) / (end - begin)
    if max(power0, power1) <= offered:
        yield begin, end, power0, slope
    elif min(power0, power1) >= offered:
        yield begin, end, offered, 0.0
    else:
        cross = begin + (offered - power0) / slope
        if power0 > offered:
            yield begin, cross, offered, 0.0
            yield cross, end, offered, slope
        else:
            yield begin, cross, power0, slope
            yield cross, end, offered, 0.0


def _hours(power: float, slope: float, energy: float) -> float:
    """Hours to take `energy` when power begins at `power` and changes by `slope` per Wh."""
    if slope == 0 or abs(slope * energy) < 1e-9 * power:
        return energy / power
    return math.log1p(slope * energy / power) / slope


def _energy(power: float, slope: float, hours: float) -> float:
    """Wh taken in `hours`; the inverse of `_hours`."""
    if abs(slope * hours) < 1e-12:
        return power * hours
    return power * math.expm1(slope * hours) / slope
