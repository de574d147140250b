"""What becomes of a bulk job: ordered as the API does, worked by the real engine on a real database."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from app.errors import InvalidField, JobNotFound, NotAllowedNow, QuotaExceeded
from app.models import Charger, Job, Run
from app.services.policy import Policy, Quota
from app.settings import Settings
from tests.bulk_world import Site, count_statements, make_group
from workers.runtimes.base import RuntimeRejected


@pytest.fixture
def site(engine: Engine, settings: Settings) -> Site:
    return Site(engine, settings)


def test_a_job_is_ready_when_its_last_charger_is(site: Site) -> None:
    job = site.orders(make_group("001", "002", "003"))
    assert (job.status, job.total, job.refused) == ("PENDING", 3, [])
    assert site.progress(job) == (0, 0, 3)
    site.work()
    assert site.job(job).status == "PROVISIONING"
    first, second, third = site.children(job)
    assert (first.identity, first.name, first.location_name) == (
        "SITE_A_001",
        "Bay 001",
        "Paris Hub",
    )
    site.goes_online(first.id)
    site.goes_online(second.id)
    site.work()
    assert site.progress(job) == (2, 0, 1)
    assert site.job(job).results is None
    site.goes_online(third.id)
    words = site.work()
    assert words[-2:] == ["wait_for_children:done", "mark_job:done"]
    ended = site.job(job)
    assert (ended.status, ended.error) == ("READY", None)
    assert ended.results == {"created": [first.id, second.id, third.id], "failed": []}
    assert site.progress(job) == (3, 0, 0)


def test_numbers_pad_and_cut_the_suffixes_of_the_client(site: Site) -> None:
    padded = site.orders(make_group("001", "002", number=5))
    cut = site.orders(make_group("011", "012", "013", identity_prefix="B", number=2))
    drawn = site.orders(make_group(identity_prefix="C", number=4))
    identities = [charger.identity for charger in site.children(padded)]
    assert identities[:2] == ["SITE_A_001", "SITE_A_002"]
    assert len(set(identities)) == 5
    assert all(len(identity) == len("SITE_A_") + 8 for identity in identities[2:])
    assert [charger.identity for charger in site.children(cut)] == ["B011", "B012"]
    assert len({charger.identity for charger in site.children(drawn)}) == 4


def test_identities_that_clash_are_reported_and_fail_nothing_else(site: Site) -> None:
    site.orders(make_group("001"))
    job = site.orders(make_group("001", "002", "002"))
    assert site.progress(job) == (0, 2, 1)
    site.work()
    site.all_go_online(job)
    site.work()
    ended = site.job(job)
    assert ended.status == "READY"
    assert ended.results is not None
    failed = {(one["identity"], one["code"]) for one in ended.results["failed"]}
    assert failed == {("SITE_A_001", "identity_taken"), ("SITE_A_002", "identity_repeated")}


def test_a_clash_with_the_same_fields_names_the_charger_that_is_there(site: Site) -> None:
    first = site.orders(make_group("001"))
    (charger,) = site.children(first)
    again = site.orders(make_group("001"))
    other = site.orders(make_group("001", template_name="Gate"))
    assert [one.get("charger_id") for one in again.refused] == [charger.id]
    assert [one.get("charger_id") for one in other.refused] == [None]


def test_a_job_of_which_nothing_came_up_has_failed_with_what_all_have_in_common(
    site: Site,
) -> None:
    site.orders(make_group("001", "002"))
    job = site.orders(make_group("001", "002"))
    site.work()
    ended = site.job(job)
    assert ended.status == "FAILED"
    assert ended.error is not None
    assert ended.error["code"] == "identity_taken"
    assert site.progress(job) == (0, 2, 0)


def test_a_charger_that_fails_is_one_entry_of_the_results(site: Site) -> None:
    site.driver.fails = [RuntimeRejected("No such image.", code="image_missing")]
    job = site.orders(make_group("001", "002"))
    site.work()
    site.all_go_online(job)
    site.looks()
    site.lets_time_pass(10)
    site.passes()
    site.work()
    ended = site.job(job)
    assert ended.status == "READY"
    assert ended.results is not None
    assert [one["code"] for one in ended.results["failed"]] == ["image_missing"]
    assert len(ended.results["created"]) == 1


def test_a_template_that_nobody_builds_orders_nothing(site: Site) -> None:
    with pytest.raises(InvalidField) as caught:
        site.orders(
            make_group("001"),
            make_group("002", connector_type="CCS2", loc=("body", 1, "template")),
        )
    assert caught.value.loc == ("body", 1, "template", "connector_type")
    assert caught.value.kind == "unsupported_connector"
    with site.sessions() as session:
        assert session.scalars(select(Charger)).all() == []
        assert session.scalars(select(Run)).all() == []


def test_an_order_over_the_quota_orders_nothing(site: Site) -> None:
    small = Policy(site.policy.catalog, True, site.policy.addresses, Quota(2))
    with pytest.raises(QuotaExceeded):
        site.orders(make_group(number=3), policy=small)
    with site.sessions() as session:
        assert session.scalars(select(Job)).all() == []


def test_a_thousand_chargers_are_a_handful_of_statements(site: Site) -> None:
    statements = count_statements(site.sql)
    site.orders(make_group(*map(str, range(900)), number=1000))
    assert len(statements) < 15
    with site.sessions() as session:
        assert session.scalar(text("SELECT count(*) FROM chargers")) == 1000
        assert session.scalar(text("SELECT count(*) FROM runs WHERE NOT hinted")) == 1000


def test_children_that_end_at_the_same_moment_end_the_job_once(site: Site) -> None:
    job = site.orders(make_group(number=8))
    site.work()
    site.all_go_online(job)
    hints, site.queue.waiting = site.queue.waiting, []
    assert len(hints) == 8
    barrier = threading.Barrier(8)

    def work(hint: Any) -> None:
        site.perform(hint, "wait_for_health")
        barrier.wait()
        site.perform(hint, "mark_ready")

    threads = [threading.Thread(target=work, args=(hint,)) for hint in hints]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    words = site.work()
    assert words.count("mark_job:done") == 1
    assert site.job(job).status == "READY"
    assert site.progress(job) == (8, 0, 0)


def test_a_job_ends_even_when_the_wake_up_of_its_last_child_is_lost(site: Site) -> None:
    job = site.orders(make_group("001"))
    site.work()
    site.all_go_online(job)
    with site.sessions.begin() as session:
        session.execute(
            text("UPDATE runs SET status = 'done', hinted = false WHERE charger_id IS NOT NULL")
        )
    site.queue.waiting.clear()
    site.lets_time_pass(5)
    site.passes()
    site.work()
    assert site.job(job).status == "READY"


def test_an_organization_with_many_children_leaves_room_for_anothers_single_order(
    site: Site,
) -> None:
    site.orders(make_group(number=1000))
    site.passes()
    assert len(site.queue.waiting) == site.settings.engine.org_inflight
    site.create("SINGLE", "other")
    assert site.queue.waiting[-1].identity == "SINGLE"


def test_of_two_organizations_with_many_children_each_gets_its_slots(site: Site) -> None:
    site.orders(make_group(number=500))
    site.orders(make_group(number=500), organization="other")
    site.passes()
    with site.sessions() as session:
        counts = dict(
            session.execute(
                text("SELECT organization_id, count(*) FROM runs WHERE hinted GROUP BY 1")
            ).all()
        )
    cap = site.settings.engine.org_inflight
    assert counts == {"acme": cap, "other": cap}


def test_a_single_order_goes_before_the_children_that_wait(site: Site) -> None:
    site.orders(make_group(number=200))
    site.passes()
    working = site.queue.waiting
    site.queue.waiting = []
    site.create("SINGLE")
    assert site.queue.waiting == []
    site.work_one(working[-1])
    assert [hint.identity for hint in site.queue.waiting] == ["SINGLE"]


def test_cancelling_a_job_cancels_what_nobody_has_begun_and_lets_the_rest_finish(
    site: Site,
) -> None:
    job = site.orders(make_group(number=5))
    site.work_one(site.queue.waiting.pop(0))
    working = site.queue.waiting.pop()
    site.perform(working)
    site.cancels(job)
    assert site.progress(job) == (0, 4, 1)
    again = site.cancels(job)
    assert again.cancelled_at is not None
    chargers = {charger.id: charger for charger in site.children(job)}
    survivor = chargers.pop(working.charger_id)
    assert {(one.status, one.desired_state, one.stage) for one in chargers.values()} == {
        ("FAILED", "stopped", "not_deployed")
    }
    assert {one.error and one.error["code"] for one in chargers.values()} == {"cancelled"}
    site.lets_time_pass(20)
    site.passes()
    site.work()
    site.goes_online(survivor.id)
    site.work()
    ended = site.job(job)
    assert (ended.status, site.progress(job)) == ("READY", (1, 4, 0))
    assert len(site.driver.starts) == 1


def test_a_cancelled_charger_can_be_started_and_frees_its_identity_when_deleted(
    site: Site,
) -> None:
    job = site.orders(make_group("001", "002"))
    site.cancels(job)
    site.work()
    assert site.job(job).error is not None
    first, second = site.children(job)
    site.order("start", first.id)
    site.work()
    site.goes_online(first.id)
    site.work()
    assert site.charger(first.id).status == "READY"
    site.order("delete", second.id)
    assert site.create("SITE_A_002")


def test_an_ended_job_cannot_be_cancelled(site: Site) -> None:
    job = site.orders(make_group("001"))
    site.work()
    site.all_go_online(job)
    site.work()
    with pytest.raises(NotAllowedNow):
        site.cancels(job)


def test_a_job_of_another_organization_is_not_found(site: Site) -> None:
    job = site.orders(make_group("001"), organization="other")
    with pytest.raises(JobNotFound):
        site.cancels(job)


def test_a_job_does_not_wait_for_a_charger_that_was_deleted_or_stopped(site: Site) -> None:
    job = site.orders(make_group("001", "002", "003"))
    site.work()
    first, second, third = site.children(job)
    site.order("delete", first.id)
    site.order("stop", second.id)
    site.goes_online(third.id)
    site.work()
    ended = site.job(job)
    assert ended.results is not None
    assert ended.results["created"] == [third.id]
    assert {one["identity"] for one in ended.results["failed"]} == {"SITE_A_001", "SITE_A_002"}
    assert {one["code"] for one in ended.results["failed"]} == {"stopped_before_ready"}


def test_a_job_ends_at_once_when_its_last_charger_is_deleted(site: Site) -> None:
    job = site.orders(make_group("001"))
    site.work()
    site.order("delete", site.children(job)[0].id)
    assert "mark_job:done" in site.work()
    assert site.job(job).status == "FAILED"


def test_a_job_waits_for_a_charger_whose_bring_up_an_update_replaced(site: Site) -> None:
    job = site.orders(make_group("001"))
    site.work()
    (charger,) = site.children(job)
    site.order("replace", charger.id)
    site.work()
    assert site.progress(job) == (0, 0, 1)
    site.looks()
    site.lets_time_pass(10)
    site.passes()
    site.work()
    site.goes_online(charger.id)
    words = site.work()
    assert words[-1] == "mark_job:done"
    assert site.job(job).results == {"created": [charger.id], "failed": []}


def test_hints_of_a_rolled_back_order_are_not_sent(site: Site) -> None:
    with pytest.raises(InvalidField):
        site.orders(make_group("001", model_slug="nothing"))
    assert site.queue.waiting == []
