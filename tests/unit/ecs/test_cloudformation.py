"""The CloudFormation template: it is well-formed, and its policies are what the driver needs and no more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cfnlint.decode import cfn_yaml

from workers.runtimes import ecs_calls

TEMPLATE = Path(__file__).parents[3] / "deploy" / "aws" / "gateway.yaml"


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return cfn_yaml.load(str(TEMPLATE))


def read_statements(template: dict[str, Any], name: str) -> list[dict[str, Any]]:
    document = template["Resources"][name]["Properties"]["PolicyDocument"]
    return [statement for statement in document["Statement"] if "Action" in statement]


def read_actions(statement: dict[str, Any]) -> list[str]:
    actions = statement["Action"]
    return [actions] if isinstance(actions, str) else list(actions)


def test_cfn_lint_finds_nothing() -> None:
    program = Path(sys.executable).parent / "cfn-lint"
    linted = subprocess.run([program, TEMPLATE], capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_the_gateway_may_do_what_its_driver_calls_and_no_more(template: dict[str, Any]) -> None:
    statements = read_statements(template, "GatewayPolicy")
    allowed = {action for statement in statements for action in read_actions(statement)}
    called = {f"ecs:{operation}" for operation in ecs_calls._METHODS}
    beside = {"ecs:TagResource", "iam:PassRole", "logs:GetLogEvents"}
    assert allowed == called | beside


def test_what_changes_something_is_bound_to_this_installation(template: dict[str, Any]) -> None:
    unbound = {"ecs:RegisterTaskDefinition", "ecs:DeregisterTaskDefinition"}
    reading = ("ecs:Describe", "ecs:List")
    for statement in read_statements(template, "GatewayPolicy"):
        for action in read_actions(statement):
            if statement["Resource"] == "*":
                assert action in unbound or action.startswith(reading), action


def test_only_tasks_can_be_given_the_execution_role(template: dict[str, Any]) -> None:
    [passing] = [
        statement
        for statement in read_statements(template, "GatewayPolicy")
        if "iam:PassRole" in read_actions(statement)
    ]
    assert passing["Resource"] == {"Fn::GetAtt": ["ExecutionRole", "Arn"]}
    assert passing["Condition"]["StringEquals"] == {
        "iam:PassedToService": "ecs-tasks.amazonaws.com"
    }


def test_chargers_accept_no_connection(template: dict[str, Any]) -> None:
    group = template["Resources"]["ChargerSecurityGroup"]["Properties"]
    assert "SecurityGroupIngress" not in group
    assert [rule["IpProtocol"] for rule in group["SecurityGroupEgress"]] == ["tcp"]
