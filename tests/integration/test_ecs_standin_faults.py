"""Throttling and faults to order of the stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.ecs_cloud import Cloud, fargate_run, open_cloud


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with open_cloud() as cloud:
        yield cloud


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return code_of_error(caught.value)


# Throttling: a scale this small lets no token flow back while a test runs.


def frozen_cloud(**settings: Any) -> Any:
    return open_cloud(time_scale=0.001, vcpu_quota=1000.0, **settings)


def count_until_throttled(call: Any) -> int:
    """How many calls succeed before the one that is throttled."""
    for done in range(200):
        try:
            call()
        except ClientError as error:
            if code_of_error(error) != "ThrottlingException":
                raise
            return done
    pytest.fail("nothing was throttled")


def code_of_error(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def test_registrations_are_throttled_after_20() -> None:
    with frozen_cloud() as cloud:
        assert count_until_throttled(lambda: cloud.define("app")) == 20


def test_deregistrations_share_the_bucket_of_registrations() -> None:
    with frozen_cloud() as cloud:
        arns = [cloud.define("app") for _ in range(12)]
        calls = iter(arns)
        assert (
            count_until_throttled(
                lambda: cloud.ecs.deregister_task_definition(taskDefinition=next(calls))
            )
            == 8
        )


def test_deletions_are_throttled_after_5() -> None:
    with frozen_cloud() as cloud:
        assert (
            count_until_throttled(
                lambda: cloud.ecs.delete_task_definitions(taskDefinitions=["app:1"])
            )
            == 5
        )


def test_run_task_on_fargate_is_throttled_after_20_and_on_ec2_after_100() -> None:
    with frozen_cloud() as cloud:
        definition = cloud.define()
        assert count_until_throttled(lambda: cloud.run(definition)) == 20
        used = 21
        request = fargate_run(definition, launchType="EC2")
        assert count_until_throttled(lambda: cloud.ecs.run_task(**request)) == 100 - used


def test_reads_of_tasks_are_throttled_after_100_together() -> None:
    with frozen_cloud() as cloud:
        for _ in range(60):
            cloud.ecs.list_tasks()
        assert count_until_throttled(lambda: cloud.ecs.describe_tasks(tasks=["a" * 32])) == 40


def test_tokens_flow_back_with_time() -> None:
    with frozen_cloud() as cloud:
        count_until_throttled(lambda: cloud.define("app"))
        cloud.passes(3)
        assert count_until_throttled(lambda: cloud.define("app")) == 3


def test_throttled_calls_are_counted() -> None:
    with frozen_cloud() as cloud:
        count_until_throttled(lambda: cloud.define("app"))
        assert cloud.stats()["throttled RegisterTaskDefinition"] == 1


# Faults


def test_lost_reply_has_done_its_work(cloud: Cloud) -> None:
    definition = cloud.define()
    cloud.goes_wrong("lost_reply", operation="RunTask", times=1)
    with pytest.raises(ClientError) as caught:
        cloud.run(definition, clientToken="t", startedBy="me")
    assert code_of(caught) == "ServerException"
    [arn] = cloud.ecs.list_tasks(startedBy="me")["taskArns"]
    assert cloud.run(definition, clientToken="t", startedBy="me") == arn


def test_lost_reply_may_be_a_closed_connection(cloud: Cloud) -> None:
    cloud.goes_wrong("lost_reply", operation="ListTasks", cut=True)
    with pytest.raises(ConnectionClosedError):
        cloud.ecs.list_tasks()


def test_error_has_done_nothing(cloud: Cloud) -> None:
    definition = cloud.define()
    cloud.goes_wrong("error", code="AccessDeniedException", message="not you", status=400)
    with pytest.raises(ClientError, match="not you") as caught:
        cloud.run(definition)
    assert code_of(caught) == "AccessDeniedException"
    assert cloud.stats().get("tasks_created", 0) == 0


def test_throttle_can_be_ordered_for_one_operation(cloud: Cloud) -> None:
    cloud.goes_wrong("throttle", operation="StopTask")
    arn = cloud.run(cloud.define())
    with pytest.raises(ClientError) as caught:
        cloud.ecs.stop_task(task=arn)
    assert code_of(caught) == "ThrottlingException"


def test_ghost_is_reported_failed_and_runs_all_the_same(cloud: Cloud) -> None:
    definition = cloud.define()
    cloud.goes_wrong("ghost", times=1)
    answer = cloud.ecs.run_task(**fargate_run(definition, startedBy="me"))
    assert answer["tasks"] == []
    assert answer["failures"]
    [arn] = cloud.ecs.list_tasks(startedBy="me")["taskArns"]
    cloud.until_status(arn, "RUNNING")


def test_stop_before_start_has_the_reason_ordered_and_no_exit_code(cloud: Cloud) -> None:
    reason = "Timeout waiting for network interface provisioning"
    cloud.goes_wrong("stop_before_start", message=reason)
    arn = cloud.run(cloud.define())
    cloud.until_status(arn, "STOPPED")
    task = cloud.describe(arn)
    assert (task["stopCode"], task["stoppedReason"]) == ("TaskFailedToStart", reason)
    assert "exitCode" not in task["containers"][0]


def test_memory_that_runs_out_kills_the_process(cloud: Cloud) -> None:
    cloud.goes_wrong("oom", after_s=1)
    arn = cloud.run(cloud.define())
    cloud.until_status(arn, "STOPPED")
    [container] = cloud.describe(arn)["containers"]
    assert container["exitCode"] == 137
    assert container["reason"].startswith("OutOfMemoryError")


@pytest.mark.parametrize("code", ["SpotInterruption", "TerminationNotice", "InfrastructureHealth"])
def test_infrastructure_that_goes_ends_the_task_with_its_code(cloud: Cloud, code: str) -> None:
    cloud.goes_wrong("interrupt", code=code, after_s=1)
    arn = cloud.run(cloud.define())
    cloud.until_status(arn, "STOPPED")
    assert cloud.describe(arn)["stopCode"] == code


def test_running_task_can_be_interrupted_by_hand(cloud: Cloud) -> None:
    arn = cloud.run(cloud.define())
    cloud.until_status(arn, "RUNNING")
    cloud.order("interrupt", {"task": arn})
    cloud.until_status(arn, "STOPPED")
    assert cloud.describe(arn)["stopCode"] == "SpotInterruption"


def test_outage_ends_by_itself(cloud: Cloud) -> None:
    definition = cloud.define()
    cloud.goes_wrong("failures", for_s=3600)
    assert cloud.ecs.run_task(**fargate_run(definition))["failures"]
    cloud.passes(3601)
    assert cloud.run(definition)


def test_every_nth_call_is_hit(cloud: Cloud) -> None:
    cloud.goes_wrong("error", operation="ListTasks", every=3)
    hits = []
    for _ in range(7):
        try:
            cloud.ecs.list_tasks()
            hits.append(False)
        except ClientError:
            hits.append(True)
    assert hits == [False, False, True, False, False, True, False]


def draw(seed: int) -> list[bool]:
    with open_cloud() as cloud:
        cloud.goes_wrong("error", operation="ListTasks", probability=0.5, seed=seed)
        hits = []
        for _ in range(20):
            try:
                cloud.ecs.list_tasks()
                hits.append(False)
            except ClientError:
                hits.append(True)
        return hits


def test_probability_is_drawn_from_its_seed() -> None:
    assert draw(1) == draw(1) != draw(2)


def test_fault_may_be_for_one_image_only(cloud: Cloud) -> None:
    cloud.goes_wrong("stop_before_start", image="bad:1")
    good, bad = cloud.run(cloud.define("good")), cloud.run(cloud.define("bad", image="bad:1"))
    cloud.until_status(bad, "STOPPED")
    cloud.until_status(good, "RUNNING")


def test_late_reply_has_done_its_work_before(cloud: Cloud) -> None:
    cloud.goes_wrong("slow_reply", operation="CreateCluster", after_s=20, times=1)
    cloud.ecs.create_cluster(clusterName="late")
    assert "late" in cloud.world.clusters
