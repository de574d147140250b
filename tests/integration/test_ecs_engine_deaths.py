"""A worker dies around RunTask and StopTask; the run is taken up, and there is one task, or none.

The engine, the ECS driver and the stand-in are the real ones; `tests/ecs_engine.py` says how a worker dies.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from app.settings import Settings
from tests.ecs_engine import MOMENTS, ON_THE_WIRE, EcsEngine, open_ecs_engine
from tests.gateways import eventually
from tests.reaper import check_history

#: Longer than a task may be invisible.
LONG_S = 300.0
#: Longer than ECS knows any token.
DAY_S = 25 * 3600.0


@pytest.fixture
def world(engine: Engine, settings: Settings) -> Iterator[EcsEngine]:
    with open_ecs_engine(engine, settings) as world:
        yield world


def is_gone(world: EcsEngine, charger_id: str, order: str) -> bool:
    """Whether the charger is what was ordered, and nothing lives."""
    charger = world.charger(charger_id)
    there = charger.deleted_at is None
    return world.is_over(charger_id) and charger.stage == "stopped" and there == (order == "stop")


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_death_around_run_task_leaves_one_task(world: EcsEngine, moment: str) -> None:
    reaper = world.kills_worker("run_task", "run_task", moment)
    charger_id = world.create()
    reaper.carries_on()
    world.goes_on_until(lambda: world.is_ready(charger_id))
    assert reaper.struck
    assert world.wire.has_killed
    assert [runtime.incarnation for runtime in world.runtimes(charger_id)] == [1]
    world.check_account(tasks=1, live=1)
    check_history(world, str(world.charger(charger_id).current_run_id))


@pytest.mark.parametrize("moment", ON_THE_WIRE)
def test_a_run_that_is_taken_up_when_its_token_is_forgotten_starts_nothing_twice(
    world: EcsEngine, moment: str
) -> None:
    reaper = world.kills_worker("run_task", "run_task", moment)
    charger_id = world.create()
    reaper.works()
    assert world.wire.has_killed
    world.lets_time_pass(DAY_S)
    world.passes()
    world.goes_on_until(lambda: world.is_ready(charger_id))
    world.check_account(tasks=1, live=1)


@pytest.mark.parametrize(
    ("order", "moment"),
    [("stop", moment) for moment in MOMENTS] + [("delete", moment) for moment in ON_THE_WIRE],
)
def test_a_death_around_stop_task_leaves_nothing(world: EcsEngine, order: str, moment: str) -> None:
    charger_id = world.create()
    world.goes_on_until(lambda: world.is_ready(charger_id))
    reaper = world.kills_worker("retire_runtimes", "stop_task", moment)
    placed = world.order(order, charger_id)
    reaper.carries_on()
    world.goes_on_until(lambda: is_gone(world, charger_id, order))
    assert reaper.struck
    assert world.wire.has_killed
    world.check_account(tasks=1, live=0)
    check_history(world, placed.run_id)


@pytest.mark.parametrize("moment", ON_THE_WIRE)
@pytest.mark.parametrize("order", ["stop", "delete"])
def test_what_a_dead_worker_may_have_started_is_found_and_ended_when_it_is_ordered_away(
    world: EcsEngine, order: str, moment: str
) -> None:
    reaper = world.kills_worker("run_task", "run_task", moment)
    charger_id = world.create()
    reaper.works()
    assert world.wire.has_killed
    started = len(world.list_tasks())
    assert started == (moment != "before_call")
    world.order(order, charger_id)
    world.lets_time_pass(LONG_S)
    world.passes()
    world.goes_on_until(lambda: is_gone(world, charger_id, order))
    world.check_account(tasks=started, live=0)
    [end] = [runtime.end for runtime in world.runtimes(charger_id)]
    assert end is not None
    assert (end["code"] == "never_started") == (not started)


@pytest.mark.parametrize("order", ["stop", "delete"])
def test_an_order_while_run_task_is_in_the_air_leaves_nothing(world: EcsEngine, order: str) -> None:
    charger_id = world.create()
    hint = world.queue.waiting.pop(0)
    assert world.perform(hint, "register_task_definition")[0] == "done"
    fault = world.cloud.order("faults", {"kind": "slow_reply", "after_s": LONG_S, "times": 1})
    assert fault["strikes"] == 0
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(world.perform, hint, "run_task")
        eventually(lambda: world.cloud.world.faults.show()[0]["strikes"], "the answer is held back")
        placed = world.order(order, charger_id)
        # The successor waits for the call in the air, or nobody would know what it started.
        assert world.work() == ["retire_runtimes:stale"]
        world.cloud.passes(LONG_S)
        word, _ = starting.result(timeout=30)
    assert word == "superseded"
    world.goes_on_until(lambda: is_gone(world, charger_id, order))
    world.check_account(tasks=1, live=0)
    check_history(world, placed.run_id)
