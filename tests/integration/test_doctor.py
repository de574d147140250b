"""`gateway doctor` on a real database and broker: what it says of what is there and of what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from app.settings import Settings
from app.store import links
from workers.doctor import examine
from workers.runtimes.findings import Level


def _levels(settings: Settings) -> dict[str, Level]:
    return {finding.subject: finding.level for finding in examine(settings)}


def test_an_installation_without_link_and_host_is_told_to_start_them(settings: Settings) -> None:
    findings = {finding.subject: finding for finding in examine(settings)}
    assert findings["database"].level is findings["broker"].level is Level.OK
    assert findings["link"].level is findings["hosts"].level is Level.FAIL
    assert "gateway link" in findings["link"].advice
    assert "gateway host" in findings["hosts"].advice


def test_what_runs_is_well(settings: Settings, sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        links.touch(session, "lnk_test")
        session.execute(
            text(
                "INSERT INTO hosts (host_id, epoch, capacity, connected) VALUES ('h', 'e', 10, true)"
            )
        )
    assert set(_levels(settings).values()) == {Level.OK}


def test_a_copied_database_is_noticed(settings: Settings, sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        session.execute(text("INSERT INTO installation (install_id) VALUES ('production')"))
    assert _levels(settings)["installation"] is Level.WARN


def test_servers_that_are_away_are_failures_and_no_crash(settings: Settings) -> None:
    away = replace(
        settings,
        database_url="postgresql+psycopg://nobody@127.0.0.1:1/nothing",
        broker_url="redis://127.0.0.1:1/0",
    )
    levels = _levels(away)
    assert levels == {"database": Level.FAIL, "broker": Level.FAIL}


def test_settings_of_ecs_that_are_missing_are_named(settings: Settings) -> None:
    findings = examine(replace(settings, runtime="ecs"))
    assert findings[-1].level is Level.FAIL
    assert "GATEWAY_ECS_IMAGE" in findings[-1].message


def test_a_docker_client_that_is_not_installed_is_a_finding(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.doctor.find_spec", lambda _: None)
    findings = {
        finding.subject: finding for finding in examine(replace(settings, runtime="docker"))
    }
    assert findings["docker client"].level is Level.FAIL
    assert "`docker`" in findings["docker client"].advice
