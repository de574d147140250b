"""Settings of the Docker driver: one frozen object, checked as a whole.

`DockerSettings.read` takes the `GATEWAY_DOCKER_*` variables as the gateway's settings hand them over
(`{"image": "charger-simulator:0.1.0", ...}`, names in lower case) and reports every mistake at once.
`docs/docker.md` explains each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from workers.runtimes.base import RuntimeRejected

PULLS: Final = ("missing", "always", "never")
#: The Engine API refuses less ("Minimum memory limit allowed is 6MB"); a simulator needs about 45 MiB.
_MEMORY_MIN_MIB: Final = 6
_USER: Final = re.compile(r"[1-9][0-9]*(:[0-9]+)?")


@dataclass(frozen=True, slots=True)
class DockerSettings:
    """What the driver needs to know. Durations are seconds."""

    install_id: str
    #: The simulator's image, as `docker run` would name it.
    image: str
    #: The engine: `unix:///...`, `tcp://...` or `ssh://...`. Empty: DOCKER_HOST, else the usual socket.
    host: str = ""
    #: `missing`: pull an image that is not there. `always`: before each bring-up. `never`: it must be there.
    pull: str = "missing"
    #: What containers dial; empty: GATEWAY_LINK_URL.
    link_url: str = ""
    #: A network of the engine that leads to the link and to the CSMS; empty: the engine's default bridge.
    network: str = ""
    #: Further host names, `name=address`. `host.docker.internal` leads to the engine's machine.
    hosts: Mapping[str, str] = field(
        default_factory=lambda: {"host.docker.internal": "host-gateway"}
    )
    #: Whom the simulator runs as; numeric, never root.
    user: str = "10001:10001"
    #: CPUs that one charger may use at most.
    cpus: float = 0.5
    #: Memory that one charger may use at most; there is no swap on top.
    memory_mib: int = 128
    #: Processes and threads of one charger.
    pids: int = 64
    #: Further variables of every simulator (`SIMULATOR_LOG_LEVEL=DEBUG,...`); never a secret.
    environment: Mapping[str, str] = field(default_factory=dict)
    #: A file on the engine's machine: a private certificate authority for wss:// addresses.
    ca_file: str = ""
    #: SIGKILL comes this long after SIGTERM.
    stop_timeout_s: int = 10
    #: Between two health checks; each starts a shell in the container.
    health_interval_s: int = 15
    #: The simulator touches its health file each second; older than this it is not well.
    health_age_s: int = 15
    #: More containers than this are not started at once; 0: no limit.
    max_containers: int = 250
    #: Ended containers stay so long, for `docker logs`.
    keep_ended_s: float = 300.0
    #: How long a call of the engine may take.
    timeout_s: float = 12.0

    def __post_init__(self) -> None:
        _reject(list_mistakes(self))

    @classmethod
    def read(cls, values: Mapping[str, str], *, install_id: str) -> DockerSettings:
        """Settings from texts.

        Raises `RuntimeRejected` (`docker_settings_invalid`) that names every variable that is missing or wrong.
        """
        known = {f.name: f for f in fields(cls) if f.name != "install_id"}
        mistakes = [f"GATEWAY_DOCKER_{n.upper()} is not known." for n in set(values) - set(known)]
        parsed: dict[str, Any] = {}
        for name in set(values) & set(known):
            parse, wanted = _READERS[str(known[name].type)]
            try:
                parsed[name] = parse(values[name])
            except ValueError:
                mistakes.append(f"GATEWAY_DOCKER_{name.upper()} must be {wanted}.")
        _reject(mistakes)
        return cls(install_id=install_id, **{"image": "", **parsed})


def list_mistakes(settings: DockerSettings) -> list[str]:
    """A sentence for each value that cannot be."""
    prefix = "GATEWAY_DOCKER_"
    rules = {
        f"{prefix}IMAGE is missing: name the simulator's image, for example charger-simulator:0.1.0.": (
            bool(settings.image)
        ),
        f"{prefix}PULL must be one of {', '.join(PULLS)}.": settings.pull in PULLS,
        f"{prefix}USER must be a number, or two with a colon, and not 0.": (
            _USER.fullmatch(settings.user) is not None
        ),
        f"{prefix}CPUS must be above 0.": settings.cpus > 0,
        f"{prefix}MEMORY_MIB must be {_MEMORY_MIN_MIB} or more.": (
            settings.memory_mib >= _MEMORY_MIN_MIB
        ),
        f"{prefix}PIDS must be 8 or more.": settings.pids >= 8,
        f"{prefix}STOP_TIMEOUT_S must be 1 or more.": settings.stop_timeout_s >= 1,
        f"{prefix}HEALTH_INTERVAL_S must be 1 or more.": settings.health_interval_s >= 1,
        f"{prefix}HEALTH_AGE_S must be 3 or more.": settings.health_age_s >= 3,
        f"{prefix}TIMEOUT_S must be 1 or more.": settings.timeout_s >= 1,
        f"{prefix}LINK_URL must begin with ws:// or wss://.": (
            not settings.link_url or settings.link_url.startswith(("ws://", "wss://"))
        ),
        f"{prefix}CA_FILE must be an absolute path.": (
            not settings.ca_file or settings.ca_file.startswith("/")
        ),
    }
    return [sentence for sentence, holds in rules.items() if not holds]


def _reject(mistakes: list[str]) -> None:
    if mistakes:
        raise RuntimeRejected(
            "The Docker settings cannot be used: " + " ".join(sorted(mistakes)),
            code="docker_settings_invalid",
            retryable=True,
        )


def _read_count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def _read_amount(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


def _read_pairs(text: str) -> dict[str, str]:
    pairs = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    if any(not name or not sign for name, sign, _ in pairs):
        raise ValueError(text)
    return {name: value for name, _, value in pairs}


#: Type of the field → how to read it, and what to ask for.
_READERS: Final[Mapping[str, tuple[Callable[[str], Any], str]]] = {
    "str": (str.strip, "text"),
    "int": (_read_count, "a whole number"),
    "float": (_read_amount, "a number that is not negative"),
    "Mapping[str, str]": (_read_pairs, "NAME=value pairs separated by commas"),
}
