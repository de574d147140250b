"""The life of a charger through its routes, as a client sees it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session, sessionmaker

from app.models import Charger, ChargerEvent, Frame, Location, Run
from tests.contract.conftest import ORDER, Caller, KeptHints

CHARGERS = "/ocpp/chargers"


def put_up(sessions: sessionmaker[Session], charger_id: str) -> None:
    """What workers leave when a charger is up."""
    with sessions.begin() as session:
        charger = session.get_one(Charger, charger_id)
        run = session.get_one(Run, charger.current_run_id)
        run.status, run.at, run.hinted = "done", len(run.plan), False
        charger.status, charger.stage, charger.verdict = "READY", "online", "connected"
        charger.provider = "local"
        charger.provisioned_at = datetime(2026, 1, 1, 12, tzinfo=UTC)


def add_location(sessions: sessionmaker[Session], name: str, organization: str = "acme") -> str:
    """A live location; its id."""
    location = Location(
        id=uuid.uuid4(),
        organization_id=organization,
        slug=f"{name}-{uuid.uuid4().hex[:8]}",
        name=name,
        address="1 High Street",
        city="Oslo",
        country="NO",
        latitude=59.9,
        longitude=10.7,
    )
    with sessions.begin() as session:
        session.add(location)
    return str(location.id)


def read(sessions: sessionmaker[Session], charger_id: str) -> Charger:
    with sessions() as session:
        return session.get_one(Charger, charger_id)


# Create


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


# Update


def test_a_name_is_changed_without_touching_the_runtime(
    acme: Caller, sessions: sessionmaker[Session], hints: KeptHints
) -> None:
    charger_id = acme.order()
    put_up(sessions, charger_id)
    answer = acme.put(f"{CHARGERS}/{charger_id}", json={"charge_point_name": "Bay 7"})
    assert answer.status_code == 200
    assert answer.json["name"] == "Bay 7"
    assert answer.json["status"] == "READY"
    assert answer.json["updated_at"] > answer.json["created_at"]
    assert len(hints.hints) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"ws_url": "ws://elsewhere.example.com"},
        {"authorization_key": "k" * 16},
    ],
)
def test_a_change_that_the_runtime_must_see_replaces_it(
    changes: dict[str, str], acme: Caller, sessions: sessionmaker[Session], hints: KeptHints
) -> None:
    charger_id = acme.order()
    put_up(sessions, charger_id)
    answer = acme.put(f"{CHARGERS}/{charger_id}", json=changes)
    assert answer.status_code == 200
    assert answer.json["status"] == "PROVISIONING"
    assert hints.hints[-1].kind == "replace"


@pytest.mark.parametrize("changes", [{}, {"ws_url": ORDER["ws_url"]}, {"ws_url": None}])
def test_an_update_that_changes_nothing_orders_nothing(
    changes: dict[str, Any], acme: Caller, sessions: sessionmaker[Session], hints: KeptHints
) -> None:
    charger_id = acme.order()
    put_up(sessions, charger_id)
    before = acme.get(f"{CHARGERS}/{charger_id}").json
    assert acme.put(f"{CHARGERS}/{charger_id}", json=changes).json == before
    assert len(hints.hints) == 1


def test_an_update_is_judged_like_an_order_and_changes_all_or_nothing(
    acme: Caller, sessions: sessionmaker[Session]
) -> None:
    charger_id = acme.order()
    for changes, code in [
        ({"name": "x", "connector_type": "CCS2"}, "unsupported_connector"),
        ({"name": "x", "ocpp_version": "OCPP2.0.1"}, "unsupported_version"),
        ({"name": "x", "ws_url": "http://h"}, "ws_url_invalid"),
        ({"name": "x", "location_id": str(uuid.uuid4())}, "unknown_location"),
        ({"name": "x", "security_profile": 1}, "security_profile_mismatch"),
    ]:
        answer = acme.put(f"{CHARGERS}/{charger_id}", json=changes)
        assert (answer.status_code, answer.json["code"]) == (400, code)
    assert read(sessions, charger_id).name is None


def test_a_charger_moves_to_another_location(acme: Caller, sessions: sessionmaker[Session]) -> None:
    charger_id = acme.order(location_id=add_location(sessions, "North"))
    south = add_location(sessions, "South")
    moved = acme.put(f"{CHARGERS}/{charger_id}", json={"location_id": south}).json
    assert (moved["location_id"], moved["location_name"]) == (south, "South")


# Start, stop, reset


@pytest.mark.parametrize("body", [None, b"", b"{}", b'{"why": ["a", {"b": 1}]}'])
def test_stop_and_start_take_any_object_or_none(
    body: bytes | None, acme: Caller, sessions: sessionmaker[Session]
) -> None:
    charger_id = acme.order()
    put_up(sessions, charger_id)
    stopped = acme.post(
        f"{CHARGERS}/{charger_id}/stop-charger", data=body, content_type="application/json"
    )
    assert stopped.status_code == 202
    assert stopped.json["id"] == charger_id
    assert stopped.json["event_type"] == "stop_charger"
    assert stopped.json["ocpp_version"] == "OCPP1.6"
    assert stopped.json["payload"]["provider"] == "local"
    assert stopped.json["payload"]["desired_count"] == 0
    started = acme.post(f"{CHARGERS}/{charger_id}/start-charger", data=body)
    assert started.status_code == 202
    assert started.json["payload"]["desired_count"] == 1
    assert started.json["payload"]["status"] == "PROVISIONING"
    assert started.json["payload"]["workflow_run_id"] != stopped.json["payload"]["workflow_run_id"]


def test_asking_for_the_state_that_holds_does_nothing(
    acme: Caller, sessions: sessionmaker[Session], hints: KeptHints
) -> None:
    charger_id = acme.order()
    put_up(sessions, charger_id)
    run_id = acme.get(f"{CHARGERS}/{charger_id}/status").json["workflow_run_id"]
    again = acme.post(f"{CHARGERS}/{charger_id}/start-charger")
    assert again.status_code == 202
    assert again.json["payload"]["workflow_run_id"] == run_id
    assert len(hints.hints) == 1


def test_a_reset_leaves_ready_at_once(acme: Caller, sessions: sessionmaker[Session]) -> None:
    charger_id = acme.order()
    put_up(sessions, charger_id)
    answer = acme.post(f"{CHARGERS}/{charger_id}/reset-charger")
    assert answer.json["event_type"] == "reset_charger"
    assert acme.get(f"{CHARGERS}/{charger_id}/status").json["status"] == "PROVISIONING"


# Delete


def test_a_deleted_charger_is_gone_and_its_identity_is_free(acme: Caller) -> None:
    charger_id = acme.order()
    path = f"{CHARGERS}/{charger_id}"
    deleted = acme.delete(path)
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert acme.get(path).status_code == 404
    assert acme.get(f"{path}/status").status_code == 404
    assert acme.get(f"{path}/logs").status_code == 404
    assert acme.put(path, json={"name": "x"}).status_code == 404
    assert acme.post(f"{path}/start-charger").status_code == 404
    assert acme.get(CHARGERS).json["total"] == 0
    acme.order()


def test_a_repeated_delete_is_answered_the_same_for_a_day(
    acme: Caller, make_caller: Callable[..., Caller], sessions: sessionmaker[Session]
) -> None:
    path = f"{CHARGERS}/{acme.order()}"
    assert acme.delete(path).status_code == 204
    assert acme.delete(path).status_code == 204
    assert make_caller("other").delete(path).status_code == 404
    with sessions.begin() as session:
        assert len(session.scalars(select(Run).where(Run.kind == "delete")).all()) == 1
        session.execute(text("UPDATE chargers SET deleted_at = deleted_at - interval '25 hours'"))
    assert acme.delete(path).status_code == 404


# Logs and events


@pytest.fixture
def talker(acme: Caller, sessions: sessionmaker[Session]) -> str:
    """A charger with four frames, one second apart, two of them with the same time."""
    charger_id = acme.order()
    start = datetime(2026, 1, 1, 12, tzinfo=UTC)
    said = [("u", "BootNotification", 0), ("d", "BootNotification", 1), ("u", "Heartbeat", 1)]
    with sessions.begin() as session:
        for number, (direction, action, second) in enumerate([*said, ("d", "Heartbeat", 2)]):
            session.add(
                Frame(
                    charger_id=charger_id,
                    incarnation=1,
                    number=number,
                    at=start + timedelta(seconds=second),
                    direction=direction,
                    action=action,
                    message=f'[{number},"x"]',
                )
            )
        session.add(
            ChargerEvent(
                charger_id=charger_id,
                incarnation=1,
                number=1,
                at=start,
                kind="stage",
                data={"a": 1},
            )
        )
    return f"{CHARGERS}/{charger_id}"


def test_logs_are_newest_first(acme: Caller, talker: str) -> None:
    logs = acme.get(f"{talker}/logs").json
    assert [entry["message"] for entry in logs["data"]] == [f'[{n},"x"]' for n in (3, 2, 1, 0)]
    assert logs["data"][0]["direction"] == "csms_to_cp"
    assert logs["data"][3]["direction"] == "cp_to_csms"
    assert logs["data"][3]["timestamp"] == "2026-01-01T12:00:00Z"
    assert (logs["total"], logs["limit"], logs["offset"]) == (4, 100, 0)


@pytest.mark.parametrize(
    ("query", "numbers", "total"),
    [
        ("event=Heartbeat", [3, 2], 2),
        ("event=heartbeat", [], 0),
        ("limit=2", [3, 2], 4),
        ("limit=2&offset=3", [0], 4),
        ("offset=2000000000", [], 4),
        ("start_date=2026-01-01T12:00:01Z", [3, 2, 1], 3),
        ("end_date=2026-01-01T12:00:01Z", [2, 1, 0], 3),
        ("start_date=2026-01-01T14:00:01%2B02:00&end_date=2026-01-01T12:00:01Z", [2, 1], 2),
        ("start_date=2026-01-01T14:00:02+02:00", [3], 1),
        ("start_date=2026-01-01T12:00:02", [3], 1),
        ("end_date=2025-12-31", [], 0),
        ("event=Heartbeat&end_date=2026-01-01T12:00:01Z", [2], 1),
    ],
)
def test_logs_are_filtered_and_paged(
    query: str, numbers: list[int], total: int, acme: Caller, talker: str
) -> None:
    logs = acme.get(f"{talker}/logs?{query}").json
    assert [entry["message"] for entry in logs["data"]] == [f'[{n},"x"]' for n in numbers]
    assert logs["total"] == total


def test_events_are_the_chargers_own(acme: Caller, talker: str) -> None:
    events = acme.get(f"{talker}/events").json
    expected = [{"kind": "stage", "timestamp": "2026-01-01T12:00:00Z", "data": {"a": 1}}]
    assert events == {"data": expected, "total": 1, "limit": 100, "offset": 0}
    assert acme.get(f"{talker}/events?event=fault").json["total"] == 0
