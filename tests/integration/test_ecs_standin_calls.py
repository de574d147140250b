"""The stand-in answers RunTask, DescribeTasks and ListTasks as ECS does, seen through a real boto3 client.

One test per copied quirk.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from tests.ecs_cloud import Cloud, fargate_run, open_cloud


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with open_cloud() as cloud:
        yield cloud


@pytest.fixture
def lagging() -> Iterator[Cloud]:
    with open_cloud(visibility_lag_s=3600.0) as cloud:
        yield cloud


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return caught.value.response["Error"]["Code"]


# Tokens


def test_same_token_and_parameters_are_one_task(cloud: Cloud) -> None:
    definition = cloud.define()
    first = cloud.run(definition, clientToken="t-1")
    assert cloud.run(definition, clientToken="t-1") == first
    assert cloud.stats()["tasks_created"] == 1


def test_same_token_with_other_parameters_is_a_conflict_that_names_the_task(cloud: Cloud) -> None:
    definition = cloud.define()
    first = cloud.run(definition, clientToken="t-1", startedBy="a")
    with pytest.raises(ClientError) as caught:
        cloud.run(definition, clientToken="t-1", startedBy="b")
    assert code_of(caught) == "ConflictException"
    assert caught.value.response["resourceIds"] == [first]


def test_token_of_a_task_that_stopped_answers_three_facts_for_an_hour(cloud: Cloud) -> None:
    definition = cloud.define()
    first = cloud.run(definition, clientToken="t-1")
    cloud.ecs.stop_task(task=first)
    cloud.until_status(first, "STOPPED")
    cloud.passes(3000)
    [task] = cloud.ecs.run_task(**fargate_run(definition, clientToken="t-1"))["tasks"]
    assert task == {"taskArn": first, "lastStatus": "STOPPED", "desiredStatus": "STOPPED"}


def test_token_is_free_again_an_hour_after_its_task_stopped(cloud: Cloud) -> None:
    definition = cloud.define()
    first = cloud.run(definition, clientToken="t-1")
    cloud.ecs.stop_task(task=first)
    cloud.until_status(first, "STOPPED")
    cloud.passes(3700)
    assert cloud.run(definition, clientToken="t-1") != first


def test_token_of_a_running_task_lives_24_hours(cloud: Cloud) -> None:
    definition = cloud.define()
    first = cloud.run(definition, clientToken="t-1")
    cloud.until_status(first, "RUNNING")
    cloud.passes(86_000)
    assert cloud.run(definition, clientToken="t-1") == first
    cloud.passes(1000)
    assert cloud.run(definition, clientToken="t-1") != first


def test_token_is_scoped_by_cluster() -> None:
    with open_cloud(clusters=("default", "other")) as cloud:
        definition = cloud.define()
        first = cloud.run(definition, clientToken="t-1")
        assert cloud.run(definition, clientToken="t-1", cluster="other") != first


def test_definite_failure_is_repeated_for_its_token_and_not_for_the_next(cloud: Cloud) -> None:
    definition = cloud.define()
    cloud.goes_wrong("failures", times=1)
    first = cloud.ecs.run_task(**fargate_run(definition, clientToken="t-1"))
    again = cloud.ecs.run_task(**fargate_run(definition, clientToken="t-1"))
    assert first["failures"]
    assert again["failures"] == first["failures"]
    assert cloud.run(definition, clientToken="t-2")


# Limits


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("clientToken", "x" * 65),
        ("clientToken", "with space"),
        ("startedBy", "x" * 129),
        ("startedBy", "not:allowed"),
        ("count", 11),
        ("tags", [{"key": f"k{n}", "value": "v"} for n in range(51)]),
        ("networkConfiguration", {}),
        ("launchType", "EC2_AND_MORE"),
        ("overrides", {"containerOverrides": [{"name": "unknown"}]}),
    ],
)
def test_run_task_refuses_what_is_over_its_limits(cloud: Cloud, field: str, value: object) -> None:
    with pytest.raises(ClientError) as caught:
        cloud.run(cloud.define(), **{field: value})
    assert code_of(caught) == "InvalidParameterException"


def test_overrides_may_have_8192_characters_and_no_more(cloud: Cloud) -> None:
    def overrides(size: int) -> dict[str, object]:
        empty = '{"containerOverrides":[{"name":"main","environment":[{"name":"A","value":""}]}]}'
        value = "x" * (size - len(empty))
        return {
            "containerOverrides": [{"name": "main", "environment": [{"name": "A", "value": value}]}]
        }

    definition = cloud.define()
    assert cloud.run(definition, overrides=overrides(8192))
    with pytest.raises(ClientError, match="at most 8192"):
        cloud.run(definition, overrides=overrides(8193))


def test_launch_type_and_capacity_provider_exclude_each_other(cloud: Cloud) -> None:
    strategy = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    with pytest.raises(ClientError, match="Specifying both"):
        cloud.run(cloud.define(), capacityProviderStrategy=strategy)


def test_spot_task_names_its_capacity_provider(cloud: Cloud) -> None:
    request = fargate_run(cloud.define())
    del request["launchType"]
    strategy = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    [task] = cloud.ecs.run_task(**request, capacityProviderStrategy=strategy)["tasks"]
    assert task["capacityProviderName"] == "FARGATE_SPOT"


def test_describe_tasks_takes_100_and_no_more(cloud: Cloud) -> None:
    names = [f"{n:032x}" for n in range(101)]
    assert len(cloud.ecs.describe_tasks(tasks=names[:100])["failures"]) == 100
    with pytest.raises(ClientError, match="taskIds can have at most 100 items"):
        cloud.ecs.describe_tasks(tasks=names)


def test_fargate_quota_is_counted_in_vcpus_and_reported_as_a_failure() -> None:
    with open_cloud(vcpu_quota=0.5) as cloud:
        definition = cloud.define()
        first = cloud.run(definition)
        cloud.run(definition)
        [failure] = cloud.ecs.run_task(**fargate_run(definition))["failures"]
        assert "limit on the number of vCPUs" in failure["reason"]
        assert failure["reason"].startswith("You\u2019ve")
        cloud.ecs.stop_task(task=first)
        cloud.until_status(first, "STOPPED")
        assert cloud.run(definition)


# Visibility


def test_new_task_is_missing_until_the_lag_is_over(lagging: Cloud) -> None:
    arn = lagging.run(lagging.define(), startedBy="me")
    [failure] = lagging.ecs.describe_tasks(tasks=[arn])["failures"]
    assert failure == {"arn": arn, "reason": "MISSING"}
    assert lagging.ecs.list_tasks(startedBy="me")["taskArns"] == []
    lagging.passes(3601)
    assert lagging.describe(arn)["taskArn"] == arn
    assert lagging.ecs.list_tasks(startedBy="me")["taskArns"] == [arn]


def test_task_that_cannot_be_seen_yet_cannot_be_stopped(lagging: Cloud) -> None:
    arn = lagging.run(lagging.define())
    with pytest.raises(ClientError, match="The referenced task was not found"):
        lagging.ecs.stop_task(task=arn)


def test_stopped_task_is_forgotten_after_an_hour(cloud: Cloud) -> None:
    arn = cloud.run(cloud.define())
    cloud.ecs.stop_task(task=arn)
    cloud.until_status(arn, "STOPPED")
    cloud.passes(3500)
    assert cloud.describe(arn)["lastStatus"] == "STOPPED"
    cloud.passes(200)
    cloud.until(lambda: arn not in cloud.world.tasks)
    assert cloud.ecs.describe_tasks(tasks=[arn])["failures"][0]["reason"] == "MISSING"


def test_task_of_another_cluster_is_missing() -> None:
    with open_cloud(clusters=("default", "other")) as cloud:
        arn = cloud.run(cloud.define())
        answer = cloud.ecs.describe_tasks(cluster="other", tasks=[arn])
        assert answer["failures"][0]["reason"] == "MISSING"


def test_unknown_cluster_is_an_error_of_its_own(cloud: Cloud) -> None:
    with pytest.raises(ClientError) as caught:
        cloud.ecs.list_tasks(cluster="nowhere")
    assert code_of(caught) == "ClusterNotFoundException"


# Lists


def test_list_shows_running_tasks_unless_asked_for_stopped_ones(cloud: Cloud) -> None:
    definition = cloud.define()
    runs, stops = cloud.run(definition), cloud.run(definition)
    cloud.ecs.stop_task(task=stops)
    assert cloud.ecs.list_tasks()["taskArns"] == [runs]
    assert cloud.ecs.list_tasks(desiredStatus="STOPPED")["taskArns"] == [stops]
    assert cloud.ecs.list_tasks(desiredStatus="PENDING")["taskArns"] == []


def test_started_by_admits_no_other_filter(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match="must be the only filter"):
        cloud.ecs.list_tasks(startedBy="me", family="app")


def test_started_by_admits_a_desired_status_unless_strict() -> None:
    with open_cloud() as cloud:
        assert cloud.ecs.list_tasks(startedBy="me", desiredStatus="STOPPED")["taskArns"] == []
    with (
        open_cloud(strict_started_by=True) as cloud,
        pytest.raises(ClientError, match="must be the only filter"),
    ):
        cloud.ecs.list_tasks(startedBy="me", desiredStatus="STOPPED")


def test_list_by_family_combines_with_desired_status(cloud: Cloud) -> None:
    mine, other = cloud.run(cloud.define("mine")), cloud.run(cloud.define("other"))
    cloud.ecs.stop_task(task=other)
    assert cloud.ecs.list_tasks(family="mine")["taskArns"] == [mine]
    assert cloud.ecs.list_tasks(family="other", desiredStatus="STOPPED")["taskArns"] == [other]


def test_list_comes_in_pages(cloud: Cloud) -> None:
    definition = cloud.define()
    arns = [cloud.run(definition) for _ in range(3)]
    pages = cloud.ecs.get_paginator("list_tasks").paginate(PaginationConfig={"PageSize": 2})
    assert [page["taskArns"] for page in pages] == [arns[:2], arns[2:]]
