"""The ECS driver: what it makes of tasks that cannot be seen yet, that end, and that are unwell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ecs_world import IMAGE, EcsWorld, make_ecs_world
from workers.runtimes.base import (
    EndClass,
    Find,
    Phase,
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


# Sight


def test_a_task_that_cannot_be_seen_yet_is_being_placed(late: EcsWorld) -> None:
    handle = late.starts()
    assert late.look(handle).phase is Phase.SCHEDULING


def test_a_start_that_may_have_been_called_is_unknown_until_it_would_be_seen(
    late: EcsWorld,
) -> None:
    key = late.key()
    late.request(key)
    assert late.driver.find(key) is Find.UNKNOWN
    late.cloud.passes(121)
    assert late.driver.find(key) is Find.NOTHING


def test_a_task_that_cannot_be_seen_yet_is_not_taken_for_stopped(late: EcsWorld) -> None:
    handle = late.starts()
    with pytest.raises(RuntimeUnavailable):
        late.driver.stop(handle, f"{late.install_id}:test")
    late.cloud.passes(101)
    late.driver.stop(handle, f"{late.install_id}:test")
    assert late.cloud.task(handle["arn"]).desired_status == "STOPPED"


def test_a_task_missing_beyond_the_window_is_gone(world: EcsWorld) -> None:
    handle = world.starts()
    world.driver.stop(handle, f"{world.install_id}:test")
    world.ends(handle)
    world.cloud.passes(3700)
    world.cloud.until(lambda: handle["arn"] not in world.cloud.world.tasks)
    seen = world.look(handle)
    assert seen.phase is Phase.GONE
    assert seen.end is not None
    assert (seen.end.code, seen.end.kind) == ("runtime_lost", EndClass.TRANSIENT)


def test_a_task_that_is_listed_and_not_described_is_unknown(world: EcsWorld) -> None:
    handle = {**world.starts(), "created_at": 0.0}

    class Forgetful:
        """ECS with a bad moment: DescribeTasks does not know what ListTasks lists."""

        def __init__(self, client: object) -> None:
            self._client = client

        def __getattr__(self, name: str) -> object:
            return getattr(self._client, name)

        def describe_tasks(self, tasks: list[str], **_: object) -> dict[str, object]:
            return {"tasks": [], "failures": [{"arn": arn, "reason": "MISSING"} for arn in tasks]}

    driver = world.another_driver(Forgetful(world.cloud.ecs))
    [seen] = driver.observe([handle])
    assert seen.phase is Phase.UNKNOWN


def test_stopped_tasks_are_found_even_if_started_by_admits_no_status() -> None:
    with make_ecs_world(cloud_strict_started_by=True) as world:
        key = world.key()
        handle = world.driver.start(key, world.request(key))
        world.driver.stop(handle, f"{world.install_id}:test")
        world.ends(handle)
        assert world.driver.find(key) == handle


def test_more_than_a_hundred_are_described_in_hundreds(world: EcsWorld) -> None:
    living = world.starts()
    handles = [
        {**living, "arn": living["arn"][:-32] + f"{number:032x}", "created_at": 0.0}
        for number in range(120)
    ]
    before = world.cloud.stats().get("calls DescribeTasks", 0)
    seen = world.driver.observe([*handles, living])
    assert [one.phase is Phase.GONE for one in seen] == [True] * 120 + [False]
    assert world.cloud.stats()["calls DescribeTasks"] - before == 2


# Ends


def test_a_crash_tells_its_last_words() -> None:
    crash = ["sh", "-c", "echo starting; echo no such link >&2; exit 1"]
    with make_ecs_world(cloud_images={IMAGE: crash}) as world:
        end = world.ends(world.starts())
        assert (end.code, end.kind, end.exit_code) == ("runtime_crashed", EndClass.TRANSIENT, 1)
        assert "no such link" in end.message
        assert end.facts["log"] == "starting\nno such link"


def test_an_end_that_nobody_asked_for_is_told_apart_from_a_stop(world: EcsWorld) -> None:
    ours, theirs = world.starts(1), world.starts(2)
    for handle in (ours, theirs):
        world.runs(handle)
    world.driver.stop(ours, f"{world.install_id}:wfr_1")
    world.cloud.ecs.stop_task(task=theirs["arn"], reason="console")
    assert (world.ends(ours).code, world.ends(ours).kind) == ("runtime_stopped", EndClass.EXPECTED)
    assert world.ends(theirs).code == "stopped_elsewhere"


def test_memory_that_runs_out_says_what_to_change(world: EcsWorld) -> None:
    world.cloud.goes_wrong("oom", after_s=1)
    end = world.ends(world.starts())
    assert (end.code, end.exit_code) == ("out_of_memory", 137)
    assert "GATEWAY_ECS_MEMORY_MIB" in end.message


def test_an_image_that_is_missing_fails_for_good() -> None:
    with make_ecs_world(cloud_images={"another:1": ["true"]}) as world:
        end = world.ends(world.starts())
        assert (end.code, end.kind) == ("image_not_found", EndClass.PERMANENT)
        assert IMAGE in end.message


def test_a_network_interface_that_never_came_is_tried_again(world: EcsWorld) -> None:
    world.cloud.goes_wrong("stop_before_start", times=1)
    end = world.ends(world.starts())
    assert (end.code, end.kind) == ("ecs_start_failed", EndClass.TRANSIENT)
    again = world.key(incarnation=2)
    world.runs(world.driver.start(again, world.request(again)))


def test_a_simulator_that_stands_still_is_unwell_and_says_so() -> None:
    still = ["sh", "-c", "touch $SIMULATOR_HEALTH_FILE; exec sleep 600"]
    with make_ecs_world(cloud_images={IMAGE: still}) as world:
        handle = world.starts()
        world.runs(handle)
        folder = world.cloud.standin.lifecycle.folder_of(world.cloud.task(handle["arn"]))
        (folder / "alive").unlink()
        world.cloud.until_health(handle["arn"], "UNHEALTHY")
        seen = world.look(handle)
        assert (seen.phase, seen.healthy) == (Phase.RUNNING, False)
        assert seen.hint


def test_until_the_health_check_spoke_it_is_starting() -> None:
    with make_ecs_world(cloud_images={IMAGE: ["sleep", "600"]}) as world:
        handle = world.starts()
        world.cloud.until_status(handle["arn"], "RUNNING")
        seen = world.look(handle)
        assert (seen.phase, seen.healthy) == (Phase.STARTING, None)
        assert seen.facts["private_ip"]
