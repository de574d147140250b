"""Our own programs as the supervisor runs them: api, link, worker, beat, host, flower.

Each is exec'd as `gateway <name>` (or as the library's own command) in a process of its own; nothing here
imports them. `up --without` leaves parts out.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.embedded.credentials import Keyring
from app.embedded.elsewhere import STANDIN, make_standin
from app.embedded.environment import get_reachable
from app.embedded.programs import Program
from app.tokens import make_host_credential

#: What orders need, in the order in which it is listed to people; the rest is started once these are ready.
PARTS_AT_WORK: Final = ("api", "link", "worker", "host")
PARTS_ASIDE: Final = ("beat", "flower")
#: What `up --without` knows.
OPTIONAL: Final = ("migrate", *PARTS_AT_WORK, *PARTS_ASIDE)
FLOWER_USER: Final = "gateway"

# -P: a folder `app` in somebody's working folder is not ours.
_PYTHON: Final = (sys.executable, "-P", "-m")
_PROBE_TIMEOUT_S: Final = 2


def make_command(name: str, *arguments: str) -> tuple[str, ...]:
    """The command line of `gateway <name>`, whatever PATH says."""
    return (*_PYTHON, "app.cli", name, *arguments)


def make_guard(data: Path) -> Program:
    """The guard of this process. It inherits the reading end of a pipe whose other end only we have.

    Neither end is ever closed by hand: the kernel does that when we die, which is the message.
    """
    reader, _ = os.pipe()
    return Program(
        "guard",
        (*_PYTHON, "app.embedded.guard", str(data), str(reader)),
        {"PATH": os.defpath},
        stop=((signal.SIGTERM, 2.0),),
        death_signal=None,
        keep=(reader,),
    )


def make_migration(environment: Mapping[str, str]) -> Program:
    """Brings the schema up to date, once, before anything uses it."""
    return Program("migrate", make_command("migrate"), environment, ready_s=600)


def make_evacuation(environment: Mapping[str, str]) -> Program:
    """Ends what lives elsewhere, before the servers stop."""
    return Program("evacuate", make_command("evacuate"), environment, ready_s=180)


def make_parts(
    environment: Mapping[str, str],
    *,
    keyring: Keyring,
    link_secret: str,
    data: Path,
    ports: Mapping[str, int],
) -> dict[str, Program]:
    """Every part by name."""
    host, link_host = environment["GATEWAY_API_HOST"], environment["GATEWAY_LINK_HOST"]
    counting = {**environment, "GATEWAY_METRICS_DIR": str(_make_metrics_folder(data))}
    parts = {
        "api": Program(
            "api",
            make_command("api"),
            counting,
            is_ready=_make_http_probe(host, ports["api"], "/health/ready"),
        ),
        "link": Program(
            "link",
            make_command("link"),
            environment,
            is_ready=_make_port_probe(link_host, ports["link"]),
        ),
        "worker": Program("worker", make_command("worker"), counting),
        "beat": Program("beat", make_command("beat"), environment),
        "host": _make_host(environment, keyring, link_secret, data),
        "flower": _make_flower(environment, keyring, ports["flower"]),
    }
    if STANDIN in ports:
        parts[STANDIN] = make_standin(
            make_command("ecs-standin"),
            environment,
            keyring=keyring,
            port=ports[STANDIN],
            is_ready=_make_port_probe("127.0.0.1", ports[STANDIN]),
        )
    return parts


def _make_metrics_folder(data: Path) -> Path:
    """Where the processes of API and worker count together; what earlier ones left would be counted again."""
    folder = data / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _make_host(
    environment: Mapping[str, str], keyring: Keyring, link_secret: str, data: Path
) -> Program:
    """The local simulator host. It gets its own credential and none of the gateway's secrets."""
    host_id = f"{keyring.get_install_id()}-1"
    credential = keyring.put("host_credential", make_host_credential(link_secret, host_id))
    own = {name: value for name, value in environment.items() if not name.startswith("GATEWAY_")}
    own |= {
        "SIMULATOR_LINK_URL": environment["GATEWAY_LINK_URL"],
        "SIMULATOR_TOKEN_FILE": str(credential),
        "SIMULATOR_STATE_DIR": str(data / "host"),
    }
    if "GATEWAY_CA_FILE" in environment:
        own["GATEWAY_CA_FILE"] = environment["GATEWAY_CA_FILE"]
    return Program("host", (*_PYTHON, "simulator", "host"), own)


def _make_flower(environment: Mapping[str, str], keyring: Keyring, port: int) -> Program:
    # Flower has no option that reads a file; the environment of a process is its owner's alone.
    own = {
        **environment,
        "FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{keyring.get_password('flower')}",
        "FLOWER_ADDRESS": "127.0.0.1",
        "FLOWER_PORT": str(port),
        # Which charger a task is about stands in its arguments, what came of it in its result.
        "FLOWER_TASKS_COLUMNS": "name,args,state,result,received,runtime,worker",
    }
    argv = (*_PYTHON, "celery", "--app", "workers.celery_app", "flower")
    return Program("flower", argv, own, stop=((signal.SIGTERM, 3.0),))


def _make_http_probe(host: str, port: int, path: str) -> Callable[[int], bool]:
    def is_ready(_pid: int) -> bool:
        return ask(host, port, path) == http.client.OK

    return is_ready


def _make_port_probe(host: str, port: int) -> Callable[[int], bool]:
    def is_ready(_pid: int) -> bool:
        return listens(host, port)

    return is_ready


def ask(host: str, port: int, path: str) -> int | None:
    """The HTTP status of a GET; None when nobody answers."""
    connection = http.client.HTTPConnection(
        get_reachable(host).strip("[]"), port, timeout=_PROBE_TIMEOUT_S
    )
    with suppress(OSError, http.client.HTTPException):
        connection.request("GET", path)
        return connection.getresponse().status
    return None


def listens(host: str, port: int) -> bool:
    """Whether somebody takes connections there."""
    with suppress(OSError):
        socket.create_connection(
            (get_reachable(host).strip("[]"), port), timeout=_PROBE_TIMEOUT_S
        ).close()
        return True
    return False
