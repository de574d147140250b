"""Long polls: a status that is held until it settles, and the threads that this may take."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session, sessionmaker

from app.api.call import Desk
from app.db import CHANNEL_NEWS, notify
from app.models import Charger
from app.services.news import News, wait_until
from tests.contract.conftest import Caller


def settle(sessions: sessionmaker[Session], charger_id: str, status: str = "READY") -> None:
    with sessions.begin() as session:
        session.get_one(Charger, charger_id).status = status
        notify(session, CHANNEL_NEWS, charger_id)


class Room:
    """Lets a test see when a waiter has sat down."""

    def __init__(self, news: News) -> None:
        self._news = news

    def wait_for(self, subject: str) -> None:
        reached = threading.Event()
        for _ in range(3000):
            if self._news._bells.get(subject):
                return
            reached.wait(0.01)
        raise AssertionError("nobody waits")


@pytest.fixture(autouse=True)
def only_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks again for safety's sake, so that a lost bell is a lost answer."""
    monkeypatch.setattr("app.services.news.LOOK_S", 600.0)


@pytest.fixture
def room(app: Flask) -> Room:
    desk: Desk = app.extensions["desk"]
    return Room(desk.news)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.mark.parametrize("status", ["READY", "FAILED"])
def test_a_poll_is_answered_when_the_status_settles(
    status: str, acme: Caller, sessions: sessionmaker[Session], room: Room, pool: ThreadPoolExecutor
) -> None:
    charger_id = acme.order()
    poll = pool.submit(lambda: acme.get(f"/ocpp/chargers/{charger_id}/status?wait=30"))
    room.wait_for(charger_id)
    settle(sessions, charger_id, status)
    answer = poll.result(20)
    assert answer.json["status"] == status
    assert "Retry-After" not in answer.headers


def test_a_poll_ends_with_404_when_the_charger_is_deleted(
    acme: Caller, room: Room, pool: ThreadPoolExecutor
) -> None:
    charger_id = acme.order()
    poll = pool.submit(lambda: acme.get(f"/ocpp/chargers/{charger_id}/status?wait=30"))
    room.wait_for(charger_id)
    acme.delete(f"/ocpp/chargers/{charger_id}")
    assert poll.result(20).status_code == 404


def test_a_settled_status_is_not_waited_for(acme: Caller, sessions: sessionmaker[Session]) -> None:
    charger_id = acme.order()
    settle(sessions, charger_id)
    assert acme.get(f"/ocpp/chargers/{charger_id}/status?wait=30").json["status"] == "READY"


def test_a_poll_that_finds_no_seat_is_answered_at_once(
    make_app: Callable[..., Flask],
    make_caller: Callable[..., Caller],
    sessions: sessionmaker[Session],
    pool: ThreadPoolExecutor,
) -> None:
    app = make_app(api_threads=4)
    caller = make_caller("acme", on=app)
    charger_id = caller.order()
    path = f"/ocpp/chargers/{charger_id}/status?wait=30"
    seated = pool.submit(lambda: caller.get(path))
    Room(app.extensions["desk"].news).wait_for(charger_id)
    turned_away = caller.get(path)
    assert turned_away.status_code == 200
    assert turned_away.json["status"] == "PENDING"
    assert turned_away.headers["Retry-After"] == "1"
    settle(sessions, charger_id)
    assert "Retry-After" not in seated.result(20).headers
    settle(sessions, charger_id, "PENDING")
    again = pool.submit(lambda: caller.get(path))
    Room(app.extensions["desk"].news).wait_for(charger_id)
    settle(sessions, charger_id)
    assert again.result(20).json["status"] == "READY"


def test_who_waits_holds_no_connection(
    app: Flask, acme: Caller, sessions: sessionmaker[Session], room: Room, pool: ThreadPoolExecutor
) -> None:
    charger_id = acme.order()
    poll = pool.submit(lambda: acme.get(f"/ocpp/chargers/{charger_id}/status?wait=30"))
    room.wait_for(charger_id)
    desk: Desk = app.extensions["desk"]
    engine = desk.reads.kw["bind"]
    spun = threading.Event()
    for _ in range(3000):
        if engine.pool.checkedout() == 0:
            break
        spun.wait(0.01)
    assert engine.pool.checkedout() == 0
    settle(sessions, charger_id)
    assert poll.result(20).json["status"] == "READY"


def test_a_server_that_stops_sends_home_who_waits(
    app: Flask, acme: Caller, room: Room, pool: ThreadPoolExecutor
) -> None:
    charger_id = acme.order()
    poll = pool.submit(lambda: acme.get(f"/ocpp/chargers/{charger_id}/status?wait=30"))
    room.wait_for(charger_id)
    desk: Desk = app.extensions["desk"]
    desk.news.hush()
    assert poll.result(20).json["status"] == "PENDING"


def test_what_is_said_between_looking_and_waiting_is_heard(
    database_url: str, sessions: Any
) -> None:
    news = News(database_url, seats=1)
    looks: list[int] = []

    def look() -> tuple[int, bool]:
        looks.append(len(looks))
        if len(looks) == 1:
            news._ring("x")  # the news comes while the first look is under way
        return len(looks), len(looks) == 2

    assert wait_until(news, "x", look, seconds=60) == (2, True)
    news.close()


def test_news_of_others_wakes_nobody(database_url: str) -> None:
    news = News(database_url, seats=2)
    with news.follow("mine") as bell:
        assert bell is not None
        bell.clear()
        news._ring("other")
        assert not bell.is_set()
        news._ring("mine")
        assert bell.is_set()
    news.close()
