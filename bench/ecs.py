"""Many chargers at once on ECS while everything goes wrong: what the real engine and driver ask of the account.

`python -m bench.ecs [--chargers 200]`. A worker as in life with the ECS driver, against the stand-in with the real
API limits of one account and region. The command of each task touches its health file and sleeps: it stands for
the simulator where only API limits matter, and this program plays the link for the tasks that run. Nothing is
scaled: one AWS second takes one second. Read `open_account` and `FAULTS` for what goes wrong, `describe` for what
is expected.
"""

from __future__ import annotations

import argparse
import math
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text

from app.settings import EngineSettings
from app.store import hints, links
from bench.engine import Bench
from bench.figures import Aim, Figure, print_table
from bench.programs import SECRET, run_program
from tests.servers import Postgres, Valkey, make_folder
from workers.runtimes.buckets import ECS_LIMITS
from workers.standin.ecs.faults import Fault
from workers.standin.ecs.records import StandinSettings
from workers.standin.ecs.server import EcsStandin

_ACCESS_KEY: Final = "STANDINBENCHKEY"
_IMAGE: Final = "light:1"
_LIGHT_COMMAND: Final = ["sh", "-c", 'touch "$SIMULATOR_HEALTH_FILE"; exec sleep 3600']
_LAG_S: Final = 5.0
_PROBE_S: Final = 10
_OUTAGE_S: Final = 20.0
_PATIENCE_S: Final = 420.0
#: Seconds between two looks of this program.
_PAUSE_S: Final = 0.2
_ENGINE: Final = EngineSettings()
#: Armed before the first order, but for the outage, which begins when a quarter of the tasks was made.
FAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "lost": {"kind": "lost_reply", "operation": "RunTask", "every": 10},
    "throttled": {"kind": "throttle", "operation": "*", "probability": 0.05, "seed": 1},
    "network": {"kind": "stop_before_start", "probability": 0.05, "seed": 2},
    "outage": {"kind": "failures", "for_s": _OUTAGE_S},
}
_READY: Final = text("SELECT count(*) FROM chargers WHERE status = 'READY'")
_FAILED: Final = text("SELECT error FROM chargers WHERE status = 'FAILED' LIMIT 1")
_OWNED: Final = text("SELECT handle ->> 'arn' FROM runtimes WHERE state <> 'gone'")
_CALL_HOME: Final = text(
    """UPDATE runtimes SET called_home_at = clock_timestamp(), stage = 'online', online_at = clock_timestamp()
       WHERE state = 'started' AND called_home_at IS NULL AND handle ->> 'arn' = ANY(:running)
       RETURNING charger_id"""
)


#: What is measured, and under which conditions.
TITLE: Final = (
    "ECS stand-in: chargers at once (time scale 1, AWS's API limits, vCPU quota raised; a task starts in 1 s, is "
    f"visible after {_LAG_S:g} s, its first probe comes after {_PROBE_S} s)"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of the order."""

    count: int
    #: From the first order until all were READY.
    seconds: float
    #: Figures of the account at that moment, by its own names.
    stats: Mapping[str, int]
    #: How often each of FAULTS struck.
    strikes: Mapping[str, int]
    ready: int
    #: Tasks that are not stopped, and those of them that no row owns.
    live: int
    strays: int
    #: Tasks beyond the first that live for the same charger, now or ever.
    duplicates: int

    def calls(self, operation: str) -> int:
        """Calls of an operation, throttled ones among them."""
        return self.stats.get(f"calls {operation}", 0)

    @property
    def throttled(self) -> int:
        """RunTask calls that the account's buckets or the fault refused."""
        names = ("RunTask", "RunTask on Fargate", "launch on demand")
        return sum(self.stats.get(f"throttled {name}", 0) for name in names)

    @property
    def all_throttled(self) -> int:
        """The same of every operation."""
        return sum(n for name, n in self.stats.items() if name.startswith("throttled "))


class Rush:
    """One account, one gateway, and somebody who plays the link."""

    def __init__(self, standin: EcsStandin, bench: Bench) -> None:
        self._world = standin.world
        self._bench = bench
        self._armed: dict[str, Fault] = {}
        self.stopped = threading.Event()

    def play_link(self) -> None:
        """Whoever's task runs comes online, and its run is woken."""
        while not self.stopped.wait(_PAUSE_S):
            with self._world.changed:
                tasks = self._world.tasks.values()
                running = [task.arn for task in tasks if task.last_status == "RUNNING"]
            with self._bench.sessions.begin() as session:
                links.touch(session, "lnk_bench")
                rows = session.execute(_CALL_HOME, {"running": running}).all()
                woken = hints.wake_many(
                    session, {row.charger_id for row in rows}, cap=self._bench.cap
                )
            self._bench.queue.send(woken)

    def order_all(self, count: int) -> Seen:
        """Order `count` chargers under fire and wait until all are READY."""
        for name in ("lost", "throttled", "network"):
            self._arm(name)
        began = time.perf_counter()
        for number in range(count):
            self._bench.order(number)
        deadline = time.monotonic() + _PATIENCE_S
        while (ready := self._read(_READY)) < count and time.monotonic() < deadline:
            if self._world.stats["tasks_created"] >= count / 4 and "outage" not in self._armed:
                self._arm("outage")
            if (error := self._read(_FAILED)) is not None:
                raise SystemExit(f"a charger FAILED: {error}")
            time.sleep(_PAUSE_S)
        return self._sum_up(count, int(ready), time.perf_counter() - began)

    def _arm(self, name: str) -> None:
        with self._world.changed:
            now = self._world.clock.now()
            self._armed[name] = self._world.faults.arm(dict(FAULTS[name]), now)

    def _sum_up(self, count: int, ready: int, seconds: float) -> Seen:
        with self._bench.sessions.begin() as session:
            owned = set(session.scalars(_OWNED).all())
        with self._world.changed:
            live = [task for task in self._world.tasks.values() if not task.is_stopped]
            twins = len(live) - len({task.started_by for task in live})
            return Seen(
                count=count,
                seconds=seconds,
                stats=dict(self._world.stats),
                strikes={name: fault.strikes for name, fault in self._armed.items()},
                ready=ready,
                live=len(live),
                strays=sum(task.arn not in owned for task in live),
                duplicates=max(twins, self._world.stats["overlaps"]),
            )

    def _read(self, query: Any) -> Any:
        with self._bench.sessions.begin() as session:
            return session.execute(query).scalar()


def open_account(count: int) -> EcsStandin:
    """An account with the API limits of AWS, and a quota raised to what so many chargers need and a few more."""
    settings = StandinSettings(
        images={_IMAGE: _LIGHT_COMMAND}, visibility_lag_s=_LAG_S, vcpu_quota=0.25 * count + 5
    )
    return EcsStandin(settings, access_key=_ACCESS_KEY, time_scale=1.0)


def make_environment(endpoint: str, bench: Bench) -> dict[str, str]:
    """What the worker is told; the probe is gentle, for each is three processes of this machine."""
    return {
        "GATEWAY_DATABASE_URL": bench.url,
        "GATEWAY_BROKER_URL": bench.valkey.url,
        "GATEWAY_JWT_SECRETS": f"k:{SECRET}",
        "GATEWAY_LINK_SECRET": SECRET,
        "GATEWAY_INSTALL_ID": "bench",
        "GATEWAY_RUNTIME": "ecs",
        "GATEWAY_READY_WHEN": "running",
        "GATEWAY_WORKER_CONCURRENCY": "2",
        "GATEWAY_ECS_REGION": "us-east-1",
        "GATEWAY_ECS_IMAGE": _IMAGE,
        "GATEWAY_ECS_SUBNETS": "subnet-1",
        "GATEWAY_ECS_EXECUTION_ROLE_ARN": "arn:aws:iam::123456789012:role/gateway-execution",
        "GATEWAY_ECS_ALLOW_LOOPBACK_LINK": "true",
        "GATEWAY_ECS_HEALTH_INTERVAL_S": str(_PROBE_S),
        "GATEWAY_ECS_HEALTH_AGE_S": "3600",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": _ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": "standin",
    }


@contextmanager
def open_rush(count: int) -> Iterator[Rush]:
    """Servers, account, worker and link; all of it ends with the block."""
    with (
        make_folder() as pg,
        make_folder() as vk,
        Postgres(pg) as postgres,
        Valkey(vk) as valkey,
        open_account(count) as standin,
    ):
        bench = Bench(postgres, valkey)
        rush = Rush(standin, bench)
        worker = ("celery", "-A", "workers.celery_app", "worker")
        quiet = ("--loglevel", "ERROR", "--without-mingle", "--without-gossip")
        link = threading.Thread(target=rush.play_link, daemon=True)
        with run_program("-m", *worker, *quiet, **make_environment(standin.endpoint, bench)):
            link.start()
            try:
                yield rush
            finally:
                rush.stopped.set()
                link.join(5)


def describe(seen: Seen) -> list[Figure]:
    """Each figure beside what was expected of it."""
    count, strikes, stats = seen.count, seen.strikes, seen.stats
    tasks, runs = stats.get("tasks_created", 0), seen.calls("RunTask")
    refused, lost = strikes.get("outage", 0), strikes["lost"]
    fewest = tasks + refused + lost + seen.throttled
    limit = ECS_LIMITS["run_fargate"]
    floor_s = (count - limit.burst) / limit.refill_per_s + _OUTAGE_S + _PROBE_S
    looks = math.ceil(count / _ENGINE.observe_batch) * seen.seconds / _ENGINE.observe_s
    same, none = Aim(most=1, least=1), Aim(most=0, of="value")
    return [
        Figure("chargers READY", seen.ready, "", count, "ordered", same),
        Figure("all READY in", seen.seconds, "s", max(1, floor_s), "limits, outage, first probe"),
        Figure(
            "tasks started",
            tasks,
            "",
            count + strikes["network"],
            "chargers + starts that failed on network interfaces",
            same,
        ),
        Figure("tasks alive", seen.live, "", count, "chargers", same),
        Figure("duplicates, ever", seen.duplicates, "", 0, "two tasks of one charger", none),
        Figure("strays", seen.strays, "", 0, "tasks that no row owns", none),
        Figure(
            "definitions registered",
            stats.get("definitions_registered", 0),
            "",
            1,
            "one content",
            same,
        ),
        Figure(
            "RunTask calls",
            runs,
            "",
            fewest,
            "tasks + refused + replies lost + throttled",
            Aim(most=1),
        ),
        Figure(
            "DescribeTasks calls while waiting",
            seen.calls("DescribeTasks"),
            "",
            looks,
            f"{_ENGINE.observe_batch} a call, every {_ENGINE.observe_s:g} s",
            Aim(most=1),
        ),
        Figure("ListTasks calls", seen.calls("ListTasks"), "", against="looks before repeats"),
        Figure(
            "RunTask replies lost", lost, "", (runs - seen.throttled) // 10, "every tenth reply"
        ),
        Figure("RunTask refused, no capacity", refused, "", against=f"{_OUTAGE_S:g} s of outage"),
        Figure("calls throttled, of all", seen.all_throttled, "", against="5 % and real buckets"),
        Figure("starts failed on interfaces", strikes["network"], "", 0.05 * tasks, "5 % of tasks"),
    ]


def measure(count: int) -> list[Figure]:
    """The whole suite."""
    with open_rush(count) as rush:
        return describe(rush.order_all(count))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chargers", type=int, default=200)
    parser.add_argument("--markdown", action="store_true", help="a table for docs/benchmarks.md")
    options = parser.parse_args()
    print_table(TITLE, measure(options.chargers), markdown=options.markdown)


if __name__ == "__main__":
    main()
