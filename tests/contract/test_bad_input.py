"""Bad input is refused: each request of the table with its status and place; none leaves a row."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from app.api import create_app
from app.api.application import close_app
from app.settings import Settings
from app.tokens import issue_token
from tests.conftest import JWT_SECRET, LINK_SECRET
from tests.contract.bad_requests import CASES, CHARGERS, Bad
from tests.contract.conftest import ORDER, Caller, KeptHints


@pytest.fixture(scope="module")
def caller(shared_database_url: str) -> Iterator[Caller]:
    """A client of an application that keeps nothing, because every request is refused."""
    settings = Settings(
        database_url=shared_database_url,
        broker_url="redis+socket:///nowhere",
        jwt_secrets={"k1": JWT_SECRET},
        link_secret=LINK_SECRET,
        install_id="test",
    )
    app = create_app(settings, queue=KeptHints())
    token = issue_token(settings.jwt_secrets, subject="t", organization_id="acme", ttl_s=900)
    yield Caller(app.test_client(), {"Authorization": f"Bearer {token}"})
    close_app(app)


@pytest.mark.parametrize(
    "bad", CASES, ids=lambda bad: bad.name[:60].encode("unicode_escape").decode()
)
def test_bad_input_is_refused_and_leaves_nothing(
    bad: Bad, caller: Caller, shared_engine: Engine
) -> None:
    body = {"json": bad.body} if isinstance(bad.body, dict) else {"data": bad.body}
    headers = dict(bad.headers)
    if isinstance(bad.body, bytes) and "Content-Type" not in headers:
        headers["Content-Type"] = "application/json"
    answer = caller.send(bad.method, bad.path, headers=headers, **body)
    assert answer.status_code == bad.status, answer.text
    assert answer.is_json
    if bad.status == 422:
        mistakes = answer.json["detail"]
        assert bad.loc in [mistake["loc"] for mistake in mistakes]
        assert all(mistake["msg"] and mistake["type"] for mistake in mistakes)
    else:
        assert isinstance(answer.json["detail"], str)
        assert answer.json["code"] == bad.code
        assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    with shared_engine.connect() as connection:
        for table in ("chargers", "runs", "idempotency_keys"):
            assert connection.scalar(text(f"SELECT count(*) FROM {table}")) == 0


def test_every_mistake_is_told_at_once(caller: Caller) -> None:
    answer = caller.post(CHARGERS, json={"identity": "a b", "colour": "red"})
    places = {tuple(mistake["loc"]): mistake["type"] for mistake in answer.json["detail"]}
    assert places[("body", "colour")] == "extra_forbidden"
    assert places[("body", "ws_url")] == "missing"
    assert places[("body", "identity")] == "value_error"


def test_a_refusal_repeats_no_secret(caller: Caller) -> None:
    for fields in (
        {"ws_url": "ws://user:hunter2@csms.example.com/"},
        {"ws_url": "http://csms.example.com/?key=hunter2"},
        {"authorization_key": "hunter2\n"},
    ):
        answer = caller.post(CHARGERS, json=ORDER | fields)
        assert answer.status_code in (400, 422)
        assert "hunter2" not in answer.text


def test_the_text_of_a_refusal_says_what_would_be_accepted(caller: Caller) -> None:
    answer = caller.post(CHARGERS, json=ORDER | {"connector_type": "CCS2"})
    assert "Type2" in answer.json["detail"]


def test_an_error_about_a_field_names_it(caller: Caller) -> None:
    answer = caller.post(CHARGERS, json=ORDER | {"ws_url": "http://x"})
    assert answer.json["param"] == "ws_url"


def test_unknown_fields_may_be_ignored(settings: Settings, hints: KeptHints, acme: Caller) -> None:
    lenient = create_app(dataclasses.replace(settings, unknown_fields="ignore"), queue=hints)
    caller = Caller(lenient.test_client(), acme.headers)
    assert caller.post(CHARGERS, json=ORDER | {"colour": "red"}).status_code == 202
    assert caller.post(CHARGERS, json=ORDER | {"identity": 5}).status_code == 422
    close_app(lenient)
