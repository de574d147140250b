"""`gateway up` with servers, or runtimes, that are not its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.db import make_engine
from app.embedded.credentials import Keyring
from app.embedded.elsewhere import apply_runtime
from migrations import is_current
from tests.gateways import PROGRAMS, Gateway, make_data_folder, make_environment, run_gateway
from tests.servers import Postgres

PORTS = {"api": 8000, "link": 8123, "flower": 5555, "standin": 8124}


@pytest.fixture
def data() -> Iterator[Path]:
    """An empty data folder."""
    with make_data_folder() as folder:
        yield folder


def test_servers_of_the_operator_replace_ours(
    data: Path, postgres: Postgres, broker_url: str
) -> None:
    database_url = postgres.create("servers_of_the_operator")
    environment = make_environment(GATEWAY_DATABASE_URL=database_url, GATEWAY_BROKER_URL=broker_url)
    without = [name for name in PROGRAMS if name != "migrate"]
    try:
        with Gateway(data, without=without, environment=environment) as gateway:
            gateway.comes_up()

            assert gateway.read_state()["embedded"] == []
            assert not (data / "postgres").exists()
            assert not (data / "secrets" / "database_url").exists()
            engine = make_engine(database_url)
            assert is_current(engine)
            engine.dispose()
    finally:
        postgres.drop("servers_of_the_operator")


def test_a_database_that_does_not_answer_is_told(data: Path) -> None:
    environment = make_environment(
        GATEWAY_DATABASE_URL="postgresql://gateway:pass-word@127.0.0.1:1/gateway",
        GATEWAY_BROKER_URL="redis://127.0.0.1:1/0",
    )

    refused = run_gateway("up", "--data-dir", str(data), "--free-ports", environment=environment)

    assert refused.returncode == 1
    assert refused.stderr.startswith("gateway: migrate ended while starting")
    assert "port 1 failed: Connection refused" in refused.stderr
    assert "pass-word" not in refused.stdout + refused.stderr


def _apply(tmp_path: Path, runtime: str, **environ: str) -> dict[str, str]:
    keyring = Keyring(tmp_path)
    return apply_runtime(environ, runtime, given=environ, keyring=keyring, ports=PORTS)


def test_containers_can_reach_the_link(tmp_path: Path) -> None:
    made = _apply(tmp_path, "docker")

    assert made["GATEWAY_LINK_HOST"] == "0.0.0.0"
    assert made["GATEWAY_DOCKER_LINK_URL"] == "ws://host.docker.internal:8123/link"


def test_what_the_operator_says_about_containers_is_kept(tmp_path: Path) -> None:
    given = {"GATEWAY_LINK_HOST": "10.0.0.1", "GATEWAY_DOCKER_LINK_URL": "ws://10.0.0.1:1/link"}

    assert given.items() <= _apply(tmp_path, "docker", **given).items()


def test_the_stand_in_sees_nothing_of_a_real_account(tmp_path: Path) -> None:
    made = _apply(tmp_path, "ecs-standin", AWS_PROFILE="mine", AWS_SESSION_TOKEN="real")

    assert made["GATEWAY_RUNTIME"] == "ecs"
    assert made["AWS_ENDPOINT_URL"] == "http://127.0.0.1:8124"
    assert "AWS_PROFILE" not in made
    assert "AWS_SESSION_TOKEN" not in made
