"""How many chargers one process carries: ours under its link, ours alone, and the bare floor, by the same judge.

`python -m bench.density [--quick]`. Each is started with a few and with many idle chargers (boot, two statuses, a
heartbeat each 10 s); what a **further** charger costs is the difference by the number, so that interpreters and
imports do not count. `under link` is as the product runs: real app.link and PostgreSQL, frames kept, both
directions validated, states on disk. Then every charger begins a session (a car, an authorization, a
transaction, samples each 60 s): the many a batch after the other, which shows what a transaction takes; the few
all in the same moment, which shows what that burst leaves behind.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import psutil

from bench.figures import Aim, Figure, print_table
from bench.judge import Judge, open_judge
from bench.linkless import BATCH
from bench.placement import open_placement
from bench.programs import list_family, read_cpu, read_resident, run_program, wait_until

_INTERVAL_S: Final = 10
#: One heartbeat of every charger: whatever booting left behind is gone. CPU is watched for as long.
_SETTLE_S: Final = float(_INTERVAL_S)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many chargers, and how long transactions are watched."""

    few: int = 1000
    many: int = 5000
    transaction_s: float = 65.0


QUICK: Final = Sizes(few=100, many=300, transaction_s=5.0)


@dataclass(slots=True)
class Stand:
    """One way to run chargers: the process, and how to make them charge."""

    process: psutil.Process
    #: Begin the next `BATCH` sessions.
    start_sessions: Callable[[], None] | None = None
    began: float = field(default_factory=time.time)


Opener: TypeAlias = Callable[[int, Judge], contextlib.AbstractContextManager[Stand]]


@dataclass(slots=True)
class Seen:
    """What a number of chargers cost."""

    count: int
    #: From the start of the process until the last boot was accepted.
    accepted_s: float = 0.0
    #: Until the last status was answered.
    boot_cpu_s: float = 0.0
    idle_mib: float = 0.0
    #: Share of one core, heartbeats only.
    idle_cpu: float = 0.0
    charging_mib: float | None = None
    charging_cpu: float = 0.0

    @property
    def transaction_kib(self) -> float:
        """More memory of each charger while it charges."""
        assert self.charging_mib is not None
        return 1024 * (self.charging_mib - self.idle_mib) / self.count


@contextlib.contextmanager
def run_bare(count: int, judge: Judge) -> Iterator[Stand]:
    """The floor."""
    began = time.time()
    with run_program("-m", "bench.bare_chargers", str(count), judge.ws_url) as process:
        yield Stand(process, None, began)


@contextlib.contextmanager
def run_alone(count: int, judge: Judge) -> Iterator[Stand]:
    """Our host without a link."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.time()
        with run_program("-m", "bench.linkless", str(count), judge.ws_url, folder) as process:
            yield Stand(process, lambda: process.send_signal(signal.SIGUSR1), began)


@contextlib.contextmanager
def run_linked(count: int, judge: Judge) -> Iterator[Stand]:
    """Our host as `gateway up` runs it."""
    with open_placement(count, judge.ws_url) as placement:
        began = time.time()
        with placement.run_host() as process:
            yield Stand(process, lambda: placement.start_sessions(BATCH), began)


def watch(open_stand: Opener, count: int, transaction_s: float) -> Seen:
    """Bring them up, let them idle, let them charge.

    Unless `transaction_s` is 0 their CPU is watched, and their sessions begin one batch after the other.
    """
    seen = Seen(count)
    with open_judge(_INTERVAL_S) as judge, open_stand(count, judge) as stand:
        hears(judge, "StatusNotification", 2 * count)
        seen.boot_cpu_s = read_cpu(stand.process)
        seen.accepted_s = judge.read().accepted_at - stand.began
        time.sleep(_SETTLE_S)
        seen.idle_mib = read_resident(list_family(stand.process))
        if transaction_s:
            seen.idle_cpu = watch_cpu(stand.process, _SETTLE_S)
        if stand.start_sessions is not None:
            begin_sessions(stand.start_sessions, judge, count, waits=transaction_s > 0)
            seen.charging_cpu = watch_cpu(stand.process, transaction_s or _SETTLE_S / 2)
            seen.charging_mib = read_resident(list_family(stand.process))
        check(judge, count)
    return seen


def begin_sessions(start: Callable[[], None], judge: Judge, count: int, *, waits: bool) -> None:
    """All of them; `waits`: a batch begins when the CSMS has heard of the one before."""
    for begun in range(BATCH, count + BATCH, BATCH):
        start()
        if waits:
            hears(judge, "StartTransaction", min(begun, count))
        else:
            time.sleep(0.02)  # two signals that wait together are one
    hears(judge, "StartTransaction", count)


def hears(judge: Judge, action: str, count: int) -> None:
    """Wait until so many of these have come."""
    wait_until(
        lambda: judge.read().heard.get(action, 0) >= count, f"{count} of {action}", pause_s=0.1
    )


def watch_cpu(process: psutil.Process, seconds: float) -> float:
    """Share of one core."""
    before = read_cpu(process)
    time.sleep(seconds)
    return (read_cpu(process) - before) / seconds


def check(judge: Judge, count: int) -> None:
    """A charger that breaks a rule, boots twice or has two sockets is no charger to be counted."""
    books = judge.read()
    if books.offences or books.overlaps or books.accepted != count:
        raise SystemExit(f"the CSMS does not accept this: {books}")


@dataclass(slots=True)
class Pair:
    """A few and many of the same kind."""

    few: Seen
    many: Seen

    @property
    def memory_kib(self) -> float:
        """Of each further idle charger."""
        return 1024 * (self.many.idle_mib - self.few.idle_mib) / self._more

    @property
    def boot_ms(self) -> float:
        """CPU of each further charger's boot."""
        return 1000 * (self.many.boot_cpu_s - self.few.boot_cpu_s) / self._more

    @property
    def _more(self) -> int:
        return self.many.count - self.few.count


def describe(name: str, ours: Pair, floor: Pair) -> list[Figure]:
    """One kind of ours beside the floor."""
    bare = "bare websockets + json"
    twice = Aim(most=2)
    few, many = ours.few, ours.many
    return [
        *(
            Figure(
                f"{name}: {one.count:,} accepted in",
                one.accepted_s,
                "s",
                peer.accepted_s,
                bare,
                twice,
            )
            for one, peer in ((few, floor.few), (many, floor.many))
        ),
        Figure(f"{name}: CPU per further boot", ours.boot_ms, "ms", floor.boot_ms, bare, twice),
        Figure(
            f"{name}: memory per further charger",
            ours.memory_kib,
            "KiB",
            floor.memory_kib,
            bare,
            twice,
        ),
        Figure(
            f"{name}: memory of {many.count:,}", many.idle_mib, "MiB", floor.many.idle_mib, bare
        ),
        Figure(
            f"{name}: CPU of {many.count:,} idle",
            100 * many.idle_cpu,
            "% of a core",
            100 * floor.many.idle_cpu,
            bare,
        ),
        Figure(
            f"{name}: more memory with a transaction",
            many.transaction_kib,
            "KiB",
            against=f"{many.count:,} begun {BATCH} at a time",
            aim=Aim(most=25, of="value"),
        ),
        Figure(
            f"{name}: more memory with a transaction",
            few.transaction_kib,
            "KiB",
            against=f"{few.count:,} begun in the same moment",
        ),
        Figure(f"{name}: CPU of {many.count:,} charging", 100 * many.charging_cpu, "% of a core"),
    ]


def measure(sizes: Sizes) -> list[Figure]:
    """The whole suite."""

    def pair(open_stand: Opener) -> Pair:
        few = watch(open_stand, sizes.few, 0)
        return Pair(few, watch(open_stand, sizes.many, sizes.transaction_s))

    floor = pair(run_bare)
    figures = describe("under link", pair(run_linked), floor)
    return figures + describe("alone", pair(run_alone), floor)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="hundreds instead of thousands")
    sizes = QUICK if parser.parse_args().quick else Sizes()
    print_table(f"Density ({sizes.few:,} and {sizes.many:,} chargers)", measure(sizes))


if __name__ == "__main__":
    main()
