"""The rows around app.link for tests: chargers ordered, placed by the real local driver, and facts waited for.

`World` also makes the runtimes that a test plays (`tests.link_runtime`), and closes them at the end.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session, sessionmaker

from app.db import CHANNEL_NEWS, listen
from app.ids import make_charger_id
from app.models import Charger, ChargerEvent, Command, Frame, Host, Run, Runtime
from app.settings import Settings
from app.store import commands, hints, hosts, runtimes
from app.tokens import make_bootstrap_token, make_host_credential
from app.workflows import Kind
from tests.link_runtime import PATIENCE_S, FakeRuntime, RunningLink
from workers.runtimes.base import Key
from workers.runtimes.local import LocalDriver


class World:
    """The rows of one installation, and the runtimes that a test plays."""

    def __init__(self, settings: Settings, sessions: sessionmaker[Session]) -> None:
        self.settings = settings
        self.sessions = sessions
        self.driver = LocalDriver(sessions, away_s=settings.engine.link_away_s)
        self._runtimes: list[FakeRuntime] = []

    def close(self) -> None:
        for runtime in self._runtimes:
            runtime.hangs_up()

    # runtimes

    def host(self, link: RunningLink, host_id: str = "h1", **more: Any) -> FakeRuntime:
        """A host process that has not dialled yet."""
        credential = make_host_credential(self.settings.link_secret, host_id)
        return self._keep(FakeRuntime(link, credential, **more))

    def single(
        self, link: RunningLink, charger_id: str, incarnation: int = 1, **more: Any
    ) -> FakeRuntime:
        """A container's process that has not dialled yet."""
        credential = make_bootstrap_token(self.settings.link_secret, charger_id, incarnation)
        return self._keep(FakeRuntime(link, credential, **more))

    def _keep(self, runtime: FakeRuntime) -> FakeRuntime:
        self._runtimes.append(runtime)
        return runtime

    # orders

    def create(self, identity: str = "CP-1", **columns: Any) -> str:
        """A charger with the intent of its first start and an active run; its id."""
        charger_id = make_charger_id()
        values = {
            "organization_id": "acme",
            "brand_slug": "wallbox",
            "model_slug": "wallbox-pulsar-plus",
            "connector_type": "Type2",
            "ocpp_version": "OCPP1.6",
            "ws_url": "ws://127.0.0.1:9/ocpp",
            "status": "PROVISIONING",
            "desired_state": "running",
            "stage": "queued",
            "incarnation": 0,
            **columns,
        }
        with self.sessions.begin() as session:
            session.add(Charger(id=charger_id, identity=identity, **values))
            session.flush()
            new = hints.NewRun(Kind.PROVISION, "acme", identity, charger_id=charger_id)
            hints.insert(session, new, cap=32)
        self.intend(charger_id)
        return charger_id

    def intend(self, charger_id: str, provider: str = "local") -> int:
        """The intent of the charger's next start; its incarnation."""
        with self.sessions.begin() as session:
            charger = session.get_one(Charger, charger_id)
            charger.incarnation += 1
            session.add(
                Runtime(
                    charger_id=charger_id,
                    incarnation=charger.incarnation,
                    generation=1,
                    organization_id="acme",
                    identity=charger.identity,
                    run_id="wfr_test",
                    provider=provider,
                )
            )
            return charger.incarnation

    def place(self, charger_id: str, incarnation: int = 1) -> dict[str, Any]:
        """Start it with the local driver; the handle."""
        return dict(self.driver.start(self.key(charger_id, incarnation), {}))

    def key(self, charger_id: str, incarnation: int = 1) -> Key:
        return Key("test", charger_id, incarnation)

    def stop(self, charger_id: str, incarnation: int = 1) -> None:
        """What retire_runtimes does."""
        with self.sessions.begin() as session:
            runtimes.request_stop(session, charger_id, incarnation)
        found = self.driver.find(self.key(charger_id, incarnation))
        if isinstance(found, dict):
            self.driver.stop(found, "test")

    def ends(self, charger_id: str, incarnation: int = 1) -> None:
        """What is written when a driver sees that a container or task has ended."""
        end = hosts.make_end("runtime_ended")
        with self.sessions.begin() as session:
            runtimes.mark_gone(session, [runtimes.Gone(charger_id, incarnation, end)], cap=32)

    def set_runtime(self, charger_id: str, incarnation: int = 1, **columns: Any) -> None:
        with self.sessions.begin() as session:
            runtime = session.get_one(Runtime, (charger_id, incarnation))
            for name, value in columns.items():
                setattr(runtime, name, value)

    def command(self, charger_id: str, name: str = "plug_connector", **more: Any) -> str:
        """A command as the API writes it; its id."""
        new = commands.NewCommand("acme", charger_id, "CP-1", name, {}, name, "OCPP1.6")
        with self.sessions.begin() as session:
            commands.insert_many(session, [new], **more)
        return new.id

    # facts

    def charger(self, charger_id: str) -> Charger:
        with self.sessions() as session:
            return session.get_one(Charger, charger_id)

    def runtime(self, charger_id: str, incarnation: int = 1) -> Runtime:
        with self.sessions() as session:
            return session.get_one(Runtime, (charger_id, incarnation))

    def run(self, charger_id: str) -> Run:
        with self.sessions() as session:
            return session.scalars(select(Run).where(Run.charger_id == charger_id)).one()

    def host_row(self, host_id: str = "h1") -> Host | None:
        with self.sessions() as session:
            return session.get(Host, host_id)

    def get_command(self, command_id: str) -> Command:
        with self.sessions() as session:
            return session.get_one(Command, command_id)

    def frames(self, charger_id: str) -> list[Frame]:
        query = select(Frame).where(Frame.charger_id == charger_id).order_by(Frame.number)
        with self.sessions() as session:
            return list(session.scalars(query))

    def events(self, charger_id: str, kind: str | None = None) -> list[ChargerEvent]:
        query = select(ChargerEvent).where(ChargerEvent.charger_id == charger_id)
        query = query.order_by(ChargerEvent.at, ChargerEvent.number)
        with self.sessions() as session:
            return [one for one in session.scalars(query) if kind in (None, one.kind)]

    def execute(self, statement: str, **values: Any) -> None:
        with self.sessions.begin() as session:
            session.execute(text(statement), values)

    @contextlib.contextmanager
    def nobody_writes_frames(self) -> Iterator[None]:
        """The table of frames is locked for as long as this lasts."""
        with self.sessions.begin() as session:
            session.execute(text("LOCK TABLE ocpp_frames IN SHARE MODE"))
            yield

    def until(self, fact: Callable[[], Any]) -> Any:
        """Wait until this is true; its value. Looks at each news, and now and then in any case."""
        end = time.monotonic() + PATIENCE_S
        with listen(self.settings.database_url, CHANNEL_NEWS) as connection:
            while not (value := fact()):
                assert time.monotonic() < end, "it did not come true"
                for _ in connection.notifies(timeout=0.05, stop_after=1):
                    pass
        return value


def with_away(settings: Settings, seconds: float) -> Settings:
    """Settings in which what is silent for so long counts as away."""
    return replace(settings, engine=replace(settings.engine, link_away_s=seconds))


@contextlib.contextmanager
def make_world(settings: Settings, sessions: sessionmaker[Session]) -> Iterator[World]:
    """A world whose sockets are closed at the end."""
    world = World(settings, sessions)
    try:
        yield world
    finally:
        world.close()
