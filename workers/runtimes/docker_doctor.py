"""Looks at a Docker engine before chargers do: whether it answers, has the image, the network, and room.

Nothing is changed and nothing is pulled. Each check returns one finding; `examine` runs all of them as far as the
engine answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from docker import errors

from workers.runtimes.base import RuntimeTrouble
from workers.runtimes.docker import make_client
from workers.runtimes.docker_request import LABEL_INSTALL, is_loopback
from workers.runtimes.docker_settings import DockerSettings
from workers.runtimes.findings import Finding, Level

#: The Engine API that the driver's requests are written for: Docker 20.10.
_API: Final = (1, 41)
#: A share of the room from which on somebody should think of more.
_NEARLY_FULL: Final = 0.9
_MIB: Final = 1024 * 1024


def examine(settings: DockerSettings, link_url: str) -> list[Finding]:
    """Every finding, in the order in which one would mend them. `link_url`: GATEWAY_LINK_URL."""
    link = _check_link(settings, settings.link_url or link_url)
    try:
        client = make_client(settings)
    except RuntimeTrouble as trouble:
        return [Finding(Level.FAIL, "docker", str(trouble), trouble.hint or ""), link]
    try:
        info: Mapping[str, Any] = client.info()
        return [
            _check_version(client.version()),
            _check_limits(info),
            _check_image(settings, client),
            _check_network(settings, client),
            link,
            _check_room(settings, client, info),
        ]
    except errors.DockerException as error:
        advice = "Allow the gateway to ask it: /info, /version, /images, /networks, /containers."
        return [Finding(Level.FAIL, "docker", f"The engine refuses: {error}", advice), link]
    finally:
        client.close()


def _check_version(version: Mapping[str, Any]) -> Finding:
    said = str(version.get("ApiVersion", "0.0"))
    message = f"Engine {version.get('Version')} answers (API {said})."
    if tuple(map(int, said.split(".")[:2])) < _API:
        return Finding(Level.FAIL, "docker", message, "Docker 20.10 or newer is needed.")
    return Finding(Level.OK, "docker", message)


def _check_limits(info: Mapping[str, Any]) -> Finding:
    """What the kernel lets the engine limit ("docker info" warns of the same)."""
    wanted = {
        "memory": "MemoryLimit",
        "CPU": "CpuCfsQuota",
        "processes": "PidsLimit",
    }
    missing = [name for name, key in wanted.items() if not info.get(key, True)]
    if missing:
        message = f"This kernel cannot limit {', '.join(missing)} of a container."
        return Finding(
            Level.WARN,
            "docker limits",
            message,
            "A charger that runs wild can take the machine with it; enable the control groups.",
        )
    return Finding(Level.OK, "docker limits", "Memory, CPU and processes can be limited.")


def _check_image(settings: DockerSettings, client: Any) -> Finding:
    try:
        image = client.inspect_image(settings.image)
    except errors.ImageNotFound:
        if settings.pull == "never":
            advice = (
                "Build it (`docker compose build host`), load it, or correct GATEWAY_DOCKER_IMAGE."
            )
            message = f"{settings.image} is not there, and may not be pulled."
            return Finding(Level.FAIL, "docker image", message, advice)
        message = f"{settings.image} is not there; the first charger will wait for its pull."
        return Finding(Level.WARN, "docker image", message, f"docker pull {settings.image}")
    size = int(image.get("Size", 0)) / _MIB
    return Finding(Level.OK, "docker image", f"{settings.image} is there ({size:.0f} MiB).")


def _check_network(settings: DockerSettings, client: Any) -> Finding:
    name = settings.network or "bridge"
    try:
        client.inspect_network(name)
    except errors.NotFound:
        advice = f"docker network create {name}, or correct GATEWAY_DOCKER_NETWORK."
        return Finding(Level.FAIL, "docker network", f"There is no network {name}.", advice)
    return Finding(Level.OK, "docker network", f"Containers join {name}.")


def _check_link(settings: DockerSettings, url: str) -> Finding:
    host = urlsplit(url).hostname or ""
    if settings.network != "host" and is_loopback(host):
        advice = (
            "Set GATEWAY_LINK_HOST=0.0.0.0 and "
            "GATEWAY_DOCKER_LINK_URL=ws://host.docker.internal:<port>/link."
        )
        message = f"Containers would dial {url}, which inside a container is the container."
        return Finding(Level.FAIL, "docker link", message, advice)
    return Finding(Level.OK, "docker link", f"Containers dial {url}.")


def _check_room(settings: DockerSettings, client: Any, info: Mapping[str, Any]) -> Finding:
    labels = {"label": f"{LABEL_INSTALL}={settings.install_id}"}
    running = len(client.containers(filters=labels))
    memory = int(info.get("MemTotal", 0)) // _MIB
    by_memory = memory // settings.memory_mib
    limit = settings.max_containers
    message = (
        f"{running} chargers run, {limit or 'no limit'} allowed; memory is enough for {by_memory}."
    )
    if limit and limit > by_memory:
        advice = "Lower GATEWAY_DOCKER_MAX_CONTAINERS or _MEMORY_MIB, or the kernel ends chargers."
        return Finding(Level.WARN, "docker room", message, advice)
    if limit and running >= _NEARLY_FULL * limit:
        return Finding(
            Level.WARN, "docker room", message, "Raise GATEWAY_DOCKER_MAX_CONTAINERS in time."
        )
    return Finding(Level.OK, "docker room", message)
