"""Bulk orders, their jobs, and changes of many chargers through their routes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.tokens import Role
from tests.contract.conftest import ORDER, Caller, KeptHints
from tests.contract.test_locations import open_site

TEMPLATE = {
    "brand_slug": "schneider",
    "model_slug": "evlink-pro-ac-22kw",
    "connector_type": "Type2",
    "ocpp_version": "OCPP1.6",
    "ws_url": "ws://csms.example.com/ocpp",
    "identity_prefix": "SITE_A_",
    "template_name": "Bay",
}
THREE = [{"template": TEMPLATE, "charger_ids": ["001", "002", "003"]}]


@pytest.fixture
def site(acme: Caller) -> str:
    """The path of a location's chargers."""
    return f"{open_site(acme)}/chargers"


def order(caller: Caller, site: str, *suffixes: str, **template: Any) -> list[str]:
    """Order chargers; their ids in order."""
    body = [{"template": TEMPLATE | template, "charger_ids": list(suffixes)}]
    answer = caller.post(site, json=body)
    assert answer.status_code == 202, answer.text
    found = caller.get(f"{site}?limit=100").json["data"]
    by_identity = {one["identity"]: one["id"] for one in found}
    prefix = (TEMPLATE | template)["identity_prefix"]
    return [by_identity[f"{prefix}{suffix}"] for suffix in suffixes]


def test_a_bulk_order_is_accepted_and_can_be_polled(acme: Caller, site: str) -> None:
    accepted = acme.post(site, json=THREE)
    assert accepted.status_code == 202
    assert accepted.json["status"] == "PENDING"
    assert accepted.json["workflow_run_id"].startswith("wfr_")
    assert accepted.json["status_url"] == f"{site}/jobs/{accepted.json['job_id']}"
    job = acme.get(accepted.json["status_url"])
    assert job.status_code == 200
    assert job.json["progress"] == {"total": 3, "ready": 0, "failed": 0, "pending": 3}
    assert (job.json["results"], job.json["error"], job.json["provisioned_at"]) == (None,) * 3
    listed = acme.get(site).json
    assert [one["identity"] for one in listed["data"]] == ["SITE_A_003", "SITE_A_002", "SITE_A_001"]
    assert listed["data"][0]["name"] == "Bay 003"
    assert listed["data"][0]["location_name"] == "La Défense Charging Hub"


def test_a_bulk_order_sends_one_hint(acme: Caller, site: str, hints: KeptHints) -> None:
    acme.post(site, json=THREE)
    assert [hint.kind for hint in hints.hints] == ["bulk"]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"template": TEMPLATE}, ["body"]),
        ([], ["body"]),
        ([{"template": TEMPLATE}], ["body", 0, "charger_ids"]),
        ([{"template": TEMPLATE, "charger_ids": []}], ["body", 0, "charger_ids"]),
        ([{"template": TEMPLATE, "chargers_number": 0}], ["body", 0, "chargers_number"]),
        ([{"template": TEMPLATE, "chargers_number": 10_001}], ["body", 0, "chargers_number"]),
        ([{"charger_ids": ["1"]}], ["body", 0, "template"]),
        ([{"template": {}, "charger_ids": ["1"]}], ["body", 0, "template"]),
        ([*THREE, {"template": TEMPLATE, "charger_ids": ["ok", "a b"]}], ["body", 1]),
        ([{"template": TEMPLATE, "charger_ids": ["x" * 42]}], ["body", 0, "charger_ids", 0]),
        (
            [{"template": TEMPLATE | {"identity_prefix": "x" * 41}, "chargers_number": 1}],
            ["body", 0, "template", "identity_prefix"],
        ),
        ([{"template": TEMPLATE, "chargers_number": 5001}] * 2, ["body"]),
    ],
)
def test_a_malformed_bulk_order_is_refused(
    body: Any, loc: list[Any], acme: Caller, site: str
) -> None:
    answer = acme.post(site, json=body)
    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"][: len(loc)] == loc
    assert acme.get(site).json["total"] == 0


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("brand_slug", "nobody", "unknown_brand"),
        ("model_slug", "nothing", "unknown_model"),
        ("connector_type", "CCS2", "unsupported_connector"),
        ("ocpp_version", "OCPP2.0.1", "unsupported_version"),
        ("ws_url", "http://csms.example.com", "ws_url_invalid"),
    ],
)
def test_a_template_that_nobody_builds_orders_nothing_and_says_where_it_stands(
    field: str, value: str, code: str, acme: Caller, site: str
) -> None:
    bad = {"template": TEMPLATE | {field: value}, "charger_ids": ["x"]}
    answer = acme.post(site, json=[*THREE, bad])
    assert answer.status_code == 422
    mistake = answer.json["detail"][0]
    assert (mistake["loc"], mistake["type"]) == (["body", 1, "template", field], code)
    assert acme.get(site).json["total"] == 0


def test_a_repeated_order_with_the_same_key_creates_nothing_twice(acme: Caller, site: str) -> None:
    body = [{"template": TEMPLATE, "chargers_number": 20}]
    key = {"Idempotency-Key": "bulk-1"}
    first = acme.post(site, json=body, headers=key)
    again = acme.post(site, json=body, headers=key)
    assert again.json == first.json
    assert acme.get(site).json["total"] == 20


def test_a_thousand_chargers_fit_into_one_order(acme: Caller, site: str) -> None:
    body = [{"template": TEMPLATE, "charger_ids": [f"{number:04d}" for number in range(1000)]}]
    assert acme.post(site, json=body).status_code == 202
    page = acme.get(f"{site}?limit=100&page=10").json
    assert (page["total"], len(page["data"])) == (1000, 100)
    assert page["data"][-1]["identity"] == "SITE_A_0000"


def test_an_order_over_the_quota_creates_nothing(
    make_app: Callable[..., Any], make_caller: Callable[..., Caller]
) -> None:
    caller = make_caller("acme", on=make_app(org_max_chargers=2))
    site = f"{open_site(caller)}/chargers"
    answer = caller.post(site, json=THREE)
    assert (answer.status_code, answer.json["code"]) == (400, "quota_exceeded")
    assert caller.get(site).json["total"] == 0


def test_only_the_chargers_asked_for_are_listed(acme: Caller, site: str) -> None:
    first, _, third = order(acme, site, "1", "2", "3")
    elsewhere = acme.order()
    wanted = [third, first, elsewhere, "dep-unknown", "x"]
    page = acme.get(site, query_string={"charger_ids": wanted}).json
    assert [one["id"] for one in page["data"]] == [third, first]
    assert page["total"] == 2


def test_jobs_are_found_at_their_own_location_only(
    acme: Caller, site: str, make_caller: Callable[..., Caller]
) -> None:
    job = acme.post(site, json=THREE).json
    elsewhere = f"{open_site(acme)}/chargers/jobs/{job['job_id']}"
    for answer in (
        acme.get(elsewhere),
        acme.get(f"{site}/jobs/x"),
        acme.get(f"{site}/jobs/{0:032x}"),
    ):
        assert (answer.status_code, answer.json["code"]) == (404, "job_not_found")
    assert make_caller("other").get(job["status_url"]).json["code"] == "location_not_found"
    admin = make_caller("house", role=Role.ADMIN)
    seen = admin.get(job["status_url"], headers={"X-Organization-Id": "acme"})
    assert seen.json["job_id"] == job["job_id"]


def test_a_cancelled_job_begins_no_further_charger(acme: Caller, site: str) -> None:
    job = acme.post(site, json=THREE).json
    cancelled = acme.post(f"{job['status_url']}/cancel")
    assert cancelled.status_code == 200
    assert cancelled.json["progress"] == {"total": 3, "ready": 0, "failed": 3, "pending": 0}
    assert cancelled.json["cancelled_at"] is not None
    charger_id = acme.get(site).json["data"][0]["id"]
    status = acme.get(f"/ocpp/chargers/{charger_id}/status").json
    assert (status["status"], status["error"]["code"]) == ("FAILED", "cancelled")
    assert acme.post(f"/ocpp/chargers/{charger_id}/start-charger").status_code == 202


def test_each_change_of_many_fails_for_itself(acme: Caller, site: str) -> None:
    first, second, third = order(acme, site, "1", "2", "3")
    foreign = acme.order()
    items = [
        {"charger_id": first, "charge_point_name": "Bay A01", "connector_type": "Type2"},
        {"charger_id": second, "connector_type": "CCS2", "name": "never"},
        {"charger_id": third, "ocpp_version": "OCPP9"},
        {"charger_id": third, "ws_url": ""},
        {"charger_id": third, "location_id": "4090477f-a416-4515-a302-97aa344a0a2a"},
        {"charger_id": foreign, "name": "Elsewhere"},
        {"charger_id": "dep-unknown", "name": "Nobody"},
        {"charger_id": third, "name": "Third"},
    ]
    answer = acme.put(site, json={"chargers": items})
    assert answer.status_code == 200
    assert [(one["id"], one["name"]) for one in answer.json["updated"]] == [
        (first, "Bay A01"),
        (third, "Third"),
    ]
    assert [(one["charger_id"], one["code"]) for one in answer.json["failed"]] == [
        (second, "unsupported_connector"),
        (third, "unsupported_version"),
        (third, "ws_url_invalid"),
        (third, "unknown_location"),
        (foreign, "charger_not_found"),
        ("dep-unknown", "charger_not_found"),
    ]
    assert (answer.json["updated_count"], answer.json["failed_count"]) == (2, 6)
    assert acme.get(f"/ocpp/chargers/{second}").json["name"] == "Bay 2"
    assert acme.get(f"/ocpp/chargers/{foreign}").json["name"] is None


def test_a_change_without_an_id_is_refused(acme: Caller, site: str) -> None:
    answer = acme.put(site, json={"chargers": [{"name": "Nobody"}]})
    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["body", "chargers", 0, "charger_id"]
    assert acme.put(site, json={}).status_code == 422
    assert acme.put(site, json={"chargers": []}).json["updated_count"] == 0


def test_chargers_can_be_moved_together(acme: Caller, site: str) -> None:
    ids = order(acme, site, "1", "2")
    there = open_site(acme, name="There")
    location_id = there.rsplit("/", 1)[1]
    items = [{"charger_id": one, "location_id": location_id} for one in ids]
    answer = acme.put(site, json={"chargers": items})
    assert [one["location_name"] for one in answer.json["updated"]] == ["There", "There"]
    assert acme.get(site).json["total"] == 0
    assert acme.get(f"{there}/chargers").json["total"] == 2


def test_each_delete_of_many_fails_for_itself(acme: Caller, site: str) -> None:
    first, second, third = order(acme, site, "1", "2", "3")
    foreign = acme.order()
    gone = acme.delete(site, query_string={"charger_ids": [first, foreign, "x", second, first]})
    assert gone.status_code == 200
    assert gone.json["deleted"] == [first, second]
    assert [one["charger_id"] for one in gone.json["failed"]] == [foreign, "x"]
    assert (gone.json["deleted_count"], gone.json["failed_count"]) == (2, 2)
    again = acme.delete(site, query_string={"charger_ids": [first]})
    assert again.json["deleted"] == [first]
    assert [one["id"] for one in acme.get(site).json["data"]] == [third]
    assert acme.get(f"/ocpp/chargers/{foreign}").status_code == 200
    assert acme.post("/ocpp/chargers", json=ORDER | {"identity": "SITE_A_1"}).status_code == 202


def test_a_delete_that_names_nobody_is_refused(acme: Caller, site: str) -> None:
    answer = acme.delete(site)
    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["query", "charger_ids"]


def test_nothing_of_a_location_that_is_not_ones_own_can_be_changed(
    acme: Caller, site: str, make_caller: Callable[..., Caller]
) -> None:
    (charger_id,) = order(acme, site, "1")
    stranger = make_caller("other")
    body = {"chargers": [{"charger_id": charger_id, "name": "mine"}]}
    for answer in (
        stranger.post(site, json=THREE),
        stranger.put(site, json=body),
        stranger.delete(site, query_string={"charger_ids": [charger_id]}),
    ):
        assert (answer.status_code, answer.json["code"]) == (404, "location_not_found")
    own = f"{open_site(stranger)}/chargers"
    assert stranger.put(own, json=body).json["failed_count"] == 1
    assert acme.get(f"/ocpp/chargers/{charger_id}").json["name"] == "Bay 1"


def test_the_key_of_a_template_is_never_shown(acme: Caller, site: str) -> None:
    key = "a-long-password-1234"
    order(acme, site, "1", authorization_key=key)
    listed = acme.get(site)
    assert listed.json["data"][0]["security_profile"] == 1
    assert key not in listed.text
