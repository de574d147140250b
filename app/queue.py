"""Sends hints to the workers from one background thread; never makes its caller wait.

PostgreSQL rows are the truth, so a hint may be dropped: the keeper sends it again. That is why the queue is
bounded, why nothing here retries for long, and why a broker that is down or frozen costs a request nothing.
`HintQueue.put` sends after the session's commit and forgets the hint when the transaction is rolled back.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, Protocol

from celery import Celery
from sqlalchemy import event
from sqlalchemy.orm import Session

from app import metrics
from app.jobs import QUEUE_STEPS, Hint

log = logging.getLogger(__name__)

_HINTS: Final = "hints"
_CAPACITY: Final = 10_000
_TIMEOUT_S: Final = 1
#: After a failure: a broker that refuses does so at once, and requests want the processor.
_PAUSE_S: Final = 0.1


def make_transport_options(broker_url: str, *, timeout_s: float) -> dict[str, Any]:
    """Options of a connection that gives up after `timeout_s`; the transports name them differently."""
    if broker_url.startswith("amqp"):
        return {
            "connect_timeout": timeout_s,
            "read_timeout": timeout_s,
            "write_timeout": timeout_s,
            "max_retries": 0,
        }
    return {
        "socket_connect_timeout": timeout_s,
        "socket_timeout": timeout_s,
        "retry_on_timeout": False,
        "max_retries": 0,
        "visibility_timeout": 300,
    }


def make_sender(broker_url: str) -> Celery:
    """A Celery application that only sends, and gives up soon."""
    sender = Celery("gateway-sender", broker=broker_url, set_as_current=False)
    sender.conf.update(
        broker_transport_options=make_transport_options(broker_url, timeout_s=_TIMEOUT_S),
        broker_connection_timeout=_TIMEOUT_S,
        broker_connection_retry=False,
        broker_connection_max_retries=0,
        broker_pool_limit=1,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_publish_retry=False,
        task_default_queue=QUEUE_STEPS,
        task_send_sent_event=False,
    )
    return sender


def send_chain(sender: Celery, hint: Hint) -> None:
    """Send the Celery chain of a hint: immutable signatures by name, so that nothing of `workers` is imported.

    What `celery.chain` makes of it is one message that carries its followers, the last one first (Celery's message
    protocol, version 2, `chain`). Made by hand it costs half, and every order pays for it.
    """
    args = (hint.run_id, hint.charger_id, hint.identity)
    first, *rest = hint.task_names()
    followers = [
        {
            "task": name,
            "args": args,
            "kwargs": {},
            "options": {"queue": hint.queue},
            "subtask_type": None,
            "immutable": True,
        }
        for name in reversed(rest)
    ]
    sender.send_task(first, args=args, queue=hint.queue, chain=followers or None)


class Hints(Protocol):
    """Where services leave their hints."""

    #: Runs of one organization that may be hinted at once (`GATEWAY_ORG_INFLIGHT`).
    cap: int

    def put(self, session: Session, hint: Hint) -> None:
        """Send `hint` once `session` has committed."""


class HintQueue:
    """A bounded queue and the thread that empties it. Starts its thread at the first hint (fork-safe)."""

    def __init__(self, broker_url: str, *, cap: int, capacity: int = _CAPACITY) -> None:
        self.cap = cap
        self._sender = make_sender(broker_url)
        self._queue: queue.Queue[Hint] = queue.Queue(capacity)
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        #: `sent`, `dropped` (the queue was full), `lost` (the broker did not take it), since the start.
        self.counts: Counter[str] = Counter()

    def put(self, session: Session, hint: Hint) -> None:
        """Send `hint` once `session` has committed; a rollback forgets it."""
        session.info.setdefault(_HINTS, []).append((self, hint))

    def send(self, hints: Iterable[Hint]) -> None:
        """Send now; for callers whose rows are committed."""
        for hint in hints:
            try:
                self._queue.put_nowait(hint)
            except queue.Full:
                self._count("dropped")
        self._start()

    def _start(self) -> None:
        with self._guard:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hints", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            hint = self._queue.get()
            try:
                send_chain(self._sender, hint)
            except Exception as error:  # noqa: BLE001  # any failure to send is the keeper's to mend
                self._count("lost")
                log.warning(
                    "hint not sent: %s", type(error).__name__, extra={"run_id": hint.run_id}
                )
                time.sleep(_PAUSE_S)
            else:
                self._count("sent")

    def _count(self, outcome: str) -> None:
        self.counts[outcome] += 1
        metrics.HINTS.labels(outcome).inc()


# For every session of the process, once: to listen to each of them takes longer than what there is to do.


@event.listens_for(Session, "after_commit")
def _send(session: Session) -> None:
    for hint_queue, hint in session.info.pop(_HINTS, ()):
        hint_queue.send([hint])


@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    session.info.pop(_HINTS, None)
