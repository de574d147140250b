"""The connector's status follows the specification's table, whatever happens in whatever order."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.connectors import (
    TRANSITIONS,
    ChargingState,
    Connector16,
    Connector201,
    Status,
    Status201,
    charging_state,
)

#: 10,000 between the property tests of this folder; `make fuzz` sets ten times as many.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "10000"))

#: OCPP 1.6 edition 2, section 4.9: rows A to I, columns 1 to 9.
TABLE = """
A2 A3 A4 A5 A7 A8 A9
B1 B3 B4 B5 B6 B9
C1 C4 C5 C6 C8 C9
D1 D3 D5 D6 D8 D9
E1 E3 E4 E6 E8 E9
F1 F2 F8 F9
G1 G2 G8 G9
H1 H2 H3 H4 H5 H9
I1 I2 I3 I4 I5 I6 I7 I8
"""
ORDER = [
    "Available",
    "Preparing",
    "Charging",
    "SuspendedEV",
    "SuspendedEVSE",
    "Finishing",
    "Reserved",
    "Unavailable",
    "Faulted",
]
LEGAL = {(ORDER["ABCDEFGHI".index(c[0])], ORDER[int(c[1]) - 1]) for c in TABLE.split()}


def test_the_transitions_are_the_53_of_the_specification():
    assert {(a.value, b.value) for a, targets in TRANSITIONS.items() for b in targets} == LEGAL
    assert len(LEGAL) == 53


def charging() -> Connector16:
    connector = Connector16(1)
    connector.plug()
    connector.settle()
    connector.authorized = True
    connector.begin()
    connector.settle()
    assert connector.status is Status.CHARGING
    return connector


def set_facts(connector, **facts):
    for name, value in facts.items():
        setattr(connector, name, value)
    return [status.value for status in connector.settle()]


def test_plugging_prepares_and_unplugging_frees():
    connector = Connector16(1)
    connector.plug()
    assert connector.settle() == (Status.PREPARING,)
    connector.unplug()
    assert connector.settle() == (Status.AVAILABLE,)


def test_a_token_before_the_plug_prepares_too():
    connector = Connector16(1)
    assert set_facts(connector, authorized=True) == ["Preparing"]


@pytest.mark.parametrize(
    ("facts", "walk"),
    [
        ({"ev_ready": False}, ["SuspendedEV"]),
        ({"evse_offers": False}, ["SuspendedEVSE"]),
        ({"ev_ready": False, "evse_offers": False}, ["SuspendedEVSE"]),
        ({"fault": "GroundFailure"}, ["Faulted"]),
        ({"operative": False}, []),
    ],
)
def test_what_interrupts_charging_shows(facts, walk):
    assert set_facts(charging(), **facts) == walk


def test_a_transaction_that_ends_waits_for_the_cable():
    connector = charging()
    connector.end()
    assert connector.settle() == (Status.FINISHING,)
    connector.unplug()
    assert connector.settle() == (Status.AVAILABLE,)


def test_a_connector_scheduled_to_become_unavailable_does_so_after_the_transaction():
    connector = charging()
    connector.operative = False
    assert connector.settle() == ()
    connector.end()
    assert connector.settle() == (Status.UNAVAILABLE,)


def test_a_fault_gives_way_to_the_status_before_it():
    connector = charging()
    set_facts(connector, fault="GroundFailure")
    assert set_facts(connector, fault=None) == ["Charging"]


def test_a_new_session_on_the_same_cable_goes_through_preparing():
    connector = charging()
    connector.end()
    connector.settle()
    connector.authorized = True
    connector.begin()
    assert [s.value for s in connector.settle()] == ["Preparing", "Charging"]


def test_a_reserved_connector_stays_reserved_until_the_token_comes():
    connector = Connector16(1)
    assert set_facts(connector, reserved=True) == ["Reserved"]
    connector.plug()
    assert connector.settle() == ()
    assert set_facts(connector, authorized=True) == ["Preparing"]


def test_the_201_connector_knows_five_statuses_and_leaves_charging_to_the_transaction():
    connector = Connector201(1)
    connector.plug()
    assert connector.settle() == (Status201.OCCUPIED,)
    connector.begin()
    assert connector.settle() == ()
    assert charging_state(connector) is ChargingState.CHARGING
    connector.ev_ready = False
    assert charging_state(connector) is ChargingState.SUSPENDED_EV
    connector.evse_offers = False
    assert charging_state(connector) is ChargingState.SUSPENDED_EVSE
    connector.unplug()
    assert charging_state(connector) is ChargingState.IDLE


EVENTS = {
    "plug": lambda c: c.plug(),
    "unplug": lambda c: c.unplug(),
    "authorize": lambda c: setattr(c, "authorized", True),
    "forget": lambda c: setattr(c, "authorized", False),
    "begin": lambda c: c.begin(),
    "end": lambda c: c.end(),
    "ev stops": lambda c: setattr(c, "ev_ready", False),
    "ev asks": lambda c: setattr(c, "ev_ready", c.plugged),
    "limit zero": lambda c: setattr(c, "evse_offers", False),
    "limit lifted": lambda c: setattr(c, "evse_offers", True),
    "reserve": lambda c: setattr(c, "reserved", c.is_free),
    "cancel": lambda c: setattr(c, "reserved", False),
    "fault": lambda c: setattr(c, "fault", "OtherError"),
    "mend": lambda c: setattr(c, "fault", None),
    "inoperative": lambda c: setattr(c, "operative", False),
    "operative": lambda c: setattr(c, "operative", True),
    "time out": lambda c: setattr(c, "finished", c.plugged and not c.transacting),
}


@settings(max_examples=EXAMPLES // 2, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(EVENTS)), st.booleans()), max_size=12))
def test_no_sequence_of_events_makes_an_illegal_jump(events):
    connector = Connector16(1)
    shown = connector.status.value
    for event, settles in events:
        EVENTS[event](connector)
        # Several facts may change before anybody looks: the walk is legal all the same.
        for status in connector.settle() if settles else ():
            assert (shown, status.value) in LEGAL
            shown = status.value
    assert connector.status.value == shown
    connector.settle()
    assert connector.is_charging == (connector.status is Status.CHARGING)


@settings(max_examples=EXAMPLES // 10, deadline=None)
@given(st.lists(st.sampled_from(sorted(EVENTS)), max_size=12))
def test_both_versions_agree_on_what_is_out_of_use(events):
    old, new = Connector16(1), Connector201(1)
    for event in events:
        for connector in (old, new):
            EVENTS[event](connector)
            connector.settle()
    for status in ("Faulted", "Unavailable"):
        if not (old.transacting and not old.plugged):
            assert (old.status == status) == (new.status == status)
