"""Each rule of the engine that guards a race, with the race made to happen.

Taking a rule out makes its test fail: fence, lease, `wakes`, intent before the call, facts kept when fenced out,
the old run's lease before the new run's claim, the identity wait, sweep, admission.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from sqlalchemy import Engine, text

from app.settings import Settings
from app.store import runs
from tests.engine_world import World
from workers.runs.steps import STEPS
from workers.runtimes.base import Handle, Observation, Phase


@pytest.fixture
def world(engine: Engine, settings: Settings) -> World:
    return World(engine, settings)


def _claim(world: World, run_id: str, step: str) -> runs.Claim | None:
    with world.sessions.begin() as session:
        return runs.claim(session, run_id, step, lease=10, grace=1)


def test_of_two_workers_one_claims(world: World) -> None:
    world.create()
    hint = world.queue.waiting[0]
    held = [_claim(world, hint.run_id, hint.steps[0]) for _ in range(2)]
    assert [claim is not None for claim in held] == [True, False]


def test_of_many_threads_one_claims(world: World) -> None:
    world.create()
    hint = world.queue.waiting[0]
    barrier = threading.Barrier(8)
    held: list[runs.Claim | None] = []

    def rush() -> None:
        barrier.wait()
        held.append(_claim(world, hint.run_id, hint.steps[0]))

    threads = [threading.Thread(target=rush) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(claim is not None for claim in held) == 1


def test_a_claim_whose_lease_ran_out_is_taken_up_and_the_late_one_cannot_finish(
    world: World,
) -> None:
    world.create()
    hint = world.queue.waiting[0]
    late = _claim(world, hint.run_id, hint.steps[0])
    world.lets_time_pass(11)
    second = _claim(world, hint.run_id, hint.steps[0])
    assert late is not None
    assert second is not None
    with world.sessions.begin() as session:
        assert not runs.finish(session, late, nudge=3)
        assert runs.finish(session, second, nudge=3)
    assert world.run(hint.run_id).at == 1


def test_a_late_claim_cannot_park_retry_or_fail_either(world: World) -> None:
    world.create()
    hint = world.queue.waiting[0]
    late = _claim(world, hint.run_id, hint.steps[0])
    world.lets_time_pass(11)
    assert _claim(world, hint.run_id, hint.steps[0]) is not None
    assert late is not None
    with world.sessions.begin() as session:
        assert runs.park(session, late, pause=60, nudge=3, hint=None, deadlines={}) is None
        assert not runs.retry(session, late, pause=60, nudge=3, error={}, hinted=True, deadlines={})
        assert not runs.compensate(session, late, {"code": "x"})
    assert world.run(hint.run_id).phase == "forward"


def test_a_wake_up_between_look_and_park_is_not_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step looks, then the fact is written and the run woken, then the step parks."""
    charger_id = world.create()
    hint = world.queue.waiting.pop(0)
    for step in hint.steps[:2]:
        world.perform(hint, step)
    look = STEPS["wait_for_health"]

    def look_and_be_late(context, held):  # type: ignore[no-untyped-def]
        outcome = look(context, held)
        world.goes_online(charger_id)
        return outcome

    monkeypatch.setitem(STEPS, "wait_for_health", look_and_be_late)  # type: ignore[arg-type]
    word, _ = world.perform(hint, "wait_for_health")
    monkeypatch.undo()
    assert word == "woken"
    assert [waiting.steps for waiting in world.queue.waiting] == [("wait_for_health", "mark_ready")]
    world.work()
    assert world.charger(charger_id).status == "READY"


def test_ten_wake_ups_of_a_sleeping_run_send_one_chain(world: World) -> None:
    charger_id = world.create()
    world.work()
    for _ in range(10):
        world.calls_home(charger_id)
    assert len(world.queue.waiting) == 1


def test_the_intent_is_committed_before_the_call(world: World) -> None:
    charger_id = world.create()
    seen: list[tuple[int, str]] = []
    world.driver.before_start = lambda key: seen.extend(
        (runtime.incarnation, runtime.request["key"])
        for runtime in world.runtimes(charger_id)
        if runtime.request
    )
    world.work()
    assert seen == [(1, world.driver.starts[0])]


def test_a_worker_that_dies_after_the_call_does_not_start_it_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    charger_id = world.create()
    hint = world.queue.waiting.pop(0)
    world.perform(hint, hint.steps[0])
    held = _claim(world, hint.run_id, "run_task")
    assert held is not None
    monkeypatch.setattr("app.store.runtimes.record_start", lambda *_: None)
    STEPS["run_task"](world.context, held)
    monkeypatch.undo()
    # It died here: the effect is there, no one wrote it down.
    world.lets_time_pass(11)
    world.passes()
    world.work()
    assert len(world.driver.starts) == 1
    assert [runtime.incarnation for runtime in world.runtimes(charger_id)] == [1]
    world.goes_online(charger_id)
    world.work()
    assert world.charger(charger_id).status == "READY"


def test_a_start_in_the_air_while_stop_is_ordered_leaves_nothing_behind(world: World) -> None:
    """The fact (its handle) is kept although the run that learns it was superseded."""
    charger_id = world.create()
    world.driver.before_start = lambda key: world.order("stop", charger_id)
    words = world.work()
    assert "run_task:superseded" in words
    runtime = world.runtimes(charger_id)[0]
    assert runtime.handle is not None
    world.driver.before_start = None
    world.looks()
    world.work()
    assert world.driver.alive == []
    assert world.charger(charger_id).stage == "stopped"


def test_a_worker_that_lost_its_claim_takes_no_incarnation(world: World) -> None:
    charger_id = world.create()
    hint = world.queue.waiting.pop(0)
    world.perform(hint, hint.steps[0])
    held = _claim(world, hint.run_id, "run_task")
    assert held is not None
    world.order("stop", charger_id)
    STEPS["run_task"](world.context, held)
    assert world.runtimes(charger_id) == []
    assert world.driver.starts == []


def test_the_successor_waits_for_the_call_in_the_air(world: World) -> None:
    charger_id = world.create()
    seen: list[runs.Claim | None] = []

    def supersede(key: object) -> None:
        placed = world.order("stop", charger_id)
        seen.append(_claim(world, placed.run_id, "retire_runtimes"))

    world.driver.before_start = supersede
    world.work()
    assert seen == [None]


def test_a_frozen_worker_whose_lease_ran_out_cannot_leave_an_owned_runtime(world: World) -> None:
    """It wakes after the stop has finished: what it starts is nobody's, and is stopped as a stray."""
    charger_id = world.create()

    def freeze(key: object) -> None:
        world.driver.before_start = None
        world.order("stop", charger_id)
        world.lets_time_pass(11)
        world.passes()
        world.work()
        assert world.charger(charger_id).stage == "stopped"

    world.driver.before_start = freeze
    hint = world.queue.waiting.pop(0)
    world.work_one(hint)
    assert len(world.driver.alive) == 1
    world.looks()
    assert world.driver.alive == []


def test_an_unseen_start_is_looked_for_until_it_is_known(world: World) -> None:
    world.driver.loses_its_reply()
    charger_id = world.create()
    hint = world.queue.waiting.pop(0)
    for step in hint.steps[:2]:
        world.perform(hint, step)
    world.driver.hides(world.driver.starts[0])
    world.order("delete", charger_id)
    assert world.work() == ["retire_runtimes:parked"]
    world.driver.shows_all()
    world.lets_time_pass(6)
    world.passes()
    world.work()
    world.looks()
    world.work()
    assert world.driver.alive == []
    assert world.runs(charger_id)[-1].status == "done"


def test_pauses_that_grew_while_the_broker_was_away_are_over_when_it_is_back(world: World) -> None:
    charger_id = world.create()
    for _ in range(6):
        world.queue.flush()
        world.lets_time_pass(60)
        world.passes()
    world.queue.flush()
    world.passes()
    assert not world.queue.waiting

    world.keeper.hear_of_broker()
    world.passes()

    assert [hint.charger_id for hint in world.queue.waiting] == [charger_id]
    world.queue.flush()
    world.passes()
    assert not world.queue.waiting


def test_a_flushed_broker_loses_nothing(world: World) -> None:
    chargers = [world.create(f"CP-{number}") for number in range(20)]
    world.queue.flush()
    world.lets_time_pass(5)
    world.passes()
    world.work()
    for charger_id in chargers:
        world.goes_online(charger_id)
    world.queue.flush()
    world.lets_time_pass(70)
    world.passes()
    world.work()
    assert {world.charger(charger_id).status for charger_id in chargers} == {"READY"}
    assert len(world.driver.starts) == 20


def test_repeated_hints_do_nothing_twice(world: World) -> None:
    charger_id = world.create()
    world.queue.waiting *= 5
    world.work()
    world.goes_online(charger_id)
    world.queue.waiting *= 5
    world.work()
    with world.sessions() as session:
        rows = session.execute(text("SELECT count(*) FROM run_steps")).scalar_one()
    assert rows == 4
    assert len(world.driver.starts) == 1


def test_a_step_under_which_workers_keep_dying_fails_the_run(world: World) -> None:
    charger_id = world.create()
    hint = world.queue.waiting.pop(0)
    for _ in range(world.settings.engine.max_claims):
        assert _claim(world, hint.run_id, hint.steps[0]) is not None
        world.lets_time_pass(11)
    world.passes()
    world.work()
    assert (world.charger(charger_id).error or {})["code"] == "step_keeps_dying"


def test_a_sweep_does_not_send_a_long_queue_twice_over(world: World) -> None:
    for number in range(10):
        world.create(f"CP-{number}")
    sent = world.queue.sent
    world.lets_time_pass(4)
    world.passes()
    assert world.queue.sent == sent + 10
    world.passes()
    assert world.queue.sent == sent + 10


def test_an_organization_has_only_its_share_of_hints(world: World) -> None:
    world.queue.cap = 4
    object.__setattr__(world.settings.engine, "org_inflight", 4)
    for number in range(10):
        world.create(f"CP-{number}", "big")
    world.create("CP-1", "small")
    assert len([h for h in world.queue.waiting if h.identity.startswith("CP-")]) == 5
    world.passes()
    assert len(world.queue.waiting) == 5
    # A run that sleeps makes room for the next at once.
    world.work_one(world.queue.waiting.pop(0))
    assert len(world.queue.waiting) == 5


def test_many_waiting_for_health_hold_no_slot_and_call_no_driver(world: World) -> None:
    chargers = [world.create(f"CP-{number}") for number in range(100)]
    for _ in range(10):
        world.work()
        world.passes()
    with world.sessions() as session:
        asleep = session.execute(
            text("SELECT count(*) FROM runs WHERE status = 'active' AND NOT hinted")
        ).scalar_one()
    assert asleep == len(chargers)
    assert world.driver.observed == 0


def test_of_many_hurried_orders_one_run_is_active(world: World) -> None:
    charger_id = world.brings_up()
    barrier = threading.Barrier(6)
    guard = threading.Lock()

    def rush(what: str) -> None:
        barrier.wait()
        with world.sessions.begin() as session:
            from app.models import Charger
            from app.services import orders

            charger = session.get(Charger, charger_id, with_for_update=True)
            with guard:
                getattr(orders, what)(session, world.queue, charger)

    orders_given = ["stop", "start", "reset", "stop", "start", "reset"]
    threads = [threading.Thread(target=rush, args=(what,)) for what in orders_given]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    active = [run for run in world.runs(charger_id) if run.status == "active"]
    assert len(active) <= 1
    assert world.charger(charger_id).current_run_id == world.runs(charger_id)[-1].id


def test_runs_ordered_under_another_plan_finish_after_an_upgrade(world: World) -> None:
    charger_id = world.create()
    with world.sessions.begin() as session:
        session.execute(
            text(
                """UPDATE runs SET plan = ARRAY['retire_runtimes', 'register_task_definition', 'run_task',
                   'wait_for_health', 'wait_for_health', 'mark_ready']"""
            )
        )
    world.queue.flush()
    world.lets_time_pass(5)
    world.passes()
    world.work()
    world.goes_online(charger_id)
    world.work()
    assert world.charger(charger_id).status == "READY"


def test_a_copied_database_does_not_stop_the_originals_runtimes(world: World) -> None:
    charger_id = world.brings_up()
    with world.sessions.begin() as session:
        session.execute(text("INSERT INTO installation (install_id) VALUES ('production')"))
        session.execute(text("DELETE FROM runtimes"))
    world.looks()
    assert len(world.driver.alive) == 1, charger_id


def test_after_a_round_another_keeper_may_look(world: World, engine: Engine) -> None:
    world.brings_up()
    borrowed = []

    def borrows_a_connection(handles: Sequence[Handle]) -> Sequence[Observation]:
        borrowed.append(engine.connect())
        return [Observation(handle, Phase.RUNNING) for handle in handles]

    world.driver.observe = borrows_a_connection  # type: ignore[method-assign]
    world.looks()
    assert borrowed
    with world.sessions() as session:
        locks = session.scalar(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))
    for connection in borrowed:
        connection.close()
    assert locks == 0
