"""One whole gateway for the session, judges, and the official SDK pointed at it.

To point the SDK's tests at a gateway that runs already (`python -m tests.compose_tour <folder> sdk` does):

    GATEWAY_TEST_URL        its address
    GATEWAY_TEST_TOKEN      the command that prints a token when an organization is put behind it, such as
                            `docker compose -f <file> exec -T api gateway token --show --organization`
    GATEWAY_TEST_CSMS_HOST  what its chargers call this machine (tests/judges.py), such as host.docker.internal
"""

from __future__ import annotations

import itertools
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from typing import Any, Final

import httpx
import pytest
from ocpplab import OcpplabSDK

from tests.gateways import Gateway, eventually, make_data_folder, make_environment, run_gateway
from tests.judges import Judge, run_judge

_numbers = itertools.count(1)
_ELSEWHERE: Final = os.environ.get("GATEWAY_TEST_URL", "")

#: Clocks that no test has to wait for.
QUICK = {
    "GATEWAY_CSMS_S": "6",
    "GATEWAY_CSMS_REFUSED_S": "4",
    "SIMULATOR_RECONNECT_MIN_S": "0.2",
    "SIMULATOR_RECONNECT_MAX_S": "1",
}


@pytest.fixture(scope="session")
def gateway() -> Iterator[Gateway]:
    """`gateway up` with everything but Flower."""
    environment = make_environment(**QUICK)
    with (
        make_data_folder() as data,
        Gateway(data, without=("flower",), environment=environment) as gateway,
    ):
        yield gateway.comes_up()


@pytest.fixture(scope="session")
def base_url(request: pytest.FixtureRequest) -> str:
    """What clients call."""
    if _ELSEWHERE:
        return _ELSEWHERE
    gateway: Gateway = request.getfixturevalue("gateway")
    return str(gateway.read_state()["base_url"])


@pytest.fixture
def issue_token(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Makes an API token for an organization."""
    if _ELSEWHERE:
        return _issue_elsewhere
    gateway: Gateway = request.getfixturevalue("gateway")

    def issue(organization: str) -> str:
        where = ("--data-dir", str(gateway.data))
        made = run_gateway("token", *where, "--organization", organization, "--show")
        assert made.returncode == 0, made.stderr
        return made.stdout.strip().splitlines()[-1]

    return issue


def _issue_elsewhere(organization: str) -> str:
    command = [*shlex.split(os.environ["GATEWAY_TEST_TOKEN"]), organization]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    return made.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="session")
def judge() -> Iterator[Judge]:
    """A strict CSMS of ours, in a process of its own."""
    with run_judge() as judge:
        yield judge


@pytest.fixture
def make_sdk(
    issue_token: Callable[[str], str], base_url: str
) -> Iterator[Callable[..., OcpplabSDK]]:
    """The unmodified SDK for an organization."""
    clients: list[httpx.Client] = []

    def make(organization: str = "acme", **changes: Any) -> OcpplabSDK:
        if "token" not in changes:
            changes["token"] = issue_token(organization)
        clients.append(httpx.Client(timeout=60, follow_redirects=True))
        return OcpplabSDK(
            base_url=base_url,
            organization_id=organization,
            httpx_client=clients[-1],
            **changes,
        )

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def sdk(make_sdk: Callable[..., OcpplabSDK]) -> OcpplabSDK:
    """The SDK for the organization acme."""
    return make_sdk()


@pytest.fixture
def identity() -> str:
    """An identity that no other test uses."""
    return f"CP-{next(_numbers):04d}"


def create(sdk: OcpplabSDK, identity: str, ws_url: str, **changes: Any) -> str:
    """Order a charger. Its id."""
    order = {
        "identity": identity,
        "brand_slug": "wallbox",
        "model_slug": "wallbox-pulsar-plus",
        "connector_type": "Type2",
        "ws_url": ws_url,
        **changes,
    }
    return str(sdk.chargers.create(**order).charger_id)


def settles(sdk: OcpplabSDK, charger_id: str) -> Any:
    """Poll as the SDK's users do, until READY or FAILED."""

    def look() -> Any:
        status = sdk.chargers.get_status(charger_id)
        return status if status.status in ("READY", "FAILED") else None

    return eventually(look, f"{charger_id} settles")


def comes_up(sdk: OcpplabSDK, identity: str, ws_url: str, **changes: Any) -> str:
    """Order a charger and poll until it is READY. Its id."""
    charger_id = create(sdk, identity, ws_url, **changes)
    status = settles(sdk, charger_id)
    assert status.status == "READY", status.error
    return charger_id
