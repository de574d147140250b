"""The doctor's checks of an AWS account, against accounts in which one thing is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from tests.ecs_cloud import EXEC_ROLE, Cloud, open_cloud
from workers.runtimes.ecs_cost import describe_cost, estimate_cost
from workers.runtimes.ecs_doctor import examine
from workers.runtimes.ecs_settings import EcsSettings
from workers.runtimes.findings import Finding, Level

LINK = "wss://gateway.example/link"
ECR = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
GOOD = EcsSettings(
    install_id="gw",
    image=f"{ECR}/simulator:1",
    subnets=("subnet-1",),
    security_groups=("sg-1",),
    execution_role_arn=EXEC_ROLE,
    log_group="/gw/logs",
)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with open_cloud(
        vcpu_quota=100.0, images={GOOD.image: ["true"]}, log_groups=("/gw/logs", "/gw/logs-2")
    ) as cloud:
        yield cloud


def look(cloud: Cloud, settings: EcsSettings = GOOD, link: str = LINK) -> dict[str, Finding]:
    return {finding.subject: finding for finding in examine(settings, cloud.client, link)}


def test_an_account_in_order_has_nothing_to_mend(cloud: Cloud) -> None:
    findings = look(cloud)
    assert {finding.level for finding in findings.values()} == {Level.OK}
    assert set(findings) == {
        "region",
        "credentials",
        "cluster",
        "subnets",
        "security groups",
        "roles",
        "image",
        "log group",
        "quota",
        "link address",
        "cost",
    }
    assert "400 chargers" in findings["quota"].message


@pytest.mark.parametrize(
    ("change", "subject", "level"),
    [
        ({"cluster": "nowhere"}, "cluster", Level.FAIL),
        ({"launch": "ec2", "capacity_provider": "none"}, "cluster", Level.FAIL),
        ({"subnets": ("net-1",)}, "subnets", Level.FAIL),
        ({"security_groups": ("group-1",)}, "security groups", Level.FAIL),
        ({"security_groups": ()}, "security groups", Level.WARN),
        ({"execution_role_arn": f"{EXEC_ROLE}-missing"}, "roles", Level.FAIL),
        ({"image": f"{ECR}/simulator:2"}, "image", Level.FAIL),
        ({"image": "simulator:1"}, "image", Level.WARN),
        ({"log_group": "/gw/log"}, "log group", Level.FAIL),
        ({"log_group": ""}, "log group", Level.WARN),
    ],
)
def test_one_thing_that_is_wrong_is_found_and_comes_with_advice(
    cloud: Cloud, change: dict[str, Any], subject: str, level: Level
) -> None:
    findings = look(cloud, replace(GOOD, **change))
    assert findings[subject].level is level
    assert findings[subject].advice.endswith(".")
    others = {f.subject for f in findings.values() if f.level is Level.FAIL} - {subject}
    assert others == set()


@pytest.mark.parametrize(
    ("quota", "level", "fit"), [(0.0, Level.FAIL, "0"), (6.0, Level.WARN, "24")]
)
def test_the_quota_is_told_in_chargers(quota: float, level: Level, fit: str) -> None:
    with open_cloud(vcpu_quota=quota) as cloud:
        finding = look(cloud)["quota"]
        assert finding.level is level
        assert f"{fit} chargers" in finding.message


@pytest.mark.parametrize(
    ("link", "level"),
    [
        ("ws://127.0.0.1:8001/link", Level.FAIL),
        ("ws://localhost/link", Level.FAIL),
        ("https://gateway.example/link", Level.FAIL),
        ("ws://gateway.example/link", Level.WARN),
        ("ws://10.0.0.7:8001/link", Level.OK),
        ("ws://link.gateway.internal:8001/link", Level.OK),
        ("wss://gateway.example/link", Level.OK),
    ],
)
def test_the_address_of_the_link_is_judged(cloud: Cloud, link: str, level: Level) -> None:
    assert look(cloud, link=link)["link address"].level is level


def test_credentials_that_aws_does_not_know_end_the_examination(cloud: Cloud) -> None:
    [finding] = examine(GOOD, lambda name: cloud.client(name, access_key="WRONG"), LINK)
    assert (finding.subject, finding.level) == ("credentials", Level.FAIL)


def test_no_credentials_at_all_are_told_as_such() -> None:
    def find_none(_: str) -> Any:
        raise NoCredentialsError

    [finding] = examine(GOOD, find_none, LINK)
    assert finding.advice.startswith("Give the workers a role")


def test_what_the_credentials_may_not_look_up_is_a_warning(cloud: Cloud) -> None:
    class Closed:
        """A service that answers AccessDenied to everything."""

        def __getattr__(self, name: str) -> Any:
            def deny(**_: object) -> None:
                said = {"Code": "AccessDenied", "Message": "no"}
                raise ClientError({"Error": said}, name)

            return deny

    findings = {
        finding.subject: finding
        for finding in examine(
            GOOD, lambda name: Closed() if name == "iam" else cloud.client(name), LINK
        )
    }
    assert findings["roles"].level is Level.WARN


def test_a_service_that_cannot_be_reached_is_a_failure_of_its_own(cloud: Cloud) -> None:
    def make(name: str) -> Any:
        if name == "service-quotas":
            raise EndpointConnectionError(endpoint_url="https://servicequotas")
        return cloud.client(name)

    findings = {finding.subject: finding for finding in examine(GOOD, make, LINK)}
    assert findings["quota"].level is Level.FAIL
    assert findings["link address"].level is Level.OK


# What it costs


def test_a_quarter_vcpu_around_the_clock_costs_about_nine_dollars() -> None:
    cost = estimate_cost(GOOD)
    assert round(cost.per_charger_hour, 6) == 0.012343
    assert round(cost.total, 2) == 9.01
    assert round(estimate_cost(GOOD, 100).total) == 901


def test_spot_size_and_addresses_change_the_price() -> None:
    assert estimate_cost(replace(GOOD, launch="fargate_spot")).total < 3
    assert round(estimate_cost(replace(GOOD, cpu=512, memory_mib=1024)).total, 2) == 18.02
    with_address = estimate_cost(replace(GOOD, assign_public_ip=True))
    assert round(with_address.total - estimate_cost(GOOD).total, 2) == 3.65


def test_prices_are_settings() -> None:
    assert estimate_cost(replace(GOOD, price_vcpu_hour=0.0, price_gb_hour=0.0)).total == 0


def test_on_ec2_no_price_is_made_up() -> None:
    assert "instances" in describe_cost(replace(GOOD, launch="ec2"))
