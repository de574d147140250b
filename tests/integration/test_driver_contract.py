"""One suite for every runtime driver: the promises of `workers.runtimes.base`, kept on a living backend.

A test sees a driver through its world (`tests/driver_world.py`). What only one backend can do is tested beside
it (`test_ecs_driver.py`, `test_docker_driver.py`, `test_local_driver.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest

from tests.aws_world import IS_WANTED, make_aws_world
from tests.docker_world import make_docker_world, needs_docker
from tests.driver_world import DriverWorld
from tests.ecs_world import make_ecs_world
from tests.gateways import eventually
from tests.local_world import make_local_world
from workers.runtimes.base import (
    Driver,
    EndClass,
    Find,
    Handle,
    Key,
    Phase,
    RuntimeUnavailable,
)

#: Makers of worlds; each may take fixtures from the request.
WORLDS: dict[str, Callable[[pytest.FixtureRequest], AbstractContextManager[DriverWorld]]] = {
    "docker": lambda _: make_docker_world(health_interval_s="1"),
    "ecs": lambda _: make_ecs_world(),
    "local": make_local_world,
}
if IS_WANTED:
    # It costs money, so it is not there unless somebody asks for it.
    WORLDS["aws"] = lambda _: make_aws_world()

#: What a world needs that not every machine has.
NEEDS = {"docker": needs_docker, "aws": [pytest.mark.aws, pytest.mark.timeout(1800)]}


@pytest.fixture(params=[pytest.param(name, marks=NEEDS.get(name, [])) for name in sorted(WORLDS)])
def world(request: pytest.FixtureRequest) -> Iterator[DriverWorld]:
    with WORLDS[request.param](request) as world:
        yield world


def find(driver: Driver, key: Key) -> Handle | Find:
    """What became of a key, once that is known: a backend may see what is new a moment later."""
    return eventually(
        lambda: found if (found := driver.find(key)) is not Find.UNKNOWN else None,
        "the runtime is found",
    )


def stop(world: DriverWorld, handle: Handle) -> None:
    """Ask it to end, until the backend takes the order."""

    def ask() -> bool:
        try:
            world.driver.stop(handle, f"{world.install_id}:test")
        except RuntimeUnavailable:
            return False
        return True

    eventually(ask, "the stop is taken")


def test_two_starts_of_one_key_are_one_runtime_with_one_handle(world: DriverWorld) -> None:
    key = world.key()
    request = world.request(key)
    first = world.driver.start(key, request)
    assert world.driver.start(key, request) == first
    assert world.another_driver().start(key, request) == first
    assert world.count() == 1


def test_starts_of_one_key_at_the_same_moment_are_one_runtime(world: DriverWorld) -> None:
    key = world.key()
    request = world.request(key)
    drivers = [world.another_driver() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        handles = list(pool.map(lambda driver: driver.start(key, request), drivers))
    assert all(handle == handles[0] for handle in handles)
    assert world.count() == 1


def test_each_incarnation_and_each_charger_is_a_runtime_of_its_own(world: DriverWorld) -> None:
    keys = [world.key(1, 1), world.key(1, 2), world.key(2, 1)]
    handles = [world.driver.start(key, world.request(key)) for key in keys]
    assert len({json.dumps(handle) for handle in handles}) == 3
    assert world.count() == 3
    assert [find(world.driver, key) for key in keys] == handles


def test_a_stored_request_starts_as_well_as_a_fresh_one(world: DriverWorld) -> None:
    key = world.key()
    request = world.request(key)
    stored = json.loads(json.dumps(request))
    assert stored == request == world.request(key)
    handle = world.driver.start(key, stored)
    assert world.another_driver().start(key, request) == handle


def test_a_handle_is_json_with_a_version(world: DriverWorld) -> None:
    key = world.key()
    handle = world.driver.start(key, world.request(key))
    assert json.loads(json.dumps(handle)) == handle
    assert handle["v"] == 1


def test_what_was_started_is_found_by_its_key(world: DriverWorld) -> None:
    key = world.key()
    handle = world.driver.start(key, world.request(key))
    assert find(world.another_driver(), key) == handle


def test_nothing_is_found_of_a_key_that_was_never_intended(world: DriverWorld) -> None:
    assert world.driver.find(world.key(9)) is Find.NOTHING


def test_a_runtime_comes_up_and_is_seen_to_be_well(world: DriverWorld) -> None:
    key = world.key()
    handle = world.driver.start(key, world.request(key))
    assert world.look(handle).phase in (
        Phase.SCHEDULING,
        Phase.PULLING,
        Phase.STARTING,
        Phase.RUNNING,
    )
    world.runs(handle)
    assert world.look(handle).healthy is not False


def test_a_stop_ends_it_and_the_end_is_told(world: DriverWorld) -> None:
    key = world.key()
    handle = world.driver.start(key, world.request(key))
    world.runs(handle)
    stop(world, handle)
    end = world.ends(handle)
    assert end.kind is not EndClass.PERMANENT
    assert end.code
    assert end.message
    assert world.count() == 0


def test_a_stop_on_the_way_up_leaves_nothing(world: DriverWorld) -> None:
    key = world.key()
    handle = world.driver.start(key, world.request(key))
    stop(world, handle)
    world.ends(handle)
    assert world.count() == 0


def test_stopping_what_is_gone_succeeds(world: DriverWorld) -> None:
    key = world.key()
    handle = world.driver.start(key, world.request(key))
    for _ in range(2):
        stop(world, handle)
    world.ends(handle)
    stop(world, handle)
    world.driver.stop(world.unknown_handle(), f"{world.install_id}:test")


def test_what_is_not_there_is_an_observation_and_no_exception(world: DriverWorld) -> None:
    seen = world.look(world.unknown_handle())
    assert seen.phase is Phase.GONE
    assert seen.end is not None


def test_what_died_by_itself_may_be_started_again(world: DriverWorld) -> None:
    key = world.key()
    handle = world.driver.start(key, world.request(key))
    world.runs(handle)
    world.dies(handle)
    end = world.ends(handle)
    assert end.kind is EndClass.TRANSIENT
    again = world.key(incarnation=2)
    world.runs(world.driver.start(again, world.request(again)))


def test_what_has_ended_is_not_started_again_by_its_key(world: DriverWorld) -> None:
    key = world.key()
    request = world.request(key)
    handle = world.driver.start(key, request)
    stop(world, handle)
    world.ends(handle)
    assert world.look(world.driver.start(key, request)).phase is Phase.GONE
    assert world.count() == 0


def test_many_are_observed_in_their_order(world: DriverWorld) -> None:
    keys = [world.key(number) for number in range(1, 4)]
    handles = [world.driver.start(key, world.request(key)) for key in keys]
    handles.insert(1, world.unknown_handle())
    seen = world.driver.observe(handles)
    assert [one.handle for one in seen] == handles
    assert [one.phase is Phase.GONE for one in seen] == [False, True, False, False]


def test_nothing_to_observe_is_nothing_seen(world: DriverWorld) -> None:
    assert list(world.driver.observe([])) == []


def test_strays_are_those_of_this_installation_alone(world: DriverWorld) -> None:
    key = world.key()
    handle = world.driver.start(key, world.request(key))
    with world.neighbour() as neighbour:
        theirs = neighbour.key()
        neighbour.driver.start(theirs, neighbour.request(theirs))
        [stray] = world.driver.list_strays(world.install_id)
        assert (stray.handle, stray.charger_id, stray.incarnation) == (handle, key.charger_id, 1)
        world.driver.stop(stray.handle, f"{world.install_id}:stray")
        world.ends(handle)
        assert neighbour.count() == 1


def test_a_backend_that_does_not_answer_is_unavailable_and_nothing_else(world: DriverWorld) -> None:
    key = world.key()
    request = world.request(key)
    handle = world.driver.start(key, request)
    driver = world.driver_of_a_dead_backend()
    for call in (
        lambda: driver.start(world.key(2), request),
        lambda: driver.find(key),
        lambda: driver.observe([handle]),
        lambda: driver.stop(handle, "test:stop"),
        lambda: driver.list_strays(world.install_id),
    ):
        with pytest.raises(RuntimeUnavailable):
            call()
