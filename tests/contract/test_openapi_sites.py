"""Answers about locations, bulk orders and templates are as the OpenAPI document says."""

from __future__ import annotations

from typing import Any

from tests.contract.conftest import Caller
from tests.contract.test_location_chargers import THREE
from tests.contract.test_locations import PARIS, open_site
from tests.contract.test_openapi import check, get_answer_schema


def test_answers_about_sites_are_as_documented(acme: Caller) -> None:
    document: dict[str, Any] = acme.get("/openapi.json").json
    one, many = "/ocpp/locations/{location_id}", "/ocpp/locations/{location_id}/chargers"
    path = open_site(acme)
    ordered = acme.post(f"{path}/chargers", json=THREE)
    again = acme.post(f"{path}/chargers", json=THREE)
    chargers = acme.get(f"{path}/chargers")
    ids = [charger["id"] for charger in chargers.json["data"]]
    items = [{"charger_id": ids[0], "name": "x"}, {"charger_id": "x"}]
    site = {name: value for name, value in PARIS.items() if name != "country"}
    job = ordered.json["status_url"]
    slug = "/ocpp/templates/locations/{slug}"
    calls = [
        ("/ocpp/locations", "post", acme.post("/ocpp/locations", json=PARIS)),
        ("/ocpp/locations", "get", acme.get("/ocpp/locations")),
        (one, "get", acme.get(path)),
        (one, "put", acme.put(path, json={"name": "x"})),
        (one, "delete", acme.delete(path)),
        (many, "post", ordered),
        (many, "post", acme.post(f"{path}/chargers", json=[])),
        (many, "get", chargers),
        (many, "put", acme.put(f"{path}/chargers", json={"chargers": items})),
        (f"{many}/jobs/{{job_id}}", "get", acme.get(job)),
        (f"{many}/jobs/{{job_id}}", "get", acme.get(again.json["status_url"])),
        (f"{many}/jobs/{{job_id}}/cancel", "post", acme.post(f"{job}/cancel")),
        (
            many,
            "delete",
            acme.delete(f"{path}/chargers", query_string={"charger_ids": [*ids, "x"]}),
        ),
        ("/ocpp/templates/locations", "get", acme.get("/ocpp/templates/locations")),
        (
            slug,
            "post",
            acme.post(
                slug.format(slug="residential-ac-single"), json=site | {"ws_url": "ws://a.example"}
            ),
        ),
        (slug, "post", acme.post(slug.format(slug="x"), json=site | {"ws_url": "ws://a.example"})),
    ]
    for template, method, answer in calls:
        check(
            document, get_answer_schema(document, template, method, answer.status_code), answer.json
        )
