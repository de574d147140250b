"""What durability costs: provisioning runs beside a bare Celery chain, on the same worker and servers.

`python -m bench.engine [--runs 300]`. The driver is instant (bench.instant_worker) and this program plays the
link: a run still parks in wait_for_health and is woken. The floor is a chain of four tasks that each make one
read-modify-write transaction. Printed: latency alone, rate of many at once, messages per step.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from typing import Any

import psutil
import psycopg
from celery import chain
from sqlalchemy import text

from app.db import make_engine, make_sessions
from app.ids import make_charger_id
from app.models import Charger
from app.queue import HintQueue, make_sender
from app.services import orders
from app.settings import EngineSettings
from app.store import hints, links
from bench.figures import Aim, Figure, median, print_table
from bench.programs import read_cpu
from migrations import upgrade
from tests.servers import Postgres, Valkey, make_folder

_SECRET = "a-secret-of-the-bench-that-is-long-enough-for-all"
_FINISHED = text("SELECT count(*) FROM runs WHERE status = 'done'")


class Bench:
    """Servers, a worker, and somebody who plays the link."""

    def __init__(self, postgres: Postgres, valkey: Valkey) -> None:
        self.url = postgres.create("bench")
        self.valkey = valkey
        engine = make_engine(self.url, pool_size=8)
        upgrade(engine)
        self.sessions = make_sessions(engine)
        self.cap = EngineSettings.__dataclass_fields__["org_inflight"].default
        self.queue = HintQueue(valkey.url, cap=self.cap)
        self.stopped = threading.Event()
        #: Whose CPU is counted; the worker joins them.
        self.processes = [psutil.Process(postgres.pid), psutil.Process(valkey.pid)]
        #: Seconds between two looks of this program: short alone, gentle while many run.
        self.pause_s = 0.002

    def start_worker(self) -> subprocess.Popen[bytes]:
        """The real worker with the instant driver."""
        environment = os.environ | {
            "GATEWAY_DATABASE_URL": self.url,
            "GATEWAY_BROKER_URL": self.valkey.url,
            "GATEWAY_JWT_SECRETS": f"k:{_SECRET}",
            "GATEWAY_LINK_SECRET": _SECRET,
            "GATEWAY_INSTALL_ID": "bench",
            "GATEWAY_LOG_LEVEL": "WARNING",
        }
        program = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "bench.instant_worker",
            "worker",
            "-c",
            "2",
        ]
        quiet = ["--loglevel", "ERROR", "--without-mingle", "--without-gossip"]
        return subprocess.Popen(
            [*program, *quiet],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def play_link(self) -> None:
        """Whatever was started comes online at once, and its run is woken."""
        while not self.stopped.wait(self.pause_s):
            with self.sessions.begin() as session:
                links.touch(session, "lnk_bench")
                rows = session.execute(
                    text(
                        """UPDATE runtimes SET called_home_at = clock_timestamp(), stage = 'online',
                                  online_at = clock_timestamp()
                           WHERE charger_id IN (
                               SELECT charger_id FROM runtimes
                               WHERE state = 'started' AND called_home_at IS NULL FOR UPDATE SKIP LOCKED)
                           RETURNING charger_id"""
                    )
                ).all()
                woken = hints.wake_many(session, {row.charger_id for row in rows}, cap=self.cap)
            self.queue.send(woken)

    def read_cpu(self) -> float:
        """Seconds of CPU that worker and servers have used."""
        return read_cpu(*self.processes)

    def count_messages(self) -> int:
        """Messages pushed to the broker since it started."""
        stats: Any = self.valkey.connect().info("commandstats")
        return int(stats.get("cmdstat_lpush", {}).get("calls", 0))

    # our runs

    def order(self, number: int) -> str:
        """One charger, as the API orders it."""
        charger = Charger(
            id=make_charger_id(),
            organization_id=f"org-{number % 8}",
            identity=f"CP-{number}",
            brand_slug="wallbox",
            model_slug="wallbox-pulsar-plus",
            connector_type="Type2",
            ocpp_version="OCPP1.6",
            ws_url="ws://127.0.0.1:9/",
            generation=1,
        )
        with self.sessions.begin() as session:
            orders.provision(session, self.queue, charger)
        return charger.id

    def measure_runs(self, count: int, first: int) -> float:
        """Seconds until `count` runs that are ordered at once are done."""
        done = self._count(_FINISHED)
        began = time.perf_counter()
        for number in range(first, first + count):
            self.order(number)
        self._wait_for(_FINISHED, done + count)
        return time.perf_counter() - began

    # the floor

    def prepare_floor(self, count: int) -> None:
        """A row per bare chain."""
        with psycopg.connect(self.url.replace("+psycopg", "")) as connection:
            connection.execute("CREATE TABLE bench_floor (id int PRIMARY KEY, value int)")
            connection.execute(
                "INSERT INTO bench_floor SELECT i, 0 FROM generate_series(1, %s) i", [count]
            )

    def measure_chains(self, ids: range) -> float:
        """Seconds until a bare chain of four for each id is done."""
        sender = make_sender(self.valkey.url)
        query = text(f"SELECT count(*) FROM bench_floor WHERE value = 4 AND id <= {ids[-1]}")
        before = self._count(query)
        began = time.perf_counter()
        for row_id in ids:
            step = sender.signature(
                "bench.bare_step", args=(row_id,), immutable=True, queue="steps"
            )
            chain(step, step.clone(), step.clone(), step.clone()).apply_async()
        self._wait_for(query, before + len(ids))
        return time.perf_counter() - began

    def _count(self, query: Any) -> int:
        with self.sessions.begin() as session:
            return int(session.execute(query).scalar_one())

    def _wait_for(self, query: Any, wanted: int) -> None:
        deadline = time.monotonic() + 120
        while self._count(query) < wanted:
            if time.monotonic() > deadline:
                raise SystemExit(f"not done after 120 s: {self._count(query)} of {wanted}")
            time.sleep(self.pause_s)


def compare(bench: Bench, count: int) -> list[Figure]:
    """Ours and the floor, one alone and many at once."""
    bench.prepare_floor(2 * count + 200)
    bench.measure_chains(range(1, 21))
    bench.measure_runs(20, 0)
    bare_alone = [bench.measure_chains(range(n, n + 1)) for n in range(21, 61)]
    ours_alone = [bench.measure_runs(1, n) for n in range(20, 60)]
    bench.pause_s = 0.03
    bare_before = bench.read_cpu()
    bare_many = bench.measure_chains(range(61, 61 + count))
    before, bare_cpu = bench.count_messages(), bench.read_cpu() - bare_before
    ours_before = bench.read_cpu()
    ours_many = bench.measure_runs(count, 60)
    messages, ours_cpu = bench.count_messages() - before, bench.read_cpu() - ours_before
    bare = "bare chain of 4 tasks, a transaction each"
    return [
        Figure(
            "run alone, median",
            1000 * median(ours_alone),
            "ms",
            1000 * median(bare_alone),
            bare,
            Aim(most=1.5),
        ),
        Figure(f"{count} at once", ours_many, "s", bare_many, bare, Aim(most=1.5)),
        Figure(f"rate, {count} at once", count / ours_many, "/s", count / bare_many, bare),
        Figure(
            "CPU of worker and servers per run",
            1000 * ours_cpu / count,
            "ms",
            1000 * bare_cpu / count,
            bare,
        ),
        Figure("messages per step", messages / (4 * count), "", 1.0, "one message, one step"),
    ]


def measure(count: int) -> list[Figure]:
    """Start the servers, measure, stop."""
    with make_folder() as pg, make_folder() as vk, Postgres(pg) as postgres, Valkey(vk) as valkey:
        bench = Bench(postgres, valkey)
        worker = bench.start_worker()
        bench.processes.append(psutil.Process(worker.pid))
        link = threading.Thread(target=bench.play_link, daemon=True)
        link.start()
        try:
            return compare(bench, count)
        finally:
            bench.stopped.set()
            link.join(5)
            worker.terminate()
            worker.wait(30)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    print_table(
        "Engine (instant driver; a run parks and is woken)", measure(parser.parse_args().runs)
    )


if __name__ == "__main__":
    main()
