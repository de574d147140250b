"""The life of a charger through its routes, as a client sees it."""

from __future__ import annotations

from tests.contract.conftest import ORDER, Caller


def test_an_order_is_accepted_and_can_be_polled(acme: Caller) -> None:
    accepted = acme.post("/ocpp/chargers", json=ORDER)
    assert accepted.status_code == 202
    assert accepted.json["identity"] == "CP-001"
    assert accepted.json["status"] == "PENDING"
    status = acme.get(accepted.json["status_url"])
    assert status.status_code == 200
    assert status.json["charger_id"] == accepted.json["charger_id"]
    assert status.json["workflow_run_id"] == accepted.json["workflow_run_id"]
    assert status.json["current_step"] == "register_task_definition"
    assert [step["name"] for step in status.json["steps"]][-1] == "mark_ready"
