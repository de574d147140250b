"""A worker dies at each boundary of each step; the order is carried out all the same, and nothing twice."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from app.settings import Settings
from app.workflows import PLANS, Kind
from tests.engine_world import World
from tests.reaper import BOUNDARIES, Reaper, WorkerKilled, check_history


@pytest.fixture
def world(engine: Engine, settings: Settings) -> World:
    return World(engine, settings)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("step", PLANS[Kind.PROVISION])
def test_a_death_during_a_bring_up(world: World, step: str, boundary: str) -> None:
    reaper = Reaper(world, step, boundary)
    charger_id = world.create()
    reaper.carries_on()
    if world.charger(charger_id).status != "READY":
        world.goes_online(charger_id)
    reaper.carries_on()
    assert reaper.struck
    assert world.charger(charger_id).status == "READY"
    assert len(world.driver.starts) == len(world.driver.alive) == 1
    check_history(world, str(world.charger(charger_id).current_run_id))


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(
    ("kind", "step"), [(k, s) for k in (Kind.STOP, Kind.DELETE) for s in PLANS[k]]
)
def test_a_death_while_taking_a_runtime_away(
    world: World, kind: Kind, step: str, boundary: str
) -> None:
    charger_id = world.brings_up()
    reaper = Reaper(world, step, boundary)
    placed = world.order(kind.value, charger_id)
    reaper.carries_on()
    assert reaper.struck
    assert world.driver.alive == []
    assert world.charger(charger_id).stage == "stopped"
    check_history(world, placed.run_id)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("step", PLANS[Kind.RESTART])
def test_a_death_during_a_restart(world: World, step: str, boundary: str) -> None:
    charger_id = world.brings_up()
    reaper = Reaper(world, step, boundary)
    placed = world.order("reset", charger_id)
    reaper.carries_on()
    if world.charger(charger_id).status != "READY":
        world.goes_online(charger_id)
    reaper.carries_on()
    assert reaper.struck
    assert world.charger(charger_id).status == "READY"
    assert len(world.driver.starts) == 2
    assert len(world.driver.alive) == 1
    check_history(world, placed.run_id)


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_death_around_the_outside_call(world: World, after_effect: bool) -> None:
    """After the intent and before the call, or after the call and before anything is written."""
    charger_id = world.create()
    hint = world.queue.waiting.pop(0)
    world.perform(hint, hint.steps[0])
    start = world.driver.start

    def die(key: Any, request: Any) -> Any:
        if after_effect:
            start(key, request)
        raise WorkerKilled

    world.driver.start = die  # type: ignore[method-assign]
    with pytest.raises(WorkerKilled):
        world.perform(hint, "run_task")
    world.driver.start = start  # type: ignore[method-assign]
    world.lets_time_pass(12)
    world.passes()
    world.work()
    assert [runtime.incarnation for runtime in world.runtimes(charger_id)] == [1]
    assert len(world.driver.starts) == 1
    world.goes_online(charger_id)
    world.work()
    assert world.charger(charger_id).status == "READY"


@pytest.mark.parametrize("order", ["stop", "delete"])
def test_a_death_around_the_call_while_it_is_ordered_away(world: World, order: str) -> None:
    """What the dead worker started is found by its key, and stopped."""
    charger_id = world.create()
    hint = world.queue.waiting.pop(0)
    world.perform(hint, hint.steps[0])
    start = world.driver.start

    def die(key: Any, request: Any) -> Any:
        start(key, request)
        world.order(order, charger_id)
        raise WorkerKilled

    world.driver.start = die  # type: ignore[method-assign]
    with pytest.raises(WorkerKilled):
        world.perform(hint, "run_task")
    world.driver.start = start  # type: ignore[method-assign]
    for _ in range(3):
        world.work()
        world.looks()
        world.lets_time_pass(12)
        world.passes()
    world.work()
    assert world.driver.alive == []
    assert world.charger(charger_id).stage == "stopped"
