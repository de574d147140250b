"""The container of one charger, and what of it is found again in the engine's answers. Pure.

The body is that of the Engine API's `POST /containers/create` (v1.41, Docker 20.10 and later), written out here in
full, so that what is stored before the call is what is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from workers.runtimes.base import Key, RuntimeRejected, Spec
from workers.runtimes.docker_settings import DockerSettings

LABEL_INSTALL: Final = "gateway.install"
LABEL_CHARGER: Final = "gateway.charger"
LABEL_INCARNATION: Final = "gateway.incarnation"

#: In the one folder that a read-only container can write to.
_HEALTH_FILE: Final = "/tmp/alive"  # noqa: S108  # the container's own
_CA_FILE: Final = "/etc/gateway-ca.pem"
_MIB: Final = 1024 * 1024
_NANO: Final = 1_000_000_000
#: A container's output is kept this long at most: the gateway has the OCPP frames, this is for diagnosis.
_LOG_OPTIONS: Final = {"max-size": "2m", "max-file": "2"}
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose container it is, as its labels tell."""

    install_id: str
    charger_id: str
    incarnation: int


def name_container(key: Key) -> str:
    """`gw-<install>-<charger hex>-i<incarnation>`: the engine admits one container of a name, so it is the key."""
    charger = key.charger_id.removeprefix("dep-")
    return f"gw-{key.install_id}-{charger}-i{key.incarnation}"


def read_owner(labels: Mapping[str, str] | None) -> Owner | None:
    """Whose container these labels name; None for one that no gateway started."""
    try:
        given = labels or {}
        incarnation = int(given[LABEL_INCARNATION])
        return Owner(given[LABEL_INSTALL], given[LABEL_CHARGER], incarnation)
    except (KeyError, ValueError):
        return None


def render_container(
    settings: DockerSettings, key: Key, spec: Spec, template: Mapping[str, Any]
) -> dict[str, Any]:
    """`{"name", "body"}`. The only secret in it is the bootstrap token of this incarnation."""
    return {
        "name": name_container(key),
        "body": {
            "Image": template["image"],
            "User": settings.user,
            "Env": _render_environment(settings, spec),
            "Labels": _render_labels(key, spec),
            "StopSignal": "SIGTERM",
            "StopTimeout": settings.stop_timeout_s,
            "Healthcheck": _render_health_check(settings),
            "HostConfig": _render_limits(settings),
        },
    }


def is_loopback(host: str | None) -> bool:
    """Whether a host name means whoever asks: inside a container, the container."""
    return host in _LOOPBACK


def choose_link_url(settings: DockerSettings, spec: Spec) -> str:
    """What the container dials.

    Raises `RuntimeRejected` (`docker_link_unreachable`) for an address that inside a container is the container.
    """
    url = settings.link_url or spec.link_url
    if settings.network != "host" and is_loopback(urlsplit(url).hostname):
        raise RuntimeRejected(
            f"Containers cannot reach the link at {url}: inside a container that is the container. "
            "Let the link listen on another address (GATEWAY_LINK_HOST=0.0.0.0) and set "
            "GATEWAY_DOCKER_LINK_URL=ws://host.docker.internal:<port>/link.",
            code="docker_link_unreachable",
            retryable=True,
        )
    return url


def _render_environment(settings: DockerSettings, spec: Spec) -> list[str]:
    values = {
        "SIMULATOR_IN_CONTAINER": "true",
        "SIMULATOR_HEALTH_FILE": _HEALTH_FILE,
        "SIMULATOR_CAPACITY": "1",
        **({"GATEWAY_CA_FILE": _CA_FILE} if settings.ca_file else {}),
        **settings.environment,
        "SIMULATOR_LINK_URL": choose_link_url(settings, spec),
        "SIMULATOR_TOKEN": spec.bootstrap_token,
    }
    return [f"{name}={value}" for name, value in values.items()]


def _render_labels(key: Key, spec: Spec) -> dict[str, str]:
    return {
        **spec.labels,
        LABEL_INSTALL: key.install_id,
        LABEL_CHARGER: key.charger_id,
        LABEL_INCARNATION: str(key.incarnation),
        "gateway.organization": spec.organization_id,
        "gateway.identity": spec.identity,
        "gateway.ocpp": spec.ocpp_version,
        "gateway.location": spec.location_name or "",
    }


def _render_health_check(settings: DockerSettings) -> dict[str, Any]:
    age = f"$(( $(date +%s) - $(stat -c %Y {_HEALTH_FILE}) ))"
    return {
        "Test": ["CMD-SHELL", f"test {age} -lt {settings.health_age_s}"],
        "Interval": settings.health_interval_s * _NANO,
        "Timeout": 5 * _NANO,
        "StartPeriod": 30 * _NANO,
        "Retries": 3,
    }


def _render_limits(settings: DockerSettings) -> dict[str, Any]:
    memory = settings.memory_mib * _MIB
    # As a mount, not a bind: of a bind whose source is missing the engine makes a folder.
    ca_file = {"Type": "bind", "Source": settings.ca_file, "Target": _CA_FILE, "ReadOnly": True}
    return {
        "NetworkMode": settings.network or "bridge",
        "ExtraHosts": [f"{name}:{address}" for name, address in settings.hosts.items()],
        "Mounts": [ca_file] if settings.ca_file else [],
        "ReadonlyRootfs": True,
        "Tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,mode=1777,size=8m"},  # noqa: S108  # as above
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "Memory": memory,
        # Equal to Memory: no swap ("--memory-swap" in the docker run reference).
        "MemorySwap": memory,
        "NanoCpus": int(settings.cpus * _NANO),
        "PidsLimit": settings.pids,
        # PID 1 without a handler ignores SIGTERM, and someone has to reap what health checks leave.
        "Init": True,
        # Whether it starts again is decided by the gateway, under a new incarnation.
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {"Type": "json-file", "Config": _LOG_OPTIONS},
    }
