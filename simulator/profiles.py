"""One charging profile: read from either version's message, asked for its limit at a time.

`parse16` and `parse201` turn the message into a `Profile` or raise `ProfileRejected` with the
sentence that the answer or the log carries. `Profile.period_at` is the whole meaning of kinds,
recurrency, validity and duration; `Profile.changes` lists the times at which that meaning may
change. How several profiles work together is `simulator.stacking`.

Sources: OCPP 1.6 sections 3.13 and 7.8 to 7.14; OCPP 2.0.1 part 2, section K.
"""

from __future__ import annotations

import bisect
import dataclasses
import enum
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.sampling import parse_timestamp

_DAY = 86_400.0
_RECURRENCE = {"Daily": _DAY, "Weekly": 7 * _DAY}


class ProfileRejected(Exception):
    """The profile cannot be installed; the message says why in one sentence."""

    def __init__(self, message: str, reason_code: str = "InvalidProfile") -> None:
        super().__init__(message)
        #: For statusInfo of OCPP 2.0.1 (part 2, appendix 5), at most 20 characters.
        self.reason_code = reason_code


class Purpose(enum.StrEnum):
    """What a profile is for, in one vocabulary for both versions."""

    #: ChargePointMaxProfile, ChargingStationMaxProfile: the whole station.
    STATION_MAX = "StationMax"
    #: ChargingStationExternalConstraints: from outside, never set by a CSMS.
    EXTERNAL = "External"
    TX_DEFAULT = "TxDefaultProfile"
    TX = "TxProfile"


_PURPOSES = {
    "ChargePointMaxProfile": Purpose.STATION_MAX,
    "ChargingStationMaxProfile": Purpose.STATION_MAX,
    "ChargingStationExternalConstraints": Purpose.EXTERNAL,
    "TxDefaultProfile": Purpose.TX_DEFAULT,
    "TxProfile": Purpose.TX,
}


def purpose_of(name: str) -> Purpose:
    """The purpose behind either version's name for it."""
    return _PURPOSES[name]


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` seconds into the schedule, at most `limit` (in the schedule's unit)."""

    start: float
    limit: float
    phases: int | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """An installed charging profile. Times are seconds since the epoch, durations seconds."""

    id: int
    #: The connector (1.6) or EVSE (2.0.1); 0 is every one of them, or the station.
    evse_id: int
    stack_level: int
    purpose: Purpose
    kind: str
    recurrence: float | None
    valid_from: float
    valid_to: float
    unit: str
    start: float | None
    duration: float | None
    periods: tuple[Period, ...]
    #: The transaction it belongs to, by our own key; only for TX.
    transaction: str | None = None
    #: The message's own object, for reports.
    source: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def bound_to(self, transaction: str) -> Profile:
        """The same profile for one transaction."""
        return dataclasses.replace(self, transaction=transaction)

    def period_at(self, at: float, begun: float | None) -> Period | None:
        """The period in force at a time, or None when the profile says nothing then.

        `begun` is the start of the transaction; a Relative profile counts from there.
        """
        if not self.valid_from <= at < self.valid_to:
            return None
        anchor = self._anchor(at, begun)
        if anchor is None or at < anchor:
            return None
        offset = at - anchor
        if self.duration is not None and offset >= self.duration:
            return None
        index = bisect.bisect_right(self.periods, offset, key=lambda period: period.start) - 1
        return self.periods[index] if index >= 0 else None

    def changes(self, begin: float, end: float, begun: float | None) -> Iterator[float]:
        """Times after `begin` and before `end` at which `period_at` may change; not in order."""
        yield from (at for at in (self.valid_from, self.valid_to) if begin < at < end)
        anchor = self._anchor(begin, begun)
        if anchor is None:
            # A recurring schedule that begins later: its first start is the first change.
            anchor = self.start if self.start is not None else math.inf
        while anchor < end:
            for offset in self._offsets():
                if begin < anchor + offset < end:
                    yield anchor + offset
            if self.recurrence is None:
                return
            anchor += self.recurrence

    def _offsets(self) -> Iterator[float]:
        yield from (period.start for period in self.periods)
        if self.duration is not None:
            yield self.duration

    def _anchor(self, at: float, begun: float | None) -> float | None:
        """When the schedule in force at `at` began; None when it has not begun at all."""
        if self.kind == "Relative":
            return begun
        if self.start is None or self.recurrence is None:
            return self.start
        if at < self.start:
            return None
        return self.start + math.floor((at - self.start) / self.recurrence) * self.recurrence


def parse16(connector_id: int, message: Mapping[str, Any], now: float) -> Profile:
    """A `csChargingProfiles` or `chargingProfile` object of OCPP 1.6."""
    schedule = message["chargingSchedule"]
    return _build(
        message,
        schedule,
        profile_id=message["chargingProfileId"],
        evse_id=connector_id,
        # Section 7.13 makes startSchedule optional for every kind: without one it begins now.
        start_if_absent=now if message["chargingProfileKind"] == "Absolute" else None,
    )


def parse201(evse_id: int, message: Mapping[str, Any]) -> Profile:
    """A `chargingProfile` object of OCPP 2.0.1.

    Of several schedules (ISO 15118 offers up to three) the first is the one used.
    """
    return _build(
        message,
        message["chargingSchedule"][0],
        profile_id=message["id"],
        evse_id=evse_id,
        start_if_absent=None,
    )


def _build(
    message: Mapping[str, Any],
    schedule: Mapping[str, Any],
    *,
    profile_id: int,
    evse_id: int,
    start_if_absent: float | None,
) -> Profile:
    kind = message["chargingProfileKind"]
    recurrence = _recurrence(kind, message.get("recurrencyKind"))
    start = _time(schedule.get("startSchedule"), "startSchedule")
    if start is None:
        start = start_if_absent
    if start is None and kind != "Relative":
        raise ProfileRejected(f"A profile of kind {kind} needs a startSchedule.")
    return Profile(
        id=profile_id,
        evse_id=evse_id,
        stack_level=message["stackLevel"],
        purpose=purpose_of(message["chargingProfilePurpose"]),
        kind=kind,
        recurrence=recurrence,
        valid_from=_or(_time(message.get("validFrom"), "validFrom"), -math.inf),
        valid_to=_or(_time(message.get("validTo"), "validTo"), math.inf),
        unit=schedule["chargingRateUnit"],
        start=None if kind == "Relative" else start,
        duration=_duration(schedule.get("duration"), recurrence),
        periods=_periods(schedule["chargingSchedulePeriod"]),
        source=message,
    )


def _recurrence(kind: str, recurrency_kind: str | None) -> float | None:
    if kind != "Recurring":
        return None
    if recurrency_kind is None:
        raise ProfileRejected("A recurring profile needs a recurrencyKind.")
    return _RECURRENCE[recurrency_kind]


def _duration(duration: int | None, recurrence: float | None) -> float | None:
    if duration is not None and duration < 0:
        raise ProfileRejected("The duration is negative.")
    if duration is None or recurrence is None:
        return duration
    # Longer than its own recurrence it would overlap itself: OCPP 2.0.1 K01 cuts it there.
    return min(float(duration), recurrence)


def _periods(items: list[Mapping[str, Any]]) -> tuple[Period, ...]:
    periods = tuple(
        Period(float(item["startPeriod"]), float(item["limit"]), item.get("numberPhases"))
        for item in items
    )
    if not periods or periods[0].start != 0:
        raise ProfileRejected("The first chargingSchedulePeriod begins at startPeriod 0.")
    if any(b.start <= a.start for a, b in itertools.pairwise(periods)):
        raise ProfileRejected("The chargingSchedulePeriods are not in rising order.")
    if any(period.limit < 0 for period in periods):
        raise ProfileRejected("A limit is negative, which is for stations that feed back.")
    if any(period.phases is not None and not 1 <= period.phases <= 3 for period in periods):
        raise ProfileRejected("A number of phases is not 1, 2 or 3.")
    return periods


def _time(text: str | None, name: str) -> float | None:
    if text is None:
        return None
    try:
        return parse_timestamp(text)
    except ValueError:
        raise ProfileRejected(f"{name} is not a date and time: {text!r}.") from None


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
