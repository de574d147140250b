"""A reservation keeps a connector for one token until it is used, cancelled, or over."""

from __future__ import annotations

import pytest

from simulator.connectors import Connector16
from simulator.reservations import Reservation, Reservations

NOW = 1000.0


def station(count: int = 2):
    return [Connector16(number) for number in range(1, count + 1)]


def wish(number: int = 1, connector: int = 1, token: str = "TAG", expiry: float = NOW + 60):
    return Reservation(number, connector, token, "FLEET", expiry)


def test_a_reserved_connector_shows_it_and_refuses_others():
    connectors, held = station(), Reservations()
    assert held.reserve(wish(), connectors, NOW) == "Accepted"
    assert connectors[0].settle() == ("Reserved",)
    assert held.refuses(connectors[0], connectors, "OTHER")
    assert not held.refuses(connectors[0], connectors, "tag")
    assert not held.refuses(connectors[0], connectors, "OTHER", "fleet")


@pytest.mark.parametrize(
    ("fact", "value", "answer"),
    [
        ("fault", "GroundFailure", "Faulted"),
        ("operative", False, "Unavailable"),
        ("plugged", True, "Occupied"),
        ("transacting", True, "Occupied"),
    ],
)
def test_a_connector_that_is_not_free_cannot_be_reserved(fact, value, answer):
    connectors = station()
    setattr(connectors[0], fact, value)
    assert Reservations().reserve(wish(), connectors, NOW) == answer


def test_a_reservation_of_the_past_or_of_no_connector_is_rejected():
    assert Reservations().reserve(wish(expiry=NOW), station(), NOW) == "Rejected"
    assert Reservations().reserve(wish(connector=9), station(), NOW) == "Rejected"


def test_the_same_id_replaces_and_another_one_finds_it_occupied():
    connectors, held = station(), Reservations()
    held.reserve(wish(), connectors, NOW)
    assert held.reserve(wish(2), connectors, NOW) == "Occupied"
    assert held.reserve(wish(1, connector=2), connectors, NOW) == "Accepted"
    assert [c.reserved for c in connectors] == [False, True]


def test_using_it_ends_it():
    connectors, held = station(), Reservations()
    held.reserve(wish(7), connectors, NOW)
    assert held.claim(connectors[0], connectors, "OTHER") is None
    claimed = held.claim(connectors[0], connectors, "TAG")
    assert claimed is not None
    assert claimed.id == 7
    assert not connectors[0].reserved


def test_it_expires():
    connectors, held = station(), Reservations()
    held.reserve(wish(), connectors, NOW)
    assert held.next_expiry() == NOW + 60
    assert held.expire(NOW + 59, connectors) == []
    assert [r.id for r in held.expire(NOW + 60, connectors)] == [1]
    assert connectors[0].settle() == ()
    assert not connectors[0].reserved


def test_a_reservation_of_any_connector_keeps_one_free():
    connectors, held = station(2), Reservations()
    assert held.reserve(wish(connector=0), connectors, NOW) == "Accepted"
    assert not held.refuses(connectors[0], connectors, "OTHER")
    connectors[1].plugged = True
    assert held.refuses(connectors[0], connectors, "OTHER")
    assert not held.refuses(connectors[0], connectors, "TAG")
    assert held.reserve(wish(2, connector=0), connectors, NOW) == "Occupied"
