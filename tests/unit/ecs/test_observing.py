"""How a task's statuses and health are folded into a phase."""

from __future__ import annotations

from typing import Any

import pytest

from workers.runtimes.base import Phase
from workers.runtimes.ecs_observe import observe_task

HANDLE = {"v": 1, "arn": "arn:aws:ecs:r:1:task/c/1"}


def show(status: str, health: str | None = None, **more: Any) -> dict[str, Any]:
    container = {"name": "simulator"} | ({"healthStatus": health} if health else {})
    return {
        "taskArn": HANDLE["arn"],
        "lastStatus": status,
        "desiredStatus": "RUNNING",
        "containers": [container],
    } | more


@pytest.mark.parametrize(
    ("task", "phase", "healthy"),
    [
        (show("PROVISIONING"), Phase.SCHEDULING, None),
        (show("PENDING"), Phase.SCHEDULING, None),
        (show("PENDING", pullStartedAt=1), Phase.PULLING, None),
        (show("PENDING", pullStartedAt=1, pullStoppedAt=2), Phase.STARTING, None),
        (show("ACTIVATING"), Phase.STARTING, None),
        (show("RUNNING"), Phase.STARTING, None),
        (show("RUNNING", "UNKNOWN"), Phase.STARTING, None),
        (show("RUNNING", "HEALTHY"), Phase.RUNNING, True),
        (show("RUNNING", "UNHEALTHY"), Phase.RUNNING, False),
        (show("RUNNING", "HEALTHY", desiredStatus="STOPPED"), Phase.STOPPING, None),
        (show("PROVISIONING", desiredStatus="STOPPED"), Phase.STOPPING, None),
        (show("DEACTIVATING"), Phase.STOPPING, None),
        (show("STOPPING"), Phase.STOPPING, None),
        (show("DEPROVISIONING"), Phase.STOPPING, None),
        (show("STOPPED", desiredStatus="STOPPED"), Phase.GONE, None),
        (show("DELETED"), Phase.GONE, None),
        (show("SOMETHING_NEW"), Phase.UNKNOWN, None),
        ({}, Phase.UNKNOWN, None),
    ],
)
def test_a_task_is_in_one_phase(task: dict[str, Any], phase: Phase, healthy: bool | None) -> None:
    seen = observe_task(HANDLE, task, "gw")
    assert (seen.phase, seen.healthy) == (phase, healthy)
    assert (seen.end is not None) is (phase is Phase.GONE)


def test_health_is_that_of_our_container_and_not_of_the_task() -> None:
    task = show("RUNNING", "UNKNOWN", healthStatus="HEALTHY")
    task["containers"].insert(0, {"name": "sidecar", "healthStatus": "HEALTHY"})
    assert observe_task(HANDLE, task, "gw").phase is Phase.STARTING


def test_the_address_is_told_once_the_interface_has_one() -> None:
    attachment = {
        "type": "ElasticNetworkInterface",
        "details": [
            {"name": "subnetId", "value": "subnet-1"},
            {"name": "privateIPv4Address", "value": "10.0.0.9"},
        ],
    }
    with_address = observe_task(HANDLE, show("RUNNING", attachments=[attachment]), "gw")
    assert with_address.facts["private_ip"] == "10.0.0.9"
    assert "private_ip" not in observe_task(HANDLE, show("PROVISIONING"), "gw").facts
