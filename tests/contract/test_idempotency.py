"""`Idempotency-Key`: one effect and one answer, however often and however closely a request is repeated."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.test import TestResponse

from app.api import create_app
from app.api.application import close_app
from app.jobs import Hint
from app.settings import Settings
from tests.contract.conftest import ORDER, Caller

CHARGERS = "/ocpp/chargers"
KEY = {"Idempotency-Key": "order-1"}


def count(sessions: sessionmaker[Session], table: str) -> int:
    with sessions() as session:
        return session.scalar(text(f"SELECT count(*) FROM {table}")) or 0


def test_a_repetition_gets_the_first_answer(acme: Caller, sessions: sessionmaker[Session]) -> None:
    first = acme.post(CHARGERS, json=ORDER, headers=KEY)
    second = acme.post(CHARGERS, json=ORDER, headers=KEY)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json == second.json
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert count(sessions, "chargers") == count(sessions, "runs") == 1


def test_the_first_answer_stays_the_answer_when_things_move_on(acme: Caller) -> None:
    first = acme.post(CHARGERS, json=ORDER, headers=KEY)
    acme.delete(f"{CHARGERS}/{first.json['charger_id']}")
    assert acme.post(CHARGERS, json=ORDER, headers=KEY).json == first.json


def test_a_key_with_another_body_is_refused(acme: Caller, sessions: sessionmaker[Session]) -> None:
    acme.post(CHARGERS, json=ORDER, headers=KEY)
    answer = acme.post(CHARGERS, json=ORDER | {"identity": "B"}, headers=KEY)
    assert (answer.status_code, answer.json["code"]) == (400, "idempotency_mismatch")
    assert count(sessions, "chargers") == 1


def test_a_key_is_one_organizations_and_one_paths(
    acme: Caller, make_caller: Callable[..., Caller]
) -> None:
    charger_id = acme.post(CHARGERS, json=ORDER, headers=KEY).json["charger_id"]
    other = make_caller("other").post(CHARGERS, json=ORDER, headers=KEY)
    assert other.json["charger_id"] != charger_id
    stopped = acme.post(f"{CHARGERS}/{charger_id}/stop-charger", headers=KEY)
    started = acme.post(f"{CHARGERS}/{charger_id}/start-charger", headers=KEY)
    assert stopped.json["event_type"] == "stop_charger"
    assert started.json["event_type"] == "start_charger"


def test_a_refusal_is_not_kept(acme: Caller, sessions: sessionmaker[Session]) -> None:
    wrong = ORDER | {"connector_type": "CCS2"}
    for _ in range(2):
        answer = acme.post(CHARGERS, json=wrong, headers=KEY)
        assert answer.status_code == 400
        assert "Idempotent-Replayed" not in answer.headers
    assert count(sessions, "idempotency_keys") == 0
    assert acme.post(CHARGERS, json=ORDER, headers=KEY).status_code == 202


def test_a_key_is_over_after_a_day(acme: Caller, sessions: sessionmaker[Session]) -> None:
    first = acme.post(CHARGERS, json=ORDER, headers=KEY)
    with sessions.begin() as session:
        session.execute(
            text("UPDATE idempotency_keys SET created_at = created_at - interval '25 hours'")
        )
    again = acme.post(CHARGERS, json=ORDER | {"identity": "B"}, headers=KEY)
    assert again.status_code == 202
    assert again.json["charger_id"] != first.json["charger_id"]
    repeated = acme.post(CHARGERS, json=ORDER | {"identity": "B"}, headers=KEY)
    assert repeated.headers["Idempotent-Replayed"] == "true"
    assert repeated.json == again.json


class Gateway:
    """A queue that holds the first order inside its transaction until the test opens it."""

    cap = 1000

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.failure: Exception | None = None
        self.passed = 0

    def put(self, session: Session, hint: Hint) -> None:
        self.passed += 1
        if self.passed == 1:
            self.entered.set()
            assert self.opened.wait(30)
            if self.failure is not None:
                raise self.failure


class Race:
    """Two requests at once: the first is inside its transaction, the second waits for it."""

    def __init__(
        self, app: Flask, gateway: Gateway, headers: dict[str, str], engine: Engine
    ) -> None:
        self._app, self._gateway, self._headers, self._engine = app, gateway, headers, engine
        self._pool = ThreadPoolExecutor(2)

    def _post(self, headers: dict[str, str]) -> Future[TestResponse]:
        caller = Caller(self._app.test_client(), self._headers)
        return self._pool.submit(lambda: caller.post(CHARGERS, json=ORDER, headers=headers))

    def run(self, headers: dict[str, str]) -> tuple[Any, Any]:
        first = self._post(headers)
        assert self._gateway.entered.wait(30)
        second = self._post(headers)
        self._wait_until_one_waits()
        assert not second.done()
        self._gateway.opened.set()
        self._pool.shutdown()
        return first.result(), second.result()

    def _wait_until_one_waits(self) -> None:
        query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        until = time.monotonic() + 30
        with self._engine.connect() as connection:
            while connection.scalar(query) == 0:
                assert time.monotonic() < until, "nobody waits"
                connection.rollback()


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def race(settings: Settings, gateway: Gateway, acme: Caller, engine: Engine) -> Any:
    app = create_app(settings, queue=gateway)
    yield Race(app, gateway, acme.headers, engine)
    gateway.opened.set()
    close_app(app)


def test_of_two_at_once_the_second_waits_and_replays(
    race: Race, sessions: sessionmaker[Session]
) -> None:
    first, second = race.run(KEY)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json == second.json
    assert second.headers["Idempotent-Replayed"] == "true"
    assert count(sessions, "chargers") == 1


def test_of_two_at_once_the_second_has_the_effect_when_the_first_fails(
    race: Race, gateway: Gateway, sessions: sessionmaker[Session]
) -> None:
    gateway.failure = RuntimeError("the first fails")
    first, second = race.run(KEY)
    assert (first.status_code, second.status_code) == (500, 202)
    assert "Idempotent-Replayed" not in second.headers
    assert count(sessions, "chargers") == 1


def test_of_two_without_a_key_the_second_learns_which_charger_there_is(
    race: Race, sessions: sessionmaker[Session]
) -> None:
    first, second = race.run({})
    assert (first.status_code, second.status_code) == (202, 400)
    assert second.json["charger_id"] == first.json["charger_id"]
    assert count(sessions, "chargers") == 1
