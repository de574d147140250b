"""Folds one task, as DescribeTasks shows it, into an observation. Pure.

Statuses: "Task lifecycle" in the ECS developer guide. Health is read from our container by name: the task's own
field was seen HEALTHY with a container UNKNOWN (ecs-agent #4094).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from workers.runtimes.base import Handle, Observation, Phase
from workers.runtimes.ecs_classify import classify_stop
from workers.runtimes.ecs_definition import CONTAINER, LOG_PREFIX

_PHASES: Final[Mapping[str, Phase]] = {
    "PROVISIONING": Phase.SCHEDULING,
    "PENDING": Phase.SCHEDULING,
    "ACTIVATING": Phase.STARTING,
    "RUNNING": Phase.STARTING,
    "DEACTIVATING": Phase.STOPPING,
    "STOPPING": Phase.STOPPING,
    "DEPROVISIONING": Phase.STOPPING,
    "STOPPED": Phase.GONE,
    "DELETED": Phase.GONE,
}
_WORDS_MAX: Final = 800
_UNWELL: Final = "The simulator runs, but its health check fails."


def observe_task(handle: Handle, task: Mapping[str, Any], install_id: str) -> Observation:
    """What this task is doing.

    `Phase.RUNNING` means RUNNING with a verdict of its health check; until there is one it is STARTING.
    """
    status = str(task.get("lastStatus") or "")
    phase = _PHASES.get(status, Phase.UNKNOWN)
    health = _read_health(task)
    facts = _collect_facts(task, status, health)
    if phase is Phase.GONE:
        return Observation(handle, phase, end=classify_stop(task, install_id), facts=facts)
    if task.get("desiredStatus") == "STOPPED":
        return Observation(handle, Phase.STOPPING, facts=facts)
    if status == "PENDING" and task.get("pullStartedAt"):
        phase = Phase.STARTING if task.get("pullStoppedAt") else Phase.PULLING
    if status != "RUNNING":
        return Observation(handle, phase, facts=facts)
    if health == "HEALTHY":
        return Observation(handle, Phase.RUNNING, healthy=True, facts=facts)
    if health == "UNHEALTHY":
        return Observation(handle, Phase.RUNNING, healthy=False, hint=_UNWELL, facts=facts)
    return Observation(handle, phase, facts=facts)


def add_last_words(observation: Observation, lines: Sequence[str]) -> Observation:
    """The observation of an end, with what the simulator wrote last."""
    end = observation.end
    if end is None or not lines:
        return observation
    words = replace(
        end,
        message=f"{end.message} Its last words: {lines[-1][:_WORDS_MAX]}",
        facts={**end.facts, "log": "\n".join(lines)[-_WORDS_MAX:]},
    )
    return replace(observation, end=words)


def _read_health(task: Mapping[str, Any]) -> str:
    for container in task.get("containers") or []:
        if container.get("name") == CONTAINER:
            return str(container.get("healthStatus") or "UNKNOWN")
    return "UNKNOWN"


def _collect_facts(task: Mapping[str, Any], status: str, health: str) -> dict[str, Any]:
    task_id = str(task.get("taskArn", "")).rsplit("/", 1)[-1]
    facts = {
        "last_status": status,
        "health": health,
        "task_definition": task.get("taskDefinitionArn"),
        "capacity_provider": task.get("capacityProviderName") or task.get("launchType"),
        "availability_zone": task.get("availabilityZone"),
        "private_ip": _read_address(task),
        "log_stream": f"{LOG_PREFIX}/{CONTAINER}/{task_id}",
    }
    return {name: value for name, value in facts.items() if value is not None}


def _read_address(task: Mapping[str, Any]) -> str | None:
    """The private address, known once the network interface is attached."""
    for attachment in task.get("attachments") or []:
        if attachment.get("type") != "ElasticNetworkInterface":
            continue
        for detail in attachment.get("details") or []:
            if detail.get("name") == "privateIPv4Address":
                return str(detail.get("value"))
    return None
