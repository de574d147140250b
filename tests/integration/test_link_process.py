"""app.link as a program: how it begins, and how it ends whatever the database does."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.db import make_engine, make_sessions
from app.settings import Settings
from app.tokens import make_host_credential
from migrations import upgrade
from tests.link_peers import QUICK, RunningCsms, Simulator
from tests.link_runtime import PATIENCE_S
from tests.link_world import World, make_world
from tests.servers import Postgres, make_folder


@dataclass
class LinkProgram:
    """`gateway link`, as an operator starts it."""

    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/link"

    def is_ready(self) -> bool:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health").status == 200
        assert self.process.poll() is None, self.process.communicate()
        return False

    def is_told_to_end(self) -> tuple[int, str]:
        """Its exit code and its log."""
        self.process.send_signal(signal.SIGTERM)
        _, log = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, log


def _start(settings: Settings, port: int) -> LinkProgram:
    (kid, secret), *_ = settings.jwt_secrets.items()
    environment = os.environ | {
        "GATEWAY_DATABASE_URL": settings.database_url.replace("+psycopg", ""),
        "GATEWAY_BROKER_URL": settings.broker_url,
        "GATEWAY_JWT_SECRETS": f"{kid}:{secret}",
        "GATEWAY_LINK_SECRET": settings.link_secret,
        "GATEWAY_INSTALL_ID": settings.install_id,
        "GATEWAY_LINK_PORT": str(port),
        "GATEWAY_LOG_LEVEL": "DEBUG",
    }
    process = subprocess.Popen(
        [Path(sys.executable).with_name("gateway"), "link"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    return LinkProgram(process, port)


@contextlib.contextmanager
def running(settings: Settings, port: int | None = None) -> Iterator[LinkProgram]:
    if port is None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
    link = _start(settings, port)
    try:
        yield link
    finally:
        link.process.kill()
        link.process.communicate()


@pytest.fixture
def world(settings: Settings, sessions: sessionmaker[Session]) -> Iterator[World]:
    with make_world(settings, sessions) as world:
        yield world


def test_sigterm_sends_the_runtimes_to_the_next_link_and_exits_0(
    world: World, settings: Settings
) -> None:
    with running(settings) as link:
        world.until(link.is_ready)
        host = world.host(link).connects()
        charger_id = world.create(authorization_key="hunter2hunter2")
        world.place(charger_id)
        assert host.is_given(charger_id).config["authorization_key"] == "hunter2hunter2"
        code, log = link.is_told_to_end()
        assert code == 0
        assert host.is_closed() == 1012
    assert host.credential not in log
    assert "hunter2" not in log
    assert settings.link_secret not in log


def test_a_killed_link_costs_no_charger_its_csms_and_the_next_one_takes_over(
    world: World, settings: Settings, tmp_path: Path
) -> None:
    with RunningCsms() as csms, running(settings) as first:
        world.until(first.is_ready)
        token = make_host_credential(settings.link_secret, "h1")
        simulator = Simulator(first.url, token, tmp_path)
        try:
            world.until(lambda: world.host_row())
            charger_id = world.create(ws_url=csms.judge.url, settings=QUICK)
            world.place(charger_id)
            world.until(lambda: world.charger(charger_id).stage == "online")
            first.process.kill()
            first.process.wait()
            with running(settings, first.port):
                command_id = world.command(charger_id, "plug_connector")
                world.until(lambda: world.get_command(command_id).state == "applied")
                assert world.charger(charger_id).verdict == "connected"
                assert [one.close_code for one in csms.judge.sockets] == [None]
        finally:
            simulator.is_killed()


def test_a_port_in_use_is_said_in_one_sentence(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        link = _start(settings, taken.getsockname()[1])
        _, log = link.process.communicate(timeout=PATIENCE_S)
    assert link.process.returncode != 0
    assert f"cannot listen on 127.0.0.1:{link.port}" in log
    assert "Traceback" not in log


def test_it_ends_though_the_database_does_not_answer(settings: Settings) -> None:
    with make_folder() as folder, Postgres(folder) as postgres:
        settings = replace(settings, database_url=postgres.create("gateway"))
        engine = make_engine(settings.database_url)
        upgrade(engine)
        with make_world(settings, make_sessions(engine)) as world, running(settings) as link:
            world.until(link.is_ready)
            host = world.host(link).connects()
            charger_id = world.create()
            world.place(charger_id)
            added = host.is_given(charger_id)
            postgres.freeze()
            try:
                host.goes_online(added)
                assert link.is_told_to_end()[0] == 0
            finally:
                postgres.thaw()
        engine.dispose()
