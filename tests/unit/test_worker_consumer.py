"""What Flower is sent: the worker's task events, a few in one message, and none forgotten at the end.

And how soon a worker is back at a broker that was away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.bootsteps import CLOSE
from kombu import Connection, Queue

from workers.consumer import Consumer
from workers.runs.keeper import Keeper


class Loop:
    """An event loop whose time the test turns."""

    def __init__(self) -> None:
        self.later: list[Callable[[], Any]] = []

    def call_later(self, delay: float, callback: Callable[[], Any]) -> None:
        assert delay > 0
        self.later.append(callback)

    def turns(self) -> None:
        later, self.later = self.later, []
        for callback in later:
            callback()


class Blueprint:
    """The parts that a consumer stops; here none."""

    def stop(self, consumer: Consumer) -> None:
        """Nothing."""


class Flower:
    """Reads events from the exchange as Flower does."""

    def __init__(self, connection: Connection, exchange: Any) -> None:
        channel = connection.channel()
        self._queue = Queue("flower", exchange(channel), routing_key="#")(channel)
        self._queue.declare()

    def reads(self) -> list[list[str]]:
        """Kinds of events, message by message."""
        found = []
        while (message := self._queue.get(no_ack=True)) is not None:
            events = message.payload if isinstance(message.payload, list) else [message.payload]
            found.append([event["type"] for event in events])
        return found


@pytest.fixture
def worker() -> Iterator[tuple[Consumer, Any, Flower]]:
    app = Celery("events", broker="memory://", set_as_current=False)
    consumer = Consumer.__new__(Consumer)
    consumer._next_flush_at = 0.0
    consumer.hub, consumer.blueprint = Loop(), Blueprint()
    with app.connection_for_write() as connection:
        dispatcher = app.events.Dispatcher(
            connection, buffer_group=["task"], on_send_buffered=consumer.on_send_event_buffered
        )
        consumer.event_dispatcher = dispatcher
        yield consumer, dispatcher, Flower(connection, dispatcher.exchange)


def test_the_events_of_a_task_leave_in_one_message(worker: Any) -> None:
    consumer, dispatcher, flower = worker
    kinds = ["task-received", "task-started", "task-succeeded"]
    for kind in kinds:
        dispatcher.send(kind, uuid="1")
    assert flower.reads() == []
    consumer.hub.turns()
    assert flower.reads() == [kinds]


def test_an_event_after_a_flush_is_not_forgotten(worker: Any) -> None:
    consumer, dispatcher, flower = worker
    dispatcher.send("task-received", uuid="1")
    consumer.hub.turns()
    consumer._next_flush_at = 0.0
    dispatcher.send("task-started", uuid="1")
    consumer.hub.turns()
    assert flower.reads() == [["task-received"], ["task-started"]]


def test_a_worker_that_stops_sends_what_it_has_put_aside(worker: Any) -> None:
    consumer, dispatcher, flower = worker
    dispatcher.send("task-succeeded", uuid="1")
    consumer.stop()
    assert flower.reads() == [["task-succeeded"]]


def test_a_worker_tries_a_broker_that_is_away_every_two_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = Celery("away", broker="redis://127.0.0.1:1", set_as_current=False)
    app.conf.broker_connection_max_retries = None
    consumer = Consumer.__new__(Consumer)
    consumer.app = app
    consumer.first_connection_attempt, consumer.broker_connection_retry_attempt = False, 0
    slept: list[float] = []

    class Enough(Exception):
        """A minute is over."""

    def let_time_pass(seconds: float) -> None:
        slept.append(seconds)
        if sum(slept) >= 60:
            raise Enough

    monkeypatch.setattr("kombu.utils.functional.sleep", let_time_pass)
    with app.connection_for_read() as connection, pytest.raises(Enough):
        consumer.ensure_connected(connection)
    assert consumer.broker_connection_retry_attempt >= 30


@pytest.mark.parametrize(("starts", "told"), [(1, 0), (2, 1), (3, 2)])
def test_the_keeper_is_told_each_time_that_a_lost_broker_is_back(
    monkeypatch: pytest.MonkeyPatch, starts: int, told: int
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(Keeper, "hears_of_broker_in_this_process", lambda: heard.append("back"))

    class Step:
        """The first part of a consumer's blueprint: connects, and loses the connection at once."""

        state, steps = None, 0

        def start(self, consumer: Consumer) -> None:
            consumer.connect().close()
            self.steps += 1
            if self.steps < starts:
                raise consumer.connection_errors[0]("lost")
            self.state = CLOSE

        def restart(self, consumer: Consumer) -> None:
            """Nothing."""

    app = Celery("lost", broker="memory://", set_as_current=False)
    controller = SimpleNamespace(use_eventloop=False, semaphore=None)
    consumer = Consumer(lambda _: None, app=app, hub=None, controller=controller)
    consumer.blueprint = Step()
    consumer.start()
    assert len(heard) == told
