"""Settings of the ECS driver: one frozen object, checked as a whole.

`EcsSettings.read` takes the `GATEWAY_ECS_*` variables as the settings of the gateway hand them over
(`{"cluster": "gw", ...}`, names in lower case) and reports every mistake at once. `docs/ecs.md` explains each.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from workers.runtimes.base import RuntimeRejected

#: cpu units → memory in MiB that Fargate admits ("Task size" in the ECS developer guide); the small half.
FARGATE_SIZES: Final[Mapping[int, tuple[int, ...]]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4097, 1024)),
    1024: tuple(range(2048, 8193, 1024)),
    2048: tuple(range(4096, 16385, 1024)),
    4096: tuple(range(8192, 30721, 1024)),
}
LAUNCHES: Final = ("fargate", "fargate_spot", "ec2")
_INSTALL_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class EcsSettings:
    """What the driver needs to know. Durations are seconds, money is US dollars."""

    install_id: str
    image: str
    subnets: tuple[str, ...]
    execution_role_arn: str
    cluster: str = "default"
    #: Empty: what boto3 finds by itself (AWS_REGION, the profile).
    region: str = ""
    security_groups: tuple[str, ...] = ()
    #: Needed in a public subnet, where the image cannot be pulled otherwise.
    assign_public_ip: bool = False
    #: The role of the simulator itself. It calls no AWS API, so none is needed.
    task_role_arn: str = ""
    #: In place of the image's own command; empty leaves that.
    command: tuple[str, ...] = ()
    #: What tasks dial, where it differs from GATEWAY_LINK_URL.
    link_url: str = ""
    #: Tasks are processes of this machine (the stand-in), so `localhost` is no mistake.
    allow_loopback_link: bool = False
    #: 1024 units are one vCPU.
    cpu: int = 256
    memory_mib: int = 512
    #: `X86_64` or `ARM64`.
    architecture: str = "X86_64"
    #: `fargate`, `fargate_spot` or `ec2`.
    launch: str = "fargate"
    #: With `ec2`: the capacity provider to use; empty uses launch type EC2.
    capacity_provider: str = ""
    #: With `fargate_spot`: after a refusal for capacity, the next attempt is on demand.
    spot_fallback: bool = True
    log_group: str = ""
    #: Further variables of every simulator (`SIMULATOR_LOG_LEVEL=DEBUG,...`); never a secret.
    environment: Mapping[str, str] = field(default_factory=dict)
    #: SIGKILL comes this long after SIGTERM; 2 to 120 on Fargate.
    stop_timeout_s: int = 30
    health_interval_s: int = 5
    health_timeout_s: int = 5
    health_retries: int = 3
    health_start_s: int = 120
    #: The simulator touches its health file each second; older than this it is not well.
    health_age_s: int = 15
    #: For how long a task that was just started may be invisible.
    visibility_s: float = 120.0
    #: A definition found ACTIVE is believed to be for this long.
    definition_trust_s: float = 300.0
    #: Part of the account's API limits that this installation may use, shared by its processes.
    api_share: float = 0.8
    processes: int = 3
    #: How long a call may wait for its turn before the run is parked instead.
    api_patience_s: float = 2.0
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 8.0
    #: Prices for the estimate, per hour; us-east-1 list prices of early 2026.
    price_vcpu_hour: float = 0.04048
    price_gb_hour: float = 0.004445
    price_ipv4_hour: float = 0.005
    #: What Spot takes off the price of vCPU and memory; it moves.
    spot_discount: float = 0.68

    def __post_init__(self) -> None:
        mistakes = list_mistakes(self)
        if mistakes:
            raise RuntimeRejected(
                "The ECS settings cannot be used: " + " ".join(mistakes),
                code="ecs_settings_invalid",
                retryable=True,
            )

    @property
    def is_fargate(self) -> bool:
        """Whether tasks run on Fargate, on demand or Spot."""
        return self.launch != "ec2"

    @classmethod
    def read(cls, values: Mapping[str, str], *, install_id: str, processes: int) -> EcsSettings:
        """Settings from texts.

        `processes`: how many of this installation call ECS, unless the values say. Raises `RuntimeRejected`
        (`ecs_settings_invalid`) that names every variable that is missing or wrong.
        """
        known = {f.name: f for f in fields(cls) if f.name != "install_id"}
        parsed: dict[str, Any] = {"install_id": install_id, "processes": processes}
        mistakes = [
            f"GATEWAY_ECS_{name.upper()} is not known." for name in set(values) - set(known)
        ]
        for name, text in values.items():
            if name not in known:
                continue
            parse, wanted = _COMMAND if name == "command" else _PARSERS[str(known[name].type)]
            try:
                parsed[name] = parse(text)
            except ValueError:
                mistakes.append(f"GATEWAY_ECS_{name.upper()} must be {wanted}.")
        needed = ("image", "subnets", "execution_role_arn")
        mistakes += [f"GATEWAY_ECS_{n.upper()} is missing." for n in needed if not values.get(n)]
        if mistakes:
            raise RuntimeRejected(
                "The ECS settings cannot be used: " + " ".join(sorted(mistakes)),
                code="ecs_settings_invalid",
                retryable=True,
            )
        return cls(**parsed)


def list_mistakes(settings: EcsSettings) -> list[str]:
    """A sentence for each value that ECS would refuse."""
    rules = {
        "The install id must be 1 to 64 letters, digits, '-' and '_'.": bool(
            _INSTALL_ID.fullmatch(settings.install_id)
        ),
        "GATEWAY_ECS_IMAGE is missing.": bool(settings.image),
        "GATEWAY_ECS_SUBNETS is missing.": bool(settings.subnets),
        f"GATEWAY_ECS_LAUNCH must be one of {', '.join(LAUNCHES)}.": settings.launch in LAUNCHES,
        "GATEWAY_ECS_ARCHITECTURE must be X86_64 or ARM64.": settings.architecture
        in ("X86_64", "ARM64"),
        "Fargate has no such size of GATEWAY_ECS_CPU and GATEWAY_ECS_MEMORY_MIB.": (
            not settings.is_fargate or settings.memory_mib in FARGATE_SIZES.get(settings.cpu, ())
        ),
        "GATEWAY_ECS_STOP_TIMEOUT_S must be 2 to 120.": 2 <= settings.stop_timeout_s <= 120,
        "GATEWAY_ECS_HEALTH_INTERVAL_S must be 5 to 300.": 5 <= settings.health_interval_s <= 300,
        "GATEWAY_ECS_HEALTH_TIMEOUT_S must be 2 to 60.": 2 <= settings.health_timeout_s <= 60,
        "GATEWAY_ECS_HEALTH_RETRIES must be 1 to 10.": 1 <= settings.health_retries <= 10,
        "GATEWAY_ECS_HEALTH_START_S must be 0 to 300.": 0 <= settings.health_start_s <= 300,
        "GATEWAY_ECS_API_SHARE must be above 0 and at most 1.": 0 < settings.api_share <= 1,
        "GATEWAY_ECS_PROCESSES must be 1 or more.": settings.processes >= 1,
    }
    return [sentence for sentence, holds in rules.items() if not holds]


def _read_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _read_bool(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError(text)


def _read_pairs(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in _read_list(text)]
    if any(not name or not sign for name, sign, _ in pairs):
        raise ValueError(text)
    return {name: value for name, _, value in pairs}


def _read_positive(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


def _read_command(text: str) -> tuple[str, ...]:
    return tuple(shlex.split(text))


_COMMAND: Final = (_read_command, "a command line")
#: Type of the field → how to read it, and what to ask for.
_PARSERS: Final[Mapping[str, tuple[Callable[[str], Any], str]]] = {
    "str": (str.strip, "text"),
    "int": (int, "a whole number"),
    "float": (_read_positive, "a number that is not negative"),
    "bool": (_read_bool, "true or false"),
    "tuple[str, ...]": (_read_list, "names separated by commas"),
    "Mapping[str, str]": (_read_pairs, "NAME=value pairs separated by commas"),
}
