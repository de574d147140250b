"""The energy meter of one EVSE: one physical chain from the offer to the register.

The station offers a power (the smallest of hardware, charging schedules and an operator's
override), the EV takes what its curve allows, and the register is the integral.
`Meter.advance(now)` moves time; everything else reads. Between two calls nothing changes but the
state of charge, which `simulator.ev` integrates exactly, so the register never depends on how often
anybody looks.

Units: watt, watt-hour, ampere, volt; time in seconds since the epoch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from simulator.ev import Ev, Model

#: Phase to neutral, Europe (EN 50160).
VOLTAGE_V = 230.0
FREQUENCY_HZ = 50.0
#: IEC 61851-1: a control pilot cannot offer less than 6 A; below that the station suspends.
MINIMUM_AC_A = 6.0


@dataclass(frozen=True, slots=True)
class Outlet:
    """What the hardware behind a connector can do. From the catalog's connector entry."""

    current_type: str = "ac"
    max_power_w: float = 22_000.0
    phases: int = 3

    @property
    def is_dc(self) -> bool:
        """Whether it delivers direct current."""
        return self.current_type == "dc"


@dataclass(frozen=True, slots=True)
class Offer:
    """How much the station may deliver now, and on how many phases."""

    power_w: float
    phases: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What the meter shows at one moment. `currents_a` and `voltage_v` are per phase in AC."""

    energy_wh: float
    power_w: float
    offered_w: float
    phases: int
    voltage_v: float
    current_a: float
    soc: float | None
    is_dc: bool


class Meter:
    """Register and power of one EVSE. About 150 bytes while nothing is plugged in."""

    __slots__ = ("at", "energy_wh", "ev", "flowing", "offer", "outlet")

    def __init__(self, outlet: Outlet, energy_wh: float = 0.0) -> None:
        self.outlet = outlet
        self.energy_wh = energy_wh
        self.ev: Ev | None = None
        self.flowing = False
        self.offer = Offer(outlet.max_power_w, outlet.phases)
        #: The time up to which the register is counted.
        self.at = 0.0

    def connect(self, model: Model, soc: float) -> None:
        """A car is plugged in."""
        self.ev = Ev(
            model, soc, max_power_w=ev_limit_w(self.outlet, model), is_dc=self.outlet.is_dc
        )

    def disconnect(self, now: float) -> None:
        """The car leaves."""
        self.advance(now)
        self.ev = None
        self.flowing = False

    def flow(self, now: float, *, flowing: bool) -> None:
        """Close or open the contactor."""
        self.advance(now)
        self.flowing = flowing

    def limit(self, now: float, offer: Offer) -> None:
        """Change what the station offers from now on."""
        self.advance(now)
        self.offer = offer

    def advance(self, now: float) -> None:
        """Count the energy up to `now`. A clock that went back counts nothing twice."""
        if self.flowing and self.ev is not None and now > self.at:
            self.energy_wh += self.ev.charge(self._offered_w(), now - self.at)
        if now > self.at or not self.flowing:
            self.at = now

    @property
    def power_w(self) -> float:
        """Power at the time of the last `advance`."""
        if not self.flowing or self.ev is None:
            return 0.0
        return self.ev.power_w(self._offered_w())

    @property
    def soc(self) -> float | None:
        """State of charge, 0 to 1, while a car is plugged in."""
        return None if self.ev is None else self.ev.soc

    def seconds_to_full(self) -> float:
        """Seconds from the last `advance` until the car is full; infinite if it will not be."""
        if not self.flowing or self.ev is None:
            return math.inf
        return self.ev.seconds_to_full(self._offered_w())

    def seconds_to(self, energy_wh: float) -> float:
        """Seconds until the register stands at `energy_wh`, if nothing changes."""
        if energy_wh <= self.energy_wh:
            return 0.0
        if not self.flowing or self.ev is None:
            return math.inf
        return self.ev.duration(self._offered_w(), energy_wh - self.energy_wh)

    def read(self) -> Reading:
        """What it shows, as of the last `advance`."""
        power = self.power_w
        voltage = _dc_voltage(self.soc) if self.outlet.is_dc else VOLTAGE_V
        lines = 1 if self.outlet.is_dc else max(self._phases_used(), 1)
        return Reading(
            energy_wh=self.energy_wh,
            power_w=power,
            offered_w=self._offered_w(),
            phases=lines,
            voltage_v=voltage,
            current_a=power / (voltage * lines),
            soc=self.soc,
            is_dc=self.outlet.is_dc,
        )

    def _offered_w(self) -> float:
        if self.outlet.is_dc:
            return self.offer.power_w
        # A car with fewer phases than the station leaves the others unused.
        return self.offer.power_w * self._phases_used() / max(self.offer.phases, 1)

    def _phases_used(self) -> int:
        return (
            self.offer.phases
            if self.ev is None
            else min(self.offer.phases, self.ev.model.ac_phases)
        )


def ev_limit_w(outlet: Outlet, model: Model) -> float:
    """The most that this car takes from this outlet."""
    if outlet.is_dc:
        return model.dc_power_w
    return model.ac_current_a * VOLTAGE_V * min(model.ac_phases, outlet.phases)


def compose_offer(
    outlet: Outlet,
    *,
    schedule_w: float | None = None,
    schedule_phases: int | None = None,
    override_w: float | None = None,
) -> Offer:
    """The smallest of hardware, schedule and override, as a station can really deliver it.

    AC under 6 A on all phases goes on with one phase; under 6 A on one phase it is a pause
    (IEC 61851-1). An override is an operator's word and is not held to that minimum.
    """
    phases = outlet.phases if schedule_phases is None else min(outlet.phases, schedule_phases)
    power = outlet.max_power_w
    if schedule_w is not None and schedule_w < power:
        power = _deliverable(outlet, schedule_w, phases)
    if not outlet.is_dc and power < MINIMUM_AC_A * VOLTAGE_V * phases:
        phases = 1
    if override_w is not None:
        power = min(power, max(override_w, 0.0))
    return Offer(power, phases)


def _deliverable(outlet: Outlet, power: float, phases: int) -> float:
    if outlet.is_dc or phases == 0:
        return max(power, 0.0)
    # A hair of tolerance: 6 A times 230 V is a limit that people type in both units.
    return power if power >= MINIMUM_AC_A * VOLTAGE_V - 1e-6 else 0.0


def _dc_voltage(soc: float | None) -> float:
    """A 400 V pack: 340 V empty, 420 V full."""
    return 340.0 + 80.0 * (soc or 0.0)
