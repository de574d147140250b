"""What AWS refuses, breaks and delays, end to end: through stand-in, driver and engine to what a client sees."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Engine

from app.settings import Settings
from app.store import runtimes
from tests.ecs_cloud import ACCESS_KEY
from tests.ecs_engine import IMAGE, EcsEngine, open_ecs_engine
from workers.runtimes.base import Handle, Observation
from workers.runtimes.ecs_clients import make_client

#: Seconds of the engine's own time.
SOON_S = 20


@pytest.fixture
def world(engine: Engine, settings: Settings) -> Iterator[EcsEngine]:
    with open_ecs_engine(engine, settings, log_group="/gw/test") as world:
        yield world


def denies(operation: str) -> dict[str, Any]:
    """The credentials do not allow this call."""
    said = f"User: arn:aws:sts::123456789012:assumed-role/gw is not authorized to perform: ecs:{operation}"
    return fails(operation, "AccessDeniedException", said)


def fails(operation: str, code: str, message: str, **more: Any) -> dict[str, Any]:
    """An error answer of the API."""
    return {
        "kind": "error",
        "operation": operation,
        "code": code,
        "message": message,
        "status": 400,
    } | more


def stops(message: str, **more: Any) -> dict[str, Any]:
    """The task stops before its container starts."""
    return {"kind": "stop_before_start", "message": message, **more}


# For good

FOR_GOOD = {
    "image missing": ("settings", {"images": {"another:1": ["true"]}}, "image_not_found"),
    "image denied": (
        "faults",
        stops("CannotPullContainerError: pull access denied for simulator"),
        "image_pull_denied",
    ),
    "image without its program": (
        "settings",
        {"images": {IMAGE: ["/no/such/program"]}},
        "container_start_failed",
    ),
    "start denied": ("faults", denies("RunTask"), "ecs_access_denied"),
    "registration denied": ("faults", denies("RegisterTaskDefinition"), "ecs_access_denied"),
    "no cluster": (
        "faults",
        fails("RunTask", "ClusterNotFoundException", "Cluster not found."),
        "ecs_cluster_missing",
    ),
    "no log group": ("settings", {"log_groups": []}, "ecs_resources_denied"),
    "too little memory": ("faults", {"kind": "oom"}, "out_of_memory"),
}


@pytest.mark.parametrize(("path", "order", "code"), list(FOR_GOOD.values()), ids=list(FOR_GOOD))
def test_what_waiting_cannot_mend_ends_failed_in_seconds_with_its_code(
    world: EcsEngine, path: str, order: dict[str, Any], code: str
) -> None:
    world.cloud.order(path, order)
    charger_id = world.create()

    seconds = world.goes_on_until(
        lambda: world.charger(charger_id).status == "FAILED" and world.is_over(charger_id)
    )

    error = world.charger(charger_id).error
    assert seconds <= SOON_S
    assert error is not None
    assert (error["code"], error["doc_url"]) == (code, f"/docs/errors#{code}")
    assert error["message"]
    # The order is as it should be: once the cause is mended, the same order comes up.
    assert error["retryable"] is True


def test_what_failed_comes_up_by_the_same_order_once_the_cause_is_mended(world: EcsEngine) -> None:
    world.cloud.goes_wrong(**denies("RunTask"))
    charger_id = world.create()
    world.goes_on_until(
        lambda: world.charger(charger_id).status == "FAILED" and world.is_over(charger_id)
    )
    world.cloud.order("faults", method="DELETE")
    world.order("start", charger_id)
    world.goes_on_until(lambda: world.is_ready(charger_id))
    world.check_account(tasks=1, live=1)


def test_memory_that_runs_out_is_tried_once_more_before_it_fails(world: EcsEngine) -> None:
    world.cloud.goes_wrong("oom")
    charger_id = world.create()
    world.goes_on_until(
        lambda: world.charger(charger_id).status == "FAILED" and world.is_over(charger_id)
    )
    error = world.charger(charger_id).error
    assert error is not None
    assert "GATEWAY_ECS_MEMORY_MIB" in error["message"]
    world.check_account(tasks=2, live=0)


def test_a_refusal_after_a_lost_answer_still_finds_and_ends_what_was_started(
    engine: Engine, settings: Settings
) -> None:
    with open_ecs_engine(engine, settings, cloud_visibility_lag_s=60.0) as world:
        world.cloud.goes_wrong("lost_reply", operation="RunTask", times=1)
        charger_id = world.create()
        assert world.work() == ["register_task_definition:done", "run_task:retry"]
        world.cloud.goes_wrong(**denies("RunTask"))
        world.goes_on_until(
            lambda: world.charger(charger_id).status == "FAILED" and world.is_over(charger_id)
        )
        error = world.charger(charger_id).error
        assert error is not None
        assert error["code"] == "ecs_access_denied"
        world.check_account(tasks=1, live=0)


# For a while

NETWORK = "Timeout waiting for network interface provisioning to complete."
FOR_A_WHILE = {
    "network interfaces": (stops(NETWORK, times=2), 3),
    "pull interrupted": (stops("CannotPullContainerError: read: i/o timeout", times=1), 2),
    "out of memory once": ({"kind": "oom", "times": 1}, 2),
    "machine taken away": ({"kind": "interrupt", "times": 1}, 2),
    "answer lost": ({"kind": "lost_reply", "operation": "RunTask", "times": 2}, 1),
    "line cut": ({"kind": "lost_reply", "operation": "RunTask", "times": 2, "cut": True}, 1),
    "registration's answer lost": (
        {"kind": "lost_reply", "operation": "RegisterTaskDefinition", "times": 1},
        1,
    ),
    "throttled": ({"kind": "throttle", "operation": "*", "times": 4}, 1),
    "server error": (fails("RunTask", "ServerException", "Sorry.", times=3, status=500), 1),
    "no capacity": ({"kind": "failures", "times": 2}, 1),
    "a refusal that started": ({"kind": "ghost", "times": 1}, 1),
    "a reason that is new": ({"kind": "failures", "message": "Mercury retrograde", "times": 1}, 1),
}


@pytest.mark.parametrize(("fault", "tasks"), list(FOR_A_WHILE.values()), ids=list(FOR_A_WHILE))
def test_what_passes_is_tried_again_and_ends_ready(
    world: EcsEngine, fault: dict[str, Any], tasks: int
) -> None:
    world.cloud.goes_wrong(**fault)
    charger_id = world.create()
    world.goes_on_until(lambda: world.is_ready(charger_id))
    world.check_account(tasks=tasks, live=1)


def test_a_refused_start_that_calls_home_before_it_can_be_seen_stays_the_only_one(
    engine: Engine, settings: Settings
) -> None:
    with open_ecs_engine(engine, settings, cloud_visibility_lag_s=60.0) as world:
        world.cloud.goes_wrong("ghost", times=1)
        charger_id = world.create()
        world.work()
        world.cloud.until(lambda: world.list_tasks()[0].last_status == "RUNNING")
        world.goes_online(charger_id)
        assert world.work() == ["run_task:parked"]
        world.goes_on_until(lambda: world.is_ready(charger_id))
        assert [one.incarnation for one in world.runtimes(charger_id)] == [1]
        world.check_account(tasks=1, live=1)


def test_a_refused_start_that_called_home_and_is_no_more_is_followed_by_another(
    engine: Engine, settings: Settings
) -> None:
    with open_ecs_engine(engine, settings) as world:
        world.cloud.goes_wrong("ghost", times=1)
        charger_id = world.create()
        world.work()
        world.cloud.until(lambda: world.list_tasks()[0].last_status == "RUNNING")
        world.cloud.kill(world.list_tasks()[0].arn)
        world.cloud.until(lambda: world.list_tasks()[0].is_stopped)
        world.lets_time_pass(300)
        world.calls_home(charger_id)
        world.goes_on_until(lambda: world.is_ready(charger_id))
        assert [one.state for one in world.runtimes(charger_id)] == ["gone", "started"]
        world.check_account(tasks=2, live=1)


def test_a_quota_shows_in_the_hint_of_who_waits_and_there_is_room_after_another_left(
    engine: Engine, settings: Settings
) -> None:
    with open_ecs_engine(engine, settings, cloud_vcpu_quota=0.25) as world:
        first = world.create("CP-1")
        world.goes_on_until(lambda: world.is_ready(first))
        second = world.create("CP-2")

        world.goes_on_until(lambda: "vCPUs" in (world.charger(second).hint or ""))

        waiting = world.charger(second)
        assert "quota 'Fargate On-Demand vCPU resource count'" in (waiting.hint or "")
        assert (waiting.status, waiting.stage, waiting.error) == (
            "PROVISIONING",
            "scheduling",
            None,
        )
        world.order("delete", first)
        world.goes_on_until(lambda: world.is_ready(second))
        assert world.charger(second).hint is None
        world.check_account(tasks=2, live=1)


# What is seen on the way


def test_a_task_on_its_way_is_shown_and_wakes_no_run(world: EcsEngine) -> None:
    world.cloud.order("settings", {"provisioning_s": 3600})
    charger_id = world.create()
    world.work()
    sent = world.queue.sent
    world.looks()
    assert world.charger(charger_id).stage == "scheduling"
    world.cloud.passes(3600)
    world.cloud.until(lambda: world.list_tasks()[0].last_status == "RUNNING")
    super(EcsEngine, world).lets_time_pass(1)
    world.looks()
    assert world.charger(charger_id).stage == "starting"
    assert world.queue.sent == sent


def test_what_comes_online_during_a_look_stays_online(world: EcsEngine) -> None:
    charger_id = world.create()
    world.work()
    observe = world.driver.observe

    def look_slowly(handles: Sequence[Handle]) -> Sequence[Observation]:
        seen = observe(handles)
        world.goes_online(charger_id)
        with world.sessions.begin() as session:
            runtimes.show(session, charger_id, stage="online", verdict="connected")
        return seen

    world.driver.observe = look_slowly  # type: ignore[method-assign]
    world.looks()
    assert world.charger(charger_id).stage == "online"


# Secrets


def test_no_secret_but_the_bootstrap_token_leaves_us_and_no_log_line_has_any(
    world: EcsEngine,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", world.cloud.standin.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret-key-of-aws")
    caplog.set_level(logging.DEBUG)
    world.wire.client = make_client(world.ecs_settings, "ecs")
    world.cloud.goes_wrong("lost_reply", operation="RunTask", times=3)
    charger_id = world.create()
    world.goes_on_until(lambda: world.is_ready(charger_id))
    world.order("stop", charger_id)
    world.goes_on_until(lambda: world.is_over(charger_id))
    world.wire.client.close()

    [definition] = [one.request for one in world.cloud.world.definitions.values()]
    tasks = world.cloud.order("tasks", method="GET")
    in_aws = json.dumps([definition, tasks, [task.request for task in world.list_tasks()]])
    own = (settings.link_secret, *settings.jwt_secrets.values(), settings.database_url)
    [token] = set(re.findall(r"b1\.[\w.-]+", in_aws))
    assert token.startswith(f"b1.{charger_id}.1.")
    assert "b1." not in json.dumps(definition)
    assert [secret for secret in own if secret in in_aws] == []
    assert "step done" in caplog.text
    told = [*own, token, token.rpartition(".")[2], "the-secret-key-of-aws", "Signature="]
    assert [secret for secret in told if secret in caplog.text] == []
