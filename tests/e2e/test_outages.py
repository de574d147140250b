"""Orders while parts of the gateway are away: a 202 is kept."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest

from tests.gateways import Gateway, eventually, make_data_folder, make_environment, run_gateway
from tests.judges import Judge


@pytest.fixture(scope="module")
def own_gateway() -> Iterator[Gateway]:
    """A gateway that is hurt here; its lease is short, so that nobody waits for it long."""
    environment = make_environment(GATEWAY_LEASE_S="3", GATEWAY_RENEW_S="1")
    with (
        make_data_folder() as data,
        Gateway(data, without=("flower", "beat"), environment=environment) as gateway,
    ):
        yield gateway.comes_up()


@pytest.fixture
def client(own_gateway: Gateway) -> Iterator[httpx.Client]:
    made = run_gateway(
        "token", "--data-dir", str(own_gateway.data), "--organization", "acme", "--show"
    )
    headers = {"Authorization": f"Bearer {made.stdout.strip().splitlines()[-1]}"}
    base_url = own_gateway.read_state()["base_url"]
    with httpx.Client(base_url=base_url, headers=headers, timeout=30) as client:
        yield client


def _order(client: httpx.Client, identity: str, ws_url: str) -> str:
    answer = client.post(
        "/ocpp/chargers",
        json={
            "identity": identity,
            "brand_slug": "wallbox",
            "model_slug": "wallbox-pulsar-plus",
            "connector_type": "Type2",
            "ws_url": ws_url,
        },
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["charger_id"])


def _are_ready(client: httpx.Client, ids: list[str]) -> bool:
    return all(
        client.get(f"/ocpp/chargers/{charger_id}/status").json()["status"] == "READY"
        for charger_id in ids
    )


def _delete(client: httpx.Client, ids: list[str]) -> None:
    for charger_id in ids:
        assert client.delete(f"/ocpp/chargers/{charger_id}").status_code == 204


@pytest.mark.parametrize("how", ["frozen", "stopped"])
def test_orders_are_accepted_while_the_broker_is_away(
    own_gateway: Gateway, client: httpx.Client, judge: Judge, how: str
) -> None:
    broker = own_gateway.get_child("valkey")
    broker.suspend() if how == "frozen" else broker.kill()
    try:
        ids = [_order(client, f"{how}-{number}", judge.ws_url) for number in range(20)]
        if how == "frozen":
            assert not _are_ready(client, ids)
    finally:
        if how == "frozen":
            broker.resume()
    eventually(lambda: _are_ready(client, ids), "all are READY once the broker is back")
    _delete(client, ids)


def test_a_killed_worker_group_in_the_middle_loses_nothing(
    own_gateway: Gateway, client: httpx.Client, judge: Judge
) -> None:
    ids = [_order(client, f"killed-{number}", judge.ws_url) for number in range(20)]
    worker = own_gateway.get_child("worker")
    for process in [*worker.children(recursive=True), worker]:
        process.send_signal(signal.SIGKILL)
    eventually(lambda: _are_ready(client, ids), "all are READY")
    with own_gateway.connect() as database:
        rows = database.execute(
            """SELECT count(*), count(DISTINCT (charger_id, incarnation)) FROM runtimes
               WHERE charger_id = ANY(%s) AND accepted_at IS NOT NULL""",
            [ids],
        ).fetchone()
    assert rows is not None
    assert rows[0] == rows[1] == 20
    for number in range(20):
        assert judge.count_overlaps(f"killed-{number}") == 0
    _delete(client, ids)


def test_a_killed_host_brings_its_chargers_back_without_touching_their_status(
    own_gateway: Gateway, client: httpx.Client, judge: Judge
) -> None:
    ids = [_order(client, f"hosted-{number}", judge.ws_url) for number in range(20)]
    eventually(lambda: _are_ready(client, ids), "all are READY")
    own_gateway.get_child("host").kill()
    eventually(
        lambda: all(judge.count_open(f"hosted-{number}") == 0 for number in range(20)),
        "their connections ended",
    )
    eventually(
        lambda: all(judge.count_open(f"hosted-{number}") == 1 for number in range(20)),
        "they are all back",
    )
    assert _are_ready(client, ids)
    for number in range(20):
        assert judge.count_overlaps(f"hosted-{number}") == 0
    _delete(client, ids)


def test_a_killed_link_leaves_the_chargers_with_their_csms(
    own_gateway: Gateway, client: httpx.Client, judge: Judge
) -> None:
    charger_id = _order(client, "linked", judge.ws_url)
    eventually(lambda: _are_ready(client, [charger_id]), "READY")
    link = own_gateway.get_child("link")
    link.kill()
    eventually(lambda: own_gateway.count_restarts("link") > 0, "the link is started again")
    eventually(
        lambda: (
            client.get(f"/ocpp/chargers/{charger_id}").json()["runtime"]["verdict"] == "connected"
        ),
        "the runtime called home again",
    )
    sockets = judge.report("linked")["sockets"]
    assert len(sockets) == 1
    assert sockets[0]["closed_at"] is None
    _delete(client, [charger_id])


def test_a_rolling_restart_of_workers_and_link_fails_no_order(
    own_gateway: Gateway, client: httpx.Client, judge: Judge
) -> None:
    """SIGTERM, as an upgrade sends it: a step in hand ends or is handed back at once."""
    ids = []
    for number in range(24):
        ids.append(_order(client, f"rolling-{number}", judge.ws_url))
        if number % 8 == 4:
            for part in ("worker", "link"):
                restarts = own_gateway.count_restarts(part)
                own_gateway.get_child(part).terminate()
                eventually(
                    lambda part=part, restarts=restarts: (
                        own_gateway.count_restarts(part) > restarts
                    ),
                    f"{part} ended and is started again",
                )
    eventually(lambda: _are_ready(client, ids), "all are READY")
    with own_gateway.connect() as database:
        rows = database.execute(
            "SELECT count(*) FROM runs WHERE charger_id = ANY(%s) AND status <> 'done'", [ids]
        ).fetchone()
    assert rows == (0,)
    assert not any(judge.count_overlaps(f"rolling-{number}") for number in range(24))
    _delete(client, ids)


def test_ready_chargers_come_back_after_a_restart_of_everything(
    own_gateway: Gateway, client: httpx.Client, judge: Judge
) -> None:
    ids = [_order(client, f"restarted-{number}", judge.ws_url) for number in range(3)]
    eventually(lambda: _are_ready(client, ids), "all are READY")
    own_gateway.is_killed()
    began = time.monotonic()
    eventually(
        lambda: not [p for p in own_gateway.list_processes() if p.status() != psutil.STATUS_ZOMBIE],
        "nothing is left behind",
    )
    assert time.monotonic() - began < 60
    own_gateway.comes_up()
    eventually(
        lambda: all(judge.count_open(f"restarted-{number}") == 1 for number in range(3)),
        "they are back at their CSMS",
    )
