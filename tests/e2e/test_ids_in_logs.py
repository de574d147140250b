"""One order followed through the logs of all four programs, by the ids that each line carries."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import QUICK
from tests.gateways import Gateway, eventually, make_data_folder, make_environment
from tests.judges import Judge
from tests.orders import HARDWARE

Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    """A gateway whose programs write their lines as JSON, as they do in containers."""
    environment = make_environment(**QUICK, GATEWAY_LOG_FORMAT="json")
    with (
        make_data_folder() as data,
        Gateway(data, without=("flower", "beat"), environment=environment) as gateway,
    ):
        yield gateway.comes_up()


@pytest.fixture
def client(gateway: Gateway) -> Iterator[httpx.Client]:
    with gateway.open_client() as client:
        yield client


@pytest.fixture
def find(gateway: Gateway) -> Callable[..., Lines]:
    """Wait for the lines of one program that have these fields."""

    def find(program: str, **fields: Any) -> Lines:
        def look() -> Lines:
            text = (gateway.data / "logs" / f"{program}.log").read_text()
            lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
            return [line for line in lines if line.items() >= fields.items()]

        found: Lines = eventually(look, f"{program} logs {fields}")
        return found

    return find


def comes_up(client: httpx.Client, judge: Judge, identity: str, request_id: str) -> dict[str, Any]:
    order = {"identity": identity, "ws_url": judge.ws_url, **HARDWARE}
    made = client.post("/ocpp/chargers", json=order, headers={"X-Request-Id": request_id})
    answer: dict[str, Any] = made.json()
    eventually(
        lambda: client.get(answer["status_url"], params={"wait": 20}).json()["status"] == "READY",
        "the charger is READY",
    )
    return answer


def test_an_order_is_followed_from_its_request_to_the_simulator(
    client: httpx.Client, judge: Judge, identity: str, find: Callable[..., Lines]
) -> None:
    answer = comes_up(client, judge, identity, "follow-me")
    (request,) = find("api", request_id="follow-me")
    assert (request["event"], request["charger_id"]) == ("request", answer["charger_id"])
    ids = {name: request[name] for name in ("organization_id", "charger_id", "run_id")}
    assert ids["run_id"] == answer["workflow_run_id"]
    find("worker", step="provision.mark_ready", **ids)
    assert {line["step"] for line in find("worker", **ids)} >= {
        "provision.register_task_definition",
        "provision.run_task",
        "provision.wait_for_health",
    }
    (given,) = find("link", event="a charger was given to its runtime", **ids)
    (begins,) = find("host", event="a charger begins", **ids)
    assert begins["incarnation"] == given["incarnation"] == 1
    assert given["host_id"]


def test_a_command_is_followed_by_its_id(
    client: httpx.Client, judge: Judge, identity: str, find: Callable[..., Lines]
) -> None:
    charger_id = comes_up(client, judge, identity, "come-up")["charger_id"]
    told = client.post(
        "/ocpp/commands/plug-connector",
        json={"target": {"charger_id": charger_id}},
        headers={"X-Request-Id": "plug-it"},
    )
    (request,) = find("api", request_id="plug-it")
    assert request["charger_id"] == charger_id
    assert request["command_id"] == told.json()["results"][0]["command"]["id"]


def test_the_end_of_a_charger_is_in_the_logs_of_link_and_simulator(
    client: httpx.Client, judge: Judge, identity: str, find: Callable[..., Lines]
) -> None:
    answer = comes_up(client, judge, identity, "one-that-goes")
    charger_id = answer["charger_id"]
    client.delete(f"/ocpp/chargers/{charger_id}", headers={"X-Request-Id": "away-with-it"})
    (request,) = find("api", request_id="away-with-it")
    assert request["charger_id"] == charger_id
    (told,) = find("link", event="a charger is to end", charger_id=charger_id)
    assert told["reason"] == "delete"
    (ended,) = find("host", event="a charger ended", charger_id=charger_id)
    assert ended["run_id"] == answer["workflow_run_id"]
