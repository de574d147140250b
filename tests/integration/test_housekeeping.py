"""What housekeeping removes and, more important, what it leaves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from app.settings import Settings
from app.store import retention
from tests.engine_world import World
from workers.housekeeping import tidy


@pytest.fixture
def world(engine: Engine, settings: Settings) -> World:
    return World(
        engine,
        replace(
            settings,
            keep_frames_days=7,
            keep_frames_per_charger=100,
            keep_runs_days=30,
            keep_commands_days=7,
        ),
    )


def _age(world: World, days: float) -> None:
    """Everything that has a time happened so many days earlier."""
    columns = {
        "runs": ("created_at", "finished_at"),
        "runtimes": ("created_at", "gone_at"),
        "chargers": ("created_at", "deleted_at"),
        "commands": ("created_at",),
        "idempotency_keys": ("created_at",),
        "ocpp_frames": ("at",),
        "charger_events": ("at",),
    }
    with world.sessions.begin() as session:
        for table, names in columns.items():
            changes = ", ".join(f"{name} = {name} - :age" for name in names)
            session.execute(
                text(f"UPDATE {table} SET {changes}").bindparams(age=timedelta(days=days))
            )


def _count(world: World, table: str) -> int:
    with world.sessions() as session:
        return int(session.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


def _write_frames(world: World, charger_id: str, incarnation: int, count: int) -> None:
    with world.sessions.begin() as session:
        session.execute(
            text(
                """INSERT INTO ocpp_frames (charger_id, incarnation, number, at, direction, action, message)
                   SELECT :id, :incarnation, n, clock_timestamp(), 'u', 'Heartbeat', '[]'
                   FROM generate_series(1, :count) AS n"""
            ),
            {"id": charger_id, "incarnation": incarnation, "count": count},
        )


def _list_frames(world: World, charger_id: str) -> list[tuple[int, int]]:
    with world.sessions() as session:
        rows = session.execute(
            text(
                """SELECT incarnation, number FROM ocpp_frames WHERE charger_id = :id
                   ORDER BY incarnation, number"""
            ),
            {"id": charger_id},
        )
        return [(row.incarnation, row.number) for row in rows]


def test_a_living_installation_loses_nothing_that_is_young(world: World) -> None:
    charger_id = world.brings_up()
    _write_frames(world, charger_id, 1, 50)
    before = {table: _count(world, table) for table in ("chargers", "runs", "run_steps")}
    tidy(world.context)
    assert {table: _count(world, table) for table in before} == before
    assert len(_list_frames(world, charger_id)) == 50


def test_frames_go_by_age(world: World) -> None:
    charger_id = world.brings_up()
    _write_frames(world, charger_id, 1, 10)
    _age(world, 8)
    _write_frames(world, charger_id, 2, 10)
    removed = tidy(world.context)
    assert removed["ocpp_frames"] == 10
    assert {incarnation for incarnation, _ in _list_frames(world, charger_id)} == {2}


def test_a_talkative_charger_keeps_its_newest_frames_and_costs_others_none(world: World) -> None:
    talkative, quiet = world.brings_up("CP-1"), world.brings_up("CP-2")
    _write_frames(world, talkative, 1, 40)
    _write_frames(world, talkative, 2, 260)
    _write_frames(world, quiet, 1, 60)
    _write_frames(world, quiet, 2, 20)
    tidy(world.context)
    assert _list_frames(world, talkative) == [(2, number) for number in range(161, 261)]
    assert len(_list_frames(world, quiet)) == 80


def test_the_run_that_explains_a_failed_charger_is_never_removed(world: World) -> None:
    charger_id = world.create()
    world.work()
    world.is_refused(charger_id, times=5)
    world.work()
    world.looks()
    world.work()
    world.passes()
    world.work()
    assert world.charger(charger_id).status == "FAILED"
    _age(world, 365)
    tidy(world.context)
    (run,) = world.runs(charger_id)
    assert run.id == world.charger(charger_id).current_run_id
    assert _count(world, "run_steps") > 0


def test_finished_runs_that_nobody_points_at_go_with_their_steps(world: World) -> None:
    charger_id = world.brings_up()
    world.order("stop", charger_id)
    world.work()
    world.looks()
    world.work()
    _age(world, 31)
    tidy(world.context)
    (kept,) = world.runs(charger_id)
    assert kept.id == world.charger(charger_id).current_run_id
    with world.sessions() as session:
        assert {row.run_id for row in session.execute(text("SELECT run_id FROM run_steps"))} == {
            kept.id
        }


def test_a_deleted_charger_leaves_no_trace_after_its_day(world: World) -> None:
    charger_id = world.brings_up()
    world.order("delete", charger_id)
    with world.sessions.begin() as session:
        session.execute(text("UPDATE chargers SET deleted_at = clock_timestamp()"))
    world.work()
    world.looks()
    world.work()
    tidy(world.context)
    assert _count(world, "chargers") == 1
    _age(world, 2)
    tidy(world.context)
    assert _count(world, "chargers") == _count(world, "runtimes") == 0


def test_a_charger_whose_deletion_still_works_keeps_its_tombstone(world: World) -> None:
    charger_id = world.brings_up()
    world.order("delete", charger_id)
    with world.sessions.begin() as session:
        session.execute(text("UPDATE chargers SET deleted_at = clock_timestamp()"))
    _age(world, 5)
    tidy(world.context)
    assert _count(world, "chargers") == 1
    assert world.charger(charger_id).id == charger_id


def test_a_transaction_removes_one_batch_and_no_more(
    world: World, sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 10)
    charger_id = world.brings_up()
    _write_frames(world, charger_id, 1, 25)
    _age(world, 8)
    (by_age, _) = [
        rule for rule in retention.make_rules(world.settings) if rule.table == "ocpp_frames"
    ]
    with sessions.begin() as session:
        assert retention.apply(session, by_age) == 10
    assert tidy(world.context)["ocpp_frames"] == 15
