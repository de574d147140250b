"""What is done to the gateway. Each fault says what it did; those that last end by themselves."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import psutil

from app.jobs import QUEUE_STEPS, Hint
from app.queue import HintQueue
from tests.chaos.account import OF_ACCOUNT, AccountFaults
from tests.gateways import Gateway, eventually
from tests.servers import Valkey

#: Longer than a lease.
_FREEZE_S: Final = 12.0
_OUTAGE_S: Final = 60.0


@dataclass
class Faults:
    """Hurts one gateway, by chance but repeatably."""

    gateway: Gateway
    broker_url: str
    #: None: a broker of somebody else, which is not hurt.
    broker: Valkey | None
    chance: random.Random
    #: None: chargers run in a host of our own, and no account can go wrong.
    account: AccountFaults | None = None

    def pick(self, name: str) -> Callable[[], str]:
        """A fault by name."""
        owner = self if hasattr(self, name) else self.account
        fault: Callable[[], str] = getattr(owner, name)
        return fault

    # kills

    def kill_worker_child(self) -> str:
        """`kill -9` of one process that carries out steps."""
        children = self._find("worker").children()
        if not children:
            return "the worker had no children"
        child = self.chance.choice(children)
        _kill(child)
        return f"worker child {child.pid}"

    def kill_worker_group(self) -> str:
        """`kill -9` of the worker and all its children."""
        worker = self._find("worker")
        family = [*worker.children(recursive=True), worker]
        for process in family:
            _kill(process)
        return f"{len(family)} processes"

    def kill_api(self) -> str:
        """`kill -9` of the API, its processes included."""
        api = self._find("api")
        family = [*api.children(recursive=True), api]
        for process in family:
            _kill(process)
        return f"{len(family)} processes"

    def kill_link(self) -> str:
        """`kill -9` of the link."""
        return self._kill_part("link")

    def kill_host(self) -> str:
        """`kill -9` of the simulator host: every charger's connection ends."""
        return self._kill_part("host")

    def kill_beat(self) -> str:
        """`kill -9` of beat."""
        return self._kill_part("beat")

    def kill_broker(self) -> str:
        """`kill -9` of the broker, and a start a second later with what its log kept."""
        self._own_broker.crash()
        time.sleep(1)
        self._own_broker.start()
        return "for 1 s"

    def kill_supervisor(self) -> str:
        """`kill -9` of `gateway up`; everything ends with it, then it is started again."""
        self.gateway.is_killed()
        eventually(lambda: not self.gateway.list_processes(), "nothing is left behind")
        self.gateway.comes_up()
        return "and started again"

    def restart_postgres(self) -> str:
        """An immediate shutdown of PostgreSQL: every connection is cut, the log is replayed."""
        self._find("postgres").send_signal(signal.SIGQUIT)
        return "immediate"

    # freezes

    def freeze_worker_child(self) -> str:
        """One step stands still for longer than its lease, then goes on."""
        children = self._find("worker").children()
        return self._freeze(self.chance.choice(children)) if children else "no children"

    def freeze_link(self) -> str:
        """The link stands still."""
        return self._freeze(self._find("link"))

    def freeze_host(self) -> str:
        """The simulator host stands still."""
        return self._freeze(self._find("host"))

    def freeze_standin(self) -> str:
        """The account answers nobody, and its tasks go on."""
        return self._freeze(self._find("standin"))

    def freeze_broker(self) -> str:
        """The broker accepts and never answers."""
        self._own_broker.freeze()
        time.sleep(_FREEZE_S)
        self._own_broker.thaw()
        return f"for {_FREEZE_S:.0f} s"

    def stop_broker_for_a_minute(self) -> str:
        """The broker is away for 60 s."""
        self._own_broker.crash()
        time.sleep(_OUTAGE_S)
        self._own_broker.start()
        return f"for {_OUTAGE_S:.0f} s"

    # messages

    def flush_broker(self) -> str:
        """Every message is lost."""
        with self._own_broker.connect() as broker:
            lost = broker.llen(QUEUE_STEPS)
            broker.flushall()
        return f"{lost} waiting messages"

    def repeat_hints(self) -> str:
        """Every active run is hinted again, from each step that it has left."""
        with self.gateway.connect() as database:
            rows = database.execute(
                "SELECT id, kind, plan, at, charger_id, identity FROM runs WHERE status = 'active'"
            ).fetchall()
        sender = HintQueue(self.broker_url, cap=1)
        repeated = [
            Hint(run, kind, tuple(plan[at:]), charger, identity)
            for run, kind, plan, at, charger, identity in rows
        ]
        sender.send(repeated * 2)
        time.sleep(1)
        return f"{2 * len(repeated)} messages"

    def delay_hints(self) -> str:
        """Waiting messages are taken away and come back later in another order."""
        with self._own_broker.connect() as broker:
            taken = [message for _ in range(50) if (message := broker.rpop(QUEUE_STEPS))]
            time.sleep(self.chance.uniform(1, 5))
            self.chance.shuffle(taken)
            if taken:
                broker.lpush(QUEUE_STEPS, *taken)
        return f"{len(taken)} messages"

    # connections

    def cut_database_connections(self) -> str:
        """Half of all connections to PostgreSQL are cut."""
        with self.gateway.connect() as database:
            pids = [
                pid
                for (pid,) in database.execute(
                    "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
                    " AND pid <> pg_backend_pid()"
                )
            ]
            cut = self.chance.sample(pids, len(pids) // 2)
            database.execute(
                "SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [cut]
            )
        return f"{len(cut)} connections"

    def cut_broker_connections(self) -> str:
        """Every connection to the broker is cut."""
        with self._own_broker.connect() as broker:
            cut = broker.execute_command("CLIENT", "KILL", "TYPE", "normal")
        return f"{cut} connections"

    # how

    @property
    def _own_broker(self) -> Valkey:
        if self.broker is None:
            raise AssertionError("this broker is not ours to hurt")
        return self.broker

    def _find(self, name: str) -> psutil.Process:
        found: psutil.Process = eventually(lambda: self._get_running(name), f"{name} runs")
        return found

    def _get_running(self, name: str) -> psutil.Process | None:
        with suppress(psutil.NoSuchProcess, KeyError, ValueError, OSError):
            process = self.gateway.get_child(name)
            return process if process.status() != psutil.STATUS_ZOMBIE else None
        return None

    def _kill_part(self, name: str) -> str:
        process = self._find(name)
        _kill(process)
        return f"process {process.pid}"

    def _freeze(self, process: psutil.Process, seconds: float = _FREEZE_S) -> str:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
            time.sleep(seconds)
            process.resume()
        return f"process {process.pid} for {seconds:.0f} s"


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        os.kill(process.pid, signal.SIGKILL)


#: Faults of a broker that is ours.
OF_BROKER: Final = frozenset(
    {
        "flush_broker",
        "kill_broker",
        "freeze_broker",
        "delay_hints",
        "cut_broker_connections",
        "stop_broker_for_a_minute",
    }
)
#: Faults that end what the stand-in for ECS runs, and with it the memory of its tasks.
OF_LOCAL_HOST: Final = frozenset({"kill_host", "freeze_host", "kill_supervisor"})
#: What a round consists of; each is done once before any is repeated.
ROUND: Final = (
    "kill_worker_child",
    "kill_worker_group",
    "flush_broker",
    "kill_link",
    "repeat_hints",
    "kill_host",
    "restart_postgres",
    "freeze_worker_child",
    "kill_api",
    "delay_hints",
    "kill_worker_child",
    "cut_database_connections",
    "kill_beat",
    "freeze_link",
    "kill_broker",
    "kill_worker_group",
    "cut_broker_connections",
    "freeze_broker",
)


def choose_round(runtime: str, *, with_broker: bool) -> tuple[str, ...]:
    """What a round consists of with this runtime, and with a broker that may or may not be hurt."""
    away = OF_LOCAL_HOST if runtime != "local" else frozenset()
    kept = [name for name in ROUND if name not in away and (with_broker or name not in OF_BROKER)]
    return (*kept, *OF_ACCOUNT) if runtime != "local" else tuple(kept)
