"""A thousand chargers in one order on a whole `gateway up`, beside what nobody can do without.

`python -m bench.fleet [--chargers 1000]`. Both cores are shared by everything: gateway, servers, CSMS, this
program. The floors are measured in the same run on the same servers and CSMS: as many bare Celery tasks as the
order has steps, each with one transaction, by a worker with the gateway's settings; and as many bare chargers that
boot. A second organization orders one charger alone, and again in the middle of the big order: nobody is to
wait for somebody else's thousand.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import psutil
import redis

from app.queue import make_sender
from bench.figures import Aim, Figure, print_table
from bench.judge import Judge, open_judge
from bench.programs import list_family, read_cpu, read_peak, run_program, wait_until
from bench.stack import Supervisor
from tests.gateways import Gateway, make_data_folder, run_gateway
from tests.orders import HARDWARE, SITE

_STEPS: Final = 4
#: As `bench.bare_worker` has them, which only a worker can import.
_QUEUE: Final = "floor"
_TASK: Final = "bench.change_row"
_ALONE: Final = 5


@dataclass
class Phase:
    """A stretch of work: how long it took, and the CPU of every process meanwhile, in seconds."""

    processes: dict[str, psutil.Process]
    cpu: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self._before = {name: read_cpu(process) for name, process in self.processes.items()}
        self._began = time.monotonic()

    def watch(self, name: str, process: psutil.Process) -> None:
        """One that was started for this phase."""
        self.processes[name] = process
        self._before[name] = 0.0

    def end(self) -> Phase:
        """Read the clocks."""
        self.seconds = time.monotonic() - self._began
        self.cpu = {
            name: read_cpu(process) - self._before[name] for name, process in self.processes.items()
        }
        return self

    @property
    def cpu_s(self) -> float:
        """Of all together."""
        return sum(self.cpu.values())


@dataclass
class Fleet:
    """A running gateway, a CSMS, and two organizations that order."""

    gateway: Gateway
    judge: Judge
    big: httpx.Client
    small: httpx.Client
    figures: list[Figure] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._number = 0
        self.database = self.gateway.connect()

    def list_parts(self) -> dict[str, psutil.Process]:
        """Every process of the gateway by name."""
        names = [child["name"] for child in self.gateway.read_state()["children"]]
        parts = {name: self.gateway.get_child(name) for name in names}
        assert self.gateway.process is not None
        return {
            **parts,
            "supervisor": Supervisor(self.gateway.process.pid),
            "CSMS": self.judge.process,
        }

    def count_messages(self) -> int:
        """Messages put into the broker's queues since it started."""
        url = urlsplit((self.gateway.data / "secrets" / "broker_url").read_text())
        with redis.Redis(unix_socket_path=url.path, password=url.password) as broker:
            stats: Any = broker.info("commandstats")
        return int(stats.get("cmdstat_lpush", {}).get("calls", 0))

    def count(self, what: str) -> int:
        """`SELECT count(*) FROM ...`."""
        row = self.database.execute(f"SELECT count(*) FROM {what}".encode()).fetchone()
        assert row is not None
        return int(row[0])

    # the floors

    def run_tasks(self, count: int) -> Phase:
        """That many bare tasks with a transaction each."""
        self.database.execute("CREATE TABLE bench_floor (id int PRIMARY KEY, value int)")
        self.database.execute(
            "INSERT INTO bench_floor SELECT n, 0 FROM generate_series(0, %s) AS n", [count]
        )
        settings = read_settings(self.gateway)
        sender = make_sender(settings["GATEWAY_BROKER_URL"])
        argv = ("-m", "celery", "-A", "bench.bare_worker", "worker", "-c", "2", "-n", "floor@%h")
        with run_program(*argv, "--without-mingle", "--without-gossip", **settings) as worker:
            sender.send_task(_TASK, args=[0], queue=_QUEUE)
            wait_until(lambda: self.count("bench_floor WHERE value = 1"), "the bare worker works")
            phase = Phase(self.list_parts() | {"worker of the floor": worker})
            for number in range(1, count + 1):
                sender.send_task(_TASK, args=[number], queue=_QUEUE)
            wait_until(lambda: self.count("bench_floor WHERE value = 1") > count, "the tasks end")
            return phase.end()

    def boot_bare_chargers(self, count: int) -> Phase:
        """That many bare chargers, from the start of their process until all are accepted."""
        before = self.judge.read().accepted
        phase = Phase(self.list_parts())
        with run_program("-m", "bench.bare_chargers", str(count), self.judge.ws_url) as chargers:
            phase.watch("bare chargers", chargers)
            wait_until(lambda: self.judge.read().accepted >= before + count, "the chargers boot")
            return phase.end()

    # ours

    def order_one(self) -> float:
        """Seconds until a charger of the small organization is READY."""
        self._number += 1
        order = {**HARDWARE, "identity": f"ONE-{self._number}", "ws_url": self.judge.ws_url}
        began = time.monotonic()
        status_url = ask(self.small, "POST", "/ocpp/chargers", json=order)["status_url"]
        while True:
            status = ask(self.small, "GET", status_url, params={"wait": 20})
            if status["status"] in ("READY", "FAILED"):
                break
        if status["status"] == "FAILED":
            raise SystemExit(f"the single charger failed: {status['error']}")
        return time.monotonic() - began

    def order_many(self, count: int) -> Order:
        """One order of so many, and a single one of the other organization in the middle of it."""
        site = ask(self.big, "POST", "/ocpp/locations", json=SITE)
        group = {
            "template": {**HARDWARE, "ws_url": self.judge.ws_url, "identity_prefix": "FLEET-"},
            "chargers_number": count,
        }
        ready = "chargers WHERE status = 'READY' AND job_id IS NOT NULL"
        single: list[float] = []
        other = threading.Thread(target=lambda: single.append(self.order_one()), daemon=True)
        messages = self.count_messages()
        phase = Phase(self.list_parts())
        began = time.monotonic()
        job = ask(self.big, "POST", f"/ocpp/locations/{site['id']}/chargers", json=[group])
        accepted_s = time.monotonic() - began
        wait_until(lambda: self.count(ready) >= count // 3, "a third is READY", pause_s=0.1)
        other.start()
        wait_until(lambda: self.count(ready) >= count, "all are READY", pause_s=0.1)
        phase.end()
        other.join(60)
        # The single order has its own steps and messages; it is one in a thousand.
        messages = self.count_messages() - messages
        self._check_job(job["status_url"], count)
        return Order(accepted_s, phase, single[0], messages)

    def _check_job(self, status_url: str, count: int) -> None:
        """The order says of itself what the rows say, and the CSMS has no complaint."""
        wait_until(lambda: ask(self.big, "GET", status_url)["results"], "the job ends", pause_s=0.2)
        results = ask(self.big, "GET", status_url)["results"]
        books = self.judge.read()
        if results["created_count"] != count or books.offences or books.overlaps:
            raise SystemExit(f"not as ordered: {results['failed'][:3]}, {books}")


@dataclass(frozen=True, slots=True)
class Order:
    """What became of a big order."""

    accepted_s: float
    #: Until all were READY.
    phase: Phase
    #: The other organization's single charger.
    single_s: float
    messages: int


def ask(client: httpx.Client, method: str, path: str, **more: Any) -> dict[str, Any]:
    """The answer. Ends the bench when it is not a success."""
    answer = client.request(method, path, **more)
    if not answer.is_success:
        raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
    body: dict[str, Any] = answer.json()
    return body


def read_settings(gateway: Gateway) -> dict[str, str]:
    """What a program beside the gateway needs."""
    secrets = gateway.data / "secrets"
    return {
        "GATEWAY_DATABASE_URL": (secrets / "database_url").read_text(),
        "GATEWAY_BROKER_URL": (secrets / "broker_url").read_text(),
        "GATEWAY_JWT_SECRETS": (secrets / "jwt_secrets").read_text(),
        "GATEWAY_LINK_SECRET": (secrets / "link_secret").read_text(),
        "GATEWAY_INSTALL_ID": (secrets / "install_id").read_text(),
    }


@contextlib.contextmanager
def open_client(gateway: Gateway, organization: str) -> Iterator[httpx.Client]:
    """A client of the REST API with a token of this organization."""
    made = run_gateway(
        "token", "--data-dir", str(gateway.data), "--organization", organization, "--show"
    )
    if made.returncode:
        raise SystemExit(f"no token: {made.stderr}")
    token = made.stdout.strip().splitlines()[-1]
    with httpx.Client(
        base_url=gateway.read_state()["base_url"],
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    ) as client:
        yield client


@contextlib.contextmanager
def open_fleet() -> Iterator[Fleet]:
    """The whole gateway, everything that `up` runs."""
    with contextlib.ExitStack() as stack:
        judge = stack.enter_context(open_judge(interval_s=30))
        data = stack.enter_context(make_data_folder())
        gateway = stack.enter_context(Gateway(data, without=())).comes_up()
        big, small = (
            stack.enter_context(open_client(gateway, name)) for name in ("acme", "globex")
        )
        yield Fleet(gateway, judge, big, small)


def describe_parts(fleet: Fleet, order: Phase, floors: Mapping[str, float]) -> list[Figure]:
    """What every process used for the order: CPU, and the most memory it ever had."""
    figures = []
    for name, used in order.cpu.items():
        figures.append(Figure(f"CPU, {name}", used, "s", floors.get(name)))
    for name, process in fleet.list_parts().items():
        family = list_family(process)
        peaks = [read_peak([one]) for one in family]
        shown = (
            f"{len(peaks)} processes, the largest {max(peaks):.0f} MiB" if len(peaks) > 1 else ""
        )
        figures.append(Figure(f"peak memory, {name}", sum(peaks), "MiB", against=shown))
    return figures


def add_up(tasks: Phase, boots: Phase) -> dict[str, float]:
    """CPU of both floors by process, under the names that ours have."""
    total = dict(tasks.cpu)
    for name, used in boots.cpu.items():
        total[name] = total.get(name, 0.0) + used
    total["worker"] += total.pop("worker of the floor")
    total["host"] += total.pop("bare chargers")
    return total


def measure(count: int) -> list[Figure]:
    """The whole suite."""
    with open_fleet() as fleet:
        fleet.order_one()
        tasks = fleet.run_tasks(_STEPS * count)
        boots = fleet.boot_bare_chargers(count)
        alone_s = statistics.median(fleet.order_one() for _ in range(_ALONE))
        order = fleet.order_many(count)
        used = describe_parts(fleet, order.phase, add_up(tasks, boots))
    floors_s = tasks.seconds + boots.seconds
    floors_cpu_s = tasks.cpu_s + boots.cpu_s
    summed = "the sum of both floors"
    aim = Aim(most=1.5)
    return [
        Figure(
            f"{count:,} in one order, accepted in",
            order.accepted_s,
            "s",
            aim=Aim(most=1, of="value"),
        ),
        Figure("all READY in", order.phase.seconds, "s", floors_s, summed, aim),
        Figure("CPU of everything", order.phase.cpu_s, "s", floors_cpu_s, summed),
        Figure(
            "floor",
            tasks.seconds,
            "s",
            against=f"{_STEPS * count:,} bare tasks, a transaction each",
        ),
        Figure("floor", boots.seconds, "s", against=f"{count:,} bare chargers that boot"),
        Figure(
            "messages per step", order.messages / (_STEPS * count), "", 1.0, "one message, one step"
        ),
        Figure(
            "another's single charger, READY in", order.single_s, "s", alone_s, "the same alone"
        ),
        *used,
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chargers", type=int, default=1000)
    count = parser.parse_args().chargers
    print_table("Fleet", measure(count))


if __name__ == "__main__":
    main()
