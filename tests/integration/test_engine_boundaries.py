"""A worker dies at each boundary of each step; the order is carried out all the same, and nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.settings import Settings
from app.workflows import PLANS, Kind
from tests.engine_world import World

BOUNDARIES = (
    "before_claim",
    "after_claim",
    "before_finish",
    "after_finish",
    "before_next_hint",
)


class WorkerKilled(BaseException):
    """The process is gone; nothing that follows in it happens."""


@pytest.fixture
def world(engine: Engine, settings: Settings) -> World:
    return World(engine, settings)


class Reaper:
    """Kills the worker once, at one boundary of one step."""

    def __init__(self, world: World, step: str, boundary: str) -> None:
        self.world = world
        self.step = step
        self.boundary = boundary
        self.struck = False
        self.world.engine._act = self._wrap(world.engine._act, "after_claim")  # type: ignore[method-assign]
        self.world.engine._finish = self._wrap_finish(world.engine._finish)  # type: ignore[method-assign]

    def _strike(self, boundary: str, step: str) -> None:
        if not self.struck and (boundary, step) == (self.boundary, self.step):
            self.struck = True
            raise WorkerKilled

    def _wrap(self, act: Callable[..., Any], boundary: str) -> Callable[..., Any]:
        def wrapped(held: Any) -> Any:
            self._strike(boundary, held.step)
            return act(held)

        return wrapped

    def _wrap_finish(self, finish: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(task: Any, held: Any, outcome: Any) -> Any:
            self._strike("before_finish", held.step)
            word = finish(task, held, outcome)
            self._strike("after_finish", held.step)
            return word

        return wrapped

    def works(self) -> None:
        """Work every hint; a killed worker's chain is lost with it."""
        while self.world.queue.waiting:
            hint = self.world.queue.waiting.pop(0)
            for step in hint.steps:
                try:
                    self._strike("before_claim", step)
                    word, _ = self.world.perform(hint, step)
                    self._strike("before_next_hint", step)
                except WorkerKilled:
                    break
                if word != "done":
                    break

    def carries_on(self) -> None:
        """Some seconds pass, again and again: leases run out, the keeper passes, drivers are looked at."""
        for _ in range(4):
            self.works()
            self.world.looks()
            self.world.lets_time_pass(12)
            self.world.passes()


def _check_history(world: World, run_id: str) -> None:
    run = world.run(run_id)
    with world.sessions() as session:
        rows = session.execute(
            text("SELECT name, status FROM run_steps WHERE run_id = :id ORDER BY position"),
            {"id": run_id},
        ).all()
    assert run.status == "done"
    assert [tuple(row) for row in rows] == [(name, "done") for name in run.plan]


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
    _check_history(world, str(world.charger(charger_id).current_run_id))


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
    _check_history(world, placed.run_id)


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
    _check_history(world, placed.run_id)


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
