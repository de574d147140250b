"""Fixtures of real servers, shared by every kind of test.

One PostgreSQL cluster per test session: the controller starts it before the xdist workers, without xdist the
first test that asks. Its template database is migrated once by Alembic; `database_url` is a clone of it for one
test (25 to 55 ms), `session` works in one clone per process and is rolled back (under 1 ms). The broker is one
Valkey per process, emptied for each test.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from app.db import make_engine, make_sessions
from app.settings import EngineSettings, Settings
from migrations import upgrade
from tests.servers import Postgres, Valkey, make_folder

_TEMPLATE: Final = "gateway_template"
_SERVERS: Final = pytest.StashKey[contextlib.ExitStack]()
_CLUSTER: Final = pytest.StashKey[Path]()
_numbers: Final = itertools.count(1)

JWT_SECRET: Final = "a-secret-of-the-tests-that-is-long-enough"
LINK_SECRET: Final = "another-secret-of-the-tests-of-good-length"


def _start_cluster(config: pytest.Config) -> Path:
    """Start the cluster and its migrated template at the first call; the folder of its socket."""
    if _CLUSTER not in config.stash:
        servers = config.stash.setdefault(_SERVERS, contextlib.ExitStack())
        postgres = servers.enter_context(Postgres(servers.enter_context(make_folder())))
        engine = make_engine(postgres.create(_TEMPLATE))
        upgrade(engine)
        engine.dispose()
        config.stash[_CLUSTER] = postgres.folder
    return config.stash[_CLUSTER]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """In the controller of xdist, for each worker: tell it where the cluster is."""
    node.workerinput["cluster"] = str(_start_cluster(node.config))


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what this process started."""
    if _SERVERS in config.stash:
        config.stash[_SERVERS].close()


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Postgres:
    """The cluster of this test session. To hurt a server, start one of your own (`tests.servers`)."""
    given = getattr(request.config, "workerinput", {}).get("cluster")
    return Postgres(Path(given) if given else _start_cluster(request.config))


@contextlib.contextmanager
def clone(postgres: Postgres) -> Iterator[str]:
    """A migrated, empty database while this lasts."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    url = postgres.create(name, template=_TEMPLATE)
    try:
        yield url
    finally:
        postgres.drop(name)


@pytest.fixture(scope="session")
def shared_database_url(postgres: Postgres) -> Iterator[str]:
    """A migrated database for tests that never commit."""
    with clone(postgres) as url:
        yield url


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    """A migrated, empty database of this test's own: commits, threads and processes welcome."""
    with clone(postgres) as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on `database_url`."""
    engine = make_engine(database_url, pool_size=16, name="test")
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(engine: Engine) -> sessionmaker[Session]:
    """Sessions on `database_url`."""
    return make_sessions(engine)


@pytest.fixture(scope="session")
def shared_engine(shared_database_url: str) -> Iterator[Engine]:
    """An engine on the database of tests that never commit."""
    engine = make_engine(shared_database_url, name="test")
    yield engine
    engine.dispose()


@pytest.fixture
def session(shared_engine: Engine) -> Iterator[Session]:
    """A session whose every trace is rolled back at the end; its commits are savepoints."""
    with shared_engine.connect() as connection:
        outer = connection.begin()
        with Session(
            connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
        ) as session:
            yield session
        outer.rollback()


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """The broker of this process. Tests that hurt it start one of their own (`tests.servers`)."""
    with make_folder() as folder, Valkey(folder) as server:
        yield server


@pytest.fixture
def broker_url(valkey: Valkey) -> str:
    """An empty broker."""
    valkey.flush()
    return valkey.url


@pytest.fixture
def settings(database_url: str, broker_url: str) -> Settings:
    """Settings for `database_url` and `broker_url`, with clocks that no test has to wait for."""
    return Settings(
        database_url=database_url,
        broker_url=broker_url,
        jwt_secrets={"k1": JWT_SECRET},
        link_secret=LINK_SECRET,
        install_id="test",
        engine=EngineSettings(retry_min_s=0.05, sweep_s=0.1, nudge_s=0.5, observe_s=0.1),
    )
