"""The servers of the tests are what the tests believe them to be."""

import pytest
import redis
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from app.models import Installation
from app.settings import Settings
from tests.servers import Postgres, Valkey, make_folder


def test_a_clone_is_migrated_and_empty(engine: Engine) -> None:
    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(Installation)) == 0


def test_commits_of_the_rolled_back_session_stay_inside(
    session: Session, shared_engine: Engine
) -> None:
    session.add(Installation(singleton=True, install_id="inside"))
    session.commit()
    with Session(shared_engine) as other:
        assert other.scalar(select(func.count()).select_from(Installation)) == 0


def test_the_broker_of_a_test_is_empty(settings: Settings, valkey: Valkey) -> None:
    assert settings.broker_url == valkey.url
    with valkey.connect() as client:
        assert client.dbsize() == 0


def test_a_crashed_cluster_comes_back_with_what_was_committed() -> None:
    with make_folder() as folder, Postgres(folder, durable=True) as server:
        with server.connect() as connection:
            connection.execute("CREATE TABLE kept (n int)")
        server.crash()
        assert not server.answers()
        server.start()
        with server.connect() as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_a_frozen_broker_never_answers_until_it_is_thawed() -> None:
    with make_folder() as folder, Valkey(folder) as server:
        server.freeze()
        with server.connect(timeout_s=0.05) as client, pytest.raises(redis.TimeoutError):
            client.ping()
        server.thaw()
        assert server.answers()


def test_every_moment_has_its_timezone(session: Session) -> None:
    assert session.scalar(text("SELECT clock_timestamp()")).tzinfo is not None
