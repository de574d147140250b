"""Meter values as messages: which measurands, in which shape, and when.

`sampled_values16` and `sampled_values201` turn one `Reading` into the sampledValue list of each
version; `Cadence` says when the next sample is due. Sources: OCPP 1.6 sections 3.16 and 7.31 to
7.36 (measurands, contexts, units); OCPP 2.0.1 part 2, sections J and 2.56 (SampledDataCtrlr,
AlignedDataCtrlr).

Values are cut, not rounded up, to what a register shows: meterStart <= samples <= meterStop then
holds for integers as well.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from simulator.meter import FREQUENCY_HZ, Reading

ENERGY = "Energy.Active.Import.Register"

#: What one line of a reading is: (phase or None, value).
_Lines = list[tuple[str | None, float]]


def _per_phase(value: float, reading: Reading, suffix: str) -> _Lines:
    if reading.is_dc:
        return [(None, value)]
    return [(f"L{n}{suffix}", value) for n in range(1, reading.phases + 1)]


def _offered_current(reading: Reading) -> float:
    return reading.offered_w / (reading.voltage_v * reading.phases)


#: Measurand to its unit and its lines. SoC has none while no car is there.
_MEASURANDS: dict[str, tuple[str, Callable[[Reading], _Lines]]] = {
    ENERGY: ("Wh", lambda r: [(None, r.energy_wh)]),
    "Power.Active.Import": ("W", lambda r: [(None, r.power_w)]),
    "Power.Offered": ("W", lambda r: [(None, r.offered_w)]),
    "Power.Factor": ("", lambda _: [(None, 1.0)]),
    "Current.Import": ("A", lambda r: _per_phase(r.current_a, r, "")),
    "Current.Offered": ("A", lambda r: [(None, _offered_current(r))]),
    "Voltage": ("V", lambda r: _per_phase(r.voltage_v, r, "-N")),
    "Frequency": ("Hz", lambda r: [] if r.is_dc else [(None, FREQUENCY_HZ)]),
    "SoC": ("Percent", lambda r: [] if r.soc is None else [(None, r.soc * 100)]),
}
#: The units of these measurands that OCPP 1.6 has a word for (section 7.45 knows no hertz).
_UNITS16 = frozenset({"Wh", "W", "A", "V", "Percent"})
#: Every measurand that these meters have.
SUPPORTED_MEASURANDS = frozenset(_MEASURANDS)


def parse_measurands(text: str) -> list[str] | None:
    """The measurands of a comma separated list, in order; None when one is not supported."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    return names if SUPPORTED_MEASURANDS.issuperset(names) else None


def _cut(value: float, digits: int) -> float:
    scale = 10.0**digits
    # The small addition undoes binary noise such as 0.29999999999999998.
    return math.floor(value * scale + 1e-6) / scale


def whole_wh(value: float) -> int:
    """A register as 1.6 shows it: meterStart, meterStop and the samples between cut alike."""
    return int(_cut(value, 0))


def _text(value: float, unit: str) -> str:
    if unit == "Wh":
        return str(whole_wh(value))
    return f"{_cut(value, 2 if unit == 'A' else 1):g}"


def sampled_values16(
    reading: Reading, measurands: Iterable[str], context: str = "Sample.Periodic"
) -> list[dict[str, Any]]:
    """The sampledValue list of OCPP 1.6: values are strings, energy whole Wh."""
    values = []
    for name in measurands:
        unit, lines = _MEASURANDS[name]
        for phase, value in lines(reading):
            item: dict[str, Any] = {
                "value": _text(value, unit),
                "context": context,
                "format": "Raw",
                "measurand": name,
                "location": "EV" if name == "SoC" else "Outlet",
            }
            if phase:
                item["phase"] = phase
            if unit in _UNITS16:
                item["unit"] = unit
            values.append(item)
    return values


def sampled_values201(
    reading: Reading, measurands: Iterable[str], context: str = "Sample.Periodic"
) -> list[dict[str, Any]]:
    """The sampledValue list of OCPP 2.0.1: values are numbers with a unitOfMeasure."""
    values = []
    for name in measurands:
        unit, lines = _MEASURANDS[name]
        for phase, value in lines(reading):
            item: dict[str, Any] = {
                "value": _cut(value, 3),
                "context": context,
                "measurand": name,
                "location": "EV" if name == "SoC" else "Outlet",
            }
            if phase:
                item["phase"] = phase
            if unit:
                item["unitOfMeasure"] = {"unit": unit}
            values.append(item)
    return values


def timestamp(at: float) -> str:
    """RFC 3339 in UTC with milliseconds and Z; `at` in seconds since the epoch."""
    moment = datetime.datetime.fromtimestamp(at, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_timestamp(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time. Raises ValueError when it is not one."""
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        # OCPP 1.6 section 3.14 leaves the zone to UTC where none is given.
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp()


class Cadence:
    """When samples are due: every `interval` seconds from an origin. An interval of 0 is never.

    Clock-aligned values use origin 0, the epoch, a UTC midnight (OCPP 1.6
    ClockAlignedDataInterval); samples of a transaction use its start.
    """

    __slots__ = ("interval", "origin")

    def __init__(self, origin: float, interval: float) -> None:
        self.origin = origin
        self.interval = interval

    def after(self, now: float) -> float:
        """The first time later than `now` at which a sample is due; infinite when never."""
        if self.interval <= 0:
            return math.inf
        return self.origin + (math.floor((now - self.origin) / self.interval) + 1) * self.interval


def thin(samples: list[Any], at_most: int) -> None:
    """Drop every second inner sample while there are too many; first and last stay.

    OCPP 2.0.1 E06: a station short of memory drops intermediate values first.
    """
    while len(samples) > at_most:
        del samples[1:-1:2]


def meter_value(at: float, values: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One MeterValue element; the same shape in both versions."""
    return {"timestamp": timestamp(at), "sampledValue": list(values)}
