"""A running compose stack, seen from outside, and the clients that use it meanwhile.

`Stack` carries out what an operator types and asks what an operator sees; `Traffic` is somebody who orders and
reads all the time. tests/compose_tour.py is the program that uses both.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from ocpplab import OcpplabSDK

SERVICES: Final = (
    "api",
    "link",
    "worker",
    "beat",
    "host",
    "flower",
    "proxy",
    "redis",
    "postgres",
    "csms",
)
#: Nothing of a tour takes longer, on a machine that does other things too.
_PATIENCE_S: Final = 600.0
_PAUSE_S: Final = 0.05
#: Whose chargers a tour orders.
_ORGANIZATION: Final = "tour"
_OURS: Final = f"label=gateway.organization={_ORGANIZATION}"


def waits(fact: Callable[[], Any], what: str) -> Any:
    """Wait until `fact` is true; what it said then. A server that is away for a moment has said no."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            if said := fact():
                return said
        except httpx.TransportError:
            pass
        if time.monotonic() > deadline:
            raise AssertionError(f"never happened: {what}")
        time.sleep(_PAUSE_S)


class Stack:
    """A running stack."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base = os.environ.get("BASE_URL", "http://127.0.0.1:8000")
        token = self.compose(
            "exec", "-T", "api", "gateway", "token", "--organization", _ORGANIZATION, "--show"
        )
        self._token = token.strip().splitlines()[-1]
        self.http = httpx.Client(
            base_url=self.base, headers={"Authorization": f"Bearer {self._token}"}, timeout=40
        )
        self.sdk = OcpplabSDK(
            base_url=self.base,
            token=self._token,
            organization_id=_ORGANIZATION,
            httpx_client=httpx.Client(timeout=60),
        )
        self._number = 0

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Run docker compose; its output."""
        done = subprocess.run(
            ["docker", "compose", "--profile", "demo", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        return done.stdout

    def shell(self, script: str) -> str:
        """Run commands as they stand in the documentation, in the stack's folder; what they printed."""
        done = subprocess.run(
            ["sh", "-euc", script], cwd=self.folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stdout[-1500:] + done.stderr[-1500:])
        return done.stdout

    def list_containers(self) -> list[dict[str, Any]]:
        """What `docker compose ps` knows."""
        lines = self.compose("ps", "--format", "json").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def is_well(self) -> bool:
        """Whether everything runs, and is healthy where it says so."""
        listed = self.list_containers()
        return {one["Service"] for one in listed} >= set(SERVICES) and all(
            one["State"] == "running" and one["Health"] in ("", "healthy") for one in listed
        )

    def crash(self, service: str) -> None:
        """`kill -9` of the container's first process, as the kernel would."""
        for container in self.compose("ps", "-q", service).split():
            pid = docker("inspect", "-f", "{{.State.Pid}}", container).strip()
            subprocess.run(["kill", "-9", pid], check=True)

    def create(self) -> str:
        """Order a charger; its id."""
        self._number += 1
        return str(
            self.sdk.chargers.create(
                identity=f"T-{os.getpid()}-{self._number}",
                brand_slug="wallbox",
                model_slug="wallbox-pulsar-plus",
                connector_type="Type2",
                ws_url="ws://csms:9000/ocpp",
            ).charger_id
        )

    def delete_all(self) -> None:
        """Delete every charger of the tour and wait until none is left."""
        while page := self.sdk.chargers.list(page=1, limit=100).data:
            for charger in page:
                self.sdk.chargers.delete(charger.id)
        waits(lambda: not list_running(), "no container is left")

    def read_status(self, charger_id: str) -> str:
        """PENDING, PROVISIONING, READY or FAILED."""
        return str(self.sdk.chargers.get_status(charger_id).status)

    def read_runtime(self, charger_id: str) -> dict[str, Any]:
        """The charger's `runtime`."""
        charger: dict[str, Any] = self.http.get(f"/ocpp/chargers/{charger_id}").json()
        runtime: dict[str, Any] = charger["runtime"]
        return runtime

    def comes_up(self) -> float:
        """Order a charger and wait until it is READY; seconds."""
        began = time.monotonic()
        charger_id = self.create()
        waits(lambda: self.read_status(charger_id) == "READY", "the charger is READY")
        return time.monotonic() - began

    def count(self, **filters: str) -> int:
        """Chargers of this tour, by `status` or `stage`."""
        asked = self.http.get("/ocpp/chargers", params={**filters, "limit": 1})
        return int(asked.json()["total"]) if asked.status_code == 200 else -1

    def is_answering(self) -> bool:
        """Whether the API is ready."""
        return self.http.get("/health/ready").status_code == 200


def docker(*arguments: str) -> str:
    """Run docker; its output."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


def list_running() -> list[str]:
    """The charger of each container of the tour that runs."""
    return docker("ps", "--filter", _OURS, "--format", '{{.Label "gateway.charger"}}').split()


def list_running_ids() -> dict[str, str]:
    """Container → the charger in it."""
    shown = '{{.ID}} {{.Label "gateway.charger"}}'
    lines = docker("ps", "--filter", _OURS, "--format", shown).splitlines()
    return dict(line.split() for line in lines)


def find_container(charger_id: str) -> str:
    """The container that runs a charger, or nothing."""
    return docker("ps", "-q", "--filter", f"label=gateway.charger={charger_id}").strip()


@dataclass
class Traffic:
    """Somebody who orders chargers by the SDK, with its retries, and reads lists all the time without any."""

    stack: Stack
    ordered: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    reads: int = 0
    refusals: list[str] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Traffic:
        self._threads = [threading.Thread(target=work) for work in (self._order, self._read)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _order(self) -> None:
        while not self._stopped.wait(1.0):
            try:
                self.ordered.append(self.stack.create())
            except Exception as error:  # noqa: BLE001  # whatever a client sees is told at the end
                self.failures.append(f"order: {type(error).__name__}: {error}")

    def _read(self) -> None:
        with httpx.Client(headers=self.stack.http.headers, timeout=10) as client:
            while not self._stopped.wait(0.1):
                self.reads += 1
                try:
                    answer = client.get(f"{self.stack.base}/ocpp/chargers?limit=1")
                    if answer.status_code >= 500:
                        self.refusals.append(f"read: {answer.status_code} {answer.text[:200]}")
                except httpx.HTTPError as error:
                    self.refusals.append(f"read: {type(error).__name__}: {error}")
