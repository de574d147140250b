"""What every operation promises about its transaction, shown by operations made for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, text
from sqlalchemy.orm import Session, sessionmaker

from app.api import application
from app.api.call import Call
from app.api.operations import Blueprint, Later
from app.models import Installation
from tests.contract.conftest import Caller

View = Callable[[Call], Any]


class Bench:
    """An operation whose view the test gives, and how often it ran."""

    def __init__(self) -> None:
        self.runs = 0
        self.view: View = lambda _: {}
        self.blueprint = Blueprint("Bench", url_prefix="/bench", description="For tests.")
        self.blueprint.operation("POST", "", status=202)(self.work)

    def work(self, call: Call) -> Any:
        """Do what the test says."""
        self.runs += 1
        call.session.add(Installation(singleton=True, install_id="written"))
        call.session.flush()
        return self.view(call)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench()
    monkeypatch.setattr(application, "BLUEPRINTS", (bench.blueprint,))
    return bench


@pytest.fixture
def caller(
    bench: Bench, make_app: Callable[..., Flask], make_caller: Callable[..., Caller]
) -> Caller:
    return make_caller("acme", on=make_app())


@pytest.fixture
def is_written(sessions: sessionmaker[Session]) -> Callable[[], bool]:
    def look() -> bool:
        with sessions() as session:
            return session.get(Installation, True) is not None

    return look


def cut_own_connection(call: Call, sessions: sessionmaker[Session]) -> None:
    """End the backend of this call, as a restart of the database does."""
    pid = call.session.scalar(text("SELECT pg_backend_pid()"))
    with sessions.begin() as other:
        other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})


def test_an_answer_that_cannot_be_rendered_leaves_nothing(
    bench: Bench, caller: Caller, is_written: Callable[[], bool]
) -> None:
    bench.view = lambda _: {"what": object()}
    assert caller.post("/bench").status_code == 500
    assert not is_written()


def test_what_fails_after_the_commit_does_not_fail_the_request(
    bench: Bench, caller: Caller, is_written: Callable[[], bool]
) -> None:
    def explode(_: Session) -> None:
        raise RuntimeError("after the commit")

    def view(call: Call) -> Any:
        event.listen(call.session, "after_commit", explode)
        return {"done": True}

    bench.view = view
    answer = caller.post("/bench")
    assert (answer.status_code, answer.json) == (202, {"done": True})
    assert is_written()


def test_a_connection_lost_before_the_commit_is_tried_again(
    bench: Bench, caller: Caller, sessions: sessionmaker[Session], is_written: Callable[[], bool]
) -> None:
    def view(call: Call) -> Any:
        if bench.runs == 1:
            cut_own_connection(call, sessions)
            call.session.execute(text("SELECT 1"))
        return {"run": bench.runs}

    bench.view = view
    answer = caller.post("/bench", headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json) == (202, {"run": 2})
    assert is_written()


def test_a_connection_lost_in_the_commit_is_not(
    bench: Bench, caller: Caller, sessions: sessionmaker[Session]
) -> None:
    def view(call: Call) -> Any:
        cut_own_connection(call, sessions)
        return {}

    bench.view = view
    answer = caller.post("/bench")
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert bench.runs == 1


def test_a_connection_lost_twice_is_a_503(
    bench: Bench, caller: Caller, sessions: sessionmaker[Session], is_written: Callable[[], bool]
) -> None:
    def view(call: Call) -> Any:
        cut_own_connection(call, sessions)
        call.session.execute(text("SELECT 1"))

    bench.view = view
    assert caller.post("/bench").status_code == 503
    assert bench.runs == 2
    assert not is_written()


def test_an_answer_completed_later_is_sent_and_the_first_one_kept(
    bench: Bench, caller: Caller, is_written: Callable[[], bool]
) -> None:
    def complete() -> Any:
        assert is_written()
        return {"status": "Accepted"}

    bench.view = lambda _: Later({"status": "Pending"}, complete)
    key = {"Idempotency-Key": "k"}
    assert caller.post("/bench", headers=key).json == {"status": "Accepted"}
    assert caller.post("/bench", headers=key).json == {"status": "Pending"}
    assert bench.runs == 1


def test_an_answer_that_cannot_be_completed_is_the_first_one(bench: Bench, caller: Caller) -> None:
    def explode() -> Any:
        raise RuntimeError("no")

    bench.view = lambda _: Later({"status": "Pending"}, explode)
    answer = caller.post("/bench")
    assert (answer.status_code, answer.json) == (202, {"status": "Pending"})
