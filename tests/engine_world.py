"""The durable engine on a real PostgreSQL, with time and messages in the test's hands.

`World` places orders as the API does and works the hints as workers do, in this thread and in order, so that a
test can stop between any two statements. `ScriptedDriver` stands for a backend: it keeps its own truth and does
what the test tells it to. Nothing else is faked: claims, leases, wake-ups and the keeper are the real ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from celery.exceptions import Retry
from sqlalchemy import Engine as SqlEngine
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.db import make_sessions
from app.ids import make_charger_id
from app.jobs import Hint
from app.models import Charger, Run, Runtime
from app.services import orders
from app.settings import Settings
from app.store import hints, links, runtimes
from workers.runs.context import Context
from workers.runs.engine import Engine
from workers.runs.keeper import Keeper
from workers.runtimes.base import (
    End,
    EndClass,
    Find,
    Handle,
    Key,
    Observation,
    Phase,
    RuntimeUnavailable,
    Spec,
    Stray,
)


class CollectedHints:
    """A queue that keeps hints for the test to work; like the real one, it hears of commits only."""

    def __init__(self, cap: int = 32) -> None:
        self.cap = cap
        self.waiting: list[Hint] = []
        self.sent = 0
        self._pending: list[Hint] = []

    def put(self, session: Session, hint: Hint) -> None:
        """Keep the hint once the session has committed."""
        self._pending.append(hint)

    def commit(self) -> None:
        """The session has committed."""
        pending, self._pending = self._pending, []
        self.send(pending)

    def send(self, hints: Sequence[Hint]) -> None:
        """Keep hints of rows that are committed."""
        self.waiting.extend(hints)
        self.sent += len(hints)

    def flush(self) -> None:
        """The broker loses everything."""
        self.waiting.clear()


class ScriptedDriver:
    """A backend whose runtimes come up, end and get lost as the test says."""

    provider = "local"
    runtime_kind = "host_process"

    def __init__(self) -> None:
        #: Key name → whether it runs.
        self.running: dict[str, bool] = {}
        self.starts: list[str] = []
        self.stops: list[str] = []
        self.fails: list[Exception] = []
        self.observed = 0
        self._loses_reply = 0
        self._hidden: set[str] = set()
        self.before_start: Any = None
        self.ill: set[str] = set()

    def raises(self, *troubles: Exception) -> None:
        """The next starts raise these, one each."""
        self.fails.extend(troubles)

    def loses_its_reply(self, times: int = 1) -> None:
        """The next starts take effect and are never answered."""
        self._loses_reply = times

    def hides(self, key_name: str) -> None:
        """`find` cannot see this one yet."""
        self._hidden.add(key_name)

    def shows_all(self) -> None:
        """`find` sees everything again."""
        self._hidden.clear()

    def ends(self, key_name: str) -> None:
        """It ends by itself."""
        self.running[key_name] = False

    def falls_ill(self, key_name: str) -> None:
        """Its health check fails from now on."""
        self.ill.add(key_name)

    def ensure_template(self, spec: Spec) -> Mapping[str, Any]:
        assert spec.bootstrap_token == ""
        return {"hash": "template-1"}

    def render(self, key: Key, spec: Spec, template: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"key": key.name, "template": template["hash"], "token": spec.bootstrap_token}

    def start(self, key: Key, request: Mapping[str, Any]) -> Handle:
        if self.before_start is not None:
            self.before_start(key)
        if self.fails:
            raise self.fails.pop(0)
        assert request["key"] == key.name
        if key.name not in self.running:
            self.starts.append(key.name)
            self.running[key.name] = True
        if self._loses_reply:
            self._loses_reply -= 1
            raise RuntimeUnavailable("The backend did not answer.")
        return {"v": 1, "key": key.name}

    def find(self, key: Key) -> Handle | Find:
        if key.name in self._hidden:
            return Find.UNKNOWN
        return {"v": 1, "key": key.name} if key.name in self.running else Find.NOTHING

    def observe(self, handles: Sequence[Handle]) -> Sequence[Observation]:
        self.observed += 1
        return [self._look(handle) for handle in handles]

    def _look(self, handle: Handle) -> Observation:
        if self.running.get(handle["key"]):
            return Observation(handle, Phase.RUNNING, healthy=handle["key"] not in self.ill)
        asked = handle["key"] in self.stops
        kind = EndClass.EXPECTED if asked else EndClass.TRANSIENT
        return Observation(handle, Phase.GONE, end=End(kind, "it_ended", "It ended."))

    def stop(self, handle: Handle, reason: str) -> None:
        self.stops.append(handle["key"])
        if handle["key"] in self.running:
            self.running[handle["key"]] = False

    def list_strays(self, install_id: str) -> Sequence[Stray]:
        found = []
        for name in (name for name, runs in self.running.items() if runs):
            charger_hex, incarnation, _ = name.split("-")
            handle = {"v": 1, "key": name}
            found.append(Stray(handle, f"dep-{charger_hex}", int(incarnation[1:])))
        return found

    @property
    def alive(self) -> list[str]:
        """Names of the runtimes that run."""
        return [name for name, runs in self.running.items() if runs]


class OneDriver:
    """Every provider is served by the same driver."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self.default_provider: str = driver.provider

    def get(self, provider: str) -> Any:
        return self._driver

    def list_configured(self) -> Sequence[str]:
        return [self.default_provider]


class RecordedTask:
    """What Celery hands to a step: a request with a chain, and `retry`."""

    def __init__(self) -> None:
        self.request = SimpleNamespace(chain=["the rest"])
        self.retried_in: float | None = None

    def retry(self, *, exc: Exception, countdown: float) -> Exception:
        self.retried_in = countdown
        return Retry(exc=exc, when=countdown)


@dataclass
class World:
    """One installation in one test."""

    sql: SqlEngine
    settings: Settings
    driver: ScriptedDriver = field(default_factory=ScriptedDriver)

    def __post_init__(self) -> None:
        self.sessions = make_sessions(self.sql)
        self.queue = CollectedHints(cap=self.settings.engine.org_inflight)
        self.context = Context(self.settings, self.sessions, self.queue, OneDriver(self.driver))  # type: ignore[arg-type]
        self.engine = Engine(self.context)
        self.keeper = Keeper(self.context)
        with self.sessions.begin() as session:
            links.touch(session, "lnk_test")

    # orders

    def create(self, identity: str = "CP-1", organization: str = "acme") -> str:
        """A charger, ordered as POST does. Its id."""
        charger = Charger(
            id=make_charger_id(),
            organization_id=organization,
            identity=identity,
            brand_slug="wallbox",
            model_slug="wallbox-pulsar-plus",
            connector_type="Type2",
            ocpp_version="OCPP1.6",
            ws_url="ws://127.0.0.1:9/ocpp",
            generation=1,
        )
        with self.sessions.begin() as session:
            orders.provision(session, self.queue, charger)
        self.queue.commit()
        return charger.id

    def order(self, what: str, charger_id: str) -> orders.Placed:
        """start, stop, reset, replace or delete."""
        with self.sessions.begin() as session:
            charger = session.get(Charger, charger_id, with_for_update=True)
            assert charger is not None
            placed: orders.Placed = getattr(orders, what)(session, self.queue, charger)
        self.queue.commit()
        return placed

    # what the outside tells

    def calls_home(self, charger_id: str) -> None:
        """The newest runtime is admitted by the link."""
        self._tell(charger_id, "called_home_at = clock_timestamp(), stage = 'connecting'")

    def goes_online(self, charger_id: str) -> None:
        """Its CSMS accepted it."""
        moment = "coalesce(called_home_at, clock_timestamp())"
        self._tell(
            charger_id,
            f"called_home_at = {moment}, online_at = clock_timestamp(), stage = 'online'",
        )

    def is_refused(self, charger_id: str, *, times: int, message: str = "HTTP 404") -> None:
        """Its CSMS refused it definitely."""
        self._tell(
            charger_id,
            f"called_home_at = clock_timestamp(), refusals = {times}, refused_since = clock_timestamp(),"
            f' detail = \'{{"message": "{message}"}}\'',
        )

    def _tell(self, charger_id: str, change: str) -> None:
        with self.sessions.begin() as session:
            session.execute(
                text(
                    f"""UPDATE runtimes SET {change} WHERE charger_id = :id AND state <> 'gone'
                        AND incarnation = (SELECT incarnation FROM chargers WHERE id = :id)"""
                ),
                {"id": charger_id},
            )
            woken = hints.wake(session, charger_id, cap=self.queue.cap)
        self.queue.send(woken)

    def is_seen_ended(
        self, charger_id: str, kind: str = "transient", code: str = "crashed"
    ) -> None:
        """Somebody saw the newest runtime end."""
        newest = self.runtimes(charger_id)[-1]
        end = {"kind": kind, "code": code, "message": "It ended.", "retryable": True}
        with self.sessions.begin() as session:
            woken = runtimes.mark_gone(
                session,
                [runtimes.Gone(charger_id, newest.incarnation, end)],
                cap=self.queue.cap,
            )
        self.queue.send(woken)

    # work

    def perform(self, hint: Hint, step: str | None = None) -> tuple[str, RecordedTask]:
        """One task: the first step of the hint. Celery's word for how it ended."""
        task = RecordedTask()
        name = step or hint.steps[0]
        try:
            word = self.engine.perform(task, hint.run_id, name)  # type: ignore[arg-type]
        except Retry:
            word = "retry"
        return word, task

    def work(self, rounds: int = 200) -> list[str]:
        """Work every hint that waits, chains and all. The words, in order."""
        words: list[str] = []
        for _ in range(rounds):
            if not self.queue.waiting:
                return words
            words += self.work_one(self.queue.waiting.pop(0))
        raise AssertionError("hints without end")

    def work_one(self, hint: Hint) -> list[str]:
        """A whole chain, until somebody ends it."""
        words = []
        for step in hint.steps:
            word, task = self.perform(hint, step)
            words.append(f"{step}:{word}")
            if word != "done" or task.request.chain is None:
                break
        return words

    def passes(self) -> None:
        """One pass of the keeper."""
        self.keeper.run_pass()
        self.queue.commit()

    def looks(self) -> None:
        """One round of the keeper's watch."""
        self.keeper.run_watch()

    def brings_up(self, identity: str = "CP-1", organization: str = "acme") -> str:
        """A charger that is READY."""
        charger_id = self.create(identity, organization)
        self.work()
        self.goes_online(charger_id)
        self.work()
        assert self.charger(charger_id).status == "READY"
        return charger_id

    def lets_time_pass(self, seconds: float) -> None:
        """Every due time, nudge and lease moves into the past by so much."""
        with self.sessions.begin() as session:
            session.execute(
                text(
                    """UPDATE runs SET due_at = due_at - :s, nudge_at = nudge_at - :s,
                              lease_until = lease_until - :s"""
                ).bindparams(s=timedelta(seconds=seconds))
            )
            session.execute(
                text(
                    "UPDATE chargers SET recover_at = recover_at - :s WHERE recover_at IS NOT NULL"
                ).bindparams(s=timedelta(seconds=seconds))
            )
            session.execute(text("UPDATE runtimes SET observed_at = NULL"))

    # looks

    def charger(self, charger_id: str) -> Charger:
        with self.sessions() as session:
            charger = session.get(Charger, charger_id)
            assert charger is not None
            return charger

    def run(self, run_id: str) -> Run:
        with self.sessions() as session:
            run = session.get(Run, run_id)
            assert run is not None
            return run

    def runs(self, charger_id: str) -> list[Run]:
        with self.sessions() as session:
            return list(
                session.query(Run).filter_by(charger_id=charger_id).order_by(Run.created_at)
            )

    def runtimes(self, charger_id: str) -> list[Runtime]:
        with self.sessions() as session:
            return list(
                session.query(Runtime)
                .filter_by(charger_id=charger_id)
                .order_by(Runtime.incarnation)
            )
