"""What a charger's CSMS can do to it, and what the client is told."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from ocpplab import OcpplabSDK

from tests.e2e.conftest import comes_up, create, settles
from tests.gateways import Gateway, eventually
from tests.judges import Judge, run_judge


def _fails(sdk: OcpplabSDK, judge: Judge, identity: str, ws_url: str, code: str) -> Any:
    """Order a charger that cannot come up; the error, once its runtime is gone."""
    charger_id = create(sdk, identity, ws_url)
    status = settles(sdk, charger_id)
    assert status.status == "FAILED"
    assert status.error is not None
    assert status.error.code == code
    assert status.error.param == "ws_url"
    assert status.error.retryable is True
    assert judge.count_open(identity) == 0
    return charger_id, status.error.message


@pytest.mark.parametrize(
    ("manners", "words"),
    [
        ({"upgrade": "401"}, "401"),
        ({"upgrade": "404"}, "404"),
        ({"subprotocol": ""}, "subprotocol"),
        ({"subprotocol": "ocpp9"}, "ocpp"),
        ({"boot": "rejected"}, "rejected BootNotification"),
    ],
)
def test_a_definite_refusal_fails_soon_and_start_tries_again(
    sdk: OcpplabSDK, judge: Judge, identity: str, manners: dict[str, str], words: str
) -> None:
    judge.behaves(identity, **manners)
    charger_id, message = _fails(sdk, judge, identity, judge.ws_url, "csms_rejected")
    assert words in message
    judge.behaves(identity, upgrade="accept", boot="accepted")
    if "subprotocol" in manners:
        judge.behaves(identity, subprotocol="ocpp1.6")
    sdk.chargers.start_runtime(charger_id, request={})
    assert settles(sdk, charger_id).status == "READY"
    sdk.chargers.delete(charger_id)


def test_nobody_listening_is_said_in_words(sdk: OcpplabSDK, judge: Judge, identity: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        url = f"ws://127.0.0.1:{port}/ocpp"
        _, message = _fails(sdk, judge, identity, url, "csms_unreachable")
    assert f"Nothing listens at 127.0.0.1:{port}" in message


def test_pending_is_waited_for(sdk: OcpplabSDK, judge: Judge, identity: str) -> None:
    judge.behaves(identity, boot="pending:8", retry_s=1)
    charger_id = create(sdk, identity, judge.ws_url)
    status = settles(sdk, charger_id)
    assert status.status == "READY"
    assert judge.count_boots(identity) == 9
    assert judge.report(identity)["offences"] == []
    sdk.chargers.delete(charger_id)


def test_a_csms_that_goes_away_after_ready_destroys_nothing(
    gateway: Gateway, sdk: OcpplabSDK, identity: str
) -> None:
    with run_judge() as away:
        port = int(away.ws_url.split(":")[2].split("/")[0])
        charger_id = comes_up(sdk, identity, away.ws_url)
    eventually(lambda: _read_runtime(sdk, charger_id)["stage"] == "offline", "it is seen offline")
    with gateway.connect() as database:
        runs = database.execute("SELECT count(*) FROM runs WHERE charger_id = %s", [charger_id])
        assert runs.fetchone() == (1,)
    with run_judge(port) as back:
        eventually(lambda: back.count_open(identity) == 1, "it reconnects by itself")
        eventually(lambda: _read_runtime(sdk, charger_id)["stage"] == "online", "it is seen online")
        status = sdk.chargers.get_status(charger_id)
        assert status.status == "READY"
        assert _read_runtime(sdk, charger_id)["restarts"] == 0
        sdk.chargers.delete(charger_id)


def _read_runtime(sdk: OcpplabSDK, charger_id: str) -> dict[str, Any]:
    charger: Any = sdk.chargers.get(charger_id)
    runtime: dict[str, Any] = charger.runtime
    return runtime
