"""Charging profiles at work: installed, cleared, and stacked into one limit.

`ProfileStack.limit` answers what an EVSE may deliver now and until when that holds; `composite`
gives the same over a time as a schedule. For each purpose the highest stack level that says
something at that time wins; a profile for one EVSE goes before one for all; a TxProfile replaces
the TxDefaultProfile while it says something; the station's maximum caps the result (OCPP 1.6
section 3.13.3, OCPP 2.0.1 section K).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from simulator.profiles import Period, Profile, ProfileRejected, Purpose

#: A composite schedule ends early rather than grow past this many periods.
_MAX_COMPOSITE = 1024
#: Seconds; a month of daily schedules is more than anybody reads.
_MAX_DURATION = 31 * 86_400


@dataclass(frozen=True, slots=True)
class Rules:
    """How much this station takes: the read-only smart charging keys of both versions."""

    max_stack_level: int = 9
    max_installed: int = 100
    max_periods: int = 100
    units: frozenset[str] = frozenset({"A", "W"})
    #: OCPP 2.0.1 K01.FR.39, .52, .53: a second profile of the same level is a mistake;
    #: OCPP 1.6 section 5.16 replaces the first one instead.
    refuses_duplicates: bool = False


@dataclass(frozen=True, slots=True)
class Electrics:
    """How amperes and watts of one outlet relate: OCPP 1.6 section 7.12, 230 V on each phase."""

    voltage: float = 230.0
    phases: int = 3

    def watts(self, limit: float, unit: str, phases: int) -> float:
        """A limit in watts."""
        return limit if unit == "W" else limit * self.voltage * phases

    def used_phases(self, period: Period) -> int:
        """Phases that a period allows; a schedule that names none means three (section 7.14)."""
        return min(period.phases or 3, self.phases)


class Session(NamedTuple):
    """The transaction on an EVSE, as far as profiles care: our key and the time of its start."""

    transaction: str
    begun: float


class Limit(NamedTuple):
    """At most `power_w` on `phases`, from now until `until`. None means that no profile limits."""

    power_w: float | None
    phases: int | None
    until: float


class CompositePeriod(NamedTuple):
    """From `start` seconds into the composite schedule: `limit` in the unit asked for."""

    start: int
    limit: float
    phases: int


class ProfileStack:
    """Every profile of one charger. Empty it is one list."""

    __slots__ = ("installed",)

    def __init__(self, installed: Iterable[Profile] = ()) -> None:
        self.installed = list(installed)

    def install(self, profile: Profile, rules: Rules) -> None:
        """Install a profile in place of the one with its id or its place. Raises ProfileRejected.

        Whether the transaction of a TxProfile exists is the caller's to know.
        """
        _check(profile, rules)
        same_place = [p for p in self.installed if _same_place(p, profile) and p.id != profile.id]
        if rules.refuses_duplicates and any(_overlap(p, profile) for p in same_place):
            raise ProfileRejected(
                "Another profile of this purpose and stack level holds at that time.",
                "DuplicateProfile",
            )
        gone = [] if rules.refuses_duplicates else same_place
        kept = [p for p in self.installed if p.id != profile.id and p not in gone]
        if len(kept) >= rules.max_installed:
            raise ProfileRejected("As many profiles as fit are installed.", "TooManyElements")
        kept.append(profile)
        self.installed = kept

    def matching(
        self,
        *,
        ids: Iterable[int] | None = None,
        evse_id: int | None = None,
        purpose: Purpose | None = None,
        stack_level: int | None = None,
    ) -> list[Profile]:
        """The installed profiles that fit every criterion given."""
        wanted = None if ids is None else frozenset(ids)
        return [
            p
            for p in self.installed
            if (wanted is None or p.id in wanted)
            and (evse_id is None or p.evse_id == evse_id)
            and (purpose is None or p.purpose is purpose)
            and (stack_level is None or p.stack_level == stack_level)
        ]

    def remove(self, profiles: Iterable[Profile]) -> bool:
        """Take profiles out; whether there were any."""
        gone = list(profiles)
        self.installed = [p for p in self.installed if p not in gone]
        return bool(gone)

    def end(self, transaction: str) -> None:
        """A transaction is over, and its profiles with it (OCPP 1.6 section 3.13.1)."""
        self.installed = [p for p in self.installed if p.transaction != transaction]

    def limit(
        self,
        evse_id: int,
        now: float,
        session: Session | None,
        electrics: Electrics,
        sharers: int = 1,
    ) -> Limit:
        """What holds for an EVSE now. `sharers` EVSEs divide the station's maximum evenly."""
        profiles = self._concerning(evse_id, session)
        if not profiles:
            return Limit(None, None, math.inf)
        begun = session.begun if session else None
        power, phases = _stacked(profiles, now, begun, electrics, sharers)
        return Limit(power, phases, _next_change(profiles, now, begun))

    def composite(
        self,
        evse_id: int,
        begin: float,
        duration: int,
        unit: str,
        session: Session | None,
        electrics: Electrics,
        hardware_w: float,
    ) -> tuple[int, list[CompositePeriod]]:
        """The composite schedule: (seconds it covers, periods). Never empty.

        It covers less than asked for beyond a month, or a thousand periods.
        """
        duration = min(duration, _MAX_DURATION)
        profiles = self._concerning(evse_id, session)
        # Without a transaction, relative schedules are shown as if one began now.
        begun = session.begun if session else begin
        periods: list[CompositePeriod] = []
        for at in _change_times(profiles, begin, begin + duration, begun):
            power, phases = _stacked(profiles, at, begun, electrics, 1)
            used = electrics.phases if phases is None else phases
            watts = hardware_w if power is None else min(power, hardware_w)
            value = watts if unit == "W" else watts / (electrics.voltage * used)
            item = CompositePeriod(math.ceil(at - begin), _tenths(value), used)
            if periods and periods[-1].start == item.start:
                periods.pop()
            if not periods or periods[-1][1:] != item[1:]:
                if len(periods) == _MAX_COMPOSITE:
                    return item.start, periods
                periods.append(item)
        return duration, periods

    def _concerning(self, evse_id: int, session: Session | None) -> list[Profile]:
        key = session.transaction if session else None
        return [
            p
            for p in self.installed
            if p.evse_id in (0, evse_id)
            and (p.purpose is not Purpose.TX or (key is not None and p.transaction == key))
            and (evse_id != 0 or p.purpose in (Purpose.STATION_MAX, Purpose.EXTERNAL))
        ]


def _check(profile: Profile, rules: Rules) -> None:
    if not 0 <= profile.stack_level <= rules.max_stack_level:
        raise ProfileRejected(f"The stack level is not within 0 to {rules.max_stack_level}.")
    if len(profile.periods) > rules.max_periods:
        raise ProfileRejected(f"More than {rules.max_periods} periods.", "TooManyElements")
    if profile.unit not in rules.units:
        raise ProfileRejected("The chargingRateUnit is not one of this station's.")
    if profile.valid_from >= profile.valid_to:
        raise ProfileRejected("validTo is not after validFrom.")
    if profile.purpose is Purpose.EXTERNAL:
        raise ProfileRejected("External constraints are not a CSMS's to set.")
    if profile.purpose is Purpose.STATION_MAX and (profile.evse_id or profile.kind == "Relative"):
        raise ProfileRejected("A station's maximum is for the whole station and never Relative.")
    if profile.purpose is Purpose.TX and profile.evse_id == 0:
        raise ProfileRejected("A TxProfile is for one EVSE, not for the station.")


def _same_place(one: Profile, other: Profile) -> bool:
    return (
        one.evse_id == other.evse_id
        and one.purpose is other.purpose
        and one.stack_level == other.stack_level
        and one.transaction == other.transaction
    )


def _overlap(one: Profile, other: Profile) -> bool:
    return one.valid_from < other.valid_to and other.valid_from < one.valid_to


def _winner(
    profiles: list[Profile], purpose: Purpose, at: float, begun: float | None
) -> tuple[Profile, Period] | None:
    """Of one purpose, the profile that speaks at this time with the highest level."""
    best: tuple[Profile, Period] | None = None
    for profile in profiles:
        if profile.purpose is not purpose:
            continue
        period = profile.period_at(at, begun)
        if period is None:
            continue
        if best is None or _rank(profile) > _rank(best[0]):
            best = (profile, period)
    return best


def _rank(profile: Profile) -> tuple[int, bool, int]:
    return profile.stack_level, profile.evse_id != 0, profile.id


def _stacked(
    profiles: list[Profile], at: float, begun: float | None, electrics: Electrics, sharers: int
) -> tuple[float | None, int | None]:
    """(watts, phases) of the stack at one time; (None, None) when nothing is said."""
    session = _winner(profiles, Purpose.TX, at, begun) or _winner(
        profiles, Purpose.TX_DEFAULT, at, begun
    )
    best: tuple[float, int] | None = None
    for found, parts in (
        (session, 1),
        (_winner(profiles, Purpose.STATION_MAX, at, begun), sharers),
        (_winner(profiles, Purpose.EXTERNAL, at, begun), sharers),
    ):
        if found is None:
            continue
        profile, period = found
        phases = electrics.used_phases(period)
        watts = electrics.watts(period.limit, profile.unit, phases) / max(parts, 1)
        if best is None or watts < best[0]:
            best = (watts, phases)
    return best if best is not None else (None, None)


def _next_change(profiles: list[Profile], now: float, begun: float | None) -> float:
    """When to ask again: the next time at which a limit may change, a day ahead at most."""
    horizon = now + 86_400.0
    return min((at for p in profiles for at in p.changes(now, horizon, begun)), default=horizon)


def _change_times(
    profiles: list[Profile], begin: float, end: float, begun: float | None
) -> list[float]:
    changes = {at for p in profiles for at in p.changes(begin, end, begun)}
    return [begin, *sorted(changes)]


def _tenths(value: float) -> float:
    """Down to one decimal: the schemas want a multiple of 0.1, and a limit must not grow."""
    return math.floor(value * 10 + 1e-6) / 10
