"""The stand-in's task definitions behave as ECS's do, seen through a real boto3 client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.ecs_cloud import Cloud, fargate_definition, open_cloud


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with open_cloud() as cloud:
        yield cloud


def test_revisions_of_a_family_count_up_and_are_never_given_again(cloud: Cloud) -> None:
    assert cloud.define("app").endswith("app:1")
    second = cloud.define("app")
    assert second.endswith("app:2")
    cloud.ecs.deregister_task_definition(taskDefinition=second)
    cloud.ecs.delete_task_definitions(taskDefinitions=[second])
    assert cloud.define("app").endswith("app:3")


def test_family_alone_means_its_newest_active_revision(cloud: Cloud) -> None:
    first, second = cloud.define("app"), cloud.define("app")
    cloud.ecs.deregister_task_definition(taskDefinition=second)
    found = cloud.ecs.describe_task_definition(taskDefinition="app")["taskDefinition"]
    assert found["taskDefinitionArn"] == first


def test_inactive_revision_is_still_described(cloud: Cloud) -> None:
    arn = cloud.define("app")
    cloud.ecs.deregister_task_definition(taskDefinition=arn)
    found = cloud.ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    assert found["status"] == "INACTIVE"
    assert found["containerDefinitions"][0]["image"] == "app:1"


def test_family_without_active_revision_cannot_be_described(cloud: Cloud) -> None:
    cloud.ecs.deregister_task_definition(taskDefinition=cloud.define("app"))
    with pytest.raises(ClientError, match="Unable to describe task definition"):
        cloud.ecs.describe_task_definition(taskDefinition="app")


def test_tags_are_described_only_when_asked_for(cloud: Cloud) -> None:
    tags = [{"key": "gw:hash", "value": "abc"}]
    cloud.ecs.register_task_definition(**fargate_definition("app"), tags=tags)
    assert "tags" not in cloud.ecs.describe_task_definition(taskDefinition="app")
    answer = cloud.ecs.describe_task_definition(taskDefinition="app", include=["TAGS"])
    assert answer["tags"] == tags


def test_family_prefix_is_a_whole_name_for_definitions_and_a_prefix_for_families(
    cloud: Cloud,
) -> None:
    first, _ = cloud.define("gw-a-1"), cloud.define("gw-a-12")
    listed = cloud.ecs.list_task_definitions(familyPrefix="gw-a-1")
    assert listed["taskDefinitionArns"] == [first]
    families = cloud.ecs.list_task_definition_families(familyPrefix="gw-a-1")
    assert families["families"] == ["gw-a-1", "gw-a-12"]


def test_lists_tell_active_from_inactive(cloud: Cloud) -> None:
    arn = cloud.define("app")
    cloud.ecs.deregister_task_definition(taskDefinition=arn)
    assert cloud.ecs.list_task_definitions()["taskDefinitionArns"] == []
    assert cloud.ecs.list_task_definitions(status="INACTIVE")["taskDefinitionArns"] == [arn]
    assert cloud.ecs.list_task_definition_families(status="ACTIVE")["families"] == []
    assert cloud.ecs.list_task_definition_families(status="INACTIVE")["families"] == ["app"]


def test_only_inactive_definitions_can_be_deleted(cloud: Cloud) -> None:
    arn = cloud.define("app")
    [failure] = cloud.ecs.delete_task_definitions(taskDefinitions=[arn])["failures"]
    assert failure["arn"] == arn
    cloud.ecs.deregister_task_definition(taskDefinition=arn)
    assert cloud.ecs.delete_task_definitions(taskDefinitions=[arn])["failures"] == []
    with pytest.raises(ClientError, match="Unable to describe"):
        cloud.ecs.describe_task_definition(taskDefinition=arn)


def test_definition_being_deleted_stays_while_a_task_runs_from_it(cloud: Cloud) -> None:
    definition = cloud.define("app")
    task = cloud.run(definition)
    cloud.ecs.deregister_task_definition(taskDefinition=definition)
    cloud.ecs.delete_task_definitions(taskDefinitions=[definition])
    found = cloud.ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"]
    assert found["status"] == "DELETE_IN_PROGRESS"
    cloud.ecs.stop_task(task=task)
    cloud.until(lambda: definition not in cloud.world.definitions)


def test_ten_definitions_are_deleted_at_once_and_no_more(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match="at most 10"):
        cloud.ecs.delete_task_definitions(taskDefinitions=[f"app:{n}" for n in range(11)])


def test_two_registrations_of_one_family_at_once_are_one_too_many() -> None:
    with open_cloud(register_s=40.0) as cloud:
        first = threading.Thread(target=cloud.define, args=("app",))
        first.start()
        cloud.until(lambda: "app" in cloud.world.registering)
        with pytest.raises(ClientError, match="Too many concurrent attempts"):
            cloud.client("ecs").register_task_definition(**fargate_definition("app"))
        cloud.passes(40)
        first.join()
        assert cloud.stats()["definitions_registered"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"family": "with space"},
        {"networkMode": "bridge"},
        {"memory": "256"},
        {"cpu": "300"},
        {"executionRoleArn": ""},
        {"containerDefinitions": []},
    ],
)
def test_registration_refuses_what_fargate_cannot_run(cloud: Cloud, change: dict[str, Any]) -> None:
    logs = {"logDriver": "awslogs", "options": {"awslogs-group": "g", "awslogs-stream-prefix": "p"}}
    request = fargate_definition("app", logConfiguration=logs) | change
    with pytest.raises(ClientError) as caught:
        cloud.ecs.register_task_definition(**request)
    assert caught.value.response["Error"]["Code"] == "ClientException"


@pytest.mark.parametrize(
    "container",
    [
        {"healthCheck": {"command": ["curl"]}},
        {"healthCheck": {"command": ["CMD", "true"], "interval": 4}},
        {"healthCheck": {"command": ["CMD", "true"], "timeout": 61}},
        {"healthCheck": {"command": ["CMD", "true"], "retries": 11}},
        {"healthCheck": {"command": ["CMD", "true"], "startPeriod": 301}},
        {"stopTimeout": 121},
        {"image": ""},
        {"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "g"}}},
        {"environment": [{"name": "A", "value": "x" * 65_536}]},
    ],
)
def test_registration_refuses_a_container_out_of_range(
    cloud: Cloud, container: dict[str, Any]
) -> None:
    with pytest.raises(ClientError) as caught:
        cloud.define("app", **container)
    assert caught.value.response["Error"]["Code"] == "ClientException"
