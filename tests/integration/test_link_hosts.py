"""A host calls home: what it is given, what it is told to end, and what its silence means."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.settings import Settings
from tests.link_world import RunningLink, World, make_world


@pytest.fixture
def world(settings: Settings, sessions: sessionmaker[Session]) -> Iterator[World]:
    with make_world(settings, sessions) as world:
        yield world


@pytest.fixture
def link(settings: Settings) -> Iterator[RunningLink]:
    with RunningLink(settings) as link:
        yield link


def test_a_charger_placed_on_a_connected_host_is_given_to_it(
    world: World, link: RunningLink
) -> None:
    host = world.host(link).connects()
    charger_id = world.create("CP-1", location_name="Depot", ws_url="ws://csms:9000/ocpp")
    world.until(lambda: world.host_row())
    handle = world.place(charger_id)
    added = host.is_given(charger_id)
    assert handle["host_id"] == "h1"
    assert added.incarnation == 1
    assert added.config["identity"] == "CP-1"
    assert added.config["location_name"] == "Depot"
    assert added.config["vendor_name"] == "Wallbox"
    assert added.config["connectors"][0]["max_power_w"] == 22000
    assert world.charger(charger_id).stage == "starting"
    assert world.runtime(charger_id).called_home_at is not None


def test_what_was_placed_while_the_host_was_away_is_given_at_its_hello(
    world: World, link: RunningLink
) -> None:
    first = world.host(link).connects()
    charger_id = world.create()
    world.place(charger_id)
    first.is_given(charger_id)
    first.hangs_up()
    second = world.host(link).connects(running=[(charger_id, 1)])
    again = second.is_given(charger_id)
    assert (again.incarnation, again.session) == (1, 2)


def test_a_stopped_charger_is_dropped_and_gone_once_its_host_says_so(
    world: World, link: RunningLink
) -> None:
    host = world.host(link).connects()
    charger_id = world.create()
    world.place(charger_id)
    host.is_given(charger_id)
    world.stop(charger_id)
    assert host.expect("drop", charger=charger_id)["reason"] == "stop"
    assert world.runtime(charger_id).state != "gone"
    host.drops(charger_id)
    world.until(lambda: world.runtime(charger_id).state == "gone")
    assert world.charger(charger_id).stage == "stopped"
    assert world.runtime(charger_id).end["kind"] == "expected"
    assert world.run(charger_id).wakes > 0
