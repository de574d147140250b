"""The task definition: rendered from the settings alone, named by its own content. Pure.

All chargers of one image, size, roles and logging share one definition; what differs per charger is an override
of RunTask. AWS reorders and fills in what it echoes, so what we sent is hashed, never compared with its answer.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from workers.runtimes.ecs_settings import EcsSettings

CONTAINER: Final = "simulator"
LOG_PREFIX: Final = "charger"
#: Where any user of the container may write.
_HEALTH_FILE: Final = "/tmp/alive"  # noqa: S108 - the container's own
_HASH_LENGTH: Final = 16


def render_definition(settings: EcsSettings) -> dict[str, Any]:
    """The RegisterTaskDefinition request, without family and tags. It holds no secret."""
    definition: dict[str, Any] = {
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE" if settings.is_fargate else "EC2"],
        "cpu": str(settings.cpu),
        "memory": str(settings.memory_mib),
        "runtimePlatform": {
            "cpuArchitecture": settings.architecture,
            "operatingSystemFamily": "LINUX",
        },
        "executionRoleArn": settings.execution_role_arn,
        "containerDefinitions": [_render_container(settings)],
    }
    if settings.task_role_arn:
        definition["taskRoleArn"] = settings.task_role_arn
    return definition


def hash_definition(definition: Mapping[str, Any]) -> str:
    """16 hex digits of the content."""
    text = json.dumps(definition, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]


def name_family(install_id: str, content_hash: str) -> str:
    """`gw-<install>-<hash>`: one family per content, so that no two chargers wait for its lock."""
    return f"gw-{install_id}-{content_hash}"


def read_family_hash(install_id: str, family: str) -> str | None:
    """The hash in a family name of this installation; None for any other family.

    A prefix is not enough: `gw-a-b-<hash>` belongs to the installation `a-b`, not to `a`.
    """
    pattern = rf"gw-{re.escape(install_id)}-([0-9a-f]{{{_HASH_LENGTH}}})"
    found = re.fullmatch(pattern, family)
    return found.group(1) if found else None


def render_probe(settings: EcsSettings) -> list[str]:
    """Well is who touched the file lately. A shell and two small programs, no interpreter."""
    age = '$(( $(date +%s) - $(stat -c %Y "$SIMULATOR_HEALTH_FILE") ))'
    return ["CMD-SHELL", f"test {age} -lt {settings.health_age_s}"]


def _render_container(settings: EcsSettings) -> dict[str, Any]:
    environment = {
        **settings.environment,
        "SIMULATOR_CAPACITY": "1",
        "SIMULATOR_HEALTH_FILE": _HEALTH_FILE,
        "SIMULATOR_IN_CONTAINER": "true",
    }
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": settings.image,
        "essential": True,
        "environment": [{"name": n, "value": environment[n]} for n in sorted(environment)],
        "stopTimeout": settings.stop_timeout_s,
        # PID 1 without a handler ignores SIGTERM; an init passes it on.
        "linuxParameters": {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}},
        "healthCheck": {
            "command": render_probe(settings),
            "interval": settings.health_interval_s,
            "timeout": settings.health_timeout_s,
            "retries": settings.health_retries,
            "startPeriod": settings.health_start_s,
        },
    }
    if settings.command:
        container["command"] = list(settings.command)
    if settings.log_group:
        container["logConfiguration"] = _render_logs(settings)
    return container


def _render_logs(settings: EcsSettings) -> dict[str, Any]:
    options = {
        "awslogs-group": settings.log_group,
        "awslogs-stream-prefix": LOG_PREFIX,
        # A slow log service must not stop the charger.
        "mode": "non-blocking",
    }
    if settings.region:
        options["awslogs-region"] = settings.region
    return {"logDriver": "awslogs", "options": options}
