"""Looks at an installation and says, for each part, whether it is well and what to do if not.

Nothing is changed. A check whose server is away is a failure of its own and lets the others go on. Where chargers
run on Docker or ECS, the findings of `docker_doctor` and `ecs_doctor` follow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from importlib.util import find_spec

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from app.db import make_engine, make_sessions
from app.queue import make_sender
from app.settings import Settings
from app.store import links
from migrations import is_current
from workers.runtimes.base import RuntimeTrouble
from workers.runtimes.findings import Finding, Level

#: An active run may be behind by this much before somebody should look, seconds.
_BEHIND_S = 60
_BROKER_S = 2


def examine(settings: Settings) -> list[Finding]:
    """Every finding, in the order in which one would mend them."""
    engine = make_engine(settings.database_url, pool_size=2, statement_timeout_s=5, name="doctor")
    try:
        database = _check_database(engine)
        findings = [database, _check_broker(settings)]
        if database.level is not Level.FAIL:
            findings += _check_rows(settings, engine)
    finally:
        engine.dispose()
    return findings + _check_runtime(settings)


def _check_database(engine: Engine) -> Finding:
    try:
        current = is_current(engine)
    except SQLAlchemyError as error:
        advice = (
            "Does the gateway run (`gateway status`, `gateway up`)? With a PostgreSQL of your own: see that "
            "it runs, and that GATEWAY_DATABASE_URL is right."
        )
        return _fail("database", f"It does not answer: {type(error).__name__}.", advice)
    if not current:
        return _fail("database", "Its schema is not this release's.", "Run `gateway migrate`.")
    return _ok("database", "It answers, and its schema is current.")


def _check_broker(settings: Settings) -> Finding:
    # A broker that is away is what this looks for; kombu's retries need not be told.
    logging.getLogger("kombu").setLevel(logging.CRITICAL)
    try:
        with make_sender(settings.broker_url).connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=_BROKER_S)
    except Exception as error:  # noqa: BLE001  # each transport raises its own
        advice = (
            "See that it runs and that GATEWAY_BROKER_URL is right. Orders are accepted meanwhile and "
            "carried out when it is back."
        )
        return _fail("broker", f"It does not answer: {type(error).__name__}.", advice)
    return _ok("broker", "It answers.")


def _check_rows(settings: Settings, engine: Engine) -> list[Finding]:
    sessions = make_sessions(engine)
    checks: Sequence[Callable[[Session, Settings], Finding]] = (
        _check_installation,
        _check_link,
        _check_behind,
        _check_failed,
    )
    findings = [_ask(sessions, settings, check) for check in checks]
    if settings.runtime == "local":
        findings.append(_ask(sessions, settings, _check_hosts))
    return findings


def _ask(
    sessions: sessionmaker[Session],
    settings: Settings,
    check: Callable[[Session, Settings], Finding],
) -> Finding:
    with sessions() as session:
        return check(session, settings)


def _check_installation(session: Session, settings: Settings) -> Finding:
    owner = session.scalar(text("SELECT install_id FROM installation"))
    if owner is None or owner == settings.install_id:
        return _ok("installation", f"The database is {settings.install_id}'s.")
    advice = "If this database was restored or copied on purpose, run `gateway adopt`."
    message = (
        f"The database belongs to {owner}, this is {settings.install_id}: strays are left alone."
    )
    return Finding(Level.WARN, "installation", message, advice)


def _check_link(session: Session, settings: Settings) -> Finding:
    if links.is_alive(session, away_s=settings.engine.link_away_s):
        return _ok("link", f"It was heard of; runtimes dial {settings.link_url}.")
    return _fail(
        "link",
        "No link was heard of lately.",
        "Start one: `gateway link`, on Compose `docker compose up -d link`.",
    )


def _check_hosts(session: Session, settings: Settings) -> Finding:
    row = session.execute(
        text(
            """SELECT count(*) AS hosts, coalesce(sum(capacity), 0) AS room,
                      (SELECT count(*) FROM runtimes WHERE provider = 'local' AND state <> 'gone') AS taken
               FROM hosts WHERE connected
                AND seen_at > clock_timestamp() - make_interval(secs => :away)"""
        ),
        {"away": settings.engine.link_away_s},
    ).one()
    if not row.hosts:
        return _fail(
            "hosts",
            "No simulator host is connected.",
            "Start one: `gateway host`, on Compose `docker compose up -d host`.",
        )
    message = f"{row.hosts} connected, room for {row.room} chargers, {row.taken} taken."
    if row.taken >= 0.9 * row.room:
        return Finding(Level.WARN, "hosts", message, "Start another host, or use Docker or ECS.")
    return _ok("hosts", message)


def _check_behind(session: Session, _: Settings) -> Finding:
    late = session.scalar(
        text(
            """SELECT extract(epoch FROM clock_timestamp() - min(due_at)) FROM runs
               WHERE status = 'active' AND due_at < clock_timestamp() - make_interval(secs => :behind)
                 AND (lease_until IS NULL OR lease_until < clock_timestamp())"""
        ),
        {"behind": _BEHIND_S},
    )
    if late is None:
        return _ok("workers", "No run is waiting for a worker for long.")
    advice = "See that workers run (`gateway worker`) and that the broker answers; add workers if they are busy."
    return _fail("workers", f"A run has been due for {late:.0f} s and nobody took it up.", advice)


def _check_failed(session: Session, _: Settings) -> Finding:
    rows = session.execute(
        text(
            """SELECT error ->> 'code' AS code, count(*) AS count FROM chargers
               WHERE status = 'FAILED' AND deleted_at IS NULL GROUP BY 1 ORDER BY 2 DESC LIMIT 5"""
        )
    ).all()
    if not rows:
        return _ok("chargers", "None is FAILED.")
    listed = ", ".join(f"{row.count} {row.code}" for row in rows)
    advice = (
        "docs/errors.md says what each code means; `gateway runs list --status failed` lists them."
    )
    return Finding(Level.WARN, "chargers", f"FAILED: {listed}.", advice)


def _check_runtime(settings: Settings) -> list[Finding]:
    try:
        if settings.runtime == "docker":
            return _check_docker(settings)
        if settings.runtime == "ecs":
            return _check_ecs(settings)
    except RuntimeTrouble as trouble:
        return [_fail("runtime", str(trouble), trouble.hint or "Mend the settings it names.")]
    return []


def _check_docker(settings: Settings) -> list[Finding]:
    if find_spec("docker") is None:
        advice = "Install the library `docker` where the workers run; in a clone `make clean up` does it."
        return [_fail("docker client", "Its library is not installed.", advice)]
    from workers.runtimes import docker_doctor
    from workers.runtimes.docker_settings import DockerSettings

    own = DockerSettings.read(settings.docker, install_id=settings.install_id)
    return docker_doctor.examine(own, settings.link_url)


def _check_ecs(settings: Settings) -> list[Finding]:
    from workers.runtimes import ecs_doctor
    from workers.runtimes.ecs_clients import make_client
    from workers.runtimes.ecs_settings import EcsSettings

    own = EcsSettings.read(settings.ecs, install_id=settings.install_id, processes=1)
    return ecs_doctor.examine(own, lambda service: make_client(own, service), settings.link_url)


def _ok(subject: str, message: str) -> Finding:
    return Finding(Level.OK, subject, message)


def _fail(subject: str, message: str, advice: str) -> Finding:
    return Finding(Level.FAIL, subject, message, advice)
