"""The stand-in's tasks live and end as ECS's do, seen through a real boto3 client: one test per quirk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.ecs_cloud import SLEEPER, Cloud, fargate_definition, open_cloud


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with open_cloud() as cloud:
        yield cloud


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return caught.value.response["Error"]["Code"]


# Life


def test_task_runs_its_command_with_the_override_above_the_definition(cloud: Cloud) -> None:
    script = 'echo "$A $B" > seen; sleep 60'
    definition = cloud.define(
        command=["sh", "-c", script],
        environment=[{"name": "A", "value": "defined"}, {"name": "B", "value": "defined"}],
        healthCheck={"command": ["CMD", "grep", "-q", "defined overridden", "seen"], "interval": 5},
    )
    pairs = [{"name": "B", "value": "overridden"}]
    override = {"containerOverrides": [{"name": "main", "environment": pairs}]}
    cloud.until_health(cloud.run(definition, overrides=override), "HEALTHY")


def test_task_does_not_inherit_our_environment(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_LINK_SECRET", "ours")
    script = 'test -z "$GATEWAY_LINK_SECRET"'
    arn = cloud.run(cloud.define(command=["sh", "-c", script]))
    cloud.until_status(arn, "STOPPED")
    assert cloud.describe(arn)["containers"][0]["exitCode"] == 0


def test_task_goes_through_the_statuses_of_its_life(cloud: Cloud) -> None:
    seen: list[str] = []

    def note(arn: str) -> bool:
        status = cloud.task(arn).last_status
        if status not in seen[-1:]:
            seen.append(status)
        return status == "STOPPED"

    arn = cloud.run(cloud.define(command=["true"]))
    cloud.until(lambda: note(arn))
    full = ["PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEPROVISIONING", "STOPPED"]
    assert seen == [status for status in full if status in seen]
    assert {"PENDING", "RUNNING", "STOPPED"} <= set(seen)


def test_command_that_ends_stops_the_task_with_its_exit_code(cloud: Cloud) -> None:
    arn = cloud.run(cloud.define(command=["sh", "-c", "exit 3"]))
    cloud.until_status(arn, "STOPPED")
    task = cloud.describe(arn)
    assert (task["stopCode"], task["stoppedReason"]) == (
        "EssentialContainerExited",
        "Essential container in task exited",
    )
    assert task["containers"][0]["exitCode"] == 3
    assert task["desiredStatus"] == "STOPPED"


def test_end_of_the_command_ends_its_children_too(cloud: Cloud) -> None:
    script = "sleep 600 & echo $! > child; exit 0"
    arn = cloud.run(cloud.define(command=["sh", "-c", script]))
    cloud.until_status(arn, "STOPPED")
    child = int((cloud.standin.lifecycle.folder_of(cloud.task(arn)) / "child").read_text())
    assert not _is_alive(child)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_command_that_cannot_be_executed_fails_to_start(cloud: Cloud) -> None:
    arn = cloud.run(cloud.define(command=["/no/such/program"]))
    cloud.until_status(arn, "STOPPED")
    task = cloud.describe(arn)
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["containers"][0]["reason"].startswith("CannotStartContainerError")


def test_image_that_is_not_there_cannot_be_pulled() -> None:
    with open_cloud(images={"there:1": SLEEPER}) as cloud:
        arn = cloud.run(cloud.define(image="missing:1"))
        cloud.until_status(arn, "STOPPED")
        reason = cloud.describe(arn)["stoppedReason"]
        assert reason.startswith("CannotPullContainerError")
        assert reason.endswith("not found")


def test_image_brings_its_command() -> None:
    with open_cloud(images={"there:1": ["sh", "-c", "exit 7"]}) as cloud:
        arn = cloud.run(cloud.define(image="there:1", command=[]))
        cloud.until_status(arn, "STOPPED")
        assert cloud.describe(arn)["containers"][0]["exitCode"] == 7


def test_log_group_that_is_not_there_stops_the_task_before_its_start() -> None:
    logs = {
        "logDriver": "awslogs",
        "options": {"awslogs-group": "/gw/lost", "awslogs-stream-prefix": "sim"},
    }
    with open_cloud(log_groups=("/gw/there",)) as cloud:
        arn = cloud.run(cloud.define(logConfiguration=logs))
        cloud.until_status(arn, "STOPPED")
        assert cloud.describe(arn)["stoppedReason"].startswith("ResourceInitializationError")


# Stopping


def test_stop_is_sigterm_first_and_keeps_the_reason(cloud: Cloud) -> None:
    arn = cloud.run(cloud.define(linuxParameters={"initProcessEnabled": True}))
    cloud.until_status(arn, "RUNNING")
    answer = cloud.ecs.stop_task(task=arn, reason="gw:test")["task"]
    assert answer["desiredStatus"] == "STOPPED"
    cloud.until_status(arn, "STOPPED")
    task = cloud.describe(arn)
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "gw:test")
    assert task["containers"][0]["exitCode"] in (0, 143)


def test_stop_is_sigkill_after_the_stop_timeout(cloud: Cloud) -> None:
    stubborn = ["sh", "-c", "trap '' TERM; touch ready; sleep 600 & wait; wait"]
    check = {"command": ["CMD-SHELL", "test -f ready"], "interval": 5}
    arn = cloud.run(cloud.define(command=stubborn, healthCheck=check, stopTimeout=2))
    cloud.until_health(arn, "HEALTHY")
    cloud.ecs.stop_task(task=arn)
    cloud.until_status(arn, "STOPPED")
    assert cloud.describe(arn)["containers"][0]["exitCode"] == 137


def test_process_without_a_handler_ignores_sigterm_unless_it_has_an_init(cloud: Cloud) -> None:
    deaf = ["sleep", "600"]
    alone = cloud.run(cloud.define("alone", command=deaf, stopTimeout=2))
    init = {"initProcessEnabled": True}
    child = cloud.run(cloud.define("child", command=deaf, stopTimeout=120, linuxParameters=init))
    for arn, code in ((alone, 137), (child, 143)):
        cloud.until_status(arn, "RUNNING")
        cloud.ecs.stop_task(task=arn)
        cloud.until_status(arn, "STOPPED")
        assert cloud.describe(arn)["containers"][0]["exitCode"] == code


def test_stop_before_the_start_runs_nothing(cloud: Cloud) -> None:
    arn = cloud.run(cloud.define())
    cloud.ecs.stop_task(task=arn, reason="early")
    cloud.until_status(arn, "STOPPED")
    task = cloud.describe(arn)
    assert task["stopCode"] == "UserInitiated"
    assert "exitCode" not in task["containers"][0]
    assert cloud.stats().get("processes_started", 0) == 0


def test_stop_deletes_the_tags(cloud: Cloud) -> None:
    arn = cloud.run(cloud.define(), tags=[{"key": "gw:charger", "value": "1"}])
    assert cloud.describe(arn, include=["TAGS"])["tags"] == [{"key": "gw:charger", "value": "1"}]
    assert cloud.describe(arn)["tags"] == []
    cloud.ecs.stop_task(task=arn)
    assert cloud.describe(arn, include=["TAGS"])["tags"] == []


def test_stop_again_changes_nothing(cloud: Cloud) -> None:
    arn = cloud.run(cloud.define())
    cloud.ecs.stop_task(task=arn, reason="first")
    cloud.until_status(arn, "STOPPED")
    assert cloud.ecs.stop_task(task=arn, reason="second")["task"]["stoppedReason"] == "first"


# Health


def test_health_is_unknown_without_a_check(cloud: Cloud) -> None:
    arn = cloud.run(cloud.define())
    cloud.until_status(arn, "RUNNING")
    assert cloud.describe(arn)["healthStatus"] == "UNKNOWN"


def test_health_follows_the_command_and_unhealthy_tasks_go_on(cloud: Cloud) -> None:
    check = {"command": ["CMD-SHELL", "test ! -f sick"], "interval": 5, "retries": 2}
    arn = cloud.run(cloud.define(healthCheck=check))
    cloud.until_health(arn, "HEALTHY")
    (cloud.standin.lifecycle.folder_of(cloud.task(arn)) / "sick").touch()
    cloud.until_health(arn, "UNHEALTHY")
    assert cloud.describe(arn)["lastStatus"] == "RUNNING"


def test_failures_in_the_start_period_do_not_count(cloud: Cloud) -> None:
    script = "echo x >> tries; test -f well"
    check = {"command": ["CMD-SHELL", script], "interval": 5, "retries": 1, "startPeriod": 300}
    arn = cloud.run(cloud.define(healthCheck=check))
    cloud.until_status(arn, "RUNNING")
    folder = cloud.standin.lifecycle.folder_of(cloud.task(arn))
    cloud.until(lambda: (folder / "tries").exists())
    assert cloud.describe(arn)["healthStatus"] == "UNKNOWN"
    cloud.passes(300)
    cloud.until_health(arn, "UNHEALTHY")


def test_probe_that_takes_too_long_is_a_failure(cloud: Cloud) -> None:
    check = {"command": ["CMD", "sleep", "600"], "interval": 5, "timeout": 2, "retries": 1}
    cloud.until_health(cloud.run(cloud.define(healthCheck=check)), "UNHEALTHY")


# Logs


def test_output_of_the_command_is_in_its_log_stream(cloud: Cloud) -> None:
    logs = {
        "logDriver": "awslogs",
        "options": {"awslogs-group": "/gw/a", "awslogs-stream-prefix": "sim"},
    }
    script = "echo one; echo two >&2; touch said; sleep 600"
    check = {"command": ["CMD-SHELL", "test -f said"], "interval": 5}
    definition = cloud.define(
        command=["sh", "-c", script], healthCheck=check, logConfiguration=logs
    )
    arn = cloud.run(definition)
    stream = f"sim/main/{arn.rsplit('/', 1)[1]}"
    with pytest.raises(ClientError) as caught:
        cloud.logs.get_log_events(logGroupName="/gw/a", logStreamName=stream)
    assert code_of(caught) == "ResourceNotFoundException"
    cloud.until_health(arn, "HEALTHY")
    answer = cloud.logs.get_log_events(logGroupName="/gw/a", logStreamName=stream, limit=10)
    assert [event["message"] for event in answer["events"]] == ["one", "two"]


def test_definition_of_a_running_task_can_be_deregistered_and_not_used_again(cloud: Cloud) -> None:
    definition = cloud.define()
    arn = cloud.run(definition)
    cloud.ecs.deregister_task_definition(taskDefinition=definition)
    cloud.until_status(arn, "RUNNING")
    with pytest.raises(ClientError, match="TaskDefinition is inactive"):
        cloud.run(definition)


def test_unknown_definition_is_a_client_exception(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match="TaskDefinition not found"):
        cloud.run("app:9")


def test_definition_for_ec2_does_not_run_on_fargate(cloud: Cloud) -> None:
    request = fargate_definition("small")
    del request["requiresCompatibilities"]
    cloud.ecs.register_task_definition(**request)
    with pytest.raises(ClientError) as caught:
        cloud.run("small")
    assert code_of(caught) == "InvalidParameterException"
