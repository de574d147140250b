"""The OpenAPI document is valid, complete, and true: answers and examples match what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from flask import Flask
from sqlalchemy.orm import Session, sessionmaker

from tests.contract.conftest import ORDER, Caller
from tests.contract.test_auth import PUBLIC

METHODS = {"get", "post", "put", "delete", "patch"}


@pytest.fixture
def document(app: Flask) -> dict[str, Any]:
    found: dict[str, Any] = app.test_client().get("/openapi.json").json
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS & item.keys():
            yield path, method, item[method]


def walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def check(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    """Raise unless the value is as the schema says; no field of ours may be undocumented."""
    whole = {**schema, "components": document["components"]}
    validator = jsonschema_rs.validator_for(whole, validate_formats=True)
    mistakes = [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(value)]
    assert not mistakes
    if "$ref" in schema and isinstance(value, dict):
        name = schema["$ref"].rsplit("/", 1)[1]
        documented = document["components"]["schemas"][name]["properties"]
        assert value.keys() <= documented.keys()


def get_answer_schema(document: dict[str, Any], path: str, method: str, status: int) -> Any:
    answer = document["paths"][path][method]["responses"][str(status)]
    return answer["content"]["application/json"]["schema"]


def test_every_route_is_documented(app: Flask, document: dict[str, Any]) -> None:
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule not in PUBLIC or rule.rule.startswith("/health")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert served == {(path, method) for path, method, _ in operations(document)}


def test_every_operation_says_who_may_call_it_what_it_is_and_how_it_ends(
    document: dict[str, Any],
) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["security"] == [{"bearer": []}]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["tags"], where
        assert any(status.startswith("2") for status in operation["responses"]), where
        if not path.startswith("/health"):
            assert {"401", "403", "500", "503"} <= operation["responses"].keys(), where
        if "requestBody" in operation:
            assert {"413", "415", "422"} <= operation["responses"].keys(), where
        if re.search(r"\{\w+\}", path):
            assert "404" in operation["responses"], where
        named = {item["name"] for item in operation.get("parameters", []) if item["in"] == "path"}
        named |= {item["name"] for item in document["paths"][path].get("parameters", [])}
        assert named >= set(re.findall(r"\{(\w+)\}", path)), where


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for item in walk(document):
        reference = item.get("$ref")
        if reference is not None:
            target: Any = document
            for part in reference.removeprefix("#/").split("/"):
                target = target[part]


def test_every_schema_is_one(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name


def test_every_example_matches_its_schema(document: dict[str, Any]) -> None:
    seen = 0
    for _, _, operation in operations(document):
        for answer in operation["responses"].values():
            for content in answer.get("content", {}).values():
                if "example" in content:
                    check(document, content["schema"], content["example"])
                    seen += 1
    assert seen >= 6


def test_an_order_made_of_the_examples_is_accepted(document: dict[str, Any], acme: Caller) -> None:
    schema = document["components"]["schemas"]["ChargerCreate"]
    order = {name: schema["properties"][name]["example"] for name in schema["required"]}
    assert acme.post("/ocpp/chargers", json=order).status_code == 202


def test_answers_are_as_documented(
    document: dict[str, Any], acme: Caller, sessions: sessionmaker[Session]
) -> None:
    one = "/ocpp/chargers/{charger_id}"
    accepted = acme.post("/ocpp/chargers", json=ORDER)
    path = f"/ocpp/chargers/{accepted.json['charger_id']}"
    calls = [
        ("/ocpp/chargers", "post", accepted),
        ("/ocpp/chargers", "get", acme.get("/ocpp/chargers")),
        (one, "get", acme.get(path)),
        (f"{one}/status", "get", acme.get(f"{path}/status")),
        (one, "put", acme.put(path, json={"name": "x"})),
        (f"{one}/stop-charger", "post", acme.post(f"{path}/stop-charger")),
        (f"{one}/start-charger", "post", acme.post(f"{path}/start-charger")),
        (f"{one}/reset-charger", "post", acme.post(f"{path}/reset-charger")),
        (f"{one}/logs", "get", acme.get(f"{path}/logs")),
        (f"{one}/events", "get", acme.get(f"{path}/events")),
        ("/ocpp/catalog/brands", "get", acme.get("/ocpp/catalog/brands")),
        (
            "/ocpp/catalog/brands/{brand_slug}/models",
            "get",
            acme.get("/ocpp/catalog/brands/abb/models"),
        ),
        (
            "/ocpp/catalog/brands/{brand_slug}/models/{model_slug}",
            "get",
            acme.get("/ocpp/catalog/brands/abb/models/terra-184"),
        ),
        ("/ocpp/chargers", "post", acme.post("/ocpp/chargers", json={})),
        ("/ocpp/chargers", "post", acme.post("/ocpp/chargers", json=ORDER | {"brand_slug": "x"})),
        (one, "get", acme.get("/ocpp/chargers/x")),
        ("/health/ready", "get", acme.get("/health/ready")),
    ]
    for template, method, answer in calls:
        schema = get_answer_schema(document, template, method, answer.status_code)
        check(document, schema, answer.json)


def test_the_guide_names_operations_that_there_are(document: dict[str, Any]) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    named = set(re.findall(r"`(GET|POST|PUT|DELETE) (/ocpp/[^?`]+)", guide))
    assert len(named) > 6
    for method, path in named:
        assert method.lower() in document["paths"][path], path
