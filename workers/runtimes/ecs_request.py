"""The RunTask request of one charger, and what of it is found again in a task. Pure.

Identity sits in several places, because each is lost or unseen in another situation: `startedBy` is a filter of
ListTasks, the override's environment survives StopTask (tags do not), tags serve the bill.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from workers.runtimes.base import Key, RuntimeRejected, Spec
from workers.runtimes.ecs_definition import CONTAINER
from workers.runtimes.ecs_settings import EcsSettings
from workers.runtimes.ecs_verdicts import LOOPBACK_LINK

_CHARGER: Final = "GATEWAY_CHARGER_ID"
_INCARNATION: Final = "GATEWAY_INCARNATION"
_ATTEMPT: Final = "GATEWAY_ATTEMPT"
#: Tag values: letters, digits, spaces and a few signs, at most 256 ("Tagging" in the ECS developer guide).
_TAG_REFUSED: Final = re.compile(r"[^\w\s.:/=+@-]")
_TAG_MAX: Final = 256
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose task it is, as its override tells."""

    charger_id: str
    incarnation: int
    attempt: int


def render_run(settings: EcsSettings, key: Key, spec: Spec, definition_arn: str) -> dict[str, Any]:
    """The whole RunTask request. The only secret in it is the bootstrap token of this incarnation."""
    return {
        "cluster": settings.cluster,
        "taskDefinition": definition_arn,
        "count": 1,
        "clientToken": make_token(key),
        "startedBy": name_starter(key.install_id, key.charger_id),
        "group": f"charger:{key.charger_id}",
        "enableExecuteCommand": False,
        "networkConfiguration": _render_network(settings),
        "overrides": {
            "containerOverrides": [
                {"name": CONTAINER, "environment": _render_environment(settings, key, spec)}
            ]
        },
        "tags": _render_tags(key, spec),
        **_render_launch(settings, key),
    }


def choose_link_url(settings: EcsSettings, link_url: str) -> str:
    """What the task dials.

    Raises `RuntimeRejected` (`ecs_link_unreachable`) for an address that inside a task is the task itself.
    """
    url = settings.link_url or link_url
    if not settings.allow_loopback_link and urlsplit(url).hostname in _LOOPBACK:
        raise RuntimeRejected(
            f"{LOOPBACK_LINK.advice} The address is {url}.",
            code=LOOPBACK_LINK.code,
            hint=LOOPBACK_LINK.hint,
            retryable=True,
        )
    return url


def name_starter(install_id: str, charger_id: str) -> str:
    """`<install>/<charger hex>`: at most 128 of letters, digits, `-`, `_` and `/`."""
    return f"{install_id}/{charger_id.removeprefix('dep-')}"


def read_owner(task: Mapping[str, Any], install_id: str) -> Owner | None:
    """Whose task this is; None for one that this installation did not start."""
    if not str(task.get("startedBy") or "").startswith(f"{install_id}/"):
        return None
    overrides = task.get("overrides", {}).get("containerOverrides", [])
    pairs = [pair for override in overrides for pair in override.get("environment", [])]
    env = {pair.get("name"): pair.get("value") for pair in pairs}
    try:
        return Owner(str(env[_CHARGER]), int(env[_INCARNATION]), int(env[_ATTEMPT]))
    except (KeyError, ValueError):
        return None


def make_token(key: Key) -> str:
    """The client token, at most 64 characters: the key's name and 8 hex digits of the installation.

    Tokens are scoped by cluster: without the latter, a copy of our database under another installation id would
    meet our tokens with other parameters.
    """
    return f"{key.name}-{hashlib.sha256(key.install_id.encode()).hexdigest()[:8]}"


def is_of(owner: Owner | None, key: Key) -> bool:
    """Whether a task is a start of this incarnation, in whatever attempt."""
    return (
        owner is not None
        and owner.charger_id == key.charger_id
        and owner.incarnation == key.incarnation
    )


def _render_environment(settings: EcsSettings, key: Key, spec: Spec) -> list[dict[str, str]]:
    values = {
        _CHARGER: key.charger_id,
        _INCARNATION: str(key.incarnation),
        _ATTEMPT: str(key.attempt),
        "SIMULATOR_LINK_URL": choose_link_url(settings, spec.link_url),
        "SIMULATOR_TOKEN": spec.bootstrap_token,
    }
    if spec.location_name:
        values["LOCATION_NAME"] = spec.location_name
    return [{"name": name, "value": value} for name, value in values.items()]


def _render_tags(key: Key, spec: Spec) -> list[dict[str, str]]:
    values = {
        **spec.labels,
        "gw:install": key.install_id,
        "gw:charger": key.charger_id,
        "gw:incarnation": str(key.incarnation),
        "gw:organization": spec.organization_id,
        "gw:identity": spec.identity,
        "gw:location": spec.location_name or "",
    }
    return [
        {"key": name, "value": _TAG_REFUSED.sub("_", value)[:_TAG_MAX]}
        for name, value in values.items()
        if value
    ]


def _render_network(settings: EcsSettings) -> dict[str, Any]:
    vpc: dict[str, Any] = {"subnets": list(settings.subnets)}
    if settings.security_groups:
        vpc["securityGroups"] = list(settings.security_groups)
    if settings.is_fargate:
        vpc["assignPublicIp"] = "ENABLED" if settings.assign_public_ip else "DISABLED"
    return {"awsvpcConfiguration": vpc}


def _render_launch(settings: EcsSettings, key: Key) -> dict[str, Any]:
    """Launch type or capacity provider: they exclude each other."""
    if settings.launch == "fargate_spot":
        falls_back = settings.spot_fallback and key.attempt > 1
        provider = "FARGATE" if falls_back else "FARGATE_SPOT"
        return {"capacityProviderStrategy": [{"capacityProvider": provider, "weight": 1}]}
    if settings.launch == "ec2" and settings.capacity_provider:
        provider = settings.capacity_provider
        return {"capacityProviderStrategy": [{"capacityProvider": provider, "weight": 1}]}
    return {"launchType": "EC2" if settings.launch == "ec2" else "FARGATE"}
