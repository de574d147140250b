"""A task as RunTask, DescribeTasks and StopTask show it (Task, ECS API reference)."""

from __future__ import annotations

from workers.standin.ecs.records import Json, Task


def show_task(task: Task, *, with_tags: bool) -> Json:
    """The answer's form. `with_tags`: whether the caller asked for them."""
    definition = task.definition
    shown: Json = {
        "taskArn": task.arn,
        "clusterArn": task.arn.replace(":task/", ":cluster/").rsplit("/", 1)[0],
        "taskDefinitionArn": definition.arn,
        "lastStatus": task.last_status,
        "desiredStatus": task.desired_status,
        "healthStatus": task.health,
        "createdAt": task.created_at,
        "version": task.version,
        "group": task.request.get("group") or f"family:{definition.family}",
        "overrides": task.request.get("overrides", {}),
        "containers": [_show_container(task)],
        "attachments": _show_attachments(task),
        "availabilityZone": f"{task.arn.split(':')[3]}a",
        "cpu": str(definition.request.get("cpu", "")),
        "memory": str(definition.request.get("memory", "")),
        "tags": task.tags if with_tags else [],
        **task.times,
    }
    optional = {
        "startedBy": task.started_by,
        "launchType": task.launch_type,
        "capacityProviderName": task.capacity_provider,
        "stopCode": task.stop_code,
        "stoppedReason": task.stopped_reason,
    }
    return shown | {name: value for name, value in optional.items() if value is not None}


def _show_container(task: Task) -> Json:
    before = task.last_status in ("PROVISIONING", "PENDING", "ACTIVATING")
    over = task.last_status in ("DEPROVISIONING", "STOPPED")
    status = "PENDING" if before else "STOPPED" if over else "RUNNING"
    shown: Json = {
        "containerArn": task.arn.replace(":task/", ":container/") + f"/{task.runtime_id}",
        "taskArn": task.arn,
        "name": task.container_name,
        "image": task.definition.container["image"],
        "lastStatus": status,
        "healthStatus": task.health,
        "networkInterfaces": [{"privateIpv4Address": task.private_ip}],
    }
    if task.exit_code is not None and over:
        shown["exitCode"] = task.exit_code
    if task.container_reason is not None:
        shown["reason"] = task.container_reason
    return shown


def _show_attachments(task: Task) -> list[Json]:
    if task.definition.request.get("networkMode") != "awsvpc":
        return []
    is_attached = task.last_status not in ("PROVISIONING", "STOPPED")
    details = [{"name": "privateIPv4Address", "value": task.private_ip}] if is_attached else []
    return [
        {
            "id": task.runtime_id,
            "type": "ElasticNetworkInterface",
            "status": "ATTACHED" if is_attached else "PRECREATED",
            "details": details,
        }
    ]
