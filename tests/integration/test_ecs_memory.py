"""What the ECS driver keeps in PostgreSQL: templates, the lock around a registration, times of starts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from app.db import make_engine
from app.store import templates
from tests.ecs_world import EcsWorld, make_ecs_world
from workers.runtimes.base import Key
from workers.runtimes.ecs import EcsDriver
from workers.runtimes.ecs_memory import EcsMemory
from workers.runtimes.ecs_templates import Template


def make_driver(world: EcsWorld, sessions: sessionmaker[Session]) -> EcsDriver:
    memory = EcsMemory(sessions)
    return EcsDriver(
        world.settings,
        world.cloud.client("ecs"),
        templates=memory,
        lock=memory.lock,
        asked=memory.asked,
    )


def test_a_template_is_remembered_replaced_and_forgotten(sessions: sessionmaker[Session]) -> None:
    memory = EcsMemory(sessions)
    assert memory.get("abc") is None
    memory.put(Template("abc", "gw-a-abc", "arn:1"))
    memory.put(Template("abc", "gw-a-abc", "arn:2"))
    assert memory.get("abc") == Template("abc", "gw-a-abc", "arn:2")
    memory.remove("abc")
    memory.remove("abc")
    assert memory.get("abc") is None


def test_the_lock_stays_with_its_holder_whatever_its_pool_is_used_for(
    database_url: str, sessions: sessionmaker[Session]
) -> None:
    memory = EcsMemory(sessions)
    other = sessions()
    with memory.lock("family"):
        # Another thread of the same process takes a connection meanwhile and keeps it for longer.
        other.execute(text("SELECT 1"))
        memory.put(Template("abc", "gw-a-abc", "arn:1"))
        assert is_locked(database_url, "family")
        assert not is_locked(database_url, "another")
    assert not is_locked(database_url, "family")
    other.close()


def test_the_lock_ends_with_a_failure(database_url: str, sessions: sessionmaker[Session]) -> None:
    with pytest.raises(RuntimeError), EcsMemory(sessions).lock("family"):
        raise RuntimeError
    assert not is_locked(database_url, "family")


def is_locked(database_url: str, name: str) -> bool:
    """Whether a stranger would have to wait for the lock."""
    engine = make_engine(database_url)
    key = {"name": f"template:{name}"}
    query = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
    with engine.connect() as connection:
        is_free = connection.scalar(query, key)
    engine.dispose()
    return not is_free


def test_workers_that_register_at_once_register_one_definition(
    sessions: sessionmaker[Session],
) -> None:
    with make_ecs_world(cloud_register_s=2.0) as world:
        drivers = [make_driver(world, sessions) for _ in range(4)]
        spec = world.spec(world.key())
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda driver: driver.ensure_template(spec), drivers))
        assert all(template == found[0] for template in found)
        assert world.cloud.stats()["definitions_registered"] == 1


def test_a_worker_that_begins_anew_needs_no_registration(sessions: sessionmaker[Session]) -> None:
    with make_ecs_world() as world:
        spec = world.spec(world.key())
        first = make_driver(world, sessions).ensure_template(spec)
        assert make_driver(world, sessions).ensure_template(spec) == first
        assert world.cloud.stats()["calls RegisterTaskDefinition"] == 1


def test_a_key_that_was_never_intended_was_never_asked(sessions: sessionmaker[Session]) -> None:
    assert EcsMemory(sessions).asked(Key("gw", "dep-" + "0" * 32, 1)) is None


def test_only_templates_that_nothing_starts_from_may_go(sessions: sessionmaker[Session]) -> None:
    memory = EcsMemory(sessions)
    memory.put(Template("abc", "gw-a-abc", "arn:1"))
    with sessions.begin() as session:
        assert templates.list_in_use(session, "aws") == set()
        session.execute(
            text(
                """INSERT INTO runtimes (charger_id, incarnation, generation, organization_id, identity,
                       provider, request, run_id)
                   VALUES ('dep-1', 1, 1, 'acme', 'CP-1', 'aws', '{"taskDefinition": "arn:1"}', 'wfr_1')"""
            )
        )
        assert templates.list_in_use(session, "aws") == {"abc"}
        session.execute(text("UPDATE runtimes SET state = 'gone'"))
        assert templates.list_in_use(session, "aws") == set()
