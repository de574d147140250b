"""The ECS driver: what stands in AWS, one definition for all chargers, and how definitions go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.ecs_world import EcsWorld, make_ecs_world
from workers.runtimes.base import (
    Phase,
    RuntimeRejected,
    RuntimeUnavailable,
)


@pytest.fixture
def world() -> Iterator[EcsWorld]:
    with make_ecs_world() as world:
        yield world


# What stands in AWS


def test_no_secret_but_the_bootstrap_token_is_in_aws(world: EcsWorld) -> None:
    key = world.key()
    handle = world.driver.start(key, world.request(key))
    [definition] = world.cloud.world.definitions.values()
    assert "b1." not in json.dumps(definition.request)
    described = world.cloud.describe(handle["arn"], include=["TAGS"])
    [override] = described["overrides"]["containerOverrides"]
    assert {pair["name"] for pair in override["environment"]} == {
        "GATEWAY_CHARGER_ID",
        "GATEWAY_INCARNATION",
        "GATEWAY_ATTEMPT",
        "LOCATION_NAME",
        "SIMULATOR_LINK_URL",
        "SIMULATOR_TOKEN",
    }
    assert json.dumps(described, default=str).count("b1.") == 1


def test_the_location_reaches_the_environment_as_it_is_and_a_tag_as_far_as_tags_allow(
    world: EcsWorld,
) -> None:
    key = world.key()
    request = world.request(key)
    [override] = request["overrides"]["containerOverrides"]
    environment = {pair["name"]: pair["value"] for pair in override["environment"]}
    tags = {tag["key"]: tag["value"] for tag in request["tags"]}
    assert environment["LOCATION_NAME"] == "Dépôt № 7"
    assert tags["gw:location"] == "Dépôt _ 7"
    assert (tags["gw:charger"], tags["gw:incarnation"]) == (key.charger_id, "1")


def test_spot_falls_back_to_on_demand_after_a_refusal() -> None:
    with make_ecs_world(launch="fargate_spot") as world:
        handle = world.starts()
        assert world.look(handle).facts["capacity_provider"] == "FARGATE_SPOT"
        again = world.key(2, attempt=2)
        second = world.driver.start(again, world.request(again))
        assert world.look(second).facts["capacity_provider"] == "FARGATE"


def test_a_link_on_our_own_loopback_is_refused_before_anything_is_registered(
    world: EcsWorld,
) -> None:
    driver = world.another_driver(link_url="ws://127.0.0.1:8001/link")
    with pytest.raises(RuntimeRejected) as caught:
        driver.ensure_template(world.spec(world.key()))
    assert caught.value.code == "ecs_link_unreachable"
    assert world.cloud.stats().get("definitions_registered", 0) == 0


# Definitions


def test_all_chargers_of_many_workers_share_one_definition(world: EcsWorld) -> None:
    world.cloud.order("settings", {"register_s": 5.0})
    drivers = [world.another_driver() for _ in range(6)]
    spec = world.spec(world.key())
    with ThreadPoolExecutor(6) as pool:
        templates = list(pool.map(lambda driver: driver.ensure_template(spec), drivers))
    assert all(template == templates[0] for template in templates)
    assert templates[0]["arn"].endswith(":1")
    assert world.cloud.stats()["definitions_registered"] == 1


def test_a_registration_whose_answer_was_lost_is_not_made_again(world: EcsWorld) -> None:
    world.cloud.goes_wrong("lost_reply", operation="RegisterTaskDefinition", times=1)
    spec = world.spec(world.key())
    with pytest.raises(RuntimeUnavailable):
        world.driver.ensure_template(spec)
    assert world.driver.ensure_template(spec)["arn"].endswith(":1")
    assert world.cloud.stats()["definitions_registered"] == 1


def test_a_definition_removed_behind_our_back_is_registered_again_at_the_start(
    world: EcsWorld,
) -> None:
    key = world.key()
    request = world.request(key)
    world.cloud.ecs.deregister_task_definition(taskDefinition=request["taskDefinition"])
    handle = world.driver.start(key, request)
    assert world.look(handle).facts["task_definition"].endswith(":2")
    assert world.driver.start(key, request) == handle
    assert world.count() == 1


def test_a_removed_definition_and_a_lost_answer_still_make_one_task(world: EcsWorld) -> None:
    key = world.key()
    request = world.request(key)
    world.cloud.goes_wrong("lost_reply", operation="RunTask", times=1)
    with pytest.raises(RuntimeUnavailable):
        world.driver.start(key, request)
    world.cloud.ecs.deregister_task_definition(taskDefinition=request["taskDefinition"])
    handle = world.driver.start(key, request)
    assert world.look(handle).facts["task_definition"].endswith(":1")
    assert world.cloud.stats()["tasks_created"] == 1


def test_other_settings_are_another_definition(world: EcsWorld) -> None:
    spec = world.spec(world.key())
    first = world.driver.ensure_template(spec)
    second = world.another_driver(memory_mib=1024).ensure_template(spec)
    assert first["family"] != second["family"]


def test_definitions_that_nothing_needs_go_and_running_tasks_stay(world: EcsWorld) -> None:
    handle = world.starts()
    world.runs(handle)
    old = world.driver.ensure_template(world.spec(world.key()))
    newer = world.another_driver(memory_mib=1024)
    kept = newer.ensure_template(world.spec(world.key()))
    with world.neighbour() as neighbour:
        theirs = neighbour.driver.ensure_template(neighbour.spec(neighbour.key()))
        assert newer.collect_templates([old["hash"]]) == 0
        assert newer.collect_templates([]) == 1
        assert old["hash"] not in world.templates.rows
        names = world.cloud.ecs.list_task_definitions()["taskDefinitionArns"]
        assert sorted(names) == sorted([kept["arn"], theirs["arn"]])
    assert world.look(handle).phase is Phase.RUNNING


def test_more_than_ten_revisions_are_deleted_in_tens(world: EcsWorld) -> None:
    old = world.driver.ensure_template(world.spec(world.key()))
    [definition] = world.cloud.world.definitions.values()
    for _ in range(11):
        world.cloud.ecs.register_task_definition(**definition.request)
    world.cloud.passes(60)
    assert world.another_driver(memory_mib=1024).collect_templates([]) == 12
    assert old["arn"] not in world.cloud.world.definitions
    assert world.cloud.stats()["calls DeleteTaskDefinitions"] == 2


def test_an_installation_whose_name_begins_with_ours_is_left_alone(world: EcsWorld) -> None:
    spec = world.spec(world.key())
    longer = world.another_driver(install_id=f"{world.install_id}-b")
    theirs = longer.ensure_template(spec)
    world.driver.ensure_template(spec)
    world.another_driver(memory_mib=1024).collect_templates([])
    assert theirs["arn"] in world.cloud.world.definitions
