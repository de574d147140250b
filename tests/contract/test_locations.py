"""Locations and ready-made sites through their routes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from app.tokens import Role
from tests.contract.conftest import ORDER, Caller

PARIS: dict[str, Any] = {
    "name": "La Défense Charging Hub",
    "address": "14 Rue de la Paix",
    "city": "Paris",
    "country": "FR",
    "coordinates": {"latitude": 48.8566, "longitude": 2.3522},
    "timezone": "Europe/Paris",
    "owner_name": "VINCI Autoroutes",
    "public": True,
}
NOWHERE = "/ocpp/locations/4090477f-a416-4515-a302-97aa344a0a2a"


def open_site(caller: Caller, **fields: Any) -> str:
    """Create a location; its path."""
    answer = caller.post("/ocpp/locations", json=PARIS | fields)
    assert answer.status_code == 201, answer.text
    return f"/ocpp/locations/{answer.json['id']}"


def test_a_location_is_created_with_a_slug_of_its_name(acme: Caller) -> None:
    answer = acme.post("/ocpp/locations", json=PARIS)
    assert answer.status_code == 201
    made = answer.json
    assert re.fullmatch(r"la-defense-charging-hub-[0-9a-f]{8}", made["slug"])
    assert uuid.UUID(made["id"])
    assert {name: made[name] for name in PARIS} == PARIS
    assert made["status"] == "active"
    assert made["created_at"].endswith("Z")
    assert acme.get(f"/ocpp/locations/{made['id']}").json == made


@pytest.mark.parametrize(
    ("name", "stem"), [("東京", "location"), ("  --  ", "location"), ("A/B\\C", "a-b-c")]
)
def test_a_slug_is_made_of_plain_letters(name: str, stem: str, acme: Caller) -> None:
    made = acme.post("/ocpp/locations", json=PARIS | {"name": name}).json
    assert re.fullmatch(rf"{stem}-[0-9a-f]{{8}}", made["slug"])


@pytest.mark.parametrize("field", ["name", "address", "city", "country", "coordinates"])
def test_a_location_without_a_required_field_is_refused(field: str, acme: Caller) -> None:
    answer = acme.post("/ocpp/locations", json={**PARIS, field: None})
    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["body", field]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("country", "France"),
        ("country", "fr"),
        ("country", "XX"),
        ("timezone", "Paris"),
        ("timezone", "../etc/passwd"),
        ("public", "yes"),
        ("name", "x" * 256),
        ("coordinates", {"latitude": 90.1, "longitude": 0}),
        ("coordinates", {"latitude": 0, "longitude": -180.1}),
        ("coordinates", {"latitude": "48.8", "longitude": 2}),
        ("coordinates", {"latitude": True, "longitude": 2}),
        ("coordinates", {"latitude": 1}),
        ("coordinates", [1, 2]),
    ],
)
def test_a_location_that_cannot_be_is_refused(field: str, value: Any, acme: Caller) -> None:
    answer = acme.post("/ocpp/locations", json=PARIS | {field: value})
    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"][:2] == ["body", field]


def test_the_edges_of_the_earth_are_places(acme: Caller) -> None:
    edge = {"latitude": -90, "longitude": 180}
    assert acme.post("/ocpp/locations", json=PARIS | {"coordinates": edge}).status_code == 201


def test_only_what_an_update_names_changes(acme: Caller) -> None:
    path = open_site(acme)
    before = acme.get(path).json
    after = acme.put(path, json={"name": "West", "timezone": None, "status": "closed"}).json
    assert (after["name"], after["timezone"], after["status"]) == ("West", "Europe/Paris", "closed")
    assert after["slug"] == before["slug"]
    assert after["updated_at"] > before["updated_at"]
    unchanged = acme.put(path, json={"name": "West"}).json
    assert unchanged["updated_at"] == after["updated_at"]
    moved = acme.put(path, json={"coordinates": {"latitude": 1.5, "longitude": 2.5}}).json
    assert moved["coordinates"] == {"latitude": 1.5, "longitude": 2.5}


def test_a_slug_that_is_taken_is_refused(acme: Caller, make_caller: Callable[..., Caller]) -> None:
    acme.put(open_site(acme), json={"slug": "hub"})
    other = open_site(acme)
    answer = acme.put(other, json={"slug": "hub"})
    assert (answer.status_code, answer.json["code"]) == (400, "slug_taken")
    assert acme.put(other, json={"slug": "Not A Slug"}).status_code == 422
    stranger = make_caller("other")
    assert stranger.put(open_site(stranger), json={"slug": "hub"}).status_code == 200


def test_locations_are_listed_newest_first(acme: Caller) -> None:
    for number in range(3):
        open_site(acme, name=f"Site {number}")
    page = acme.get("/ocpp/locations?limit=2").json
    assert [one["name"] for one in page["data"]] == ["Site 2", "Site 1"]
    assert (page["total"], page["page"], page["limit"]) == (3, 1, 2)
    assert acme.get("/ocpp/locations?limit=2&page=3").json["data"] == []


def test_a_foreign_location_is_not_found(acme: Caller, make_caller: Callable[..., Caller]) -> None:
    path = open_site(make_caller("other"))
    for answer in (
        acme.get(path),
        acme.put(path, json={"name": "mine"}),
        acme.delete(path),
        acme.get(f"{path}/chargers"),
        acme.get(NOWHERE),
        acme.get("/ocpp/locations/nonsense"),
    ):
        assert (answer.status_code, answer.json["code"]) == (404, "location_not_found")
    assert acme.get("/ocpp/locations").json["total"] == 0


def test_an_admin_names_the_organization(make_caller: Callable[..., Caller]) -> None:
    open_site(make_caller("acme"))
    admin = make_caller("house", role=Role.ADMIN)
    assert admin.get("/ocpp/locations").status_code == 403
    seen = admin.get("/ocpp/locations", headers={"X-Organization-Id": "acme"})
    assert seen.json["total"] == 1


def test_an_empty_location_is_deleted_and_may_be_deleted_again(acme: Caller) -> None:
    path = open_site(acme)
    assert acme.delete(path).status_code == 204
    assert acme.get(path).status_code == 404
    assert acme.delete(path).status_code == 204
    assert acme.delete(NOWHERE).status_code == 404
    assert acme.get("/ocpp/locations").json["total"] == 0


def test_a_location_with_chargers_goes_only_with_them(acme: Caller) -> None:
    path = open_site(acme)
    charger_id = acme.order(location_id=path.rsplit("/", 1)[1])
    elsewhere = acme.order(identity="CP-002")
    refused = acme.delete(path)
    assert (refused.status_code, refused.json["code"]) == (400, "location_not_empty")
    assert acme.delete(f"{path}?cascade=true").status_code == 204
    assert acme.get(f"/ocpp/chargers/{charger_id}").status_code == 404
    assert acme.get(f"/ocpp/chargers/{elsewhere}").status_code == 200
    assert acme.post("/ocpp/chargers", json=ORDER).status_code == 202


def test_a_deleted_location_takes_no_charger(acme: Caller) -> None:
    path = open_site(acme)
    acme.delete(path)
    answer = acme.post("/ocpp/chargers", json=ORDER | {"location_id": path.rsplit("/", 1)[1]})
    assert (answer.status_code, answer.json["code"]) == (400, "unknown_location")


def test_a_repeated_create_with_the_same_key_makes_one_location(acme: Caller) -> None:
    key = {"Idempotency-Key": "site-1"}
    first = acme.post("/ocpp/locations", json=PARIS, headers=key)
    again = acme.post("/ocpp/locations", json=PARIS, headers=key)
    assert again.json == first.json
    assert again.headers["Idempotent-Replayed"] == "true"
    assert acme.get("/ocpp/locations").json["total"] == 1


# ready-made sites


def test_templates_can_be_filtered_by_type_and_version(acme: Caller) -> None:
    path = "/ocpp/templates/locations"
    everything = acme.get(path).json
    slugs = {one["slug"] for one in everything["data"]}
    assert slugs >= {"urban-ac-hub", "highway-dc-station", "residential-ac-single"}
    assert everything["total"] == len(everything["data"]) >= 8
    by_type = [acme.get(path, query_string={"type": kind}).json for kind in ("AC", "DC", "AC-DC")]
    assert sum(one["total"] for one in by_type) == everything["total"]
    assert all(one["total"] for one in by_type)
    newer = acme.get(path, query_string={"ocpp_version": "OCPP2.0.1"}).json["data"]
    assert newer
    assert all("OCPP2.0.1" in {g["ocpp_version"] for g in one["groups"]} for one in newer)
    assert acme.get(path, query_string={"type": "XX"}).status_code == 422


def test_every_template_can_be_ordered(acme: Caller) -> None:
    for number, template in enumerate(acme.get("/ocpp/templates/locations").json["data"]):
        body = {
            **{name: PARIS[name] for name in ("name", "address", "city", "coordinates")},
            "ws_url": "ws://csms.example.com",
            "identity_prefix": f"S{number}-",
        }
        answer = acme.post(f"/ocpp/templates/locations/{template['slug']}", json=body)
        assert answer.status_code == 202, answer.text
        assert answer.json["location"]["country"] == template["country"]
        job = acme.get(answer.json["status_url"]).json
        assert job["progress"]["pending"] == sum(one["count"] for one in template["groups"])


def test_a_site_that_cannot_be_ordered_leaves_no_location(acme: Caller) -> None:
    body = {name: PARIS[name] for name in ("name", "address", "city", "coordinates")}
    path = "/ocpp/templates/locations/residential-ac-single"
    bad = acme.post(path, json=body | {"ws_url": "http://csms.example.com"})
    assert bad.status_code == 422
    assert bad.json["detail"][0]["loc"] == ["body", "ws_url"]
    none = acme.post("/ocpp/templates/locations/nothing", json=body | {"ws_url": "ws://a"})
    assert (none.status_code, none.json["code"]) == (404, "template_not_found")
    assert acme.get("/ocpp/locations").json["total"] == 0
