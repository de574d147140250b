"""Charging profiles stack as both specifications say, checked against a plain second-by-second
reading.
"""

from __future__ import annotations

import os
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.profiles import ProfileRejected, Purpose, parse16, parse201
from simulator.sampling import timestamp
from simulator.stacking import Electrics, ProfileStack, Rules, Session

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "10000"))
NOW = 1_795_360_000.0
DAY = 86_400.0
ELECTRICS = Electrics(phases=3)
RULES = Rules()


def profile16(number=1, level=0, purpose="TxDefaultProfile", kind="Absolute", **more):
    schedule = {
        "chargingRateUnit": more.pop("unit", "W"),
        "chargingSchedulePeriod": [
            {"startPeriod": start, "limit": limit}
            for start, limit in more.pop("periods", [(0, 11_000.0)])
        ],
    }
    if "duration" in more:
        schedule["duration"] = more.pop("duration")
    if kind != "Relative":
        schedule["startSchedule"] = timestamp(more.pop("start", NOW))
    return {
        "chargingProfileId": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": schedule,
        **more,
    }


def stack_of(*messages, connector=1, transaction="tx"):
    stack = ProfileStack()
    for message in messages:
        profile = parse16(connector, message, NOW)
        if profile.purpose is Purpose.STATION_MAX:
            profile = parse16(0, message, NOW)
        if profile.purpose is Purpose.TX:
            profile = profile.bound_to(transaction)
        stack.install(profile, RULES)
    return stack


SESSION = Session("tx", NOW)


def limit(stack, at=NOW, session=SESSION, sharers=1):
    return stack.limit(1, at, session, ELECTRICS, sharers)


def test_without_profiles_nothing_limits():
    assert limit(ProfileStack()).power_w is None


def test_a_limit_in_amperes_counts_every_phase():
    assert limit(stack_of(profile16(unit="A", periods=[(0, 16)]))).power_w == 16 * 230 * 3


def test_the_higher_stack_level_wins_whatever_it_says():
    stack = stack_of(profile16(1, 0, periods=[(0, 5000)]), profile16(2, 1, periods=[(0, 9000)]))
    assert limit(stack).power_w == 9000


def test_where_the_higher_level_is_silent_the_lower_one_speaks():
    stack = stack_of(
        profile16(1, 0, periods=[(0, 5000)]),
        profile16(2, 1, periods=[(0, 9000)], duration=600),
    )
    found = limit(stack)
    assert (found.power_w, found.until) == (9000, NOW + 600)
    assert limit(stack, NOW + 600).power_w == 5000


def test_a_tx_profile_replaces_the_default_and_the_station_maximum_caps_both():
    stack = stack_of(
        profile16(1, 5, periods=[(0, 4000)]),
        profile16(2, 0, "TxProfile", periods=[(0, 15_000)]),
        profile16(3, 0, "ChargePointMaxProfile", periods=[(0, 10_000)]),
    )
    assert limit(stack).power_w == 10_000
    assert limit(stack, session=None).power_w == 4000


def test_the_station_maximum_is_shared_by_those_who_charge():
    stack = stack_of(profile16(3, 0, "ChargePointMaxProfile", periods=[(0, 10_000)]))
    assert limit(stack, sharers=2).power_w == 5000


def test_a_tx_profile_goes_with_its_transaction():
    stack = stack_of(profile16(2, 0, "TxProfile", periods=[(0, 15_000)]))
    stack.end("tx")
    assert stack.installed == []


def test_a_relative_profile_counts_from_the_start_of_the_transaction():
    stack = stack_of(profile16(kind="Relative", periods=[(0, 3000), (60, 6000)]))
    session = Session("tx", NOW - 50)
    assert limit(stack, NOW, session).power_w == 3000
    assert limit(stack, NOW + 10, session).power_w == 6000


def test_a_daily_profile_comes_back_every_day():
    message = profile16(
        kind="Recurring", recurrencyKind="Daily", periods=[(0, 3000), (3600, 6000)], duration=7200
    )
    stack = stack_of(message)
    for day in (0, 1, 30):
        assert limit(stack, NOW + day * DAY).power_w == 3000
        assert limit(stack, NOW + day * DAY + 3600).power_w == 6000
        assert limit(stack, NOW + day * DAY + 7200).power_w is None
    assert limit(stack, NOW - 1).power_w is None


def test_validity_frames_everything():
    stack = stack_of(
        profile16(validFrom=timestamp(NOW + 10), validTo=timestamp(NOW + 20), periods=[(0, 1)])
    )
    assert [limit(stack, NOW + s).power_w for s in (9, 10, 19, 20)] == [None, 1, 1, None]


def test_the_same_place_is_taken_over_in_16_and_refused_in_201():
    stack = stack_of(profile16(1, periods=[(0, 5000)]), profile16(2, periods=[(0, 6000)]))
    assert [p.id for p in stack.installed] == [2]
    strict = Rules(refuses_duplicates=True)
    with pytest.raises(ProfileRejected, match="Another profile"):
        stack.install(parse16(1, profile16(3), NOW), strict)


@pytest.mark.parametrize(
    ("connector", "message", "reason"),
    [
        (1, profile16(level=10), "stack level"),
        (1, profile16(periods=[(5, 1)]), "startPeriod 0"),
        (1, profile16(periods=[(0, 1), (0, 2)]), "rising order"),
        (1, profile16(periods=[(0, -1)]), "negative"),
        (1, profile16(purpose="ChargePointMaxProfile"), "whole station"),
        (0, profile16(purpose="TxProfile"), "one EVSE"),
        (1, profile16(kind="Recurring"), "recurrencyKind"),
        (1, profile16(periods=[(n, 1) for n in range(101)]), "More than 100 periods"),
        (1, profile16(validFrom="yesterday"), "validFrom"),
    ],
)
def test_a_profile_that_makes_no_sense_is_refused_with_its_reason(connector, message, reason):
    with pytest.raises(ProfileRejected, match=reason):
        ProfileStack().install(parse16(connector, message, NOW), RULES)


def test_a_201_profile_says_the_same_as_a_16_one():
    message = {
        "id": 7,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [
            {
                "id": 1,
                "startSchedule": timestamp(NOW),
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10, "numberPhases": 1}],
            }
        ],
    }
    stack = ProfileStack([parse201(1, message)])
    found = limit(stack)
    assert (found.power_w, found.phases) == (2300, 1)
    assert stack.installed[0].source is message


def test_clearing_takes_what_fits_every_criterion():
    stack = stack_of(profile16(1), profile16(2, 1), profile16(3, 2, "TxProfile"))
    assert stack.remove(stack.matching(purpose=Purpose.TX_DEFAULT, stack_level=1))
    assert sorted(p.id for p in stack.installed) == [1, 3]
    assert not stack.remove(stack.matching(ids=[99]))


def test_a_composite_schedule_shows_each_change_once():
    stack = stack_of(profile16(1, periods=[(0, 6000), (60, 6000), (120, 50_000)], duration=300))
    duration, periods = stack.composite(1, NOW, 600, "W", None, ELECTRICS, 22_000)
    assert duration == 600
    assert [(p.start, p.limit) for p in periods] == [(0, 6000), (120, 22_000)]


def test_a_composite_schedule_of_sixty_years_is_cut_short():
    message = profile16(kind="Recurring", recurrencyKind="Daily", periods=[(0, 3000), (60, 6000)])
    duration, periods = stack_of(message).composite(1, NOW, 2**31 - 1, "A", None, ELECTRICS, 22_000)
    assert duration <= 31 * DAY
    assert 2 <= len(periods) <= 1024


starts = st.integers(-200, 200).map(lambda s: NOW + s)
messages = st.builds(
    lambda number, level, purpose, kind, start, duration, gaps, unit, window: profile16(
        number,
        level,
        purpose,
        kind,
        start=start,
        unit=unit,
        periods=[
            (sum(g for g, _ in gaps[: n + 1]) - gaps[0][0], lim) for n, (_, lim) in enumerate(gaps)
        ],
        **({"duration": duration} if duration is not None else {}),
        **({"recurrencyKind": "Daily"} if kind == "Recurring" else {}),
        **({"validFrom": timestamp(window[0]), "validTo": timestamp(window[1])} if window else {}),
    ),
    st.integers(1, 50),
    st.integers(0, 3),
    st.sampled_from(["TxDefaultProfile", "TxProfile", "ChargePointMaxProfile"]),
    st.sampled_from(["Absolute", "Recurring"]),
    starts,
    st.none() | st.integers(1, 300),
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 32)), min_size=1, max_size=4),
    st.sampled_from(["A", "W"]),
    st.none() | st.tuples(starts, st.integers(201, 400).map(lambda s: NOW + s)),
)


def plain_limit(messages, at):
    """The specification read word by word, without any of the code under test."""
    best = {}
    for message in messages:
        watts = plain_profile(message, at)
        if watts is None:
            continue
        rank = (message["stackLevel"], message["chargingProfileId"])
        purpose = message["chargingProfilePurpose"]
        if purpose not in best or rank > best[purpose][0]:
            best[purpose] = (rank, watts)
    session = best.get("TxProfile") or best.get("TxDefaultProfile")
    watts = [found[1] for found in (session, best.get("ChargePointMaxProfile")) if found]
    return min(watts) if watts else None


def seconds(text):
    return datetime.fromisoformat(text).timestamp()


def plain_profile(message, at):
    schedule = message["chargingSchedule"]
    if "validFrom" in message and not seconds(message["validFrom"]) <= at < seconds(
        message["validTo"]
    ):
        return None
    offset = at - seconds(schedule["startSchedule"])
    if offset < 0:
        return None
    if message["chargingProfileKind"] == "Recurring":
        offset %= DAY
    if offset >= schedule.get("duration", float("inf")):
        return None
    current = [p for p in schedule["chargingSchedulePeriod"] if p["startPeriod"] <= offset][-1]
    factor = 1 if schedule["chargingRateUnit"] == "W" else 230 * 3
    return current["limit"] * factor


def installed_last(messages):
    """Those that stay: a later profile takes the place of one with its id or its level and purpose."""
    kept = []
    for message in messages:
        place = (message["chargingProfilePurpose"], message["stackLevel"])
        kept = [
            m
            for m in kept
            if m["chargingProfileId"] != message["chargingProfileId"]
            and (m["chargingProfilePurpose"], m["stackLevel"]) != place
        ]
        kept.append(message)
    return kept


@settings(max_examples=EXAMPLES * 2 // 10, deadline=None)
@given(st.lists(messages, max_size=5), st.integers(0, 300))
def test_the_stack_says_what_the_specification_read_plainly_says(found, second):
    stack = stack_of(*found)
    now = limit(stack, NOW + second)
    assert now.power_w == plain_limit(installed_last(found), NOW + second)
    assert now.until > NOW + second


@settings(max_examples=EXAMPLES // 10, deadline=None)
@given(st.lists(messages, max_size=5))
def test_a_limit_holds_until_the_time_it_names(found):
    stack = stack_of(*found)
    now = limit(stack)
    for second in range(0, 300, 7):
        if NOW + second < now.until:
            assert limit(stack, NOW + second).power_w == now.power_w


@settings(max_examples=EXAMPLES // 10, deadline=None)
@given(st.lists(messages, max_size=5), st.sampled_from(["A", "W"]))
def test_a_composite_schedule_is_the_limit_of_every_second(found, unit):
    stack = stack_of(*found)
    session = Session("tx", NOW)
    _, periods = stack.composite(1, NOW, 300, unit, session, ELECTRICS, 22_000)
    assert periods[0].start == 0
    factor = 1 if unit == "W" else 690
    for second in range(0, 300, 11):
        shown = [p for p in periods if p.start <= second][-1]
        plain = plain_limit(installed_last(found), NOW + second)
        watts = 22_000 if plain is None else min(plain, 22_000)
        assert shown.limit == pytest.approx(watts / factor, abs=0.1)
