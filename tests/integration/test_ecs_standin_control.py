"""The control endpoint, the access key, the program and the neighbours of the stand-in."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.ecs_cloud import ACCESS_KEY, Cloud, fargate_run, open_cloud


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with open_cloud() as cloud:
        yield cloud


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return caught.value.response["Error"]["Code"]


# Control


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"kind": "earthquake"}),
        ("faults", {"kind": "oom", "depth": 3}),
        ("settings", {"region": "elsewhere"}),
        ("settings", {"speed": 3}),
        ("clock", {}),
        ("interrupt", {"task": "unknown"}),
        ("nothing", {}),
    ],
)
def test_order_that_makes_no_sense_is_refused(
    cloud: Cloud, path: str, body: dict[str, Any]
) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        cloud.order(path, body)
    caught.value.close()
    assert caught.value.code == 400


def test_settings_change_while_it_runs(cloud: Cloud) -> None:
    answer = cloud.order("settings", {"visibility_lag_s": 9.0, "time_scale": 2.0})
    assert answer["settings"]["visibility_lag_s"] == 9.0
    assert answer["time_scale"] == 2.0


def test_faults_can_be_seen_and_cleared(cloud: Cloud) -> None:
    cloud.goes_wrong("throttle", operation="ListTasks")
    [fault] = cloud.order("", method="GET")["faults"]
    assert fault["kind"] == "throttle"
    cloud.order("faults", method="DELETE")
    assert cloud.ecs.list_tasks()["taskArns"] == []


def test_overlaps_of_one_owner_are_counted(cloud: Cloud) -> None:
    definition = cloud.define()
    first = cloud.run(definition, startedBy="me")
    cloud.run(definition, startedBy="other")
    assert cloud.stats().get("overlaps", 0) == 0
    cloud.run(definition, startedBy="me")
    assert cloud.stats()["overlaps"] == 1
    assert cloud.order("tasks", method="GET")["tasks"][0]["taskArn"] == first


def test_caller_without_the_access_key_starts_nothing(cloud: Cloud) -> None:
    stranger = cloud.client("ecs", access_key="SOMEBODY")
    with pytest.raises(ClientError) as caught:
        stranger.run_task(**fargate_run("app"))
    assert code_of(caught) == "UnrecognizedClientException"


def test_operation_that_is_not_copied_says_so(cloud: Cloud) -> None:
    with pytest.raises(ClientError) as caught:
        cloud.ecs.create_service(serviceName="a")
    assert code_of(caught) == "UnknownOperationException"


# The program


def start_program(folder: Path, *options: str) -> tuple[subprocess.Popen[str], dict[str, str]]:
    program = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from workers.standin.ecs.cli import ecs_standin as f; f()",
            *options,
        ],
        stdout=subprocess.PIPE,
        env=os.environ | {"ECS_STANDIN_ACCESS_KEY": ACCESS_KEY, "TMPDIR": str(folder)},
        text=True,
    )
    assert program.stdout is not None
    lines = [program.stdout.readline() for _ in range(4)]
    pairs = (line.removeprefix("export ").strip().partition("=") for line in lines)
    return program, {name: value for name, _, value in pairs}


def run_sleeper(exports: dict[str, str], folder: Path) -> int:
    """Run a task by the printed variables; the pid of its process, once it tells."""
    said = folder / "pid"
    os.mkfifo(said)
    client = boto3.client(
        "ecs",
        region_name=exports["AWS_DEFAULT_REGION"],
        endpoint_url=exports["AWS_ENDPOINT_URL"],
        aws_access_key_id=exports["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=exports["AWS_SECRET_ACCESS_KEY"],
    )
    client.register_task_definition(
        family="app",
        containerDefinitions=[
            {
                "name": "main",
                "image": "app:1",
                "command": ["sh", "-c", f"echo $$ > {said}; exec sleep 600"],
            }
        ],
    )
    client.run_task(taskDefinition="app")
    client.close()
    return int(said.read_text())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_program_leaves_no_process_however_it_ends(tmp_path: Path, number: signal.Signals) -> None:
    program, exports = start_program(tmp_path, "--image", "app:1=true", "--time-scale", "20")
    with program:
        pid = run_sleeper(exports, tmp_path)
        task = os.pidfd_open(pid)
        program.send_signal(number)
        program.wait(10)
    try:
        assert select.select([task], [], [], 10)[0]
    finally:
        os.close(task)


def test_program_refuses_to_listen_beyond_this_machine() -> None:
    program = subprocess.run(
        [
            sys.executable,
            "-c",
            "from workers.standin.ecs.cli import ecs_standin as f; f()",
            "--host",
            "0.0.0.0",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert program.returncode == 2
    assert "only loopback" in program.stderr


def test_port_in_use_is_one_sentence(cloud: Cloud) -> None:
    port = cloud.standin.endpoint.rsplit(":", 1)[1]
    program = subprocess.run(
        [
            sys.executable,
            "-c",
            "from workers.standin.ecs.cli import ecs_standin as f; f()",
            "--port",
            port,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert program.returncode == 1
    assert program.stderr.splitlines() == [
        f"Error: 127.0.0.1:{port} cannot be used: Address already in use."
    ]


def test_doctor_neighbours_answer_in_their_own_protocols(cloud: Cloud) -> None:
    assert cloud.client("sts").get_caller_identity()["Account"] == "123456789012"
    [subnet] = cloud.client("ec2").describe_subnets(SubnetIds=["subnet-1"])["Subnets"]
    assert subnet["AvailableIpAddressCount"] == 250
    with pytest.raises(ClientError) as caught:
        cloud.client("ec2").describe_subnets(SubnetIds=["net-1"])
    assert code_of(caught) == "InvalidSubnetID.NotFound"
    with pytest.raises(ClientError) as caught:
        cloud.client("iam").get_role(RoleName="gw-missing")
    assert code_of(caught) == "NoSuchEntity"
    quota = cloud.client("service-quotas").get_service_quota(
        ServiceCode="fargate", QuotaCode="L-3032A538"
    )
    assert quota["Quota"]["Value"] == 6.0
