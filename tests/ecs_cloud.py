"""An AWS account for tests: a stand-in in this process and real boto3 clients that talk to it.

Use `open_cloud(...)`; `Cloud` has verbs for what a test does to the account, and waits on its state, not on time.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config

from workers.standin.ecs.records import StandinSettings, Task
from workers.standin.ecs.server import EcsStandin

ACCESS_KEY = "STANDINTESTKEY"
#: A command that a probe finds alive: it writes the file and waits for SIGTERM.
SLEEPER = ["sh", "-c", "trap 'exit 0' TERM; touch alive; while :; do sleep 0.05; done"]
#: One session for all clients: it parses each service's model once.
_SESSION = boto3.Session(region_name="us-east-1")
EXEC_ROLE = "arn:aws:iam::123456789012:role/gw-exec"


class Cloud:
    """One account in one region."""

    def __init__(self, standin: EcsStandin) -> None:
        self.standin = standin
        self.world = standin.world
        self._clients: list[Any] = []
        self.ecs = self.client("ecs")
        self.logs = self.client("logs")

    def client(self, service: str, access_key: str = ACCESS_KEY, endpoint: str = "") -> Any:
        """A boto3 client; it tries once, so that a test sees each answer."""
        client = _SESSION.client(
            service,
            endpoint_url=endpoint or self.standin.endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key="standin",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20),
        )
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients:
            client.close()

    def order(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        """Call the control endpoint."""
        request = urllib.request.Request(
            f"{self.standin.endpoint}/_standin/{path}",
            data=json.dumps(body or {}).encode(),
            headers={"Authorization": f"Bearer {ACCESS_KEY}"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def goes_wrong(self, kind: str, **more: Any) -> None:
        """Arm a fault."""
        self.order("faults", {"kind": kind, **more})

    def passes(self, seconds: float) -> None:
        """Let AWS seconds pass at once."""
        self.order("clock", {"advance_s": seconds})

    def define(self, family: str = "app", **container: Any) -> str:
        """Register a Fargate definition that runs `SLEEPER`; the ARN."""
        answer = self.ecs.register_task_definition(**fargate_definition(family, **container))
        arn: str = answer["taskDefinition"]["taskDefinitionArn"]
        return arn

    def run(self, definition: str, **more: Any) -> str:
        """RunTask on Fargate; the ARN of the task."""
        answer = self.ecs.run_task(**fargate_run(definition, **more))
        assert answer["failures"] == []
        arn: str = answer["tasks"][0]["taskArn"]
        return arn

    def task(self, arn: str) -> Task:
        """The task as it is, without lag."""
        return self.world.tasks[arn]

    def describe(self, arn: str, **more: Any) -> dict[str, Any]:
        """DescribeTasks of one task that is there."""
        answer: dict[str, Any] = self.ecs.describe_tasks(tasks=[arn], **more)["tasks"][0]
        return answer

    def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for a change of the account."""
        assert self.world.wait_until(is_so), "it never came to that"

    def until_status(self, arn: str, status: str) -> None:
        """Wait for a lastStatus."""
        self.until(lambda: self.world.tasks[arn].last_status == status)

    def until_health(self, arn: str, health: str) -> None:
        """Wait for a healthStatus."""
        self.until(lambda: self.world.tasks[arn].health == health)

    def kill(self, arn: str) -> None:
        """The process of a running task is killed by nobody in particular."""
        with self.world.changed:
            self.standin.lifecycle.kill(self.world.tasks[arn])

    def stats(self) -> dict[str, Any]:
        """Figures of the account so far."""
        with self.world.changed:
            return self.world.count()


def fargate_definition(family: str, **container: Any) -> dict[str, Any]:
    """A RegisterTaskDefinition request."""
    return {
        "family": family,
        "requiresCompatibilities": ["FARGATE"],
        "networkMode": "awsvpc",
        "cpu": "256",
        "memory": "512",
        "executionRoleArn": EXEC_ROLE,
        "containerDefinitions": [
            {"name": "main", "image": "app:1", "command": SLEEPER, "essential": True} | container
        ],
    }


def fargate_run(definition: str, **more: Any) -> dict[str, Any]:
    """A RunTask request."""
    return {
        "taskDefinition": definition,
        "launchType": "FARGATE",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
    } | more


@contextmanager
def open_cloud(time_scale: float = 20.0, **settings: Any) -> Iterator[Cloud]:
    """A fresh account, `time_scale` times as fast as AWS; everything it runs ends with it."""
    with EcsStandin(
        StandinSettings(**settings), access_key=ACCESS_KEY, time_scale=time_scale
    ) as standin:
        cloud = Cloud(standin)
        try:
            yield cloud
        finally:
            cloud.close()
