"""Chargers in containers: brought up by the SDK, and brought back after everything that befalls containers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from ocpplab import OcpplabSDK

from tests.docker_world import IMAGE, DockerWorld, make_docker_world, needs_docker
from tests.e2e.conftest import QUICK, comes_up, settles
from tests.gateways import Gateway, eventually, make_data_folder, make_environment
from tests.judges import Judge, run_judge

pytestmark = needs_docker


def _find_free_port() -> int:
    with socket.create_server(("", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerWorld]:
    """The engine, and whatever the gateway leaves on it."""
    with make_docker_world() as world:
        yield world


@pytest.fixture(scope="module")
def gateway(engine: DockerWorld) -> Iterator[Gateway]:
    """A gateway whose chargers are containers; its link listens where they can reach it."""
    link_port = _find_free_port()
    environment = make_environment(
        **QUICK,
        GATEWAY_RUNTIME="docker",
        GATEWAY_INSTALL_ID=engine.install_id,
        GATEWAY_LINK_HOST="0.0.0.0",
        GATEWAY_DOCKER_IMAGE=IMAGE,
        GATEWAY_DOCKER_PULL="never",
        GATEWAY_DOCKER_LINK_URL=f"ws://host.docker.internal:{link_port}/link",
        GATEWAY_DOCKER_ENVIRONMENT="SIMULATOR_RECONNECT_MIN_S=0.2,SIMULATOR_RECONNECT_MAX_S=1",
    )
    with (
        make_data_folder() as data,
        Gateway(
            data,
            "--link-port",
            str(link_port),
            without=("flower", "host"),
            environment=environment,
        ) as gateway,
    ):
        yield gateway.comes_up()


@pytest.fixture(scope="module")
def base_url(gateway: Gateway) -> str:
    return str(gateway.read_state()["base_url"])


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    """A CSMS that containers can reach too."""
    with run_judge(address="0.0.0.0") as judge:
        yield judge


@pytest.fixture
def ws_url(judge: Judge) -> str:
    """The CSMS, as a container calls it."""
    return judge.ws_url.replace("0.0.0.0", "host.docker.internal")


def _list_containers(engine: DockerWorld, charger_id: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = engine.client.containers(
        filters={"label": f"gateway.charger={charger_id}"}
    )
    return listed


def _only(engine: DockerWorld, charger_id: str) -> str:
    """The id of the one container that runs this charger."""
    (one,) = _list_containers(engine, charger_id)
    return str(one["Id"])


def _read_runtime(sdk: OcpplabSDK, charger_id: str) -> dict[str, Any]:
    # A field of ours, which the SDK's model keeps and does not declare.
    charger: Any = sdk.chargers.get(charger_id)
    runtime: dict[str, Any] = charger.runtime
    return runtime


def _restarted(sdk: OcpplabSDK, judge: Judge, charger_id: str, identity: str, boots: int) -> bool:
    """Whether the charger is online in a later start, and its CSMS has seen it boot again."""
    runtime = _read_runtime(sdk, charger_id)
    return (
        runtime["stage"] == "online"
        and judge.count_boots(identity) > boots
        and judge.count_open(identity) == 1
    )


def _exhaust_memory(engine: DockerWorld, container: str) -> None:
    """A neighbour in the container takes all it may have; the kernel is told to end the simulator first."""
    program = (
        "cd /proc; for p in [0-9]*; do [ $p = $$ ] || echo 1000 > $p/oom_score_adj; done;"
        " python -c 'bytearray(1 << 30)'"
    )
    made = engine.client.exec_create(container, ["sh", "-c", program], user="10001")
    engine.client.exec_start(made["Id"], detach=True)


def test_a_charger_lives_in_one_container_and_goes_with_it(
    sdk: OcpplabSDK, engine: DockerWorld, judge: Judge, ws_url: str, identity: str
) -> None:
    charger_id = comes_up(sdk, identity, ws_url)
    assert _read_runtime(sdk, charger_id)["provider"] == "docker"
    labels = _list_containers(engine, charger_id)[0]["Labels"]
    assert (labels["gateway.identity"], labels["gateway.organization"]) == (identity, "acme")
    sdk.chargers.delete(charger_id)
    eventually(lambda: not _list_containers(engine, charger_id), "its container ends")
    assert judge.count_open(identity) == 0
    assert judge.count_overlaps(identity) == 0


@pytest.mark.parametrize("how", ["is removed by hand", "is killed", "runs out of memory"])
def test_a_container_that_is_lost_is_replaced(
    sdk: OcpplabSDK, engine: DockerWorld, judge: Judge, ws_url: str, identity: str, how: str
) -> None:
    charger_id = comes_up(sdk, identity, ws_url)
    lost, boots = _only(engine, charger_id), judge.count_boots(identity)
    if how == "is removed by hand":
        engine.client.remove_container(lost, force=True)
    elif how == "is killed":
        engine.client.kill(lost)
    else:
        _exhaust_memory(engine, lost)
    eventually(
        lambda: _restarted(sdk, judge, charger_id, identity, boots),
        f"a charger whose container {how} is back",
    )
    status = sdk.chargers.get_status(charger_id)
    assert status.status == "READY"
    assert _only(engine, charger_id) != lost
    if how == "runs out of memory":
        # A busy engine may miss why; its word is what the gateway passes on.
        state = engine.client.inspect_container(lost)["State"]
        told = "out_of_memory" if state["OOMKilled"] else "runtime_killed"
        assert _read_runtime(sdk, charger_id)["last_error"]["code"] == told
    assert judge.count_overlaps(identity) == 0


def test_stop_and_start_are_a_new_container_each(
    sdk: OcpplabSDK, engine: DockerWorld, judge: Judge, ws_url: str, identity: str
) -> None:
    charger_id = comes_up(sdk, identity, ws_url)
    first = _only(engine, charger_id)
    sdk.chargers.stop_runtime(charger_id, request={})
    eventually(lambda: not _list_containers(engine, charger_id), "the container ends")
    sdk.chargers.start_runtime(charger_id, request={})
    eventually(
        lambda: _read_runtime(sdk, charger_id)["stage"] == "online",
        "the charger is online again",
    )
    assert _only(engine, charger_id) != first


def test_localhost_as_the_csms_fails_with_the_reason_that_it_is_the_container(
    sdk: OcpplabSDK, identity: str
) -> None:
    created = sdk.chargers.create(
        identity=identity,
        brand_slug="wallbox",
        model_slug="wallbox-pulsar-plus",
        connector_type="Type2",
        ws_url="ws://localhost:9000/ocpp",
    )
    status = settles(sdk, created.charger_id)
    assert (status.status, status.error.code) == ("FAILED", "csms_unreachable")
    runtime = _read_runtime(sdk, created.charger_id)
    assert "container" in f"{status.error.message} {runtime['hint']}"
