"""Changes of many chargers at once do what the single orders do, in a handful of statements."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.models import Job
from app.services import location_chargers
from app.settings import Settings
from tests.bulk_world import Site, count_statements, make_group


@pytest.fixture
def site(engine: Engine, settings: Settings) -> Site:
    return Site(engine, settings)


def describe_rows(site: Site, job: Job) -> list[Any]:
    """Chargers and runs of a job without what names them or tells the time."""
    rows: list[Any] = []
    for charger in site.children(job):
        rows.append(
            (
                charger.status,
                charger.desired_state,
                charger.generation,
                charger.stage,
                charger.verdict,
                charger.hint,
                charger.error,
                charger.recover_at,
                charger.deleted_at is None,
                charger.ws_url,
                charger.updated_at > charger.created_at,
            )
        )
        for run in site.runs(charger.id):
            is_current = run.id == charger.current_run_id
            rows.append(
                (
                    run.kind,
                    run.plan,
                    run.status,
                    run.generation,
                    run.job_id is None,
                    is_current,
                    run.finished_at is None,
                    run.hinted,
                )
            )
    return rows


def test_deleting_many_ends_in_the_same_rows_as_deleting_each(site: Site) -> None:
    together, alone = site.orders(make_group("001", "002")), site.orders(make_group("011", "012"))
    site.work()
    for job in (together, alone):
        site.goes_online(site.children(job)[0].id)
    site.work()
    ids = [charger.id for charger in site.children(together)]
    with site.sessions.begin() as session:
        deleted, failed = location_chargers.delete(
            session, site.queue, "acme", site.location_id, [*ids, ids[0]]
        )
    site.queue.commit()
    assert (deleted, failed) == (ids, [])
    for charger in site.children(alone):
        site.order("delete", charger.id)
    assert describe_rows(site, together) == describe_rows(site, alone)
    site.work()
    site.looks()
    site.lets_time_pass(10)
    site.passes()
    site.work()
    assert site.driver.alive == []
    assert site.job(together).status == "READY"


def test_changing_many_ends_in_the_same_rows_as_changing_each(site: Site) -> None:
    together, alone = site.orders(make_group("001", "002")), site.orders(make_group("011", "012"))
    site.work()
    for job in (together, alone):
        site.goes_online(site.children(job)[0].id)
    site.work()
    changes = {"ws_url": "ws://other.example.com/ocpp"}
    with site.sessions.begin() as session:
        updated, failed = location_chargers.update(
            session,
            site.queue,
            site.policy,
            "acme",
            site.location_id,
            [(charger.id, changes) for charger in site.children(together)],
        )
    site.queue.commit()
    assert (len(updated), failed) == (2, [])
    for charger in site.children(alone):
        with site.sessions.begin() as session:
            session.execute(
                text("UPDATE chargers SET ws_url = :url WHERE id = :id"),
                {"url": changes["ws_url"], "id": charger.id},
            )
        site.order("replace", charger.id)
    assert describe_rows(site, together) == describe_rows(site, alone)


def test_changing_and_deleting_a_thousand_are_a_handful_of_statements(site: Site) -> None:
    job = site.orders(make_group(number=1000))
    ids = [charger.id for charger in site.children(job)]
    statements = count_statements(site.sql)
    with site.sessions.begin() as session:
        location_chargers.update(
            session,
            site.queue,
            site.policy,
            "acme",
            site.location_id,
            [(one, {"ws_url": "ws://other.example.com/x", "name": one}) for one in ids],
        )
    assert len(statements) < 20
    statements.clear()
    with site.sessions.begin() as session:
        location_chargers.delete(session, site.queue, "acme", site.location_id, ids)
    assert len(statements) < 15
