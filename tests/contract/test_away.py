"""Servers that are away: the database gone, restarted or frozen; the broker gone or frozen. Nothing hangs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from app.api import create_app
from app.api.application import close_app
from app.api.watchdog import Watchdog
from app.db import make_engine, make_sessions
from app.queue import HintQueue
from app.settings import Settings
from app.tokens import issue_token
from migrations import upgrade
from tests.conftest import JWT_SECRET, LINK_SECRET
from tests.contract.conftest import ORDER, Caller, KeptHints
from tests.servers import Postgres, Valkey, make_folder

CHARGERS = "/ocpp/chargers"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    """A cluster that this module may hurt."""
    with make_folder() as folder, Postgres(folder, durable=True) as server:
        engine = make_engine(server.create("gateway"))
        upgrade(engine)
        engine.dispose()
        yield server


@pytest.fixture
def database(cluster: Postgres) -> Iterator[Postgres]:
    """The cluster, well again after each test."""
    yield cluster
    cluster.thaw()
    if not cluster.answers():
        cluster.start()


@pytest.fixture
def broker() -> Iterator[Valkey]:
    """A broker that a test may hurt."""
    with make_folder() as folder, Valkey(folder) as server:
        yield server


def make_settings(database: Postgres, broker_url: str) -> Settings:
    return Settings(
        database_url=database.make_url("gateway"),
        broker_url=broker_url,
        jwt_secrets={"k1": JWT_SECRET},
        link_secret=LINK_SECRET,
        install_id="test",
    )


def make_caller(app: Flask, organization: str) -> Caller:
    token = issue_token({"k1": JWT_SECRET}, subject="t", organization_id=organization, ttl_s=900)
    return Caller(app.test_client(), {"Authorization": f"Bearer {token}"})


@pytest.fixture
def caller(database: Postgres, broker: Valkey, request: pytest.FixtureRequest) -> Iterator[Caller]:
    app = create_app(make_settings(database, broker.url), queue=KeptHints())
    yield make_caller(app, f"org{abs(hash(request.node.name))}")
    close_app(app)


def test_while_the_database_is_gone_answers_say_when_to_come_back(
    database: Postgres, caller: Caller
) -> None:
    charger_id = caller.order()
    database.crash()
    for method, path in [
        ("POST", CHARGERS),
        ("GET", CHARGERS),
        ("GET", f"{CHARGERS}/{charger_id}/status?wait=30"),
        ("DELETE", f"{CHARGERS}/{charger_id}"),
    ]:
        answer = caller.send(
            method, path, json=ORDER | {"identity": "B"} if method == "POST" else None
        )
        assert answer.status_code == 503, f"{method} {path}"
        assert isinstance(answer.json["detail"], str)
        assert answer.json["code"] == "dependency_down"
        assert int(answer.headers["Retry-After"]) >= 1
    assert caller.get("/health/live").status_code == 200
    assert caller.get("/ocpp/catalog/brands").status_code == 200
    database.start()
    assert [c["id"] for c in caller.get(CHARGERS).json["data"]] == [charger_id]


def test_a_restart_of_the_database_fails_no_request(database: Postgres, caller: Caller) -> None:
    charger_id = caller.order()
    caller.get(f"{CHARGERS}/{charger_id}/status")
    database.crash()
    database.start()
    assert caller.post(CHARGERS, json=ORDER | {"identity": "B"}).status_code == 202
    assert caller.get(f"{CHARGERS}/{charger_id}/status").status_code == 200
    assert caller.get(CHARGERS).json["total"] == 2


def test_a_frozen_database_is_a_503_and_no_hang(database: Postgres, broker: Valkey) -> None:
    settings = make_settings(database, broker.url)
    engine = make_engine(settings.database_url, pool_size=2)
    Watchdog(engine, after_s=0.2)
    app = create_app(settings, sessions=make_sessions(engine), queue=KeptHints())
    caller = make_caller(app, "frozen")
    charger_id = caller.order()
    database.freeze()
    answer = caller.get(f"{CHARGERS}/{charger_id}/status")
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    database.thaw()
    assert caller.get(f"{CHARGERS}/{charger_id}/status").status_code == 200
    close_app(app)


def test_readiness_tells_of_both_servers(
    database: Postgres, broker: Valkey, caller: Caller
) -> None:
    def comes_to(status: int, database_is: str, broker_is: str) -> bool:
        # A look is bounded by a second, which a busy machine may need for the first connection.
        for _ in range(30):
            answer = caller.get("/health/ready")
            seen = answer.json["database"], answer.json["broker"]
            if (answer.status_code, *seen) == (status, database_is, broker_is):
                return True
        return False

    assert comes_to(200, "ok", "ok")
    broker.freeze()
    assert comes_to(200, "ok", "away")
    broker.thaw()
    database.freeze()
    assert comes_to(503, "away", "ok")
    database.thaw()
    database.crash()
    assert comes_to(503, "away", "ok")
    database.start()
    broker.stop()
    assert comes_to(200, "ok", "away")
    broker.start()
    assert comes_to(200, "ok", "ok")


@pytest.mark.parametrize("hurt", ["freeze", "stop"])
def test_an_order_needs_no_broker(hurt: str, database: Postgres, broker: Valkey) -> None:
    hurts: dict[str, Callable[[], None]] = {"freeze": broker.freeze, "stop": broker.stop}
    queue = HintQueue(broker.url, cap=1000)
    app = create_app(make_settings(database, broker.url), queue=queue)
    caller = make_caller(app, f"broker-{hurt}")
    hurts[hurt]()
    for number in range(20):
        caller.order(identity=f"CP-{number}")
    assert caller.get(CHARGERS).json["total"] == 20
    assert queue.counts["sent"] == 0
    close_app(app)
