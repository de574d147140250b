"""Who is let in: every route against every kind of token."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.settings import Settings
from app.tokens import Role
from tests.contract.conftest import ORDER, Caller

PUBLIC = {
    "/",
    "/health",
    "/health/live",
    "/health/ready",
    "/docs",
    "/docs/assets/<name>",
    "/docs/images/<name>",
    "/docs/<path:name>",
    "/openapi.json",
    "/llms.txt",
    "/llms-full.txt",
    "/metrics",
}


def _sign(secret: str, *, kid: str = "k1", algorithm: str = "HS256", **claims: Any) -> str:
    full = {"sub": "x", "organization_id": "acme", "role": "user", "exp": time.time() + 600}
    return jwt.encode(full | claims, secret, algorithm=algorithm, headers={"kid": kid})


def _make_unsigned() -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {"sub": "x", "organization_id": "acme", "exp": time.time() + 600}
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."


def test_every_route_but_the_public_pages_asks_for_a_token(app: Flask) -> None:
    client = app.test_client()
    asked = 0
    for rule in app.url_map.iter_rules():
        if rule.rule in PUBLIC:
            continue
        path = rule.rule
        for name in rule.arguments:
            path = path.replace(f"<{name}>", "x")
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}:
            answer = client.open(path, method=method)
            assert answer.status_code == 401, f"{method} {rule.rule}"
            assert isinstance(answer.json["detail"], str)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            asked += 1
    assert asked > 12


BAD_TOKENS: dict[str, Callable[[str], str]] = {
    "expired": lambda secret: _sign(secret, exp=time.time() - 60),
    "without an end": lambda secret: jwt.encode(
        {"sub": "x", "organization_id": "acme"}, secret, headers={"kid": "k1"}
    ),
    "of a wrong key": lambda _: _sign("another-secret-that-is-long-enough-to-pass"),
    "of an unknown key id and wrong key": lambda _: _sign("z" * 40, kid="k9"),
    "unsigned": lambda _: _make_unsigned(),
    "with another algorithm": lambda secret: _sign(secret + "x" * 40, algorithm="HS512"),
    "not a token": lambda _: "hello",
    "three dots": lambda _: "a.b.c",
    "not ascii": lambda _: "tökén",
    "of 10,000 characters": lambda _: "x" * 10_000,
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_a_bad_token_is_401(kind: str, app: Flask, settings: Settings) -> None:
    token = BAD_TOKENS[kind](settings.jwt_secrets["k1"])
    answer = _get(app.test_client(), f"Bearer {token}")
    assert answer.status_code == 401
    assert isinstance(answer.json["detail"], str)
    assert token not in answer.text


def test_a_tampered_token_is_401(app: Flask, settings: Settings) -> None:
    head, _, signature = _sign(settings.jwt_secrets["k1"]).split(".")
    claims = {"sub": "x", "organization_id": "other", "role": "admin", "exp": time.time() + 600}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    assert _get(app.test_client(), f"Bearer {head}.{body}.{signature}").status_code == 401


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "token"])
def test_a_header_without_a_bearer_token_is_401(header: str, app: Flask) -> None:
    assert _get(app.test_client(), header).status_code == 401


def _get(client: FlaskClient, authorization: str) -> Any:
    environ = {"HTTP_AUTHORIZATION": authorization.encode().decode("latin-1")}
    return client.get("/ocpp/chargers", environ_overrides=environ)


@pytest.mark.parametrize(
    "claims",
    [
        {"organization_id": None},
        {"organization_id": ""},
        {"organization_id": 7},
        {"organization_id": "a b"},
        {"organization_id": "x" * 65},
        {"role": "root"},
    ],
)
def test_a_token_that_names_no_organization_or_role_is_403(
    claims: dict[str, Any], app: Flask, settings: Settings
) -> None:
    token = _sign(settings.jwt_secrets["k1"], **claims)
    answer = _get(app.test_client(), f"Bearer {token}")
    assert answer.status_code == 403
    assert isinstance(answer.json["detail"], str)


def test_a_token_of_any_configured_key_is_good(make_app: Callable[..., Flask]) -> None:
    old, new = "o" * 40, "n" * 40
    client = make_app(jwt_secrets={"new": new, "old": old}).test_client()
    assert _get(client, f"Bearer {_sign(old, kid='old')}").status_code == 200
    assert _get(client, f"Bearer {_sign(new, kid='new')}").status_code == 200


def test_a_user_may_name_the_own_organization_and_no_other(acme: Caller) -> None:
    assert acme.get("/ocpp/chargers", headers={"X-Organization-Id": "acme"}).status_code == 200
    for path in ("/ocpp/chargers", "/ocpp/catalog/brands"):
        assert acme.get(path, headers={"X-Organization-Id": "other"}).status_code == 403


def test_an_admin_names_the_organization(make_caller: Callable[..., Caller], acme: Caller) -> None:
    charger_id = acme.order()
    admin = make_caller("operators", role=Role.ADMIN)
    assert admin.get("/ocpp/chargers").status_code == 403
    assert admin.get("/ocpp/chargers", headers={"X-Organization-Id": "a b"}).status_code == 403
    seen = admin.get("/ocpp/chargers", headers={"X-Organization-Id": "acme"})
    assert [charger["id"] for charger in seen.json["data"]] == [charger_id]
    assert admin.get("/ocpp/catalog/brands").status_code == 200


def test_nothing_of_a_foreign_organization_is_found(
    make_caller: Callable[..., Caller], acme: Caller
) -> None:
    charger_id = acme.order()
    other = make_caller("other")
    path = f"/ocpp/chargers/{charger_id}"
    assert other.get("/ocpp/chargers").json["total"] == 0
    for method, suffix in [
        ("GET", ""),
        ("GET", "/status"),
        ("GET", "/logs"),
        ("GET", "/events"),
        ("PUT", ""),
        ("DELETE", ""),
        ("POST", "/start-charger"),
        ("POST", "/stop-charger"),
        ("POST", "/reset-charger"),
    ]:
        answer = other.send(method, path + suffix, json={} if method in ("PUT", "POST") else None)
        assert answer.status_code == 404, f"{method} {suffix}"
    assert acme.get(path).status_code == 200


def test_the_same_identity_is_free_in_another_organization(
    make_caller: Callable[..., Caller], acme: Caller
) -> None:
    acme.order()
    assert make_caller("other").post("/ocpp/chargers", json=ORDER).status_code == 202
