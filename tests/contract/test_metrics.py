"""`GET /metrics` of the API, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from app.api.metrics import DatabaseGauges
from app.settings import Settings
from app.store import gauges, installation
from tests.contract.conftest import Caller


def _scrape(app: Flask) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """(name, labels) → value."""
    answer = app.test_client().get("/metrics")
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def _get(samples: dict, name: str, **labels: str) -> float:
    """The sum of the samples of a name that carry these labels."""
    wanted = set(labels.items())
    return sum(value for (found, has), value in samples.items() if found == name and wanted <= has)


def test_anybody_inside_may_read_them_and_they_are_text(app: Flask) -> None:
    answer = app.test_client().get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain; version=")


def test_chargers_and_runs_are_counted_as_the_database_has_them(app: Flask, acme: Caller) -> None:
    for number in range(3):
        acme.order(identity=f"CP-{number}")
    gone = acme.order(identity="CP-9")
    assert acme.delete(f"/ocpp/chargers/{gone}").status_code == 204
    samples = _scrape(app)
    assert _get(samples, "gateway_chargers", status="PENDING", desired_state="running") == 3
    assert _get(samples, "gateway_active_runs", kind="provision", phase="forward") == 3
    assert _get(samples, "gateway_active_runs", kind="delete", step="retire_runtimes") == 1
    assert _get(samples, "gateway_runs", kind="provision", status="superseded") == 1
    assert _get(samples, "gateway_due_runs") == 4
    assert _get(samples, "gateway_database_up") == 1
    assert _get(samples, "gateway_table_bytes", table="chargers") > 0


def test_requests_are_counted_by_route_and_never_by_path(app: Flask, acme: Caller) -> None:
    before = _scrape(app)
    for number in range(3):
        acme.get(f"/ocpp/chargers/dep-{number:032x}")
    acme.get("/no/such/path")
    acme.send("BREW", "/coffee")
    after = _scrape(app)
    name, route = "gateway_http_requests_total", "/ocpp/chargers/<charger_id>"

    def grown(**labels: str) -> float:
        return _get(after, name, **labels) - _get(before, name, **labels)

    assert grown(route=route, status="404", method="GET") == 3
    assert grown(route="none") == 2
    assert not any("dep-" in str(labels) or "coffee" in str(labels) for _, labels in after)


def test_who_asks_to_wait_does_not_make_the_api_look_slow(app: Flask, acme: Caller) -> None:
    charger_id = acme.order()
    before = _scrape(app)
    acme.get(f"/ocpp/chargers/{charger_id}/status?wait=0")
    acme.get(f"/ocpp/chargers/{charger_id}/status")
    after = _scrape(app)
    labels = {"route": "/ocpp/chargers/<charger_id>/status"}
    timed = "gateway_http_request_seconds_count"
    assert _get(after, timed, **labels) - _get(before, timed, **labels) == 1


def test_a_database_that_is_away_is_told_and_the_rest_still_served(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app(database_url="postgresql+psycopg://nobody@/none?host=/nonexistent")
    samples = _scrape(app)
    assert _get(samples, "gateway_database_up") == 0
    assert not any(name == "gateway_chargers" for name, _ in samples)


def test_a_database_of_another_installation_is_told(
    settings: Settings, sessions: sessionmaker[Session]
) -> None:
    with sessions.begin() as session:
        installation.adopt(session, "somebody-else")
        readings = gauges.read(session, gauges.SLOW, settings.install_id)
        session.rollback()
    (foreign,) = [one for one in readings if one.gauge.name == "gateway_installation_foreign"]
    assert foreign.values == [((), 1.0)]


def test_a_herd_of_scrapes_asks_the_database_once(
    settings: Settings, sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    now = [100.0]
    read = gauges.read
    monkeypatch.setattr(gauges, "read", lambda *given: asked.append(now[0]) or read(*given))
    collector = DatabaseGauges(sessions, settings.install_id, clock=lambda: now[0])
    for _ in range(5):
        list(collector.collect())
    assert len(asked) == 2
    now[0] += 6
    list(collector.collect())
    assert len(asked) == 3


def test_the_oldest_stop_and_expired_leases_show_what_hangs(
    app: Flask, acme: Caller, sessions: sessionmaker[Session]
) -> None:
    acme.delete(f"/ocpp/chargers/{acme.order(identity='CP-1')}")
    acme.order(identity="CP-2")
    with sessions.begin() as session:
        session.execute(
            text(
                """UPDATE runs SET created_at = created_at - interval '1 hour',
                          due_at = due_at - interval '10 minutes'"""
            )
        )
        session.execute(
            text(
                """UPDATE runs SET lease_until = clock_timestamp() - interval '1 minute'
                   WHERE kind = 'provision' AND status = 'active'"""
            )
        )
    samples = _scrape(app)
    assert 3600 <= _get(samples, "gateway_oldest_stop_seconds") < 3700
    assert 600 <= _get(samples, "gateway_oldest_due_run_seconds") < 700
    assert _get(samples, "gateway_expired_leases") == 1
