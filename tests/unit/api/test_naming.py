"""Which ids the API's line about a request carries."""

from __future__ import annotations

from typing import Any

import pytest

from app.api.naming import name_order, name_path

ONE = {"target": {"charger_id": "dep-1"}, "event": {}}
MANY = {"target": {"location_id": "loc-1"}, "event": {}}


def _fan_out(*command_ids: str) -> dict[str, Any]:
    return {
        "targeted_count": len(command_ids),
        "results": [{"charger_id": "dep-1", "command": {"id": one}} for one in command_ids],
    }


@pytest.mark.parametrize(
    ("body", "answer", "ids"),
    [
        pytest.param(
            {"identity": "CP-1"},
            {"charger_id": "dep-1", "workflow_run_id": "wfr_1"},
            {"charger_id": "dep-1", "run_id": "wfr_1"},
            id="a charger that was ordered",
        ),
        pytest.param(
            None,
            {"id": "dep-1", "payload": {"status": "PENDING", "workflow_run_id": "wfr_1"}},
            {"run_id": "wfr_1"},
            id="a start, stop or reset",
        ),
        pytest.param(
            None,
            {"id": "dep-1", "payload": {"status": "READY", "workflow_run_id": None}},
            {},
            id="a start that had nothing to do",
        ),
        pytest.param(
            ONE,
            _fan_out("c1"),
            {"charger_id": "dep-1", "command_id": "c1"},
            id="a command to one charger",
        ),
        pytest.param(MANY, _fan_out("c1", "c2"), {}, id="a command to a location"),
        pytest.param(MANY, _fan_out(), {}, id="a command to an empty location"),
        pytest.param(
            ONE,
            {
                "status": "Accepted",
                "results": {"HeartbeatInterval": "Accepted"},
                "command_id": "c1",
            },
            {"charger_id": "dep-1", "command_id": "c1"},
            id="a question",
        ),
        pytest.param(
            ONE,
            {"id": "c1", "event_type": "heartbeat", "payload": {"workflow_run_id": "x"}},
            {"charger_id": "dep-1", "command_id": "c1"},
            id="a message by hand",
        ),
        pytest.param(
            [{"template": {}}],
            {"job_id": "j", "workflow_run_id": "wfr_1"},
            {"run_id": "wfr_1"},
            id="a job",
        ),
        pytest.param(None, None, {}, id="an answer without a body"),
        pytest.param(None, {"data": [], "total": 0}, {}, id="a list"),
    ],
)
def test_a_request_is_named_by_what_it_ordered(body: Any, answer: Any, ids: dict[str, str]) -> None:
    assert name_order(body, answer) == ids


def test_a_path_names_what_it_is_about() -> None:
    assert name_path({"charger_id": "dep-1"}) == {"charger_id": "dep-1"}
    assert name_path({"location_id": "loc-1", "job_id": "j"}) == {}
