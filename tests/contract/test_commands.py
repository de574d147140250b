"""Commands through their routes: whom they reach, what is answered at once, later, or as a refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from app.api.commands import FAN_OUTS
from app.api.schemas.commands import FAULTS, PROXY_ACTIONS
from app.tokens import Role
from simulator.connectors import ERROR_CODES
from tests.contract.conftest import Caller
from tests.contract.runtimes import Runtimes
from tests.contract.test_location_chargers import order
from tests.contract.test_locations import open_site
from tests.contract.test_openapi import check, get_answer_schema

#: A sufficient event for each fan-out.
EVENTS: dict[str, dict[str, Any]] = {
    "start_transaction": {"id_tag": "TAG-RFID-001"},
    "start_session": {"id_tag": "TAG-RFID-001"},
    "authorize_id_tag": {"id_tag": "TAG-RFID-001"},
    "power_update": {"power_w": 7400},
}
#: Operations that answer with what the charger says: path, event, name.
QUESTIONS: list[tuple[str, dict[str, Any], str]] = [
    ("configuration", {"configuration": {"HeartbeatInterval": "30"}}, "set_configuration"),
    ("cache/reset", {}, "reset_auth_cache"),
    ("local-auth-list", {"list_version": 2, "entries": [{"id_tag": "A"}]}, "send_local_list"),
    ("clear-local-auth-list", {}, "clear_local_list"),
    ("inject-fault", {"fault_type": "OverCurrent"}, "inject_fault"),
    ("clear-fault", {}, "clear_fault"),
]
FAN_OUT_PATHS = [(one.name, one.name.replace("_", "-")) for one in FAN_OUTS]


@pytest.fixture
def runtimes(sessions: sessionmaker[Session]) -> Iterator[Runtimes]:
    made = Runtimes(sessions)
    yield made
    made.close()


def send(caller: Caller, path: str, target: dict[str, Any], event: Any = None) -> Any:
    body = {"target": target} if event is None else {"target": target, "event": event}
    return caller.post(f"/ocpp/commands/{path}", json=body)


def read_args(sessions: sessionmaker[Session], command_id: str) -> dict[str, Any]:
    with sessions() as session:
        found: dict[str, Any] = session.execute(
            text("SELECT args FROM commands WHERE id = :id"), {"id": command_id}
        ).scalar_one()
        return found


@pytest.mark.parametrize(("name", "path"), FAN_OUT_PATHS)
def test_a_fan_out_to_one_charger(
    name: str, path: str, acme: Caller, sessions: sessionmaker[Session]
) -> None:
    charger_id = acme.order()
    answer = send(acme, path, {"charger_id": charger_id}, EVENTS.get(name))
    assert answer.status_code == 202, answer.text
    (one,) = answer.json["results"]
    counts = [answer.json[f"{which}_count"] for which in ("targeted", "queued", "failed")]
    assert (counts, answer.json["failed"]) == ([1, 1, 0], [])
    assert (one["charger_id"], one["identity"]) == (charger_id, "CP-001")
    command = one["command"]
    assert len(command["id"]) == 12
    assert (command["event_type"], command["ocpp_version"]) == (name, "ocpp1.6")
    assert command["payload"] == read_args(sessions, command["id"])
    assert command["payload"].items() >= EVENTS.get(name, {}).items()
    state = acme.get(f"/ocpp/commands/{command['id']}").json
    assert (state["state"], state["charger_id"]) == ("deferred", charger_id)


def test_connectors_default_to_the_first(acme: Caller) -> None:
    target = {"charger_id": acme.order()}
    given = send(acme, "plug-connector", target, {"evse_id": None}).json["results"][0]
    assert given["command"]["payload"] == {"evse_id": 1, "connector_id": 1}
    second = send(acme, "plug-connector", target, {"connector_id": 2}).json["results"][0]
    assert second["command"]["payload"] == {"evse_id": 1, "connector_id": 2}


@pytest.mark.parametrize(
    "target",
    [
        {},
        {"charger_id": "dep-1", "location_id": "x"},
        {"charger_id": "dep-1", "charger_ids": ["dep-1"]},
        {"charger_ids": ["dep-1"]},
        {"location_id": "x", "charger_ids": []},
        {"location_id": "x", "charger_ids": "dep-1"},
        {"charger_id": 7},
    ],
)
def test_a_target_that_is_not_clear_is_refused(target: dict[str, Any], acme: Caller) -> None:
    answer = send(acme, "plug-connector", target)
    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"][:2] == ["body", "target"]


@pytest.mark.parametrize(
    ("path", "event"),
    [
        ("start-transaction", None),
        ("start-transaction", {}),
        ("start-transaction", {"id_tag": ""}),
        ("start-transaction", {"id_tag": "x" * 37}),
        ("plug-connector", {"connector_id": 0}),
        ("plug-connector", {"connector_id": "1"}),
        ("plug-connector", {"door": 1}),
        ("power-update", {"power_w": -1}),
        ("power-update", {"power_w": 7.4}),
        ("start-session", {"id_tag": "A", "duration_seconds": 0}),
        ("start-session", {"id_tag": "A", "target_energy_kwh": 0}),
        ("start-session", {"id_tag": "A", "target_energy_kwh": "20"}),
        ("start-session", {"id_tag": "A", "target_energy_kwh": True}),
        ("wire-faults", {"drop_rate": 1.5}),
        ("inject-fault", {"fault_type": "Rust"}),
        ("inject-fault", {"fault_type": "NoError"}),
        ("configuration", {"configuration": {}}),
        ("configuration", {"configuration": {"HeartbeatInterval": 30}}),
        ("configuration", {}),
        ("local-auth-list", {"list_version": 1}),
        ("local-auth-list", {"list_version": 1, "entries": [{}]}),
        ("local-auth-list", {"list_version": 2**31, "entries": []}),
        ("local-auth-list", {"list_version": 1, "entries": [{"id_tag": "A", "expiry_date": "x"}]}),
        ("proxy-message", {"action": "Heartbeat", "ocpp_version": "ocpp1.6", "payload": {}}),
        ("proxy-message", {"action": "heartbeat", "ocpp_version": "OCPP1.6", "payload": {}}),
        ("proxy-message", {"action": "heartbeat", "ocpp_version": "ocpp1.6"}),
        ("proxy-message", {"action": "notify_event", "ocpp_version": "ocpp1.6", "payload": {}}),
        (
            "proxy-message",
            {"action": "stop_transaction", "ocpp_version": "ocpp2.0.1", "payload": {}},
        ),
    ],
)
def test_an_event_that_cannot_be_is_refused(path: str, event: Any, acme: Caller) -> None:
    answer = send(acme, path, {"charger_id": acme.order()}, event)
    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"][:2] == ["body", "event"]


def test_every_fault_and_message_of_the_api_is_one_of_the_chargers() -> None:
    assert set(FAULTS) == (set(ERROR_CODES) - {"NoError"}) | {"OverCurrent"}
    assert {"authorize", "transaction_event", "diagnostics_status_notification"} <= set(
        PROXY_ACTIONS
    )


def test_a_whole_location_can_be_told(acme: Caller, runtimes: Runtimes) -> None:
    site = f"{open_site(acme)}/chargers"
    online, offline, stopped, failed, deleted = order(acme, site, *"12345")
    acme.order()
    runtimes.put_online(online)
    runtimes.stop(stopped)
    runtimes.fail(failed)
    acme.delete(f"/ocpp/chargers/{deleted}")
    target = {"location_id": site.split("/")[3]}
    answer = send(acme, "plug-connector", target).json
    assert [one["charger_id"] for one in answer["results"]] == [online, offline]
    assert [(one["charger_id"], one["identity"]) for one in answer["failed"]] == [
        (stopped, "SITE_A_3"),
        (failed, "SITE_A_4"),
    ]
    assert (answer["targeted_count"], answer["queued_count"], answer["failed_count"]) == (4, 2, 2)
    states = [
        acme.get(f"/ocpp/commands/{one['command']['id']}").json["state"]
        for one in answer["results"]
    ]
    assert states == ["received", "deferred"]


def test_some_of_a_location_can_be_told(acme: Caller) -> None:
    site = f"{open_site(acme)}/chargers"
    first, second, _ = order(acme, site, *"123")
    elsewhere = acme.order()
    target = {
        "location_id": site.split("/")[3],
        "charger_ids": [second, elsewhere, first, "dep-unknown", first],
    }
    answer = send(acme, "plug-connector", target).json
    assert [one["charger_id"] for one in answer["results"]] == [first, second]
    assert [one["charger_id"] for one in answer["failed"]] == [elsewhere, "dep-unknown"]
    assert all(one["error"] for one in answer["failed"])


def test_a_thousand_chargers_are_told_in_one_call(acme: Caller) -> None:
    path = open_site(acme)
    template = {
        "brand_slug": "wallbox",
        "model_slug": "wallbox-pulsar-plus",
        "connector_type": "Type2",
        "ws_url": "ws://csms.example.com",
    }
    acme.post(f"{path}/chargers", json=[{"template": template, "chargers_number": 1000}])
    key = {"Idempotency-Key": "fan-1"}
    body = {"target": {"location_id": path.rsplit("/", 1)[1]}}
    answer = acme.post("/ocpp/commands/plug-connector", json=body, headers=key)
    assert answer.json["queued_count"] == 1000
    again = acme.post("/ocpp/commands/plug-connector", json=body, headers=key)
    assert again.json == answer.json


def test_what_is_not_ones_own_is_not_found(
    acme: Caller, make_caller: Callable[..., Caller]
) -> None:
    stranger = make_caller("other")
    charger_id = stranger.order()
    location_id = open_site(stranger).rsplit("/", 1)[1]
    for path, target, code in (
        ("plug-connector", {"charger_id": charger_id}, "charger_not_found"),
        ("plug-connector", {"charger_id": "x"}, "charger_not_found"),
        ("plug-connector", {"location_id": location_id}, "location_not_found"),
        ("plug-connector", {"location_id": "x"}, "location_not_found"),
        ("clear-fault", {"charger_id": charger_id}, "charger_not_found"),
    ):
        answer = send(acme, path, target)
        assert (answer.status_code, answer.json["code"]) == (404, code)
    told = send(stranger, "plug-connector", {"charger_id": charger_id}).json
    command_id = told["results"][0]["command"]["id"]
    for unknown in (command_id, "0" * 12, "x", "A" * 12):
        answer = acme.get(f"/ocpp/commands/{unknown}")
        assert (answer.status_code, answer.json["code"]) == (404, "command_not_found")
    admin = make_caller("house", role=Role.ADMIN)
    seen = admin.get(f"/ocpp/commands/{command_id}", headers={"X-Organization-Id": "other"})
    assert seen.status_code == 200


def test_a_message_by_hand_is_queued(acme: Caller, sessions: sessionmaker[Session]) -> None:
    payload = {"charge_point_vendor": "OCPPLAB", "charge_point_model": "SDK-DC-50"}
    event = {"action": "boot_notification", "ocpp_version": "ocpp1.6", "payload": payload}
    answer = send(acme, "proxy-message", {"charger_id": acme.order()}, event)
    assert answer.status_code == 202
    assert answer.json["event_type"] == "boot_notification"
    assert answer.json["payload"] == payload
    assert read_args(sessions, answer.json["id"]) == event


def test_a_message_of_another_version_than_the_chargers_is_refused(acme: Caller) -> None:
    event = {"action": "heartbeat", "ocpp_version": "ocpp2.0.1", "payload": {}}
    answer = send(acme, "proxy-message", {"charger_id": acme.order()}, event)
    assert (answer.status_code, answer.json["code"]) == (400, "ocpp_version_mismatch")


@pytest.mark.parametrize(("path", "event", "name"), QUESTIONS)
def test_the_answer_of_an_online_charger_is_the_answer(
    path: str, event: dict[str, Any], name: str, acme: Caller, runtimes: Runtimes
) -> None:
    charger_id = acme.order()
    runtimes.put_online(charger_id)
    runtimes.answer("applied", '{"status": "Accepted", "msg": "Done.", "from": "the charger"}')
    answer = send(acme, path, {"charger_id": charger_id}, event)
    assert answer.status_code == 200
    assert (answer.json["status"], answer.json["msg"]) == ("Accepted", "Done.")
    assert answer.json["from"] == "the charger"
    told = acme.get(f"/ocpp/commands/{answer.json['command_id']}").json
    assert (told["name"], told["state"]) == (name, "applied")


@pytest.mark.parametrize(("path", "event", "name"), QUESTIONS)
def test_an_offline_charger_is_told_later(
    path: str, event: dict[str, Any], name: str, acme: Caller
) -> None:
    document: dict[str, Any] = acme.get("/openapi.json").json
    answer = send(acme, path, {"charger_id": acme.order()}, event)
    assert answer.status_code == 200
    assert answer.json["status"] == "Pending"
    assert "not online" in answer.json["msg"]
    schema = get_answer_schema(document, f"/ocpp/commands/{path}", "post", 200)
    check(document, schema, answer.json)
    told = acme.get(f"/ocpp/commands/{answer.json['command_id']}").json
    assert (told["name"], told["state"]) == (name, "deferred")
    check(document, get_answer_schema(document, "/ocpp/commands/{command_id}", "get", 200), told)


def test_the_echo_of_a_fault_says_where_it_is(acme: Caller) -> None:
    event = {"fault_type": "GroundFailure", "connector_id": 2}
    answer = send(acme, "inject-fault", {"charger_id": acme.order()}, event).json
    assert (answer["fault_type"], answer["evse_id"], answer["connector_id"]) == (
        "GroundFailure",
        1,
        2,
    )


def test_a_stopped_charger_is_told_when_it_comes_back(acme: Caller, runtimes: Runtimes) -> None:
    charger_id = acme.order()
    runtimes.stop(charger_id)
    answer = send(acme, "clear-fault", {"charger_id": charger_id}).json
    assert answer["status"] == "Pending"
    assert answer["msg"].startswith("The charger is stopped.")


REFUSED = '{"code": "command_rejected", "message": "The list version has to grow."}'


def test_a_refused_local_list_is_an_error_that_names_the_command(
    acme: Caller, runtimes: Runtimes
) -> None:
    charger_id = acme.order()
    runtimes.put_online(charger_id)
    runtimes.answer("rejected", error=REFUSED)
    event = {"list_version": 1, "entries": []}
    answer = send(acme, "local-auth-list", {"charger_id": charger_id}, event)
    assert answer.status_code == 400
    assert answer.json["detail"] == "The list version has to grow."
    assert acme.get(f"/ocpp/commands/{answer.json['command_id']}").json["state"] == "rejected"


def test_a_refused_fault_is_an_answer(acme: Caller, runtimes: Runtimes) -> None:
    charger_id = acme.order()
    runtimes.put_online(charger_id)
    runtimes.answer("rejected", error=REFUSED)
    answer = send(acme, "clear-fault", {"charger_id": charger_id})
    assert answer.status_code == 200
    assert (answer.json["status"], answer.json["msg"]) == (
        "Rejected",
        "The list version has to grow.",
    )


def test_when_all_seats_are_taken_the_answer_is_pending_at_once(
    acme: Caller, runtimes: Runtimes
) -> None:
    charger_id = acme.order()
    runtimes.put_online(charger_id)
    news = acme.client.application.extensions["desk"].news
    with news.follow("a", room="commands"), news.follow("b", room="commands"):
        answer = send(acme, "cache/reset", {"charger_id": charger_id})
    assert answer.json["cleared_entries"] == 0
    assert answer.json["msg"].startswith("The charger has not answered yet.")


def test_a_repeated_question_with_the_same_key_is_asked_once(
    acme: Caller, sessions: sessionmaker[Session]
) -> None:
    body = {"target": {"charger_id": acme.order()}}
    key = {"Idempotency-Key": "cache-1"}
    first = acme.post("/ocpp/commands/cache/reset", json=body, headers=key)
    again = acme.post("/ocpp/commands/cache/reset", json=body, headers=key)
    assert again.json == first.json
    with sessions() as session:
        assert session.scalar(text("SELECT count(*) FROM commands")) == 1


def test_the_arguments_of_a_command_are_not_shown(acme: Caller) -> None:
    secret = "a-long-password-1234"
    event = {"configuration": {"AuthorizationKey": secret}}
    answer = send(acme, "configuration", {"charger_id": acme.order()}, event)
    shown = acme.get(f"/ocpp/commands/{answer.json['command_id']}")
    assert secret not in answer.text + shown.text
