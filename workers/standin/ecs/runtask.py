"""RunTask: checks, token, quota, and the answer; what becomes of the task is in `lifecycle.py`."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from typing import Any, Final

from workers.standin.ecs import definitions
from workers.standin.ecs.errors import AwsError, blame, refuse
from workers.standin.ecs.faults import CAPACITY_TEXT, Fault
from workers.standin.ecs.lifecycle import Lifecycle
from workers.standin.ecs.records import Definition, Fate, Json, Task
from workers.standin.ecs.show import show_task
from workers.standin.ecs.tokens import Entry, digest
from workers.standin.ecs.world import World

_STARTED_BY: Final = re.compile(r"[A-Za-z0-9/_-]{1,128}")
_TOKEN: Final = re.compile(r"[!-~]{1,64}")
_OVERRIDES_MAX: Final = 8192
#: With the curly apostrophe that ECS sends.
_QUOTA_TEXT: Final = "You’ve reached the limit on the number of vCPUs you can run concurrently"  # noqa: RUF001 - as sent


@dataclass(frozen=True, slots=True)
class _Order:
    """A RunTask request that passed the checks."""

    request: Json
    cluster: str
    definition: Definition
    launch_type: str | None
    capacity_provider: str | None

    @property
    def is_fargate(self) -> bool:
        return self.launch_type == "FARGATE"


def run(world: World, lifecycle: Lifecycle, request: Json) -> Json:
    """RunTask."""
    with world.changed:
        order = _check(world, request)
        now = world.clock.now()
        if order.is_fargate:
            world.spend("RunTask on Fargate")
        known = world.tokens.find(order.cluster, request, world.settings, now)
        if known is not None:
            world.stats["run_task_replays"] += 1
            return _answer(
                [_replay(task) for task in known.tasks], [dict(f) for f in known.failures]
            )
        failures, tasks, hidden = _place(world, lifecycle, order)
        world.tokens.keep(order.cluster, request, Entry(digest(request), now, tasks, failures))
        shown = [] if hidden else [show_task(task, with_tags=True) for task in tasks]
        return _answer(shown, failures)


def _place(
    world: World, lifecycle: Lifecycle, order: _Order
) -> tuple[list[Json], list[Task], bool]:
    """Start what there is room for: failures, tasks, and whether the tasks stay unsaid (a ghost)."""
    now = world.clock.now()
    fault = world.faults.pick(("failures", "ghost"), "RunTask", now, _image_of(order))
    if fault is not None and fault.kind == "failures":
        return [_failure(fault.message or CAPACITY_TEXT)], [], False
    wanted = order.request.get("count", 1)
    count = min(wanted, _count_room(world, order))
    if order.is_fargate:
        is_spot = order.capacity_provider == "FARGATE_SPOT"
        for _ in range(count):
            world.spend("launch on Spot" if is_spot else "launch on demand")
    tasks = [_create(world, lifecycle, order) for _ in range(count)]
    failures = [_failure(_QUOTA_TEXT)] * (wanted - count)
    if fault is not None:
        failures.append(_failure(fault.message or CAPACITY_TEXT))
    return failures, tasks, fault is not None


def _count_room(world: World, order: _Order) -> int:
    """How many tasks of this size the vCPU quota still admits; plenty outside Fargate."""
    vcpu = order.definition.vcpu
    if not order.is_fargate or vcpu == 0:
        return 10
    is_spot = order.capacity_provider == "FARGATE_SPOT"
    used = sum(
        task.definition.vcpu
        for task in world.tasks.values()
        if task.is_fargate and task.is_spot == is_spot and not task.is_stopped
    )
    return max(0, int((world.settings.vcpu_quota - used) / vcpu + 1e-9))


def _create(world: World, lifecycle: Lifecycle, order: _Order) -> Task:
    now = world.clock.now()
    number = len(world.tasks)
    request = order.request
    task = Task(
        arn=world.make_arn("task", f"{order.cluster}/{uuid.uuid4().hex}"),
        cluster=order.cluster,
        definition=order.definition,
        request=request,
        created_at=now,
        visible_at=now + world.settings.visibility_lag_s,
        fate=_choose_fate(world, order),
        launch_type=order.launch_type,
        capacity_provider=order.capacity_provider,
        private_ip=f"10.0.{number // 250 % 250}.{number % 250 + 4}",
        tags=request.get("tags", []),
    )
    if task.started_by and _has_live_twin(world, task):
        world.stats["overlaps"] += 1
    world.tasks[task.arn] = task
    lifecycle.begin(task)
    return task


def _has_live_twin(world: World, task: Task) -> bool:
    """Whether another task with the same `startedBy` lives: what a careful caller never lets happen."""
    return any(
        other.started_by == task.started_by and not other.is_stopped
        for other in world.tasks.values()
    )


def _choose_fate(world: World, order: _Order) -> Fate:
    now, image, fate = world.clock.now(), _image_of(order), Fate()

    def pick(kind: str) -> Fault | None:
        return world.faults.pick((kind,), "RunTask", now, image)

    if fault := pick("stop_before_start"):
        fate.never_starts = fault.message or "Timeout waiting for network interface provisioning"
    if fault := pick("oom"):
        fate.oom_after_s = fault.after_s
    if fault := pick("interrupt"):
        fate.interrupted_after_s = fault.after_s
        if fault.code != "ServerException":
            fate.stop_code = fault.code
        fate.stop_text = fault.message or fate.stop_text
    return fate


def _image_of(order: _Order) -> str:
    image: str = order.definition.container["image"]
    return image


def _failure(reason: str) -> Json:
    return {"reason": reason}


def _replay(task: Task) -> Json:
    """A task that stopped comes back with three facts only ("Ensuring idempotency")."""
    if task.is_stopped:
        return {
            "taskArn": task.arn,
            "lastStatus": task.last_status,
            "desiredStatus": task.desired_status,
        }
    return show_task(task, with_tags=True)


def _answer(tasks: list[Json], failures: list[Json]) -> Json:
    return {"tasks": tasks, "failures": failures}


def _check(world: World, request: Json) -> _Order:
    cluster = world.name_cluster(request.get("cluster"))
    _check_marks(request)
    name = request["taskDefinition"]
    definition = definitions.find(world, name)
    if definition is None:
        raise blame("TaskDefinition not found.")
    if definition.status != "ACTIVE":
        raise blame("TaskDefinition is inactive")
    _check_overrides(request, definition)
    launch_type, provider = _choose_launch(request)
    if definition.request.get("networkMode") == "awsvpc":
        vpc = request.get("networkConfiguration", {}).get("awsvpcConfiguration")
        if not vpc or not vpc.get("subnets"):
            raise refuse(
                "Network Configuration must be provided when networkMode 'awsvpc' is specified."
            )
    if launch_type == "FARGATE" and "FARGATE" not in definition.request.get(
        "requiresCompatibilities", []
    ):
        raise refuse("Task definition does not support launch_type FARGATE.")
    return _Order(request, cluster, definition, launch_type, provider)


def _check_marks(request: Json) -> None:
    if not 1 <= request.get("count", 1) <= 10:
        raise refuse("Count must be between 1 and 10.")
    if "clientToken" in request and not _TOKEN.fullmatch(request["clientToken"]):
        raise refuse("clientToken must have 1 to 64 characters in the range of 33 to 126.")
    if "startedBy" in request and not _STARTED_BY.fullmatch(request["startedBy"]):
        raise refuse("startedBy must match the pattern [A-Za-z0-9/_-]{1,128}.")
    if len(request.get("tags", [])) > 50:
        raise refuse("Tags can have at most 50 items.")


def _check_overrides(request: Json, definition: Definition) -> None:
    overrides: Any = request.get("overrides", {})
    if len(json.dumps(overrides, separators=(",", ":"))) > _OVERRIDES_MAX:
        raise refuse(f"Container Overrides length must be at most {_OVERRIDES_MAX}")
    names = {container["name"] for container in definition.request["containerDefinitions"]}
    for override in overrides.get("containerOverrides", []):
        if override.get("name") not in names:
            raise refuse(
                f"Override for container named {override.get('name')} "
                "is not a container in the TaskDefinition."
            )


def _choose_launch(request: Json) -> tuple[str | None, str | None]:
    """Launch type and capacity provider of the task."""
    strategy = request.get("capacityProviderStrategy")
    if strategy and request.get("launchType"):
        raise refuse(
            "Specifying both a launch type and capacity provider strategy is not supported. "
            "Remove one and try again."
        )
    if strategy:
        provider: str = max(strategy, key=lambda item: item.get("weight", 0))["capacityProvider"]
        return ("FARGATE" if provider.startswith("FARGATE") else "EC2"), provider
    launch_type: str = request.get("launchType", "EC2")
    if launch_type not in ("FARGATE", "EC2", "EXTERNAL"):
        raise AwsError("InvalidParameterException", "Launch type is not known.")
    return launch_type, None
