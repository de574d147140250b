"""An installation whose chargers live in a host process: real rows, the real link, and a host that obeys.

`ObedientHost` runs what it is told to run and ends what it is told to end, as the simulator's host does, without
any charger inside.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker
from websockets.exceptions import ConnectionClosed

from app.db import make_engine, make_sessions
from app.models import Charger, Runtime
from app.settings import Settings
from tests.link_runtime import FakeRuntime, RunningLink
from tests.link_world import World, make_world
from workers.runtimes.base import End, Handle, Key, Observation, Phase, Spec
from workers.runtimes.local import LocalDriver

_installs = itertools.count(1)


class ObedientHost:
    """A host process in a thread."""

    def __init__(self, runtime: FakeRuntime) -> None:
        self.running: dict[str, int] = {}
        self._runtime = runtime.connects()
        self._thread = threading.Thread(target=self._listen, name="obedient-host")
        self._thread.start()

    def _listen(self) -> None:
        assert self._runtime.socket is not None
        with contextlib.suppress(ConnectionClosed):
            for raw in self._runtime.socket:
                self._obey(orjson.loads(raw))

    def _obey(self, message: Mapping[str, Any]) -> None:
        if message["t"] == "add":
            self.running[message["charger"]] = message["incarnation"]
        elif message["t"] == "drop":
            if self.running.get(message["charger"]) == message["incarnation"]:
                del self.running[message["charger"]]
            self._runtime.drops(message["charger"], message["incarnation"])

    def loses(self, charger_id: str) -> None:
        """A charger ends by itself."""
        self._runtime.drops(charger_id, self.running.pop(charger_id))

    def ends(self) -> None:
        self._runtime.hangs_up()
        self._thread.join()


class LocalWorld:
    """One installation: its database, its link, its host."""

    def __init__(
        self, request: pytest.FixtureRequest, rows: World, host: ObedientHost, install_id: str
    ) -> None:
        self.driver = rows.driver
        self.install_id = install_id
        self._request = request
        self._rows = rows
        self._host = host

    def another_driver(self) -> LocalDriver:
        """Of the same installation, in another worker as it were."""
        return LocalDriver(self._rows.sessions, away_s=self._rows.settings.engine.link_away_s)

    def driver_of_a_dead_backend(self) -> LocalDriver:
        """One whose database is not there."""
        engine = make_engine("postgresql+psycopg://postgres@/gone?host=/nowhere")
        self._request.addfinalizer(engine.dispose)
        return LocalDriver(make_sessions(engine), away_s=1)

    @contextlib.contextmanager
    def neighbour(self) -> Iterator[LocalWorld]:
        """Another installation on the same machine has a database, a link and a host of its own."""
        postgres = self._request.getfixturevalue("postgres")
        with self._rows.sessions() as session:
            name = session.scalar(text("SELECT current_database()"))
        url = postgres.create(f"{name}_neighbour", template="gateway_template")
        engine = make_engine(url)
        try:
            with _open(self._request, engine, url) as world:
                yield world
        finally:
            engine.dispose()
            postgres.drop(f"{name}_neighbour")

    def key(self, number: int = 1, incarnation: int = 1) -> Key:
        """The key of a charger's start."""
        return Key(self.install_id, f"dep-{number:032x}", incarnation)

    def request(self, key: Key) -> Mapping[str, Any]:
        """Commit the intent of a start."""
        spec = Spec("acme", "CP", "OCPP1.6", None, "ws://127.0.0.1:1/link", "")
        request = self.driver.render(key, spec, self.driver.ensure_template(spec))
        with self._rows.sessions.begin() as session:
            charger = session.get(Charger, key.charger_id)
            if charger is None:
                charger = _make_charger(key.charger_id)
                session.add(charger)
            charger.incarnation = max(charger.incarnation, key.incarnation)
            if session.get(Runtime, (key.charger_id, key.incarnation)) is None:
                session.add(_make_runtime(charger, key, request))
        return request

    def unknown_handle(self) -> Handle:
        """A handle of a runtime that is gone and forgotten."""
        return {"v": 1, "host_id": "h1", "charger_id": "dep-forgotten", "incarnation": 1}

    def look(self, handle: Handle) -> Observation:
        """One observation."""
        return self.driver.observe([handle])[0]

    def runs(self, handle: Handle) -> None:
        """Wait until its host was told of it."""
        self._rows.until(lambda: self.look(handle).phase is Phase.RUNNING)
        self._rows.until(lambda: handle["charger_id"] in self._host.running)

    def ends(self, handle: Handle) -> End:
        """Wait until it is gone; how it ended."""
        self._rows.until(lambda: self.look(handle).phase is Phase.GONE)
        end = self.look(handle).end
        assert end is not None
        return end

    def dies(self, handle: Handle) -> None:
        """Its host does not run it any more."""
        self._host.loses(handle["charger_id"])

    def count(self) -> int:
        """Starts that are placed and not gone; the host runs no other."""
        with self._rows.sessions() as session:
            placed = session.execute(
                text(
                    """SELECT charger_id, incarnation FROM runtimes
                       WHERE host_id IS NOT NULL AND state <> 'gone'"""
                )
            ).all()
        assert set(self._host.running.items()) <= {tuple(row) for row in placed}
        return len(placed)


def _make_charger(charger_id: str) -> Charger:
    return Charger(
        id=charger_id,
        organization_id="acme",
        identity=f"CP-{charger_id[-4:]}",
        brand_slug="wallbox",
        model_slug="wallbox-pulsar-plus",
        connector_type="Type2",
        ocpp_version="OCPP1.6",
        ws_url="ws://127.0.0.1:9/ocpp",
        status="PROVISIONING",
        desired_state="running",
        incarnation=0,
    )


def _make_runtime(charger: Charger, key: Key, request: Mapping[str, Any]) -> Runtime:
    return Runtime(
        charger_id=key.charger_id,
        incarnation=key.incarnation,
        generation=1,
        organization_id="acme",
        identity=charger.identity,
        run_id="wfr_test",
        provider="local",
        request=dict(request),
    )


@contextlib.contextmanager
def _open(request: pytest.FixtureRequest, engine: Engine, url: str) -> Iterator[LocalWorld]:
    settings: Settings = replace(request.getfixturevalue("settings"), database_url=url)
    sessions: sessionmaker[Session] = make_sessions(engine)
    with make_world(settings, sessions) as rows, RunningLink(settings) as link:
        host = ObedientHost(rows.host(link))
        try:
            yield LocalWorld(request, rows, host, f"local{next(_installs)}")
        finally:
            host.ends()


@contextlib.contextmanager
def make_local_world(request: pytest.FixtureRequest) -> Iterator[LocalWorld]:
    """An installation with a connected host, in a database of this test's own."""
    url, engine = request.getfixturevalue("database_url"), request.getfixturevalue("engine")
    with _open(request, engine, url) as world:
        yield world
