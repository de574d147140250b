"""What `gateway doctor` says of a real Docker engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.docker_world import DockerWorld, make_docker_world, needs_docker
from workers.runtimes.docker_doctor import examine
from workers.runtimes.docker_settings import DockerSettings
from workers.runtimes.findings import Finding, Level

pytestmark = needs_docker

LINK = "ws://host.docker.internal:8001/link"


@pytest.fixture
def world() -> Iterator[DockerWorld]:
    with make_docker_world(max_containers="2") as world:
        yield world


def _examine(world: DockerWorld, link_url: str = LINK, **settings: str) -> dict[str, Finding]:
    values = {"image": world.settings.image, "max_containers": "2", **settings}
    own = DockerSettings.read(values, install_id=world.install_id)
    return {finding.subject: finding for finding in examine(own, link_url)}


def test_an_engine_that_has_everything_is_well(world: DockerWorld) -> None:
    findings = _examine(world)
    assert {finding.level for finding in findings.values()} == {Level.OK}
    assert set(findings) >= {"docker", "docker image", "docker network", "docker room"}


def test_an_image_that_is_not_there_is_a_warning_or_a_failure_by_the_policy(
    world: DockerWorld,
) -> None:
    missing = "charger-simulator:nobody-built-it"
    assert _examine(world, image=missing)["docker image"].level is Level.WARN
    never = _examine(world, image=missing, pull="never")["docker image"]
    assert never.level is Level.FAIL
    assert "docker compose build" in never.advice


def test_a_network_that_is_not_there_is_named(world: DockerWorld) -> None:
    finding = _examine(world, network="no-such-network")["docker network"]
    assert finding.level is Level.FAIL
    assert "no-such-network" in finding.advice


def test_a_link_that_containers_cannot_reach_is_a_failure_with_the_remedy(
    world: DockerWorld,
) -> None:
    finding = _examine(world, "ws://127.0.0.1:8001/link")["docker link"]
    assert finding.level is Level.FAIL
    assert "GATEWAY_DOCKER_LINK_URL" in finding.advice


def test_little_room_is_told_in_time(world: DockerWorld) -> None:
    for number in (1, 2):
        world.starts(number, program="import signal; signal.pause()")
    assert _examine(world)["docker room"].level is Level.WARN
    assert _examine(world, max_containers="1000000")["docker room"].level is Level.WARN
    assert _examine(world, max_containers="50")["docker room"].level is Level.OK


def test_an_engine_that_is_away_is_a_failure_and_the_rest_is_still_told() -> None:
    own = DockerSettings.read({"image": "x", "host": "tcp://127.0.0.1:1"}, install_id="test")
    findings = {finding.subject: finding for finding in examine(own, LINK)}
    assert findings["docker"].level is Level.FAIL
    assert "GATEWAY_DOCKER_HOST" in findings["docker"].advice
    assert findings["docker link"].level is Level.OK
