"""DescribeTasks, ListTasks, StopTask, and the operations on clusters that go with them."""

from __future__ import annotations

from typing import Final

from workers.standin.ecs.definitions import page
from workers.standin.ecs.errors import refuse
from workers.standin.ecs.lifecycle import Lifecycle
from workers.standin.ecs.records import Json, Task
from workers.standin.ecs.show import show_task
from workers.standin.ecs.world import World

_DESCRIBE_MAX: Final = 100
#: Filters that `startedBy` admits beside itself never; `desiredStatus` only when not strict.
_OTHER_FILTERS: Final = ("family", "serviceName", "containerInstance", "launchType")


def describe(world: World, request: Json) -> Json:
    """DescribeTasks: what is not there, not there yet or not there any more is MISSING, not an error."""
    names: list[str] = request["tasks"]
    if not names:
        raise refuse("Tasks cannot be empty.")
    if len(names) > _DESCRIBE_MAX:
        raise refuse(f"taskIds can have at most {_DESCRIBE_MAX} items.")
    with_tags = "TAGS" in request.get("include", [])
    with world.changed:
        cluster = world.name_cluster(request.get("cluster"))
        tasks, failures = [], []
        for name in names:
            task = world.find_task(cluster, name)
            if task is None:
                failures.append({"arn": name, "reason": "MISSING"})
            else:
                tasks.append(show_task(task, with_tags=with_tags))
    return {"tasks": tasks, "failures": failures}


def list_tasks(world: World, request: Json) -> Json:
    """ListTasks: `desiredStatus` defaults to RUNNING; `startedBy` must be the only filter."""
    _check_filters(world, request)
    with world.changed:
        cluster = world.name_cluster(request.get("cluster"))
        now = world.clock.now()
        arns = [
            task.arn
            for task in world.tasks.values()
            if task.cluster == cluster and now >= task.visible_at and _fits(task, request)
        ]
    return page(arns, request, "taskArns")


def stop(world: World, lifecycle: Lifecycle, request: Json) -> Json:
    """StopTask: SIGTERM, `stopTimeout`, SIGKILL. The task's tags are gone afterwards."""
    with world.changed:
        cluster = world.name_cluster(request.get("cluster"))
        task = world.find_task(cluster, request["task"])
        if task is None:
            raise refuse("The referenced task was not found.")
        task.tags = []
        lifecycle.stop(task, request.get("reason") or "Task stopped by user")
        return {"task": show_task(task, with_tags=True)}


def create_cluster(world: World, request: Json) -> Json:
    """CreateCluster; one that exists is answered as it is."""
    name = request.get("clusterName", "default")
    with world.changed:
        world.clusters.add(name)
        return {"cluster": _show_cluster(world, name)}


def describe_clusters(world: World, request: Json) -> Json:
    """DescribeClusters."""
    names = [name.rsplit("/", 1)[-1] for name in request.get("clusters", ["default"])]
    with world.changed:
        clusters = [_show_cluster(world, name) for name in names if name in world.clusters]
        failures = [
            {"arn": world.make_arn("cluster", name), "reason": "MISSING"}
            for name in names
            if name not in world.clusters
        ]
    return {"clusters": clusters, "failures": failures}


def _show_cluster(world: World, name: str) -> Json:
    tasks = [task for task in world.tasks.values() if task.cluster == name]
    return {
        "clusterArn": world.make_arn("cluster", name),
        "clusterName": name,
        "status": "ACTIVE",
        "runningTasksCount": sum(task.last_status == "RUNNING" for task in tasks),
        "pendingTasksCount": sum(task.last_status == "PENDING" for task in tasks),
        "capacityProviders": ["FARGATE", "FARGATE_SPOT"],
    }


def _check_filters(world: World, request: Json) -> None:
    if not request.get("startedBy"):
        return
    others = [name for name in _OTHER_FILTERS if request.get(name)]
    if world.settings.strict_started_by and request.get("desiredStatus"):
        others.append("desiredStatus")
    if others:
        raise refuse("startedBy must be the only filter.")


def _fits(task: Task, request: Json) -> bool:
    wanted = {
        "desiredStatus": task.desired_status,
        "startedBy": task.started_by,
        "family": task.definition.family,
        "launchType": task.launch_type,
        # The stand-in has neither services nor instances, so these fit no task.
        "serviceName": None,
        "containerInstance": None,
    }
    given = {"desiredStatus": "RUNNING"} | {
        name: request[name] for name in wanted if request.get(name)
    }
    return all(wanted[name] == value for name, value in given.items())
