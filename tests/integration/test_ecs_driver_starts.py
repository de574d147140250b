"""The ECS driver: one start is one task, whatever is lost or refused on the way."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.ecs_world import EcsWorld, make_ecs_world
from workers.runtimes.base import (
    CapacityUnavailable,
    Find,
    Phase,
    RuntimeRejected,
    RuntimeUnavailable,
)


@pytest.fixture
def world() -> Iterator[EcsWorld]:
    with make_ecs_world() as world:
        yield world


@pytest.fixture
def late() -> Iterator[EcsWorld]:
    """An account where nothing new is seen for 100 AWS seconds, and where time stands still."""
    with make_ecs_world(0.001, cloud_visibility_lag_s=100.0) as world:
        yield world


# One start, whatever is lost


@pytest.mark.parametrize("cut", [False, True])
def test_a_start_whose_answer_was_lost_is_repeated_into_the_same_task(
    world: EcsWorld, cut: bool
) -> None:
    key = world.key()
    request = world.request(key)
    world.cloud.goes_wrong("lost_reply", operation="RunTask", times=1, cut=cut)
    with pytest.raises(RuntimeUnavailable) as caught:
        world.driver.start(key, request)
    assert caught.value.code == "ecs_unavailable"
    handle = world.another_driver().start(key, request)
    assert world.driver.find(key) == handle
    assert world.cloud.stats()["tasks_created"] == 1


def test_a_start_whose_answer_was_lost_is_found_without_a_repeat(world: EcsWorld) -> None:
    key = world.key()
    request = world.request(key)
    world.cloud.goes_wrong("lost_reply", operation="RunTask", times=1)
    with pytest.raises(RuntimeUnavailable):
        world.driver.start(key, request)
    handle = world.driver.find(key)
    assert not isinstance(handle, Find)
    world.driver.stop(handle, f"{world.install_id}:test")
    world.ends(handle)
    assert world.count() == 0


def test_a_late_repeat_looks_before_it_calls(world: EcsWorld) -> None:
    key = world.key()
    request = world.request(key)
    handle = world.driver.start(key, request)
    # Past every life of a client token: RunTask would make a second task.
    world.cloud.passes(90_000)
    assert world.driver.start(key, request) == handle
    assert world.cloud.stats()["calls RunTask"] == 1


def test_a_start_with_changed_parameters_adopts_the_task_of_its_token(world: EcsWorld) -> None:
    key = world.key()
    request = world.request(key)
    handle = world.driver.start(key, request)
    changed = {**request, "group": "charger:renamed"}
    assert world.driver.start(key, changed) == handle
    assert world.count() == 1


def test_a_token_of_a_failed_call_with_other_parameters_asks_for_a_new_attempt(
    world: EcsWorld,
) -> None:
    key = world.key()
    request = world.request(key)
    world.cloud.goes_wrong("failures", times=1)
    with pytest.raises(CapacityUnavailable):
        world.driver.start(key, request)
    with pytest.raises(CapacityUnavailable) as caught:
        world.driver.start(key, {**request, "group": "charger:renamed"})
    assert caught.value.new_attempt


# Refusals


def test_no_capacity_waits_under_a_new_attempt_and_starts_when_there_is_room(
    world: EcsWorld,
) -> None:
    key = world.key()
    request = world.request(key)
    world.cloud.goes_wrong("failures", for_s=600)
    with pytest.raises(CapacityUnavailable) as caught:
        world.driver.start(key, request)
    assert (caught.value.code, caught.value.new_attempt) == ("capacity_unavailable", True)
    assert "no room" in str(caught.value.hint)
    assert caught.value.retry_after_s
    world.cloud.passes(601)
    again = world.key(attempt=2)
    world.runs(world.driver.start(again, world.request(again)))


def test_an_account_quota_says_so_in_its_hint_and_starts_when_there_is_room() -> None:
    with make_ecs_world(cloud_vcpu_quota=0.25) as world:
        first = world.starts(1)
        key = world.key(2)
        with pytest.raises(CapacityUnavailable) as caught:
            world.driver.start(key, world.request(key))
        assert caught.value.code == "ecs_quota_reached"
        assert "Fargate On-Demand vCPU resource count" in str(caught.value.hint)
        world.driver.stop(first, f"{world.install_id}:test")
        world.ends(first)
        again = world.key(2, attempt=2)
        world.runs(world.driver.start(again, world.request(again)))


def test_a_refusal_that_started_all_the_same_is_found_by_the_next_attempt(world: EcsWorld) -> None:
    key = world.key()
    world.cloud.goes_wrong("ghost", times=1)
    with pytest.raises(CapacityUnavailable):
        world.driver.start(key, world.request(key))
    again = world.key(attempt=2)
    handle = world.driver.start(again, world.request(again))
    assert world.driver.find(key) == handle
    assert world.cloud.stats()["tasks_created"] == 1


def test_a_ghost_that_shows_too_late_is_stopped_with_the_strays(late: EcsWorld) -> None:
    key, again = late.key(), late.key(attempt=2)
    late.cloud.goes_wrong("ghost", times=1)
    with pytest.raises(CapacityUnavailable):
        late.driver.start(key, late.request(key))
    handle = late.driver.start(again, late.request(again))
    assert late.count() == 2
    late.cloud.passes(101)
    [stray] = late.driver.list_strays(late.install_id)
    assert stray.handle == handle
    ghost = next(arn for arn in late.cloud.world.tasks if arn != handle["arn"])
    assert late.cloud.task(ghost).desired_status == "STOPPED"
    assert late.cloud.task(handle["arn"]).desired_status == "RUNNING"


def test_a_start_is_over_when_no_attempt_of_it_lives(world: EcsWorld) -> None:
    key, again = world.key(), world.key(attempt=2)
    world.cloud.order("settings", {"visibility_lag_s": 100.0})
    world.cloud.goes_wrong("ghost", times=1)
    with pytest.raises(CapacityUnavailable):
        world.driver.start(key, world.request(key))
    handle = world.driver.start(again, world.request(again))
    [ghost] = [arn for arn in world.cloud.world.tasks if arn != handle["arn"]]
    world.cloud.passes(101)
    world.dies(handle)
    world.cloud.until_status(handle["arn"], "STOPPED")

    assert world.look(handle).phase is Phase.STOPPING

    world.cloud.until_status(ghost, "STOPPED")
    assert world.look(handle).phase is Phase.GONE
    assert world.count() == 0


def test_denied_access_is_refused_for_good(world: EcsWorld) -> None:
    key = world.key()
    request = world.request(key)
    said = "User is not authorized to perform: iam:PassRole"
    world.cloud.goes_wrong("error", code="AccessDeniedException", message=said, status=400)
    with pytest.raises(RuntimeRejected) as caught:
        world.driver.start(key, request)
    assert caught.value.code == "ecs_access_denied"
    assert said in str(caught.value)


def test_a_cluster_that_does_not_exist_is_refused_for_good(world: EcsWorld) -> None:
    key = world.key()
    driver = world.another_driver(cluster="nowhere")
    spec = world.spec(key)
    request = driver.render(key, spec, driver.ensure_template(spec))
    with pytest.raises(RuntimeRejected) as caught:
        driver.start(key, request)
    assert caught.value.code == "ecs_cluster_missing"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ThrottlingException", "Rate exceeded"),
        (
            "InvalidParameterException",
            "Error retrieving subnet information for [subnet-1]: Rate exceeded (ErrorCode: Throttling)",
        ),
    ],
)
def test_a_throttle_waits_under_the_same_attempt(world: EcsWorld, code: str, message: str) -> None:
    key = world.key()
    request = world.request(key)
    world.cloud.goes_wrong("error", code=code, message=message, status=400, times=1)
    with pytest.raises(CapacityUnavailable) as caught:
        world.driver.start(key, request)
    assert (caught.value.code, caught.value.new_attempt) == ("ecs_throttled", False)
    assert world.driver.start(key, request)["arn"] in world.cloud.world.tasks


def test_credentials_that_expired_wait_for_new_ones(world: EcsWorld) -> None:
    key = world.key()
    request = world.request(key)
    driver = world.another_driver(world.cloud.client("ecs", access_key="EXPIRED"))
    with pytest.raises(CapacityUnavailable) as caught:
        driver.start(key, request)
    assert caught.value.code == "ecs_credentials_invalid"


def test_a_fleet_that_starts_at_once_keeps_below_the_limits_of_the_account() -> None:
    with make_ecs_world(100.0, cloud_vcpu_quota=100.0, image="light:1", log_group="") as world:
        world.cloud.order("settings", {"images": {"light:1": ["sleep", "60"]}})
        keys = [world.key(number) for number in range(1, 41)]
        requests = [world.request(key) for key in keys]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(world.driver.start, keys, requests))
        stats = world.cloud.stats()
        assert stats["tasks_created"] == 40
        assert not [name for name in stats if name.startswith("throttled")]


def test_a_turn_that_is_too_far_away_parks_the_charger() -> None:
    with make_ecs_world(0.001, cloud_vcpu_quota=100.0, api_share=0.05) as world:
        # A twentieth of Fargate's 20 calls at once is one.
        world.starts(1)
        with pytest.raises(CapacityUnavailable) as caught:
            world.starts(2)
        assert caught.value.code == "ecs_throttled"
        assert caught.value.retry_after_s
