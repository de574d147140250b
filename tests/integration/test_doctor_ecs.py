"""`gateway doctor` where chargers run on ECS: what it says of the account follows what it says of the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.settings import Settings
from tests.ecs_cloud import ACCESS_KEY, EXEC_ROLE, Cloud, open_cloud
from workers.doctor import examine
from workers.runtimes.findings import Finding, Level

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/simulator:1"
OF_THE_ACCOUNT = {
    *("region", "credentials", "cluster", "subnets", "security groups", "roles"),
    *("image", "log group", "quota", "cost"),
}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with open_cloud(vcpu_quota=100.0, images={IMAGE: ["true"]}, log_groups=("/gw/logs",)) as cloud:
        yield cloud


@pytest.fixture
def ecs_settings(settings: Settings, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.standin.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "standin")
    values = {
        "region": "us-east-1",
        "image": IMAGE,
        "subnets": "subnet-1",
        "security_groups": "sg-1",
        "execution_role_arn": EXEC_ROLE,
        "log_group": "/gw/logs",
    }
    return replace(settings, runtime="ecs", link_url="wss://gateway.example/link", ecs=values)


def look_at_account(settings: Settings) -> dict[str, Finding]:
    return {one.subject: one for one in examine(settings) if one.subject in OF_THE_ACCOUNT}


def test_an_account_in_order_is_well_from_credentials_to_quota(ecs_settings: Settings) -> None:
    findings = look_at_account(ecs_settings)
    assert set(findings) == OF_THE_ACCOUNT
    assert {one.level for one in findings.values()} == {Level.OK}
    assert "400 chargers" in findings["quota"].message


def test_a_log_group_that_is_not_there_is_named_with_what_to_do(ecs_settings: Settings) -> None:
    wrong = replace(ecs_settings, ecs={**ecs_settings.ecs, "log_group": "/gw/other"})
    found = look_at_account(wrong)["log group"]
    assert found.level is Level.FAIL
    assert "/gw/other" in found.message
    assert found.advice


def test_a_link_that_tasks_cannot_reach_is_a_failure(ecs_settings: Settings) -> None:
    findings = examine(replace(ecs_settings, link_url="ws://127.0.0.1:8001/link"))
    assert any(one.level is Level.FAIL and "loopback" in one.message for one in findings)


def test_credentials_that_aws_does_not_know_fail_and_the_rest_is_still_looked_at(
    ecs_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "SOMEBODYELSE")
    findings = {one.subject: one for one in examine(ecs_settings)}
    assert findings["credentials"].level is Level.FAIL
    assert findings["database"].level is Level.OK
