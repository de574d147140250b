"""A tour of the compose stack with everything that operators do to it; prints what was seen.

`python -m tests.compose_tour <folder> [part ...]`, where the folder is a checkout with .env and secrets (see
docs/quickstart.md). Parts: demo, kills, scale, upgrade, metrics, and containers (with docker-compose.docker.yml;
RESTART_ENGINE is a shell command that restarts the engine). It takes minutes and is run by hand, or before a
release. It needs root on the engine's machine: containers are killed from outside, as crashes do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import httpx
from ocpplab import OcpplabSDK

from tests.gateways import eventually

SERVICES = ("api", "link", "worker", "beat", "host", "flower", "proxy", "redis", "postgres", "csms")


class Stack:
    """A running stack, seen from outside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base = os.environ.get("BASE_URL", "http://127.0.0.1:8000")
        token = self.compose(
            "exec", "-T", "api", "gateway", "token", "--organization", "tour", "--show"
        )
        self._token = token.strip().splitlines()[-1]
        self.http = httpx.Client(
            base_url=self.base, headers={"Authorization": f"Bearer {self._token}"}, timeout=40
        )
        self.sdk = OcpplabSDK(
            base_url=self.base,
            token=self._token,
            organization_id="tour",
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
            pid = subprocess.run(
                ["docker", "inspect", "-f", "{{.State.Pid}}", container],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
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

    def read_status(self, charger_id: str) -> str:
        """PENDING, PROVISIONING, READY or FAILED."""
        return str(self.sdk.chargers.get_status(charger_id).status)

    def comes_up(self) -> float:
        """Order a charger and wait until it is READY; seconds."""
        began = time.monotonic()
        charger_id = self.create()
        eventually(lambda: self.read_status(charger_id) == "READY", "the charger is READY")
        return time.monotonic() - began

    def count_online(self) -> int:
        """Chargers of this tour whose runtime is online."""
        summary = self.http.get("/ocpp/chargers", params={"stage": "online", "limit": 1}).json()
        return int(summary["total"])


@dataclass
class Traffic:
    """Somebody who orders chargers and reads lists all the time, as the SDK does: with its retries."""

    stack: Stack
    ordered: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    reads: int = 0
    refused_reads: int = 0
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
                self.failures.append(f"{type(error).__name__}: {error}")

    def _read(self) -> None:
        with httpx.Client(headers=self.stack.http.headers, timeout=10) as client:
            while not self._stopped.wait(0.1):
                self.reads += 1
                try:
                    answer = client.get(f"{self.stack.base}/ocpp/chargers?limit=1")
                    self.refused_reads += answer.status_code >= 500
                except httpx.HTTPError:
                    self.refused_reads += 1


def demo(stack: Stack) -> None:
    """A charger by the SDK from outside."""
    eventually(stack.is_well, "the stack is well")
    click.echo(f"a charger ordered from outside is READY after {stack.comes_up():.1f} s")


def kills(stack: Stack) -> None:
    """Each container in turn, with chargers online."""
    for _ in range(5):
        stack.comes_up()
    expected = stack.count_online()
    click.echo(
        f"{'killed':<10} {'healthy after':>14} {'new charger READY in':>21} {'online again':>13}"
    )
    for service in SERVICES:
        began = time.monotonic()
        stack.crash(service)
        eventually(lambda s=service: _is_back(stack, s), f"{service} is back")
        healthy = time.monotonic() - began
        ready = stack.comes_up()
        expected += 1
        eventually(lambda n=expected: stack.count_online() == n, "all chargers are online")
        online = time.monotonic() - began
        click.echo(f"{service:<10} {healthy:>12.1f} s {ready:>19.1f} s {online:>11.1f} s")


def _is_back(stack: Stack, service: str) -> bool:
    listed = [one for one in stack.list_containers() if one["Service"] == service]
    is_fresh = all(not one["Status"].startswith("Exited") for one in listed)
    return bool(listed) and is_fresh and stack.is_well()


def scale(stack: Stack) -> None:
    """Workers to 3, api and link to 2, and back."""
    sizes = ("--scale", "worker=3", "--scale", "api=2", "--scale", "link=2")
    stack.compose("up", "-d", "--wait", "--no-recreate", *sizes)
    counted = [one["Service"] for one in stack.list_containers()]
    click.echo(
        f"scaled: worker {counted.count('worker')}, api {counted.count('api')}, link {counted.count('link')}"
    )
    times = sorted(stack.comes_up() for _ in range(5))
    click.echo(f"5 chargers, one after the other: {times[0]:.1f} to {times[-1]:.1f} s")
    stack.compose("up", "-d", "--wait", "--no-recreate")
    eventually(stack.is_well, "the stack is well")
    click.echo(f"scaled back; a charger is READY after {stack.comes_up():.1f} s")


def upgrade(stack: Stack) -> None:
    """deploy/upgrade.sh with traffic flowing."""
    with Traffic(stack) as traffic:
        began = time.monotonic()
        done = subprocess.run(
            ["deploy/upgrade.sh"], cwd=stack.folder, capture_output=True, text=True, check=False
        )
        took = time.monotonic() - began
    if done.returncode:
        raise RuntimeError(done.stdout[-1500:] + done.stderr[-1500:])
    statuses = [
        eventually(lambda c=charger: _settled(stack, c), f"{charger} settles")
        for charger in traffic.ordered
    ]
    ready = statuses.count("READY")
    click.echo(
        f"upgrade took {took:.0f} s; meanwhile {len(traffic.ordered)} chargers were ordered by the SDK,"
    )
    click.echo(f"{len(traffic.failures)} orders failed, {ready} of the ordered are READY;")
    click.echo(f"{traffic.reads} reads without retries, {traffic.refused_reads} of them refused")
    for failure in traffic.failures[:5]:
        click.echo(f"  {failure}")


def _settled(stack: Stack, charger_id: str) -> str | None:
    status = stack.read_status(charger_id)
    return status if status in ("READY", "FAILED") else None


def metrics(stack: Stack) -> None:
    """The numbers of /metrics beside those of the database."""
    query = """SELECT 'chargers ' || status, count(*) FROM chargers WHERE deleted_at IS NULL GROUP BY 1
        UNION ALL SELECT 'runs ' || kind || ' ' || status, count(*) FROM runs GROUP BY 1
        UNION ALL SELECT 'runtimes not gone', count(*) FROM runtimes WHERE state <> 'gone' ORDER BY 1"""
    time.sleep(60)  # the whole-table counts are a minute old at most
    text = stack.compose("exec", "-T", "api", "python", "-c", _SCRAPE)
    rows = stack.compose(
        "exec", "-T", "postgres", "psql", "-U", "gateway", "-tA", "-F", "|", "-c", query
    )
    shown = json.loads(text)
    click.echo(f"{'what':<34} {'database':>9} {'/metrics':>9}")
    for line in filter(None, rows.splitlines()):
        what, number = line.split("|")
        click.echo(f"{what:<34} {number:>9} {shown.get(what, 0):>9.0f}")


#: Runs in the api's container: compose's proxy does not let metrics out.
_SCRAPE = """
import json, urllib.request
from prometheus_client.parser import text_string_to_metric_families as parse
text = urllib.request.urlopen('http://127.0.0.1:8000/metrics').read().decode()
sums = {}
for family in parse(text):
    for one in family.samples:
        if one.name == 'gateway_chargers': name = 'chargers ' + one.labels['status']
        elif one.name == 'gateway_runs': name = f"runs {one.labels['kind']} {one.labels['status']}"
        elif one.name == 'gateway_runtimes': name = 'runtimes not gone'
        else: continue
        sums[name] = sums.get(name, 0) + one.value
print(json.dumps(sums))
"""


def containers(stack: Stack, number: int = 30) -> None:
    """Chargers as containers (GATEWAY_RUNTIME=docker): one out of memory, one removed, the engine restarted."""
    began = time.monotonic()
    chargers = [stack.create() for _ in range(number)]
    eventually(lambda: all(stack.read_status(one) == "READY" for one in chargers), "all are READY")
    click.echo(
        f"{number} chargers ordered at once are READY after {time.monotonic() - began:.0f} s"
    )
    _tell_recovery(stack, chargers[0], "out of memory", _exhaust_memory)
    _tell_recovery(stack, chargers[1], "removed by hand", lambda one: _docker("rm", "-f", one))
    restart = os.environ.get("RESTART_ENGINE")
    if restart:
        began = time.monotonic()
        subprocess.run(restart, shell=True, check=True, capture_output=True)
        click.echo(f"the engine was restarted in {time.monotonic() - began:.0f} s")
        eventually(lambda: _is_answering(stack), "the API answers")
        eventually(lambda: len(_list_running()) == number, "all have a container again")
        eventually(lambda: stack.count_online() == number, "all are online again")
        click.echo(
            f"all {number} are online again {time.monotonic() - began:.0f} s after its end began"
        )
        errors = [_read_runtime(stack, one)["last_error"] for one in chargers]
        codes = [error["code"] for error in errors if error]
        click.echo(f"what was seen: { {code: codes.count(code) for code in sorted(set(codes))} }")
    running = _list_running()
    click.echo(f"{len(running)} containers run {len(set(running))} chargers")


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


def _list_running() -> list[str]:
    """The charger of each container that runs."""
    label = '{{.Label "gateway.charger"}}'
    return _docker("ps", "--filter", "label=gateway.charger", "--format", label).split()


def _find_container(charger_id: str) -> str:
    return _docker("ps", "-q", "--filter", f"label=gateway.charger={charger_id}").strip()


def _exhaust_memory(container: str) -> None:
    """A neighbour in the container takes all it may have; the kernel is told to end the simulator first."""
    program = (
        "cd /proc; for p in [0-9]*; do [ $p = $$ ] || echo 1000 > $p/oom_score_adj; done;"
        " python -c 'bytearray(1 << 30)'"
    )
    subprocess.run(["docker", "exec", container, "sh", "-c", program], check=False)


def _tell_recovery(stack: Stack, charger_id: str, how: str, hurt: Callable[[str], object]) -> None:
    lost = _find_container(charger_id)
    began = time.monotonic()
    hurt(lost)

    def is_back() -> bool:
        found = _find_container(charger_id)
        return found not in ("", lost) and _read_runtime(stack, charger_id)["stage"] == "online"

    eventually(is_back, f"the charger is back ({how})")
    error = _read_runtime(stack, charger_id)["last_error"]
    took = time.monotonic() - began
    click.echo(
        f"{how}: online in another container after {took:.1f} s; {error['code']}: {error['message']}"
    )


def _read_runtime(stack: Stack, charger_id: str) -> dict[str, Any]:
    runtime: dict[str, Any] = stack.http.get(f"/ocpp/chargers/{charger_id}").json()["runtime"]
    return runtime


def _is_answering(stack: Stack) -> bool:
    try:
        return stack.http.get("/health/ready").status_code == 200
    except httpx.HTTPError:
        return False


PARTS: dict[str, Callable[[Stack], None]] = {
    "demo": demo,
    "kills": kills,
    "scale": scale,
    "upgrade": upgrade,
    "containers": containers,
    "metrics": metrics,
}


def main(arguments: list[str]) -> int:
    """Do the parts that are named, or all."""
    folder, *wanted = arguments
    stack = Stack(Path(folder))
    for name in wanted or PARTS:
        click.echo(f"\n-- {name}")
        PARTS[name](stack)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
