"""Operations on task definitions: register, describe, list, deregister, delete."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from workers.standin.ecs.errors import AwsError, blame, refuse
from workers.standin.ecs.records import Definition, Json
from workers.standin.ecs.world import World

_FAMILY: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")
#: cpu units → allowed memory in MiB ("Task size", ECS developer guide, Fargate).
_FARGATE_SIZES: Final = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4097, 1024)),
    1024: tuple(range(2048, 8193, 1024)),
    2048: tuple(range(4096, 16385, 1024)),
    4096: tuple(range(8192, 30721, 1024)),
}
#: Field of a health check → (lowest, highest) seconds or tries, HealthCheck in the API reference.
_HEALTH_RANGES: Final = {
    "interval": (5, 300),
    "timeout": (2, 60),
    "retries": (1, 10),
    "startPeriod": (0, 300),
}


def register(world: World, request: Json) -> Json:
    """RegisterTaskDefinition. Two registrations of one family at once: the later is refused."""
    _check(request)
    family = request["family"]
    with world.changed:
        if family in world.registering:
            raise blame(
                "Too many concurrent attempts to create a new revision of the specified family."
            )
        world.registering.add(family)
        if world.settings.register_s:
            world.changed.notify_all()
            world.linger(world.settings.register_s)
        world.registering.discard(family)
        revision = world.revisions.get(family, 0) + 1
        world.revisions[family] = revision
        arn = world.make_arn("task-definition", f"{family}:{revision}")
        definition = Definition(arn, family, revision, request, world.clock.now())
        definition.tags = request.get("tags", [])
        world.definitions[arn] = definition
        world.stats["definitions_registered"] += 1
        return {"taskDefinition": show(definition), "tags": definition.tags}


def describe(world: World, request: Json) -> Json:
    """DescribeTaskDefinition, by family, family:revision or ARN. INACTIVE ones are described too."""
    with world.changed:
        definition = find(world, request.get("taskDefinition", ""))
        if definition is None:
            raise blame("Unable to describe task definition.")
        answer: Json = {"taskDefinition": show(definition)}
        if "TAGS" in request.get("include", []):
            answer["tags"] = definition.tags
        return answer


def list_definitions(world: World, request: Json) -> Json:
    """ListTaskDefinitions: `familyPrefix` is the whole family name, `status` defaults to ACTIVE."""
    status, family = request.get("status", "ACTIVE"), request.get("familyPrefix")
    with world.changed:
        arns = [
            definition.arn
            for definition in world.definitions.values()
            if definition.status == status and family in (None, definition.family)
        ]
    return page(arns, request, "taskDefinitionArns")


def list_families(world: World, request: Json) -> Json:
    """ListTaskDefinitionFamilies: `familyPrefix` is a prefix here."""
    prefix, status = request.get("familyPrefix", ""), request.get("status", "ALL")
    with world.changed:
        active = {d.family for d in world.definitions.values() if d.status == "ACTIVE"}
        families = {d.family for d in world.definitions.values()}
    wanted = {"ALL": families, "ACTIVE": active, "INACTIVE": families - active}[status]
    return page(sorted(name for name in wanted if name.startswith(prefix)), request, "families")


def deregister(world: World, request: Json) -> Json:
    """DeregisterTaskDefinition: INACTIVE at once; tasks that run from it go on."""
    with world.changed:
        definition = find(world, request["taskDefinition"])
        if definition is None or ":" not in request["taskDefinition"]:
            raise blame("The specified task definition does not exist.")
        if definition.status == "ACTIVE":
            definition.status = "INACTIVE"
            definition.deregistered_at = world.clock.now()
        return {"taskDefinition": show(definition)}


def delete(world: World, request: Json) -> Json:
    """DeleteTaskDefinitions: at most 10, and only INACTIVE ones; gone once no task refers to them."""
    names: list[str] = request["taskDefinitions"]
    if not 1 <= len(names) <= 10:
        raise refuse("Task definitions can have at most 10 items.")
    deleted, failures = [], []
    with world.changed:
        for name in names:
            definition = find(world, name)
            if definition is None:
                failures.append({"arn": name, "reason": "MISSING"})
            elif definition.status == "ACTIVE":
                detail = "The specified task definition is still in ACTIVE status."
                failures.append({"arn": name, "reason": "ACTIVE", "detail": detail})
            else:
                definition.status = "DELETE_IN_PROGRESS"
                deleted.append(show(definition))
        sweep(world)
    return {"taskDefinitions": deleted, "failures": failures}


def sweep(world: World) -> None:
    """Drop definitions that are being deleted and that no living task refers to."""
    used = {task.definition.arn for task in world.tasks.values() if not task.is_stopped}
    for arn in list(world.definitions):
        if world.definitions[arn].status == "DELETE_IN_PROGRESS" and arn not in used:
            del world.definitions[arn]


def find(world: World, name: str) -> Definition | None:
    """By ARN, `family:revision`, or the newest ACTIVE revision of a family."""
    name = name.rsplit("/", 1)[-1]
    if ":" in name:
        return world.definitions.get(world.make_arn("task-definition", name))
    revisions = [d for d in world.definitions.values() if d.family == name and d.status == "ACTIVE"]
    return revisions[-1] if revisions else None


def show(definition: Definition) -> Json:
    """The definition as the API describes it."""
    request = {name: value for name, value in definition.request.items() if name != "tags"}
    shown: Json = {
        **request,
        "taskDefinitionArn": definition.arn,
        "revision": definition.revision,
        "status": definition.status,
        "registeredAt": definition.registered_at,
        "compatibilities": request.get("requiresCompatibilities", ["EC2"]),
        "volumes": request.get("volumes", []),
    }
    if definition.deregistered_at is not None:
        shown["deregisteredAt"] = definition.deregistered_at
    return shown


def page(items: list[str], request: Json, field: str) -> Json:
    """One page of at most `maxResults` (100) items; `nextToken` is the number of items seen."""
    limit = request.get("maxResults", 100)
    if not 1 <= limit <= 100:
        raise refuse("Limit must be between 1 and 100.")
    try:
        start = int(request.get("nextToken") or 0)
    except ValueError:
        raise refuse("Invalid token.") from None
    answer: dict[str, Any] = {field: items[start : start + limit]}
    if start + limit < len(items):
        answer["nextToken"] = str(start + limit)
    return answer


def _check(request: Json) -> None:
    containers: list[Json] = request.get("containerDefinitions", [])
    if not _FAMILY.fullmatch(request.get("family", "")):
        raise blame("Family contains invalid characters.")
    if len(json.dumps(request)) > 64 * 1024:
        raise blame("Actual length of the task definition exceeds the maximum of 65536 bytes.")
    if not 1 <= len(containers) <= 10:
        raise blame("A task definition has between 1 and 10 containers.")
    if len(request.get("tags", [])) > 50:
        raise refuse("Tags can have at most 50 items.")
    for container in containers:
        _check_container(container)
    if "FARGATE" in request.get("requiresCompatibilities", []):
        _check_fargate(request)


def _check_container(container: Json) -> None:
    if not container.get("name") or not container.get("image"):
        raise blame("Container.name and Container.image should not be null or empty.")
    check = container.get("healthCheck")
    if check is None:
        return
    if check["command"][:1] not in (["CMD"], ["CMD-SHELL"]):
        raise blame("The health check command must start with CMD or CMD-SHELL.")
    for name, (low, high) in _HEALTH_RANGES.items():
        if name in check and not low <= check[name] <= high:
            raise blame(f"The health check {name} must be between {low} and {high}.")


def _check_fargate(request: Json) -> None:
    if request.get("networkMode") != "awsvpc":
        raise blame("Fargate only supports network mode 'awsvpc'.")
    cpu, memory = int(request.get("cpu") or 0), int(request.get("memory") or 0)
    if memory not in _FARGATE_SIZES.get(cpu, ()):
        raise blame("No Fargate configuration exists for given values.")
    for container in request["containerDefinitions"]:
        if container.get("stopTimeout", 30) > 120:
            raise blame("stopTimeout on Fargate must be between 2 and 120 seconds.")
        logs = container.get("logConfiguration", {})
        if logs.get("logDriver") != "awslogs":
            continue
        if not request.get("executionRoleArn"):
            raise blame(
                "Fargate requires task definition to have execution role ARN to support log driver awslogs."
            )
        if "awslogs-stream-prefix" not in logs.get("options", {}):
            raise AwsError("ClientException", "awslogs-stream-prefix is required on Fargate.")
