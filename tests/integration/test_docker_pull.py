"""Images that have to be pulled, from a registry that behaves well or badly, by a real engine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.docker_registry import Registry, run_registry
from tests.docker_world import DockerWorld, make_docker_world, needs_docker
from tests.gateways import eventually
from workers.runtimes.base import (
    CapacityUnavailable,
    RuntimeRejected,
    RuntimeTrouble,
    RuntimeUnavailable,
    Spec,
)
from workers.runtimes.docker_images import Images

pytestmark = needs_docker

SPEC = Spec("acme", "CP-1", "OCPP1.6", None, "ws://link:8001/link", "")


@pytest.fixture
def registry() -> Iterator[Registry]:
    with run_registry() as registry:
        yield registry


@contextlib.contextmanager
def _world(registry: Registry, tag: str = "1") -> Iterator[DockerWorld]:
    with make_docker_world(image=registry.name(tag), pull="missing") as world:
        yield world
        with contextlib.suppress(Exception):
            world.client.remove_image(registry.name(tag), force=True)


def _ensured(world: DockerWorld) -> dict | None:
    try:
        return dict(world.driver.ensure_template(SPEC))
    except CapacityUnavailable:
        return None


def test_an_image_that_is_missing_is_pulled_once(registry: Registry) -> None:
    with _world(registry) as world:
        template = eventually(lambda: _ensured(world), "the image is there")
        assert template["image"] == registry.name()
        assert template["image_id"].startswith("sha256:")
        asked = len(registry.asked)
        assert _ensured(world) == template
        assert len(registry.asked) == asked


def test_a_slow_pull_parks_the_order_and_then_serves_it(registry: Registry) -> None:
    registry.holds_back()
    with _world(registry) as world:
        impatient = Images(world.client, policy="missing", patience_s=0.0)
        with pytest.raises(CapacityUnavailable) as wait:
            impatient.ensure(registry.name())
        assert wait.value.code == "image_pulling"
        registry.flows.set()
        eventually(lambda: _ensured(world), "the image is there")


@pytest.mark.parametrize(
    ("refusal", "trouble", "code"),
    [
        ((404, "NAME_UNKNOWN", "repository name not known"), RuntimeRejected, "image_not_found"),
        ((401, "UNAUTHORIZED", "authentication required"), RuntimeRejected, "image_pull_denied"),
        (
            (403, "DENIED", "requested access to the resource is denied"),
            RuntimeRejected,
            "image_pull_denied",
        ),
        ((429, "TOOMANYREQUESTS", "slow down"), CapacityUnavailable, "image_pull_interrupted"),
        ((500, "UNKNOWN", "internal error"), RuntimeUnavailable, "image_pull_interrupted"),
    ],
)
def test_what_a_registry_refuses_is_told_by_its_reason(
    registry: Registry, refusal: tuple[int, str, str], trouble: type[RuntimeTrouble], code: str
) -> None:
    registry.refuses(*refusal)
    with _world(registry) as world, pytest.raises(trouble) as told:
        world.driver.ensure_template(SPEC)
    assert told.value.code == code


def test_a_tag_that_nobody_pushed_does_not_exist(registry: Registry) -> None:
    with _world(registry, "2") as world, pytest.raises(RuntimeRejected) as refusal:
        world.driver.ensure_template(SPEC)
    assert refusal.value.code == "image_not_found"


def test_a_registry_that_is_away_may_come_back() -> None:
    with run_registry() as registry:
        name = registry.name()
    with (
        make_docker_world(image=name, pull="missing") as world,
        pytest.raises(RuntimeUnavailable) as trouble,
    ):
        world.driver.ensure_template(SPEC)
    assert trouble.value.code == "image_pull_interrupted"
