"""`gateway evacuate`: what lives elsewhere ends, and comes back with the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Engine, update

from app.models import Runtime
from app.settings import Settings
from app.store import census
from tests.engine_world import ScriptedDriver, World
from workers.evacuation import evacuate


class DeafDriver(ScriptedDriver):
    """A backend that takes the order to stop and does nothing."""

    def stop(self, handle: Mapping[str, Any], reason: str) -> None:
        self.stops.append(handle["key"])


def _become_containers(world: World) -> None:
    """From now on the runtimes that there are count as containers."""
    with world.sessions.begin() as session:
        session.execute(update(Runtime).values(provider="docker"))


def test_containers_end_and_their_orders_stay(engine: Engine, settings: Settings) -> None:
    world = World(engine, settings)
    chargers = [world.brings_up(identity) for identity in ("CP-1", "CP-2")]
    _become_containers(world)
    with world.sessions() as session:
        assert census.take(session).elsewhere == {"docker": 2}

    ended = evacuate(world.context, patience_s=10)

    assert ended == 2
    assert world.driver.alive == []
    for charger_id in chargers:
        charger = world.charger(charger_id)
        assert (charger.status, charger.desired_state) == ("READY", "running")


def test_chargers_in_our_own_host_are_left_alone(engine: Engine, settings: Settings) -> None:
    world = World(engine, settings)
    world.brings_up()

    assert evacuate(world.context, patience_s=10) == 0
    assert len(world.driver.alive) == 1


def test_what_does_not_end_is_told(engine: Engine, settings: Settings) -> None:
    world = World(engine, settings, DeafDriver())
    world.brings_up()
    _become_containers(world)

    with pytest.raises(TimeoutError, match="1 runtimes on local have not ended"):
        evacuate(world.context, patience_s=0)


def test_the_census_counts_by_status_and_stage(engine: Engine, settings: Settings) -> None:
    world = World(engine, settings)
    world.brings_up("CP-1")
    world.create("CP-2")

    with world.sessions() as session:
        counted = census.take(session)

    assert counted.by_status == {"READY": 1, "PENDING": 1}
    assert sum(counted.by_stage.values()) == 2
    assert counted.active_runs == 1
    assert counted.elsewhere == {}
