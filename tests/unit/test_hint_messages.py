"""A hint on the wire is what `celery.chain` would have sent: one message that carries its followers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, chain
from kombu import Queue

from app.jobs import QUEUE_STEPS, QUEUE_SWEPT, Hint
from app.queue import send_chain

_HINT = Hint(
    "wfr_1",
    "provision",
    ("register_task_definition", "run_task", "wait_for_health", "mark_ready"),
    "dep-1",
    "CP-1",
)
#: New in each message.
_NAMES = ("id", "root_id", "task_id", "reply_to")


class Broker:
    """A broker in memory, and who looks into its queues."""

    def __init__(self) -> None:
        self.sender = Celery("hints", broker="memory://", set_as_current=False)
        self.sender.conf.task_ignore_result = True
        self._connection = self.sender.connection_for_write()
        for name in (QUEUE_STEPS, QUEUE_SWEPT):
            Queue(name)(self._connection.default_channel).declare()

    def close(self) -> None:
        self._connection.close()

    def takes(self, queue: str = QUEUE_STEPS) -> dict[str, Any]:
        """The only message there: its headers and body, without names that are new each time."""
        read = Queue(queue)(self._connection.default_channel)
        message = read.get(no_ack=True)
        assert message is not None
        assert read.get(no_ack=True) is None
        args, kwargs, embedded = json.loads(message.body)
        followers = [self._clean(one) for one in embedded["chain"] or ()]
        headers = {key: message.headers[key] for key in ("task", "retries", "eta", "argsrepr")}
        return {**headers, "args": args, "kwargs": kwargs, "followers": followers}

    def _clean(self, follower: dict[str, Any]) -> dict[str, Any]:
        options = {k: v for k, v in follower["options"].items() if k not in _NAMES}
        return {**follower, "options": options}


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = Broker()
    yield broker
    broker.close()


def test_a_hint_is_the_message_that_celery_makes_of_a_chain(broker: Broker) -> None:
    args = (_HINT.run_id, _HINT.charger_id, _HINT.identity)
    chain(
        *(
            broker.sender.signature(name, args=args, immutable=True, queue=QUEUE_STEPS)
            for name in _HINT.task_names()
        )
    ).apply_async()
    of_celery = broker.takes()
    send_chain(broker.sender, _HINT)
    assert broker.takes() == of_celery


def test_a_hint_of_the_last_step_has_no_followers(broker: Broker) -> None:
    send_chain(broker.sender, Hint("wfr_1", "provision", ("mark_ready",), "dep-1", "CP-1"))
    message = broker.takes()
    assert (message["task"], message["followers"]) == ("provision.mark_ready", [])


def test_what_was_lost_goes_to_the_queue_that_is_read_first(broker: Broker) -> None:
    swept = Hint("wfr_1", "stop", ("retire_runtimes", "mark_stopped"), "dep-1", "CP-1", swept=True)
    send_chain(broker.sender, swept)
    message = broker.takes(QUEUE_SWEPT)
    assert [one["options"] for one in message["followers"]] == [{"queue": QUEUE_SWEPT}]
