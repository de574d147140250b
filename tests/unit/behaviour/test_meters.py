"""Energy is the integral of power, power is what every limit leaves, and both are told as
configured.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.ev import DEFAULT_MODEL, DEFAULT_SOC, Ev, Model
from simulator.meter import Meter, Offer, Outlet, compose_offer
from simulator.sampling import (
    SUPPORTED_MEASURANDS,
    Cadence,
    parse_measurands,
    parse_timestamp,
    sampled_values16,
    sampled_values201,
    thin,
    timestamp,
)

AC = Outlet("ac", 22_000, 3)
DC = Outlet("dc", 180_000, 1)


def meter_with_car(outlet: Outlet, soc: float = DEFAULT_SOC, model: Model = DEFAULT_MODEL) -> Meter:
    meter = Meter(outlet, energy_wh=1000.0)
    meter.connect(model, soc)
    meter.flow(0.0, flowing=True)
    return meter


def test_an_hour_at_full_power_is_its_power_in_energy():
    meter = meter_with_car(AC)
    meter.advance(3600.0)
    assert meter.energy_wh == pytest.approx(1000 + 22_000)
    assert meter.power_w == 22_000


def test_looking_often_or_once_gives_the_same_energy():
    often, once = meter_with_car(DC, 0.05), meter_with_car(DC, 0.05)
    for second in range(0, 3601, 7):
        often.advance(float(second))
    often.advance(3600.0)
    once.advance(3600.0)
    assert often.energy_wh == pytest.approx(once.energy_wh, rel=1e-9)


def test_a_full_car_takes_nothing_and_the_time_until_then_is_known():
    meter = meter_with_car(DC, 0.7)
    seconds = meter.seconds_to_full()
    meter.advance(seconds - 1)
    assert meter.power_w > 0
    meter.advance(seconds + 1)
    assert meter.power_w == 0
    assert meter.soc == pytest.approx(1.0)
    assert meter.energy_wh == pytest.approx(1000 + 0.3 * DEFAULT_MODEL.battery_wh)


def test_fast_charging_tapers():
    meter = meter_with_car(DC, 0.4)
    meter.advance(1.0)
    early = meter.power_w
    meter.advance(meter.at + meter.seconds_to(1000 + 0.45 * DEFAULT_MODEL.battery_wh))
    assert meter.soc == pytest.approx(0.85)
    assert meter.power_w < early / 2


def test_a_target_energy_is_reached_when_it_says():
    meter = meter_with_car(DC, 0.1)
    meter.advance(meter.seconds_to(1000 + 30_000))
    assert meter.energy_wh == pytest.approx(31_000)


def test_a_small_car_limits_a_large_station():
    meter = meter_with_car(AC, model=Model(ac_phases=1, ac_current_a=32))
    meter.advance(1.0)
    assert meter.power_w == pytest.approx(7360 - 26.67, abs=0.1)
    assert meter.read().phases == 1


@pytest.mark.parametrize(
    ("limits", "power", "phases"),
    [
        ({}, 22_000, 3),
        ({"schedule_w": 11_000}, 11_000, 3),
        ({"schedule_w": 50_000}, 22_000, 3),
        ({"schedule_w": 3000}, 3000, 1),
        ({"schedule_w": 1000}, 0, 1),
        ({"schedule_w": 6 * 230, "schedule_phases": 1}, 1380, 1),
        ({"override_w": 500}, 500, 3),
        ({"schedule_w": 11_000, "override_w": 7000}, 7000, 3),
    ],
)
def test_the_offer_is_the_smallest_limit_a_station_can_deliver(limits, power, phases):
    assert compose_offer(AC, **limits) == Offer(power, phases)


def test_a_clock_that_goes_back_counts_nothing_twice():
    meter = meter_with_car(AC)
    meter.advance(100.0)
    energy = meter.energy_wh
    meter.advance(50.0)
    meter.advance(100.0)
    assert meter.energy_wh == energy


@settings(max_examples=100, deadline=None)
@given(
    st.floats(0, 1),
    st.lists(st.tuples(st.floats(1, 3600), st.floats(0, 250_000)), min_size=1, max_size=4),
    st.sampled_from([AC, DC]),
)
def test_energy_equals_the_integral_of_the_power(soc, steps, outlet):
    meter = meter_with_car(outlet, soc)
    assert meter.ev is not None
    now = integral = 0.0
    for seconds, offered in steps:
        meter.limit(now, Offer(offered, outlet.phases))
        pieces = 100
        for _ in range(pieces):
            # The midpoint rule, with a second look at the power as the independent witness.
            meter.advance(now + seconds / pieces / 2)
            integral += meter.power_w * seconds / pieces / 3600
            now += seconds / pieces
            meter.advance(now)
    assert meter.energy_wh - 1000 == pytest.approx(integral, rel=0.01, abs=200)
    assert 0 <= meter.ev.soc <= 1 + 1e-12


@settings(max_examples=300, deadline=None)
@given(st.floats(0, 0.99), st.floats(100, 300_000), st.floats(1, 10_000))
def test_time_and_energy_are_each_other_s_inverse(soc, offered, energy):
    ev = Ev(DEFAULT_MODEL, soc, max_power_w=150_000, is_dc=True)
    seconds = ev.duration(offered, energy)
    room = DEFAULT_MODEL.battery_wh - ev.energy_wh
    if math.isinf(seconds):
        assert energy > room - 1e-6
    else:
        assert ev.charge(offered, seconds) == pytest.approx(min(energy, room), rel=1e-6)


def test_a_reading_is_consistent_in_itself():
    meter = meter_with_car(AC)
    meter.advance(10.0)
    reading = meter.read()
    assert reading.power_w == pytest.approx(
        reading.voltage_v * reading.current_a * reading.phases, rel=1e-9
    )


def test_the_16_sample_has_strings_units_and_a_phase_each():
    meter = meter_with_car(AC)
    meter.advance(60.0)
    values = sampled_values16(meter.read(), ["Energy.Active.Import.Register", "Current.Import"])
    assert values[0]["value"] == "1366"
    assert values[0]["unit"] == "Wh"
    assert [v.get("phase") for v in values] == [None, "L1", "L2", "L3"]
    assert all(v["context"] == "Sample.Periodic" for v in values)


def test_the_201_sample_has_numbers_and_units_of_measure():
    meter = meter_with_car(DC)
    meter.advance(60.0)
    values = sampled_values201(meter.read(), ["SoC", "Voltage"], "Transaction.Begin")
    assert values[0]["unitOfMeasure"] == {"unit": "Percent"}
    assert values[0]["location"] == "EV"
    assert 340 <= values[1]["value"] <= 420
    assert "phase" not in values[1]


def test_every_supported_measurand_can_be_written():
    reading = meter_with_car(AC).read()
    for write in (sampled_values16, sampled_values201):
        assert {v["measurand"] for v in write(reading, SUPPORTED_MEASURANDS)} == set(
            SUPPORTED_MEASURANDS
        )


def test_a_list_with_an_unknown_measurand_is_refused():
    assert parse_measurands("SoC, Voltage") == ["SoC", "Voltage"]
    assert parse_measurands("SoC,Flux") is None
    assert parse_measurands("") == []


def test_samples_of_a_transaction_count_from_its_start_and_aligned_ones_from_midnight():
    assert Cadence(1000.0, 60).after(1000.0) == 1060.0
    assert Cadence(1000.0, 60).after(1185.0) == 1240.0
    assert Cadence(0.0, 900).after(1795360001.0) % 900 == 0
    assert Cadence(0.0, 0).after(5.0) == math.inf


def test_too_many_samples_lose_inner_ones_and_keep_the_ends():
    samples = list(range(100))
    thin(samples, 20)
    assert len(samples) <= 20
    assert (samples[0], samples[-1]) == (0, 99)


def test_times_are_written_in_utc_and_read_with_any_offset():
    assert timestamp(0.5) == "1970-01-01T00:00:00.500Z"
    assert parse_timestamp("1970-01-01T01:00:00+01:00") == 0.0
    assert parse_timestamp("1970-01-01T00:00:10Z") == 10.0
