"""The API as its clients meet it: an application on a real database, and tokens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from app.api import create_app
from app.api.application import close_app
from app.db import get_dsn
from app.jobs import Hint
from app.models import Base
from app.settings import Settings
from app.tokens import Role, issue_token
from tests.conftest import clone
from tests.servers import Postgres

ORDER = {
    "identity": "CP-001",
    "brand_slug": "wallbox",
    "model_slug": "wallbox-pulsar-plus",
    "connector_type": "Type2",
    "ws_url": "ws://csms.example.com/ocpp",
}


@dataclass
class KeptHints:
    """A queue that sends nothing and remembers everything."""

    cap: int = 1000
    hints: list[Hint] = field(default_factory=list)

    def put(self, session: Session, hint: Hint) -> None:
        self.hints.append(hint)


@dataclass
class Caller:
    """A client of one organization."""

    client: FlaskClient
    headers: dict[str, str]

    def send(self, method: str, path: str, **kwargs: Any) -> TestResponse:
        headers = {**self.headers, **kwargs.pop("headers", {})}
        return self.client.open(path, method=method, headers=headers, **kwargs)

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.send("GET", path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> TestResponse:
        return self.send("POST", path, **kwargs)

    def put(self, path: str, **kwargs: Any) -> TestResponse:
        return self.send("PUT", path, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> TestResponse:
        return self.send("DELETE", path, **kwargs)

    def order(self, **fields: Any) -> str:
        """Create a charger; its id."""
        answer = self.post("/ocpp/chargers", json=ORDER | fields)
        assert answer.status_code == 202, answer.text
        charger_id: str = answer.json["charger_id"]
        return charger_id


@pytest.fixture(scope="session")
def kept_database_url(postgres: Postgres) -> Iterator[str]:
    with clone(postgres) as url:
        yield url


@pytest.fixture
def database_url(kept_database_url: str) -> Iterator[str]:
    """One database per process, emptied after each test: here every test ends what it starts."""
    yield kept_database_url
    # For a few rows, deleting is faster than making new files.
    emptying = ";".join(f"DELETE FROM {table.name}" for table in Base.metadata.sorted_tables)
    with psycopg.connect(get_dsn(kept_database_url), autocommit=True) as connection:
        connection.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()"""
        )
        connection.execute(emptying.encode())


@pytest.fixture
def hints() -> KeptHints:
    return KeptHints()


@pytest.fixture
def make_app(settings: Settings, hints: KeptHints) -> Iterator[Callable[..., Flask]]:
    """Make an application, with other settings where they are given."""
    import dataclasses

    made: list[Flask] = []

    def make(**changes: Any) -> Flask:
        app = create_app(dataclasses.replace(settings, **changes), queue=hints)
        made.append(app)
        return app

    yield make
    for app in made:
        close_app(app)


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def make_token(settings: Settings) -> Callable[..., str]:
    def make(organization: str = "acme", role: Role = Role.USER, ttl_s: float = 600) -> str:
        return issue_token(
            settings.jwt_secrets,
            subject="tester",
            organization_id=organization,
            role=role,
            ttl_s=ttl_s,
        )

    return make


@pytest.fixture
def make_caller(app: Flask, make_token: Callable[..., str]) -> Callable[..., Caller]:
    def make(organization: str = "acme", *, on: Flask | None = None, **kwargs: Any) -> Caller:
        token = make_token(organization, **kwargs)
        return Caller((on or app).test_client(), {"Authorization": f"Bearer {token}"})

    return make


@pytest.fixture
def acme(make_caller: Callable[..., Caller]) -> Caller:
    """A user of the organization acme."""
    return make_caller("acme")


@pytest.fixture
def base_url(app: Flask) -> Iterator[str]:
    """The application on a free port of this machine."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()
