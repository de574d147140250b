"""What every answer has in common: ids, kinds, headers; and what the catalog and the pages say."""

from __future__ import annotations

import pytest

from tests.contract.conftest import ORDER, Caller


def test_a_request_id_is_echoed_or_made(acme: Caller) -> None:
    assert acme.get("/health", headers={"X-Request-Id": "abc-1"}).headers["X-Request-Id"] == "abc-1"
    made = acme.get("/health").headers["X-Request-Id"]
    assert made.startswith("req_")
    assert made != acme.get("/health").headers["X-Request-Id"]


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "<script>", "a\tb", '"quoted"'])
def test_a_request_id_that_could_do_harm_is_replaced(given: str, acme: Caller) -> None:
    answer = acme.get("/nothing", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"].startswith("req_")
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]


def test_an_error_of_http_itself_is_json(acme: Caller) -> None:
    answer = acme.send("PATCH", "/ocpp/chargers")
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) >= {"GET", "POST"}
    assert answer.json["code"] == "method_not_allowed"


def test_a_surprise_is_a_500_that_tells_nothing(acme: Caller) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError("secret-of-the-house")

    app = acme.client.application
    app.extensions["desk"].policy.quota.take = explode
    answer = acme.post("/ocpp/chargers", json=ORDER)
    assert answer.status_code == 500
    assert answer.json["code"] == "internal_error"
    assert "secret-of-the-house" not in answer.text
    assert acme.get("/ocpp/chargers").json["total"] == 0


def test_a_path_may_end_with_a_slash(acme: Caller) -> None:
    assert acme.get("/ocpp/chargers/").status_code == 200


def test_answers_are_not_to_be_cached(acme: Caller) -> None:
    assert acme.get("/ocpp/chargers").headers["Cache-Control"] == "no-store"


def test_the_catalog_lists_brands_by_page(acme: Caller) -> None:
    whole = acme.get("/ocpp/catalog/brands?limit=100").json
    assert {"wallbox", "schneider", "abb"} <= {brand["slug"] for brand in whole["data"]}
    second = acme.get("/ocpp/catalog/brands?limit=3&page=2").json
    assert second["data"] == whole["data"][3:6]
    assert second["total"] == whole["total"] >= 10


def test_the_catalog_shows_a_model(acme: Caller) -> None:
    model = acme.get("/ocpp/catalog/brands/abb/models/terra-184").json
    assert model["connector_count"] == 2
    assert model["current_type"] == "dc"
    assert {"CCS2", "CHAdeMO"} <= set(model["connector_types"])
    assert model["brand_slug"] == "abb"
    assert model["created_at"].endswith("Z")
    listed = acme.get("/ocpp/catalog/brands/abb/models?limit=100").json
    assert model in listed["data"]


def test_health_is_a_flat_map_of_strings(acme: Caller) -> None:
    assert acme.client.get("/health").json == {"status": "ok"}
    assert acme.client.get("/health/live").json == {"status": "ok"}
    ready = acme.client.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json == {"status": "ok", "database": "ok", "broker": "ok"}
