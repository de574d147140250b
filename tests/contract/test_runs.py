"""The operators' routes: runs, and the fleet in numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from app.tokens import Role
from tests.contract.conftest import Caller
from tests.contract.test_location_chargers import THREE, order
from tests.contract.test_locations import open_site
from tests.contract.test_openapi import check, get_answer_schema


@pytest.fixture
def admin(make_caller: Callable[..., Caller]) -> Caller:
    return make_caller("house", role=Role.ADMIN)


def get_run_id(caller: Caller, charger_id: str) -> str:
    run_id: str = caller.get(f"/ocpp/chargers/{charger_id}/status").json["workflow_run_id"]
    return run_id


def fail(sessions: sessionmaker[Session], charger_id: str) -> None:
    """The charger's run has failed for good."""
    with sessions.begin() as session:
        session.execute(
            text(
                """WITH run AS (
                       UPDATE runs SET status = 'failed', finished_at = clock_timestamp(),
                              error = '{"code": "csms_unreachable", "message": "Nobody answers."}'
                       WHERE charger_id = :id RETURNING id)
                   INSERT INTO run_steps (run_id, position, name, status, attempt)
                   SELECT id, 0, 'register_task_definition', 'done', 1 FROM run"""
            ),
            {"id": charger_id},
        )
        session.execute(
            text("UPDATE chargers SET status = 'FAILED' WHERE id = :id"), {"id": charger_id}
        )


def test_a_run_shows_its_steps(acme: Caller) -> None:
    charger_id = acme.order()
    run = acme.get(f"/ocpp/runs/{get_run_id(acme, charger_id)}").json
    assert (run["kind"], run["status"], run["charger_id"]) == ("provision", "active", charger_id)
    assert run["current_step"] == "register_task_definition"
    assert run["organization_id"] == "acme"
    assert run["due_at"].endswith("Z")
    assert [step["name"] for step in run["steps"]] == [
        "register_task_definition",
        "run_task",
        "wait_for_health",
        "mark_ready",
    ]
    assert {step["status"] for step in run["steps"]} == {"waiting"}


def test_runs_are_listed_by_status_kind_and_charger(acme: Caller) -> None:
    first, second = acme.order(), acme.order(identity="CP-002")
    acme.post(f"/ocpp/chargers/{first}/stop-charger")
    acme.post(open_site(acme) + "/chargers", json=THREE)

    def kinds(**filters: Any) -> list[str]:
        listed = acme.get("/ocpp/runs", query_string=filters).json
        assert listed["total"] == len(listed["data"])
        return [run["kind"] for run in listed["data"]]

    assert kinds(charger_id=first) == ["stop", "provision"]
    assert kinds(charger_id=second) == ["provision"]
    assert kinds(kind="bulk") == ["bulk"]
    assert kinds(status="superseded") == ["provision"]
    assert kinds(status="failed") == []
    assert kinds(kind="provision", status="active", charger_id=first) == []
    assert len(kinds()) == 7
    assert acme.get("/ocpp/runs?limit=2&page=2").json["total"] == 7
    assert acme.get("/ocpp/runs?status=READY").status_code == 422


def test_an_admin_who_names_nobody_sees_every_organization(
    acme: Caller, admin: Caller, make_caller: Callable[..., Caller]
) -> None:
    acme.order()
    other = make_caller("other")
    run_id = get_run_id(other, other.order())
    everything = admin.get("/ocpp/runs").json
    assert {run["organization_id"] for run in everything["data"]} == {"acme", "other"}
    one = admin.get("/ocpp/runs", headers={"X-Organization-Id": "acme"}).json
    assert {run["organization_id"] for run in one["data"]} == {"acme"}
    assert admin.get(f"/ocpp/runs/{run_id}").status_code == 200
    for unknown in (run_id, "wfr_x", f"wfr_{0:032x}"):
        answer = acme.get(f"/ocpp/runs/{unknown}")
        assert (answer.status_code, answer.json["code"]) == (404, "run_not_found")


def test_only_an_admin_cancels_and_redrives(acme: Caller) -> None:
    run_id = get_run_id(acme, acme.order())
    for order_ in ("cancel", "redrive"):
        answer = acme.post(f"/ocpp/runs/{run_id}/{order_}")
        assert (answer.status_code, answer.json["code"]) == (403, "admin_only")


def test_a_cancelled_run_is_stopped(acme: Caller, admin: Caller) -> None:
    charger_id = acme.order()
    run_id = get_run_id(acme, charger_id)
    cancelled = admin.post(f"/ocpp/runs/{run_id}/cancel")
    assert cancelled.status_code == 202
    assert cancelled.json["status"] == "superseded"
    successor = acme.get(f"/ocpp/runs/{cancelled.json['successor_run_id']}").json
    assert (successor["kind"], successor["status"]) == ("stop", "active")
    status = acme.get(f"/ocpp/chargers/{charger_id}/status").json
    assert (status["status"], status["error"]["code"]) == ("FAILED", "stopped_before_ready")
    for again in (run_id, successor["id"]):
        answer = admin.post(f"/ocpp/runs/{again}/cancel")
        assert (answer.status_code, answer.json["code"]) == (400, "not_allowed_now")


def test_a_cancelled_bulk_run_cancels_its_job(acme: Caller, admin: Caller) -> None:
    job = acme.post(open_site(acme) + "/chargers", json=THREE).json
    answer = admin.post(f"/ocpp/runs/{job['workflow_run_id']}/cancel")
    assert (answer.status_code, answer.json["kind"]) == (202, "bulk")
    assert acme.get(job["status_url"]).json["progress"]["failed"] == 3


def test_the_run_of_a_deleted_charger_cannot_be_cancelled(acme: Caller, admin: Caller) -> None:
    charger_id = acme.order()
    acme.delete(f"/ocpp/chargers/{charger_id}")
    (delete,) = admin.get("/ocpp/runs?kind=delete").json["data"]
    assert admin.post(f"/ocpp/runs/{delete['id']}/cancel").status_code == 400


def test_a_failed_run_is_redriven_once(
    acme: Caller, admin: Caller, sessions: sessionmaker[Session]
) -> None:
    charger_id = acme.order()
    run_id = get_run_id(acme, charger_id)
    assert admin.post(f"/ocpp/runs/{run_id}/redrive").status_code == 400
    fail(sessions, charger_id)
    redriven = admin.post(f"/ocpp/runs/{run_id}/redrive")
    assert redriven.status_code == 202
    assert redriven.json["status"] == "failed"
    assert redriven.json["steps"][0]["status"] == "done"
    assert get_run_id(acme, charger_id) == redriven.json["successor_run_id"]
    assert acme.get(f"/ocpp/chargers/{charger_id}/status").json["status"] == "PROVISIONING"
    assert admin.post(f"/ocpp/runs/{run_id}/redrive").status_code == 400


def test_a_bulk_run_cannot_be_redriven(acme: Caller, admin: Caller) -> None:
    job = acme.post(open_site(acme) + "/chargers", json=THREE).json
    assert admin.post(f"/ocpp/runs/{job['workflow_run_id']}/redrive").status_code == 400


def test_the_fleet_is_counted(
    acme: Caller,
    admin: Caller,
    make_caller: Callable[..., Caller],
    sessions: sessionmaker[Session],
) -> None:
    site = open_site(acme)
    order(acme, f"{site}/chargers", "1", "2")
    failed = acme.order()
    fail(sessions, failed)
    make_caller("other").order()
    mine = acme.get("/ocpp/fleet/summary").json
    assert mine["total"] == 3
    assert mine["by_status"] == {"PENDING": 2, "FAILED": 1}
    assert mine["by_stage"] == {"queued": 3}
    assert mine["by_verdict"] == {"scheduling": 3}
    assert mine["by_ocpp_version"] == {"OCPP1.6": 3}
    assert [(one["name"], one["chargers"]) for one in mine["by_location"]] == [
        ("La Défense Charging Hub", 2),
        (None, 1),
    ]
    assert "by_organization" not in mine
    everything = admin.get("/ocpp/fleet/summary").json
    assert everything["by_organization"] == {"acme": 3, "other": 1}
    nothing = make_caller("empty").get("/ocpp/fleet/summary").json
    assert (nothing["total"], nothing["by_status"], nothing["by_location"]) == (0, {}, [])


def test_answers_to_operators_are_as_documented(
    acme: Caller, admin: Caller, sessions: sessionmaker[Session]
) -> None:
    document: dict[str, Any] = acme.get("/openapi.json").json
    charger_id, other = acme.order(), acme.order(identity="CP-002")
    fail(sessions, charger_id)
    run_id, under_way = get_run_id(acme, charger_id), get_run_id(acme, other)
    one = "/ocpp/runs/{run_id}"
    calls = [
        ("/ocpp/runs", "get", acme.get("/ocpp/runs")),
        (one, "get", acme.get(f"/ocpp/runs/{run_id}")),
        (f"{one}/redrive", "post", admin.post(f"/ocpp/runs/{run_id}/redrive")),
        (f"{one}/redrive", "post", admin.post(f"/ocpp/runs/{run_id}/redrive")),
        (f"{one}/cancel", "post", admin.post(f"/ocpp/runs/{under_way}/cancel")),
        ("/ocpp/fleet/summary", "get", acme.get("/ocpp/fleet/summary")),
        ("/ocpp/fleet/summary", "get", admin.get("/ocpp/fleet/summary")),
    ]
    for template, method, answer in calls:
        schema = get_answer_schema(document, template, method, answer.status_code)
        check(document, schema, answer.json)
