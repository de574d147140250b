"""A charger is changed, stopped, started, reset, deleted: what a client sees."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session, sessionmaker

from app.models import Run
from tests.contract.conftest import ORDER, Caller, KeptHints
from tests.contract.states import add_location, put_up, read

CHARGERS = "/ocpp/chargers"


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
