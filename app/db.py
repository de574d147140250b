"""Connections to PostgreSQL: one engine per process, sessions from it, and LISTEN on a connection of its own.

Every program says how long it is willing to wait (`statement_timeout_s`); the connect timeout is short, so that
a database that is away is an error in seconds and never a hang.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import orjson
import psycopg
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

CONNECT_TIMEOUT_S: Final = 2

#: Doorbell of app.link; the payload is `host:<id>` or `charger:<id>`.
CHANNEL_LINK: Final = "gateway_link"
#: Doorbell of those who wait for a charger's status or a command's result; the payload is its id.
CHANNEL_NEWS: Final = "gateway_news"

#: What is raised when the database does not answer.
DatabaseAway: Final = (OperationalError, InterfaceError, PoolTimeout)


def _dump(value: Any) -> str:
    return orjson.dumps(value).decode()


def make_engine(
    url: str,
    *,
    pool_size: int = 8,
    statement_timeout_s: float = 10.0,
    name: str = "gateway",
    autocommit: bool = False,
) -> Engine:
    """An engine whose every statement ends within `statement_timeout_s` seconds.

    `autocommit`: every statement is its own transaction; for reads of one statement, which are twice as fast
    without BEGIN and ROLLBACK around them.
    """
    options = f"-c statement_timeout={int(statement_timeout_s * 1000)} -c lock_timeout=5000 -c timezone=UTC"
    return create_engine(
        url,
        isolation_level="AUTOCOMMIT" if autocommit else None,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT_S,
        pool_pre_ping=False,
        pool_use_lifo=True,
        hide_parameters=True,  # errors are logged; frames and passwords are not
        json_serializer=_dump,
        json_deserializer=orjson.loads,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "options": options,
            "application_name": name,
            "prepare_threshold": 2,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
        },
    )


def make_sessions(engine: Engine) -> sessionmaker[Session]:
    """A factory of sessions; use as `with sessions.begin() as session:`."""
    return sessionmaker(engine, expire_on_commit=False)


def is_connection_lost(error: BaseException) -> bool:
    """Whether the statement's fate is unknown because its connection died (not a refusal by the server)."""
    return isinstance(error, DBAPIError) and bool(error.connection_invalidated)


def notify(session: Session, channel: str, payload: str) -> None:
    """Ring a doorbell when this transaction commits."""
    session.execute(
        text("SELECT pg_notify(:channel, :payload)"), {"channel": channel, "payload": payload}
    )


def get_dsn(url: str) -> str:
    """A plain libpq URL out of an SQLAlchemy one."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def listen(url: str, *channels: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection that listens; read with `connection.notifies(timeout=...)`."""
    with psycopg.connect(
        get_dsn(url), autocommit=True, connect_timeout=CONNECT_TIMEOUT_S
    ) as connection:
        for channel in channels:
            connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
        yield connection
