"""What the stand-in keeps: settings, task definitions, tasks. Times are AWS epoch seconds."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class StandinSettings:
    """How this ECS behaves. Durations are AWS seconds. Everything but names may change while it runs."""

    region: str = "us-east-1"
    account: str = "123456789012"
    clusters: tuple[str, ...] = ("default",)
    #: Image → the command that stands for its CMD. Empty: every image exists, and the definition names the
    #: command. An image that is not here cannot be pulled.
    images: dict[str, list[str]] = field(default_factory=dict)
    #: CloudWatch log groups; None: every group exists.
    log_groups: tuple[str, ...] | None = None
    #: How long the network interface takes, the image pull, the last steps before RUNNING, and the clean-up.
    provisioning_s: float = 0.5
    pull_s: float = 0.5
    activating_s: float = 0.1
    deprovisioning_s: float = 0.5
    #: A new task is not seen by DescribeTasks, ListTasks and StopTask for this long.
    visibility_lag_s: float = 0.0
    #: A stopped task is described for this long.
    forget_s: float = 3600.0
    #: A client token lives at most this long, and this long after its tasks stopped.
    token_s: float = 86_400.0
    token_after_stop_s: float = 3600.0
    #: How long a registration keeps its family busy for others.
    register_s: float = 0.0
    #: Fargate on demand and Spot, each: vCPUs that may run at once.
    vcpu_quota: float = 6.0
    #: Whether calls draw on the token buckets of `limits.py`.
    throttling: bool = True
    #: Refuse `startedBy` together with `desiredStatus` in ListTasks too (see docs/ecs-standin.md).
    strict_started_by: bool = False


@dataclass(slots=True)
class Definition:
    """One revision of a task definition."""

    arn: str
    family: str
    revision: int
    #: What was sent to RegisterTaskDefinition.
    request: Json
    registered_at: float
    status: str = "ACTIVE"
    deregistered_at: float | None = None
    tags: list[Json] = field(default_factory=list)

    @property
    def container(self) -> Json:
        """The container that the stand-in runs: the first essential one."""
        containers: list[Json] = self.request["containerDefinitions"]
        return next((c for c in containers if c.get("essential", True)), containers[0])

    @property
    def vcpu(self) -> float:
        """vCPUs of one task; `cpu` is in units of 1/1024."""
        return float(self.request.get("cpu") or self.container.get("cpu") or 0) / 1024


@dataclass(slots=True)
class Fate:
    """What was ordered to happen to one task."""

    #: Fail before the container starts, with this text.
    never_starts: str | None = None
    #: Seconds after RUNNING at which memory runs out.
    oom_after_s: float | None = None
    #: Seconds after RUNNING at which the infrastructure is taken away, and what DescribeTasks then says.
    interrupted_after_s: float | None = None
    stop_code: str = "SpotInterruption"
    stop_text: str = "Your Spot Task was interrupted."


@dataclass(slots=True)
class Task:
    """One task with one container. Statuses are those of the ECS developer guide, "task lifecycle"."""

    arn: str
    cluster: str
    definition: Definition
    request: Json
    created_at: float
    visible_at: float
    fate: Fate
    launch_type: str | None
    capacity_provider: str | None
    private_ip: str
    tags: list[Json] = field(default_factory=list)
    last_status: str = "PROVISIONING"
    desired_status: str = "RUNNING"
    #: HEALTHY, UNHEALTHY or UNKNOWN of the container, and so of the task.
    health: str = "UNKNOWN"
    stop_code: str | None = None
    stopped_reason: str | None = None
    container_reason: str | None = None
    exit_code: int | None = None
    #: Name of the answer's field (`startedAt`, ...) → epoch seconds.
    times: dict[str, float] = field(default_factory=dict)
    version: int = 1
    runtime_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def id(self) -> str:
        """The last part of the ARN."""
        return self.arn.rsplit("/", 1)[1]

    @property
    def started_by(self) -> str | None:
        """The caller's mark."""
        value: str | None = self.request.get("startedBy")
        return value

    @property
    def is_stopped(self) -> bool:
        """Whether its life is over."""
        return self.last_status == "STOPPED"

    @property
    def is_spot(self) -> bool:
        """Whether it runs on spare Fargate capacity."""
        return self.capacity_provider == "FARGATE_SPOT"

    @property
    def is_fargate(self) -> bool:
        """Whether it counts against Fargate's quotas."""
        return self.launch_type == "FARGATE"

    @property
    def container_name(self) -> str:
        """Name of its container."""
        name: str = self.definition.container["name"]
        return name

    @property
    def override(self) -> Mapping[str, Any]:
        """The override of its container, empty when there is none."""
        overrides: list[Json] = self.request.get("overrides", {}).get("containerOverrides", [])
        return next((o for o in overrides if o.get("name") == self.container_name), {})

    @property
    def log_stream(self) -> str | None:
        """`prefix/container/task id` of the awslogs driver; None with another driver."""
        options = self.log_options
        if options is None or "awslogs-stream-prefix" not in options:
            return None
        return f"{options['awslogs-stream-prefix']}/{self.container_name}/{self.id}"

    @property
    def log_options(self) -> Mapping[str, str] | None:
        """Options of the awslogs driver; None with another driver."""
        config = self.definition.container.get("logConfiguration") or {}
        return config.get("options", {}) if config.get("logDriver") == "awslogs" else None
