"""`gateway up --runtime ...`: what the programs must know when chargers run elsewhere than in our own host.

`docker` and `ecs` need the operator's settings (docs/settings.md). Containers must reach the link, so with
`docker` it listens on all addresses unless GATEWAY_LINK_HOST says otherwise; it lets nobody in without a
credential of ours. `ecs-standin` needs nothing: a stand-in for Amazon ECS runs as one more child, and the very
driver that AWS would get is pointed at it.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Collection, Mapping, MutableMapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from app.embedded.credentials import Keyring
from app.embedded.locking import find_owner
from app.embedded.programs import Program
from app.embedded.state import read_state

#: What `--runtime` may say.
CHOICES: Final = ("local", "docker", "ecs", "ecs-standin")
STANDIN: Final = "standin"
LINK_HOST: Final = "GATEWAY_LINK_HOST"

_REGION: Final = "us-east-1"
#: The simulator's image, as docs/docker.md builds it; the stand-in runs our own simulator for it.
_IMAGE: Final = "charger-simulator:0.1.0"
#: AWS seconds per second: what takes ECS a minute takes here six seconds.
_TIME_SCALE: Final = 10
#: Fargate vCPUs that the pretended account has: 4 chargers each.
_VCPU_QUOTA: Final = 250
#: Nothing of a real account may be mixed in.
_REAL_ACCOUNT: Final = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_ROLE_ARN")


def apply_runtime(
    environment: Mapping[str, str],
    runtime: str,
    *,
    given: Collection[str],
    keyring: Keyring,
    ports: Mapping[str, int],
) -> dict[str, str]:
    """The environment of our programs, completed for this runtime; what the operator gave is kept."""
    made = dict(environment)
    made["GATEWAY_RUNTIME"] = "ecs" if runtime == "ecs-standin" else runtime
    if runtime == "docker":
        if LINK_HOST not in given:
            made[LINK_HOST] = "0.0.0.0"  # noqa: S104  # see above
        made.setdefault("GATEWAY_DOCKER_IMAGE", _IMAGE)
        made.setdefault(
            "GATEWAY_DOCKER_LINK_URL", f"ws://host.docker.internal:{ports['link']}/link"
        )
    if runtime == "ecs-standin":
        for name in _REAL_ACCOUNT:
            made.pop(name, None)
        # Its time runs faster: what AWS shows after two minutes is seen here after twelve seconds.
        made.setdefault("GATEWAY_ECS_VISIBILITY_S", str(120 // _TIME_SCALE))
        made |= {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports[STANDIN]}",
            "AWS_ACCESS_KEY_ID": _get_access_key(keyring),
            "AWS_SECRET_ACCESS_KEY": "standin",
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_REGION": _REGION,
            "GATEWAY_ECS_CLUSTER": "default",
            "GATEWAY_ECS_REGION": _REGION,
            "GATEWAY_ECS_IMAGE": _IMAGE,
            # Its tasks are processes of this machine.
            "GATEWAY_ECS_ALLOW_LOOPBACK_LINK": "true",
            "GATEWAY_ECS_SUBNETS": "subnet-1",
            "GATEWAY_ECS_EXECUTION_ROLE_ARN": "arn:aws:iam::123456789012:role/gateway-execution",
        }
    return made


def adopt_running(data: Path, environ: MutableMapping[str, str]) -> None:
    """What only the gateway that runs on a folder knows: where its link is dialled, and that it was told `docker`.

    What somebody set stays; nothing happens while no gateway runs there.
    """
    if environ.get("GATEWAY_LINK_URL") or (state := read_state(data / "state.json")) is None:
        return
    if find_owner(data / "lock") is None:
        return
    environ["GATEWAY_LINK_URL"] = state.link_url
    if state.runtime == "docker" and not environ.get("GATEWAY_RUNTIME"):
        link = {"link": urlsplit(state.link_url).port or 0}
        keyring = Keyring(data / "secrets")
        environ.update(
            apply_runtime(environ, "docker", given=environ.keys(), keyring=keyring, ports=link)
        )


def make_standin(
    command: tuple[str, ...],
    environment: Mapping[str, str],
    *,
    keyring: Keyring,
    port: int,
    is_ready: Callable[[int], bool],
) -> Program:
    """The stand-in for Amazon ECS. Its tasks are processes of this machine and end with it."""
    argv = (
        *command,
        *("--port", str(port), "--region", _REGION),
        *("--time-scale", str(_TIME_SCALE), "--vcpu-quota", str(_VCPU_QUOTA)),
        *("--image", f"{_IMAGE}={shlex.quote(sys.executable)} -P -m simulator host"),
    )
    ours = ("GATEWAY_", "SIMULATOR_", "AWS_")
    own = {name: value for name, value in environment.items() if not name.startswith(ours)}
    own["ECS_STANDIN_ACCESS_KEY"] = _get_access_key(keyring)
    return Program(STANDIN, argv, own, is_ready=is_ready)


def _get_access_key(keyring: Keyring) -> str:
    return f"STANDIN{keyring.get_password(STANDIN)[:24].upper()}"
