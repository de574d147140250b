"""What the driver sends: settings that are checked whole, the definition, the RunTask request."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from tests.ecs_cloud import EXEC_ROLE
from workers.runtimes.base import Key, RuntimeRejected, Spec
from workers.runtimes.ecs_definition import (
    hash_definition,
    name_family,
    read_family_hash,
    render_definition,
)
from workers.runtimes.ecs_request import make_token, read_owner, render_run
from workers.runtimes.ecs_settings import EcsSettings

SETTINGS = EcsSettings(
    install_id="gw",
    image="simulator:1",
    subnets=("subnet-1", "subnet-2"),
    security_groups=("sg-1",),
    execution_role_arn=EXEC_ROLE,
    log_group="/gw/logs",
    region="eu-central-1",
)
CHARGER = "dep-" + "0123456789abcdef" * 2
KEY = Key("gw", CHARGER, incarnation=3)
SPEC = Spec("acme", "CP-1", "OCPP1.6", "Depot", "wss://gw.example/link", "b1.token")
VALUES = {
    "image": "simulator:1",
    "subnets": "subnet-1, subnet-2",
    "execution_role_arn": EXEC_ROLE,
}


def read(**values: str) -> EcsSettings:
    return EcsSettings.read(VALUES | values, install_id="gw", processes=3)


# Settings


def test_settings_are_read_from_texts() -> None:
    settings = read(
        assign_public_ip="true",
        cpu="512",
        memory_mib="2048",
        command="python -m simulator 'one arg'",
        environment="SIMULATOR_LOG_LEVEL=DEBUG,A=b=c",
        api_share="0.5",
    )
    assert settings.subnets == ("subnet-1", "subnet-2")
    assert (settings.assign_public_ip, settings.cpu, settings.memory_mib) == (True, 512, 2048)
    assert settings.command == ("python", "-m", "simulator", "one arg")
    assert settings.environment == {"SIMULATOR_LOG_LEVEL": "DEBUG", "A": "b=c"}
    assert (settings.processes, settings.api_share) == (3, 0.5)


def test_all_mistakes_of_the_settings_are_told_at_once() -> None:
    with pytest.raises(RuntimeRejected) as caught:
        EcsSettings.read(
            {"cpu": "many", "assign_public_ip": "perhaps", "colour": "red", "api_share": "-1"},
            install_id="gw",
            processes=1,
        )
    assert caught.value.code == "ecs_settings_invalid"
    for name in (
        *("IMAGE", "SUBNETS", "EXECUTION_ROLE_ARN"),
        *("CPU", "ASSIGN_PUBLIC_IP", "COLOUR", "API_SHARE"),
    ):
        assert f"GATEWAY_ECS_{name} " in str(caught.value)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"cpu": "256", "memory_mib": "4096"}, "no such size"),
        ({"launch": "lambda"}, "GATEWAY_ECS_LAUNCH"),
        ({"architecture": "arm64"}, "GATEWAY_ECS_ARCHITECTURE"),
        ({"stop_timeout_s": "121"}, "GATEWAY_ECS_STOP_TIMEOUT_S"),
        ({"health_interval_s": "4"}, "GATEWAY_ECS_HEALTH_INTERVAL_S"),
        ({"api_share": "1.5"}, "GATEWAY_ECS_API_SHARE"),
        ({"subnets": " , "}, "GATEWAY_ECS_SUBNETS"),
        ({"environment": "NAME"}, "GATEWAY_ECS_ENVIRONMENT"),
    ],
)
def test_a_value_that_ecs_would_refuse_is_refused_before(values: dict[str, str], said: str) -> None:
    with pytest.raises(RuntimeRejected, match=said):
        read(**values)


def test_an_install_id_that_started_by_cannot_carry_is_refused() -> None:
    with pytest.raises(RuntimeRejected, match="install id"):
        replace(SETTINGS, install_id="a:b")


# Requests, as AWS's own model sees them


def validate(operation: str, request: dict[str, Any]) -> list[str]:
    session = boto3.Session(region_name="us-east-1")
    model = session.client(
        "ecs", aws_access_key_id="a", aws_secret_access_key="b"
    ).meta.service_model
    shape = model.operation_model(operation).input_shape
    return ParamValidator().validate(request, shape).generate_report().splitlines()


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"launch": "fargate_spot", "architecture": "ARM64", "task_role_arn": EXEC_ROLE},
        {"launch": "ec2", "capacity_provider": "cp", "log_group": ""},
        {"command": ("sh", "-c", "true"), "environment": {"A": "b"}},
    ],
)
def test_what_is_rendered_fits_the_model_of_aws(change: dict[str, Any]) -> None:
    settings = replace(SETTINGS, **change)
    definition = render_definition(settings) | {"family": "gw"}
    assert validate("RegisterTaskDefinition", definition) == []
    assert validate("RunTask", render_run(settings, KEY, SPEC, "arn:gw:1")) == []


def test_a_definition_is_named_by_its_content_alone() -> None:
    one, same = render_definition(SETTINGS), render_definition(replace(SETTINGS, cluster="other"))
    other = render_definition(replace(SETTINGS, image="simulator:2"))
    assert hash_definition(one) == hash_definition(same) != hash_definition(other)


def test_a_family_belongs_to_the_installation_it_names_exactly() -> None:
    family = name_family("gw-a", "0123456789abcdef")
    assert read_family_hash("gw-a", family) == "0123456789abcdef"
    assert read_family_hash("gw", family) is None
    assert read_family_hash("gw-a", f"{family}0") is None


def test_the_definition_stops_gracefully_and_probes_without_an_interpreter() -> None:
    [container] = render_definition(SETTINGS)["containerDefinitions"]
    assert container["linuxParameters"]["initProcessEnabled"]
    assert "python" not in container["healthCheck"]["command"][1]
    assert container["logConfiguration"]["options"]["mode"] == "non-blocking"


def test_settings_of_the_operator_do_not_displace_the_drivers_own_variables() -> None:
    settings = replace(SETTINGS, environment={"SIMULATOR_HEALTH_FILE": "/nowhere"})
    [container] = render_definition(settings)["containerDefinitions"]
    variables = {pair["name"]: pair["value"] for pair in container["environment"]}
    assert variables["SIMULATOR_HEALTH_FILE"] == "/tmp/alive"


def test_the_request_of_a_key_is_the_same_each_time() -> None:
    first = json.dumps(render_run(SETTINGS, KEY, SPEC, "arn:gw:1"))
    assert json.dumps(render_run(SETTINGS, KEY, SPEC, "arn:gw:1")) == first


def test_tokens_of_starts_attempts_and_installations_differ_and_fit() -> None:
    keys = [
        KEY,
        replace(KEY, incarnation=4),
        replace(KEY, attempt=2),
        replace(KEY, install_id="other"),
        replace(KEY, incarnation=99_999_999, attempt=9_999_999),
    ]
    tokens = [make_token(key) for key in keys]
    assert len(set(tokens)) == len(keys)
    assert all(len(token) <= 64 and token.isprintable() and " " not in token for token in tokens)


def test_the_owner_is_read_back_from_what_ecs_echoes() -> None:
    request = render_run(SETTINGS, KEY, SPEC, "arn:gw:1")
    task = {"startedBy": request["startedBy"], "overrides": request["overrides"]}
    owner = read_owner(task, "gw")
    assert owner is not None
    assert (owner.charger_id, owner.incarnation, owner.attempt) == (CHARGER, 3, 1)
    assert read_owner(task, "g") is None
    assert read_owner({**task, "overrides": {}}, "gw") is None
    assert read_owner({}, "gw") is None


def test_the_longest_names_stay_below_the_limit_of_overrides() -> None:
    spec = replace(SPEC, location_name="\u00e9" * 255, link_url="wss://" + "x" * 1000)
    request = render_run(SETTINGS, KEY, spec, "arn:gw:1")
    assert len(json.dumps(request["overrides"])) <= 8192
    assert all(len(tag["value"]) <= 256 for tag in request["tags"])


def test_network_and_launch_follow_the_settings() -> None:
    request = render_run(replace(SETTINGS, assign_public_ip=True), KEY, SPEC, "arn:gw:1")
    assert request["networkConfiguration"]["awsvpcConfiguration"] == {
        "subnets": ["subnet-1", "subnet-2"],
        "securityGroups": ["sg-1"],
        "assignPublicIp": "ENABLED",
    }
    assert request["launchType"] == "FARGATE"
    on_ec2 = render_run(replace(SETTINGS, launch="ec2"), KEY, SPEC, "arn:gw:1")
    assert on_ec2["launchType"] == "EC2"
    assert "assignPublicIp" not in on_ec2["networkConfiguration"]["awsvpcConfiguration"]


def test_a_location_is_left_out_where_there_is_none() -> None:
    request = render_run(SETTINGS, KEY, replace(SPEC, location_name=None), "arn:gw:1")
    assert "LOCATION_NAME" not in json.dumps(request)
    assert "gw:location" not in json.dumps(request)
