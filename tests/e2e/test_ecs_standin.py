"""`gateway up --runtime ecs-standin`: the driver that AWS gets, with real processes behind the API of ECS."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from ocpplab import OcpplabSDK
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.chaos.account import Account
from tests.e2e.conftest import comes_up, create, settles
from tests.gateways import Gateway, eventually, make_data_folder, make_environment, run_gateway
from tests.judges import Judge

COUNT = 20


@pytest.fixture(scope="module")
def ecs_gateway() -> Iterator[Gateway]:
    environment = make_environment(SIMULATOR_RECONNECT_MIN_S="0.2")
    with (
        make_data_folder() as data,
        Gateway(
            data,
            *("--runtime", "ecs-standin"),
            without=("flower", "beat", "host"),
            environment=environment,
        ) as gateway,
    ):
        yield gateway.comes_up()


@pytest.fixture
def ecs_sdk(ecs_gateway: Gateway) -> Iterator[OcpplabSDK]:
    made = run_gateway(
        "token", "--data-dir", str(ecs_gateway.data), "--organization", "acme", "--show"
    )
    token = made.stdout.strip().splitlines()[-1]
    with httpx.Client(timeout=60) as client:
        yield OcpplabSDK(
            base_url=str(ecs_gateway.read_state()["base_url"]),
            organization_id="acme",
            token=token,
            httpx_client=client,
        )


@pytest.mark.timeout(240)
def test_twenty_tasks_come_up_from_one_definition_and_leave_nothing(
    ecs_gateway: Gateway, ecs_sdk: OcpplabSDK, judge: Judge
) -> None:
    identities = [f"ECS-{number}" for number in range(COUNT)]
    ids = [create(ecs_sdk, identity, judge.ws_url) for identity in identities]
    eventually(
        lambda: all(ecs_sdk.chargers.get_status(one).status == "READY" for one in ids),
        "all are READY",
    )
    charger = ecs_sdk.chargers.get(ids[0])
    assert charger.runtime["provider"] == "aws"
    with ecs_gateway.connect() as database:
        definitions = database.execute("SELECT count(*) FROM runtime_templates").fetchone()
        handles = database.execute(
            "SELECT count(DISTINCT handle ->> 'arn') FROM runtimes WHERE state = 'started'"
        ).fetchone()
    assert definitions == (1,)
    assert handles == (COUNT,)
    for charger_id in ids:
        ecs_sdk.chargers.delete(charger_id)
    eventually(lambda: not any(map(judge.count_open, identities)), "their connections end")
    assert not any(map(judge.count_overlaps, identities))


@pytest.mark.timeout(180)
def test_stop_start_and_reset_are_tasks_of_their_own(
    ecs_sdk: OcpplabSDK, judge: Judge, identity: str
) -> None:
    charger_id = comes_up(ecs_sdk, identity, judge.ws_url)
    ecs_sdk.chargers.stop_runtime(charger_id, request={})
    eventually(lambda: judge.count_open(identity) == 0, "it leaves")
    ecs_sdk.chargers.start_runtime(charger_id, request={})
    assert settles(ecs_sdk, charger_id).status == "READY"
    boots = judge.count_boots(identity)
    ecs_sdk.chargers.reset_runtime(charger_id, request={})
    assert settles(ecs_sdk, charger_id).status == "READY"
    assert judge.count_boots(identity) == boots + 1
    assert judge.count_overlaps(identity) == 0
    ecs_sdk.chargers.delete(charger_id)


#: What `gateway up` makes that is no secret.
OPEN = ("install_id",)


def knock(link_url: str, token: str) -> int:
    """What the link answers to this token: an HTTP status, 101 when it opens."""
    try:
        with connect(
            link_url,
            subprotocols=["gateway-link.1"],
            additional_headers={"Authorization": f"Bearer {token}"},
            proxy=None,
        ):
            return 101
    except InvalidStatus as refusal:
        return refusal.response.status_code


@pytest.mark.timeout(180)
def test_the_only_secret_of_a_task_is_a_token_that_ends_with_its_start(
    ecs_gateway: Gateway, ecs_sdk: OcpplabSDK, judge: Judge, identity: str
) -> None:
    charger_id = comes_up(ecs_sdk, identity, judge.ws_url)
    hex_id = charger_id.removeprefix("dep-")
    with Account(ecs_gateway) as account:
        [task] = [one for one in account.list_tasks() if hex_id in one["startedBy"]]
    [override] = task["overrides"]["containerOverrides"]
    given = {pair["name"]: pair["value"] for pair in override["environment"]}
    token, link_url = given["SIMULATOR_TOKEN"], given["SIMULATOR_LINK_URL"]
    shown = json.dumps(task)
    folder = ecs_gateway.data / "secrets"
    secrets = {path.name: path.read_text() for path in folder.iterdir() if path.name not in OPEN}
    assert secrets
    assert [name for name, secret in secrets.items() if secret in shown] == []
    assert shown.count(token) == 1

    ecs_sdk.chargers.stop_runtime(charger_id, request={})
    eventually(lambda: knock(link_url, token) == 410, "the token ends with its start")

    scratch = Path(tempfile.gettempdir()).glob(f"ecs-standin-*/{task['taskArn'][-32:]}/output.log")
    logs = [*(ecs_gateway.data / "logs").iterdir(), *scratch]
    assert "output.log" in {path.name for path in logs}
    told = "".join(path.read_text() for path in logs)
    assert charger_id in told
    assert token.rpartition(".")[2] not in told
    assert [name for name, secret in secrets.items() if secret in told] == []
