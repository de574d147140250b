"""A charger is ordered, shown, listed: what a client sees."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from app.models import Charger
from tests.contract.conftest import ORDER, Caller, KeptHints
from tests.contract.states import add_location, put_up, read

CHARGERS = "/ocpp/chargers"


def test_an_order_is_accepted_and_can_be_polled(acme: Caller, hints: KeptHints) -> None:
    accepted = acme.post(CHARGERS, json=ORDER)
    assert accepted.status_code == 202
    assert accepted.json["identity"] == "CP-001"
    assert accepted.json["status"] == "PENDING"
    assert "warnings" not in accepted.json
    status = acme.get(accepted.json["status_url"])
    assert status.status_code == 200
    assert status.json["charger_id"] == accepted.json["charger_id"]
    assert status.json["workflow_run_id"] == accepted.json["workflow_run_id"]
    assert status.json["current_step"] == "register_task_definition"
    assert [step["name"] for step in status.json["steps"]][-1] == "mark_ready"
    assert {step["status"] for step in status.json["steps"]} == {"waiting"}
    assert [hint.run_id for hint in hints.hints] == [accepted.json["workflow_run_id"]]


def test_every_field_of_an_order_is_kept(acme: Caller, sessions: sessionmaker[Session]) -> None:
    location_id = add_location(sessions, "Depot")
    charger_id = acme.order(
        charge_point_name="Bay 1",
        location_id=location_id,
        location_name="Depot North",
        ws_url="wss://csms.example.com/ocpp?key=1",
        security_profile=2,
        authorization_key="k" * 20,
    )
    charger = acme.get(f"{CHARGERS}/{charger_id}").json
    assert charger["name"] == "Bay 1"
    assert charger["location_id"] == location_id
    assert charger["location_name"] == "Depot North"
    assert charger["ws_url"] == "wss://csms.example.com/ocpp?key=1"
    assert charger["ocpp_version"] == "OCPP1.6"
    assert charger["security_profile"] == 2
    assert read(sessions, charger_id).authorization_key == "k" * 20


def test_a_charger_shows_its_hardware_by_name(acme: Caller) -> None:
    charger = acme.get(f"{CHARGERS}/{acme.order()}").json
    assert charger["vendor_name"] == "Wallbox"
    assert charger["model"] == "Pulsar Plus"
    assert charger["number_of_connectors"] == 1
    assert charger["max_charging_power"] == 22000
    assert charger["desired_state"] == "running"
    assert charger["created_at"].endswith("Z")
    assert charger["runtime"]["stage"] == "queued"


def test_the_password_is_never_shown(acme: Caller) -> None:
    charger_id = acme.order(authorization_key="hunter2-hunter2")
    for path in ("", "/status"):
        assert "hunter2" not in acme.get(f"{CHARGERS}/{charger_id}{path}").text
    assert "hunter2" not in acme.get(CHARGERS).text


@pytest.mark.parametrize(
    ("url", "profile"), [("ws://csms.example.com", 1), ("wss://csms.example.com", 2)]
)
def test_a_password_without_a_profile_is_sent_as_the_address_allows(
    url: str, profile: int, acme: Caller
) -> None:
    charger_id = acme.order(ws_url=url, authorization_key="k" * 16)
    assert acme.get(f"{CHARGERS}/{charger_id}").json["security_profile"] == profile


def test_a_charger_takes_the_name_of_its_location(
    acme: Caller, sessions: sessionmaker[Session]
) -> None:
    charger_id = acme.order(location_id=add_location(sessions, "Depot"))
    assert acme.get(f"{CHARGERS}/{charger_id}").json["location_name"] == "Depot"


def test_a_foreign_location_is_unknown(acme: Caller, sessions: sessionmaker[Session]) -> None:
    foreign = add_location(sessions, "Depot", "other")
    answer = acme.post(CHARGERS, json=ORDER | {"location_id": foreign})
    assert (answer.status_code, answer.json["code"]) == (400, "unknown_location")


def test_optional_fields_may_be_null(acme: Caller) -> None:
    names = ("ocpp_version", "charge_point_name", "location_id", "location_name")
    answer = acme.post(CHARGERS, json=ORDER | dict.fromkeys(names))
    assert answer.status_code == 202


@pytest.mark.parametrize("identity", ["a", "*-_=:+|@.", "x" * 48])
def test_every_identifier_character_may_be_in_an_identity(identity: str, acme: Caller) -> None:
    charger_id = acme.order(identity=identity, ws_url="ws://h", ocpp_version="OCPP1.6")
    assert acme.get(f"{CHARGERS}/{charger_id}").json["identity"] == identity


def test_a_long_identity_is_taken_with_a_warning_on_1_6(acme: Caller) -> None:
    answer = acme.post(CHARGERS, json=ORDER | {"identity": "x" * 21})
    assert answer.status_code == 202
    assert "20" in answer.json["warnings"][0]


def test_the_same_order_again_names_the_charger_that_there_is(acme: Caller) -> None:
    charger_id = acme.order()
    answer = acme.post(CHARGERS, json=ORDER)
    assert answer.status_code == 400
    assert answer.json["code"] == "identity_taken"
    assert answer.json["charger_id"] == charger_id
    assert acme.get(answer.json["status_url"]).status_code == 200
    assert acme.get(CHARGERS).json["total"] == 1


@pytest.mark.parametrize(
    "fields", [{"ws_url": "ws://other.example.com"}, {"charge_point_name": "Bay 2"}]
)
def test_another_order_of_the_same_identity_names_nothing(
    fields: dict[str, str], acme: Caller
) -> None:
    acme.order()
    answer = acme.post(CHARGERS, json=ORDER | fields)
    assert answer.status_code == 400
    assert answer.json["code"] == "identity_taken"
    assert "charger_id" not in answer.json


def test_a_quota_ends_the_orders(
    make_app: Callable[..., Flask], make_caller: Callable[..., Caller]
) -> None:
    app = make_app(org_max_chargers=2)
    caller = make_caller("acme", on=app)
    first = caller.order(identity="A")
    caller.order(identity="B")
    answer = caller.post(CHARGERS, json=ORDER)
    assert (answer.status_code, answer.json["code"]) == (400, "quota_exceeded")
    assert make_caller("other", on=app).post(CHARGERS, json=ORDER).status_code == 202
    caller.delete(f"{CHARGERS}/{first}")
    assert caller.post(CHARGERS, json=ORDER).status_code == 202


def test_a_host_that_the_operator_does_not_allow_is_refused(
    make_app: Callable[..., Flask], make_caller: Callable[..., Caller]
) -> None:
    caller = make_caller("acme", on=make_app(ws_allow=("*.example.com",)))
    charger_id = caller.order()
    elsewhere = {"ws_url": "ws://csms.example.org"}
    answer = caller.post(CHARGERS, json=ORDER | {"identity": "B"} | elsewhere)
    assert (answer.status_code, answer.json["code"]) == (400, "ws_url_forbidden")
    answer = caller.put(f"{CHARGERS}/{charger_id}", json=elsewhere)
    assert (answer.status_code, answer.json["code"]) == (400, "ws_url_forbidden")


def test_a_lenient_catalog_takes_any_known_connector(
    make_app: Callable[..., Flask], make_caller: Callable[..., Caller]
) -> None:
    caller = make_caller("acme", on=make_app(catalog_strict=False))
    order = {
        "brand_slug": "schneider",
        "model_slug": "evlink-pro-ac-22kw",
        "connector_type": "CCS2",
    }
    caller.order(**order)


# Status


def test_the_status_of_a_charger_that_is_up(acme: Caller, sessions: sessionmaker[Session]) -> None:
    charger_id = acme.order()
    put_up(sessions, charger_id)
    status = acme.get(f"{CHARGERS}/{charger_id}/status").json
    assert status["status"] == "READY"
    assert status["provisioned_at"] == "2026-01-01T12:00:00.000000Z"
    assert status["current_step"] is None
    assert status["error"] is None
    assert status["runtime"]["verdict"] == "connected"


def test_the_status_shows_steps_as_far_as_they_are(
    acme: Caller, sessions: sessionmaker[Session]
) -> None:
    charger_id = acme.order()
    with sessions.begin() as session:
        session.execute(
            text(
                """INSERT INTO run_steps (run_id, position, name, status, attempt, started_at)
                   SELECT id, 0, plan[1], 'done', 2, now() FROM runs"""
            )
        )
        session.execute(text("UPDATE runs SET at = 1, attempts = 3, step_started_at = now()"))
    status = acme.get(f"{CHARGERS}/{charger_id}/status").json
    assert [(step["name"], step["status"], step["attempts"]) for step in status["steps"]] == [
        ("register_task_definition", "done", 2),
        ("run_task", "running", 3),
        ("wait_for_health", "waiting", 0),
        ("mark_ready", "waiting", 0),
    ]
    assert status["current_step"] == "run_task"
    assert status["attempt"] == 3
    assert status["steps"][0]["finished_at"].endswith("Z")
    assert status["steps"][1]["started_at"].endswith("Z")


def test_a_failure_says_why_and_where_to_read_on(
    acme: Caller, sessions: sessionmaker[Session]
) -> None:
    charger_id = acme.order()
    error = {
        "code": "csms_unreachable",
        "message": "m" * 3000,
        "param": "ws_url",
        "retryable": True,
    }
    with sessions.begin() as session:
        charger = session.get_one(Charger, charger_id)
        charger.status, charger.error = "FAILED", error
    shown = acme.get(f"{CHARGERS}/{charger_id}/status").json["error"]
    assert shown["code"] == "csms_unreachable"
    assert shown["param"] == "ws_url"
    assert shown["retryable"] is True
    assert len(shown["message"]) == 2000
    assert shown["doc_url"].endswith("/docs/errors#csms_unreachable")


# List


def test_a_list_is_newest_first_and_paged(acme: Caller) -> None:
    ids = [acme.order(identity=f"CP-{number}") for number in range(5)]
    first = acme.get(f"{CHARGERS}?limit=2").json
    assert [charger["id"] for charger in first["data"]] == [ids[4], ids[3]]
    assert (first["total"], first["page"], first["limit"]) == (5, 1, 2)
    third = acme.get(f"{CHARGERS}?limit=2&page=3").json
    assert [charger["id"] for charger in third["data"]] == [ids[0]]
    assert acme.get(f"{CHARGERS}?limit=2&page=4").json["data"] == []
    last = acme.get(f"{CHARGERS}?page=1000000&limit=100").json
    assert (last["data"], last["total"]) == ([], 5)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=READY", {"B"}),
        ("stage=online", {"B"}),
        ("stage=queued", {"A", "A_1", "A%1"}),
        ("identity=A", {"A", "A_1", "A%1"}),
        ("identity=A_", {"A_1"}),
        ("identity=B&status=PENDING", set()),
        ("location_id={location}", {"A_1"}),
        ("location_id=", {"A", "A_1", "A%1", "B"}),
        (f"location_id={uuid.UUID(int=0)}", set()),
    ],
)
def test_a_list_is_filtered(
    query: str, expected: set[str], acme: Caller, sessions: sessionmaker[Session]
) -> None:
    location_id = add_location(sessions, "Depot")
    ids = {
        "A": acme.order(identity="A"),
        "A_1": acme.order(identity="A_1", location_id=location_id),
        "A%1": acme.order(identity="A=1"),
        "B": acme.order(identity="B"),
    }
    put_up(sessions, ids["B"])
    seen = acme.get(f"{CHARGERS}?{query.format(location=location_id)}").json
    assert {charger["id"] for charger in seen["data"]} == {ids[name] for name in expected}
    assert seen["total"] == len(expected)
