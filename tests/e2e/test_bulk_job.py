"""A bulk order under fire: workers killed twice and the broker flushed in the middle, nothing lost or twice."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.gateways import Gateway, eventually, make_data_folder, make_environment
from tests.judges import Judge
from tests.orders import HARDWARE, SITE
from tests.servers import Valkey, make_folder
from tests.sizes import CROWD, CROWD_PATIENCE_S


@pytest.fixture(scope="module")
def broker() -> Iterator[Valkey]:
    with make_folder() as folder, Valkey(folder) as broker:
        yield broker


@pytest.fixture(scope="module")
def own_gateway(broker: Valkey) -> Iterator[Gateway]:
    """A gateway that is hurt here; its lease is short, so that nobody waits for it long."""
    environment = make_environment(
        GATEWAY_LEASE_S="3", GATEWAY_RENEW_S="1", GATEWAY_BROKER_URL=broker.url
    )
    with (
        make_data_folder() as data,
        Gateway(data, without=("flower", "beat"), environment=environment) as gateway,
    ):
        yield gateway.comes_up()


@pytest.fixture
def client(own_gateway: Gateway) -> Iterator[httpx.Client]:
    with own_gateway.open_client() as client:
        yield client


def kill_workers(gateway: Gateway) -> None:
    """`kill -9` of the worker and its children."""
    worker = gateway.get_child("worker")
    for process in [*worker.children(recursive=True), worker]:
        process.send_signal(signal.SIGKILL)


def test_a_bulk_order_survives_two_killed_worker_groups_and_a_flushed_broker(
    own_gateway: Gateway, broker: Valkey, client: httpx.Client, judge: Judge
) -> None:
    site = f"/ocpp/locations/{client.post('/ocpp/locations', json=SITE).json()['id']}"
    group = {
        "template": {**HARDWARE, "identity_prefix": "BULK-", "ws_url": judge.ws_url},
        "chargers_number": CROWD,
    }
    accepted = client.post(f"{site}/chargers", json=[group])
    assert accepted.status_code == 202
    path = accepted.json()["status_url"]

    def read() -> dict[str, Any]:
        job: dict[str, Any] = client.get(path).json()
        return job

    eventually(lambda: read()["progress"]["ready"] >= 5, "it has begun")
    kill_workers(own_gateway)
    eventually(
        lambda: read()["progress"]["ready"] >= CROWD // 3, "it goes on", patience_s=CROWD_PATIENCE_S
    )
    broker.flush()
    kill_workers(own_gateway)
    eventually(
        lambda: read()["status"] in ("READY", "FAILED"), "it ends", patience_s=CROWD_PATIENCE_S
    )
    job = read()
    assert job["progress"] == {"total": CROWD, "ready": CROWD, "failed": 0, "pending": 0}
    identities = [one["identity"] for one in job["results"]["created"]]
    assert len(set(identities)) == CROWD
    with own_gateway.connect() as database:
        starts = database.execute(
            "SELECT count(*), count(DISTINCT charger_id) FROM runtimes WHERE accepted_at IS NOT NULL"
        ).fetchone()
    assert starts == (CROWD, CROWD)
    assert all(judge.count_overlaps(identity) == 0 for identity in identities)
    deleted = client.delete(site, params={"cascade": "true"})
    assert deleted.status_code == 204
    eventually(lambda: judge.count_open(identities[0]) == 0, "the first is gone")
    eventually(
        lambda: not any(map(judge.count_open, identities)),
        "all are gone",
        patience_s=CROWD_PATIENCE_S,
    )
    assert client.get("/ocpp/chargers").json()["total"] == 0
