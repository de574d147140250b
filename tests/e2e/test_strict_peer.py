"""Fifty chargers of each OCPP version before a strict CSMS that no one here wrote (npm's ocpp-rpc)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from ocpplab import OcpplabSDK

from tests.e2e.conftest import create, settles
from tests.gateways import eventually
from tests.node_csms import NodeCsms, is_installed, run_node_csms

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(
        not is_installed() and "node" not in os.environ.get("GATEWAY_TEST_REQUIRE", ""),
        reason="not run: node (ocpp-rpc is not installed)",
    ),
]

COUNT = 50
MODELS = {
    "OCPP1.6": ("wallbox", "wallbox-pulsar-plus", "Type2"),
    "OCPP2.0.1": ("chargepoint", "cp6000", "Type2"),
}


@pytest.fixture(scope="module")
def peer() -> Iterator[NodeCsms]:
    with run_node_csms(heartbeat_s=1) as csms:
        yield csms


@pytest.mark.parametrize("version", MODELS)
def test_fifty_chargers_are_ready_without_a_violation(
    make_sdk: Callable[..., OcpplabSDK], peer: NodeCsms, version: str
) -> None:
    sdk = make_sdk("strict")
    brand, model, connector = MODELS[version]
    prefix = version.removeprefix("OCPP").replace(".", "")
    identities = [f"S{prefix}-{number}" for number in range(COUNT)]
    ids = [
        create(
            sdk,
            identity,
            peer.ws_url,
            brand_slug=brand,
            model_slug=model,
            connector_type=connector,
            ocpp_version=version,
        )
        for identity in identities
    ]
    assert {settles(sdk, charger_id).status for charger_id in ids} == {"READY"}
    before = peer.report()["counts"].get("Heartbeat", 0)
    eventually(
        lambda: peer.report()["counts"].get("Heartbeat", 0) >= before + COUNT, "heartbeats come"
    )
    report = peer.report()
    assert report["violations"] == []
    assert report["overlaps"] == 0
    assert all(len(report["sockets"][identity]) == 1 for identity in identities)
    for charger_id in ids:
        sdk.chargers.delete(charger_id)
    eventually(
        lambda: not any(peer.open_sockets(identity) for identity in identities[:5]), "they leave"
    )
