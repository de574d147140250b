"""What becomes of orders: each workflow from the order to its end, by the real engine on a real database."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.models import Charger
from app.settings import Settings
from tests.engine_world import World
from workers.runtimes.base import CapacityUnavailable, RuntimeRejected, RuntimeUnavailable


@pytest.fixture
def world(engine: Engine, settings: Settings) -> World:
    return World(engine, settings)


def test_a_new_charger_becomes_ready_when_its_csms_accepts_it(world: World) -> None:
    charger_id = world.create()
    assert world.charger(charger_id).status == "PENDING"
    words = world.work()
    assert words == [
        "register_task_definition:done",
        "run_task:done",
        "wait_for_health:parked",
    ]
    assert world.charger(charger_id).status == "PROVISIONING"
    world.calls_home(charger_id)
    assert world.work() == ["wait_for_health:parked"]
    world.goes_online(charger_id)
    assert world.work() == ["wait_for_health:done", "mark_ready:done"]
    charger = world.charger(charger_id)
    assert (charger.status, charger.desired_state) == ("READY", "running")
    assert charger.provisioned_at is not None
    assert len(world.driver.starts) == 1


def test_stop_takes_the_runtime_away_and_start_brings_a_new_incarnation(world: World) -> None:
    charger_id = world.brings_up()
    world.order("stop", charger_id)
    world.work()
    assert world.driver.alive == []
    world.looks()
    world.work()
    charger = world.charger(charger_id)
    assert (charger.status, charger.desired_state, charger.stage) == ("READY", "stopped", "stopped")
    world.order("start", charger_id)
    assert world.charger(charger_id).status == "PROVISIONING"
    world.work()
    world.goes_online(charger_id)
    world.work()
    assert world.charger(charger_id).status == "READY"
    assert [runtime.incarnation for runtime in world.runtimes(charger_id)] == [1, 2]
    assert len(world.driver.alive) == 1


def test_delete_leaves_no_runtime_and_frees_the_identity(world: World) -> None:
    charger_id = world.brings_up("CP-7")
    world.order("delete", charger_id)
    successor = world.create("CP-7")
    world.work()
    assert len(world.driver.alive) == 0
    world.looks()
    world.lets_time_pass(3)
    world.passes()
    world.work()
    world.goes_online(successor)
    world.work()
    assert world.charger(successor).status == "READY"
    assert world.runs(charger_id)[-1].status == "done"
    assert len(world.driver.alive) == 1


def test_an_identity_waits_for_the_old_connection_to_end(world: World) -> None:
    old = world.brings_up("CP-7")
    world.driver.hides(world.driver.alive[0])
    new = world.create("CP-7x")
    # The same identity, as after delete and create: its runtime row is not gone yet.
    with world.sessions.begin() as session:
        session.get_one(Charger, old).identity = "CP-7x-old"
        session.get_one(Charger, new).identity = "CP-7"
    words = world.work()
    assert words[-1] == "run_task:parked"
    assert "still ending" in (world.charger(new).hint or "")
    assert world.runtimes(new) == []


def test_reset_restarts_what_runs(world: World) -> None:
    charger_id = world.brings_up()
    placed = world.order("reset", charger_id)
    assert world.charger(charger_id).status == "PROVISIONING"
    world.work()
    world.looks()
    world.work()
    world.goes_online(charger_id)
    world.work()
    assert world.run(placed.run_id).status == "done"
    assert [runtime.incarnation for runtime in world.runtimes(charger_id)] == [1, 2]


def test_the_same_order_joins_the_run_under_way(world: World) -> None:
    charger_id = world.create()
    first = world.charger(charger_id).current_run_id
    placed = world.order("start", charger_id)
    assert (placed.run_id, placed.joined) == (first, True)
    world.work()
    generation = world.charger(charger_id).generation
    stop = world.order("stop", charger_id)
    again = world.order("stop", charger_id)
    assert (again.run_id, again.joined) == (stop.run_id, True)
    assert world.charger(charger_id).generation == generation + 1


@pytest.mark.parametrize(("was_ready", "status"), [(False, "FAILED"), (True, "READY")])
def test_stop_during_a_bring_up_settles_the_status(
    world: World, was_ready: bool, status: str
) -> None:
    charger_id = world.brings_up() if was_ready else world.create()
    if was_ready:
        world.order("reset", charger_id)
    else:
        world.work()
    world.order("stop", charger_id)
    charger = world.charger(charger_id)
    assert charger.status == status
    if not was_ready:
        assert charger.error is not None
        assert charger.error["code"] == "stopped_before_ready"
    world.work()
    world.looks()
    world.work()
    assert world.driver.alive == []
    assert world.charger(charger_id).stage == "stopped"


def test_a_refusing_csms_ends_failed_with_the_runtime_gone(world: World) -> None:
    charger_id = world.create()
    world.work()
    world.is_refused(charger_id, times=3, message="The CSMS answered HTTP 404.")
    world.work()
    world.looks()
    world.work()
    charger = world.charger(charger_id)
    assert charger.status == "FAILED"
    error: dict[str, Any] = charger.error or {}
    assert error["code"] == "csms_rejected"
    assert error["param"] == "ws_url"
    assert error["retryable"] is True
    assert error["message"] == "The CSMS answered HTTP 404."
    assert world.driver.alive == []
    world.order("start", charger_id)
    world.work()
    world.goes_online(charger_id)
    world.work()
    assert world.charger(charger_id).status == "READY"


def test_what_a_driver_rejects_fails_with_its_code(world: World) -> None:
    world.driver.raises(RuntimeRejected("The image does not exist.", code="image_not_found"))
    charger_id = world.create()
    world.work()
    charger = world.charger(charger_id)
    assert charger.status == "FAILED"
    assert (charger.error or {})["code"] == "image_not_found"
    assert (charger.error or {})["step"] == "run_task"


def test_missing_capacity_waits_with_a_hint_and_goes_on(world: World) -> None:
    world.driver.raises(CapacityUnavailable("No room.", hint="The vCPU quota is used up."))
    charger_id = world.create()
    world.work()
    assert world.charger(charger_id).hint == "The vCPU quota is used up."
    world.lets_time_pass(60)
    world.passes()
    world.work()
    world.goes_online(charger_id)
    world.work()
    assert world.charger(charger_id).status == "READY"


def test_a_definite_refusal_is_tried_again_under_a_new_attempt(world: World) -> None:
    world.driver.raises(CapacityUnavailable("RESOURCE:ENI", new_attempt=True))
    world.create()
    world.work()
    world.lets_time_pass(60)
    world.passes()
    world.work()
    assert [name.rsplit("-", 1)[1] for name in world.driver.starts] == ["a2"]


def test_a_backend_that_does_not_answer_is_asked_again_with_the_same_key(world: World) -> None:
    world.driver.loses_its_reply(2)
    charger_id = world.create()
    for _ in range(3):
        world.work()
        world.lets_time_pass(60)
        world.passes()
    assert len(world.driver.starts) == 1
    world.goes_online(charger_id)
    world.work()
    assert world.charger(charger_id).status == "READY"


def test_a_runtime_that_crashes_while_coming_up_is_started_once_more(world: World) -> None:
    charger_id = world.create()
    world.work()
    world.driver.ends(world.driver.alive[0])
    world.is_seen_ended(charger_id)
    for _ in range(3):
        world.work()
        world.lets_time_pass(30)
        world.passes()
    world.goes_online(charger_id)
    world.work()
    assert world.charger(charger_id).status == "READY"
    assert [runtime.state for runtime in world.runtimes(charger_id)] == ["gone", "started"]


def test_each_further_crash_is_one_further_start_and_ends_nobody_who_runs(world: World) -> None:
    charger_id = world.create()
    world.work()
    for _ in range(3):
        world.driver.ends(world.driver.alive[0])
        world.is_seen_ended(charger_id)
        for _ in range(3):
            world.work()
            world.lets_time_pass(30)
            world.passes()
    world.goes_online(charger_id)
    world.work()
    assert world.charger(charger_id).status == "READY"
    assert len(world.driver.starts) == 4
    assert world.driver.stops == []


def test_an_end_that_is_permanent_fails_at_once(world: World) -> None:
    charger_id = world.create()
    world.work()
    world.is_seen_ended(charger_id, "permanent", "image_not_found")
    world.work()
    assert (world.charger(charger_id).error or {})["code"] == "image_not_found"


def test_what_ends_by_itself_is_recovered_without_touching_the_status(world: World) -> None:
    charger_id = world.brings_up()
    run_id = world.charger(charger_id).current_run_id
    world.driver.ends(world.driver.alive[0])
    world.lets_time_pass(60)
    world.looks()
    assert world.charger(charger_id).status == "READY"
    assert world.charger(charger_id).stage == "offline"
    world.lets_time_pass(60)
    world.passes()
    world.work()
    world.calls_home(charger_id)
    world.work()
    charger = world.charger(charger_id)
    assert (charger.status, charger.restarts, charger.current_run_id) == ("READY", 1, run_id)
    assert world.runs(charger_id)[-1].kind == "recover"
    assert world.runs(charger_id)[-1].status == "done"
    assert len(world.driver.alive) == 1


def test_a_failed_charger_waits_for_an_order(world: World) -> None:
    world.driver.raises(RuntimeRejected("No."))
    charger_id = world.create()
    world.work()
    world.lets_time_pass(600)
    world.passes()
    assert world.work() == []
    assert world.charger(charger_id).status == "FAILED"


def test_a_start_that_never_calls_home_fails_in_time(world: World) -> None:
    charger_id = world.create()
    world.work()
    for _ in range(8):
        world.lets_time_pass(20)
        # The clock counts looked-at time only: pretend each look came when it was planned.
        with world.sessions.begin() as session:
            session.execute(
                text(
                    """UPDATE runs SET deadlines = jsonb_set(deadlines, '{start,looked_at}',
                       to_jsonb((deadlines -> 'start' ->> 'looked_at')::float - 15))
                       WHERE deadlines ? 'start'"""
                )
            )
        world.passes()
        world.work()
    world.looks()
    world.work()
    assert (world.charger(charger_id).error or {})["code"] == "runtime_unhealthy"


def test_a_backend_outage_is_retried(world: World) -> None:
    world.driver.raises(*[RuntimeUnavailable("HTTP 500")] * 3)
    charger_id = world.create()
    for _ in range(4):
        world.work()
        world.lets_time_pass(60)
        world.passes()
    assert len(world.driver.starts) == 1
    assert world.charger(charger_id).status == "PROVISIONING"


def test_a_runtime_that_keeps_ending_is_brought_back_ever_more_slowly(world: World) -> None:
    charger_id = world.brings_up()
    pauses = []
    for _ in range(5):
        world.is_seen_ended(charger_id, code="crashed")
        charger = world.charger(charger_id)
        assert charger.recover_at is not None
        pauses.append(round((charger.recover_at - charger.stage_since).total_seconds()))
        world.lets_time_pass(120)
        world.passes()
        world.work()
        world.calls_home(charger_id)
        world.work()
    charger = world.charger(charger_id)
    assert pauses == [0, 1, 2, 4, 8]
    assert (charger.status, charger.restarts) == ("READY", 5)
    assert charger.last_error is not None
    assert charger.last_error["code"] == "crashed"
    world.is_seen_ended(charger_id, code="crashed")
    assert world.charger(charger_id).verdict == "crash_loop"


def test_a_stop_ends_a_crash_loop(world: World) -> None:
    charger_id = world.brings_up()
    world.is_seen_ended(charger_id)
    world.order("stop", charger_id)
    world.work()
    world.lets_time_pass(600)
    world.passes()
    assert world.work() == []
    assert world.charger(charger_id).stage == "stopped"


def test_a_charger_without_a_live_runtime_that_nobody_noted_is_found(world: World) -> None:
    charger_id = world.brings_up()
    with world.sessions.begin() as session:
        session.execute(text("UPDATE runtimes SET state = 'gone'"))
    world.looks()
    world.passes()
    world.work()
    world.calls_home(charger_id)
    world.work()
    assert world.runs(charger_id)[-1].kind == "recover"
    assert world.charger(charger_id).restarts == 1


def test_a_runtime_that_stays_unhealthy_is_ended_and_brought_back(world: World) -> None:
    charger_id = world.brings_up()
    first = world.driver.alive[0]
    world.driver.falls_ill(first)
    world.looks()
    assert world.driver.alive == [first]
    object.__setattr__(world.settings.engine, "unhealthy_s", 0.0)
    for _ in range(3):
        world.lets_time_pass(60)
        world.looks()
    world.passes()
    world.work()
    world.calls_home(charger_id)
    world.work()
    assert first not in world.driver.alive
    assert len(world.driver.alive) == 1
    assert world.charger(charger_id).status == "READY"
