"""What the embedded stack costs by being there: time of `gateway up`, memory, CPU while nobody asks anything.

`python -m bench.stack [--quick]`. Beside it stands the floor of `bench.bare_stack`: the same servers and libraries
without a gateway in them. Up means: the token is written, so orders are taken. Memory is read after the idle
window: resident as `ps` says it, and proportional (shared pages counted once), which is the honest sum.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import psutil

from bench.bare_stack import open_bare_stack
from bench.figures import Figure, print_table
from bench.programs import list_family, read_cpu, read_proportional, read_resident
from tests.gateways import Gateway, make_data_folder
from tests.servers import make_folder

_PARTS: Final = ("postgres", "valkey", "api", "link", "worker", "host", "beat", "flower")
#: After this nothing that belongs to starting goes on.
_SETTLE_S: Final = 8.0


@dataclass(slots=True)
class Idle:
    """What a stack used while nobody asked anything."""

    up_s: dict[str, float]
    resident: dict[str, float]
    proportional: dict[str, float]
    #: Share of one core.
    cpu: dict[str, float]


def watch(processes: Mapping[str, psutil.Process], seconds: float) -> Idle:
    """Let it settle, watch it idle, then read its memory."""
    time.sleep(_SETTLE_S)
    before = {name: read_cpu(process) for name, process in processes.items()}
    time.sleep(seconds)
    idle = Idle({}, {}, {}, {})
    for name, process in processes.items():
        idle.cpu[name] = (read_cpu(process) - before[name]) / seconds
        family = list_family(process)
        idle.resident[name] = read_resident(family)
        idle.proportional[name] = read_proportional(family)
    return idle


def watch_gateway(seconds: float) -> Idle:
    """`gateway up` with everything, twice on one folder."""
    times = {}
    with make_data_folder() as data:
        for when in ("cold", "again"):
            with Gateway(data, without=()) as gateway:
                began = time.monotonic()
                gateway.comes_up()
                times[when] = time.monotonic() - began
                if when == "again":
                    names = [child["name"] for child in gateway.read_state()["children"]]
                    processes = {name: gateway.get_child(name) for name in names}
                    assert gateway.process is not None
                    processes["supervisor"] = Supervisor(gateway.process.pid)
                    idle = watch(processes, seconds)
    idle.up_s = times
    return idle


class Supervisor(psutil.Process):
    """`gateway up` itself, without its children: they are counted by name."""

    def children(self, recursive: bool = False) -> list[psutil.Process]:  # as psutil has it
        """None."""
        return []


def watch_floor(seconds: float) -> Idle:
    """The bare stack, twice on one folder."""
    times = {}
    with make_folder() as data, contextlib.ExitStack() as stack:
        for when in ("cold", "again"):
            broker = stack.enter_context(make_folder())
            with open_bare_stack(data, broker) as (processes, up_s):
                times[when] = up_s
                if when == "again":
                    idle = watch(processes, seconds)
    idle.up_s = times
    return idle


def describe(ours: Idle, floor: Idle) -> list[Figure]:
    """Sums first, then each process."""
    bare = "the same servers and libraries, no gateway"
    figures = [
        Figure(f"up, {when}", ours.up_s[when], "s", floor.up_s[when], bare) for when in ours.up_s
    ]
    figures += [
        Figure(
            "memory, proportional, sum",
            _sum(ours.proportional),
            "MiB",
            _sum(floor.proportional),
            bare,
        ),
        Figure("memory, resident, sum", _sum(ours.resident), "MiB", _sum(floor.resident), bare),
        Figure("idle CPU, sum", 100 * _sum(ours.cpu), "% of a core", 100 * _sum(floor.cpu), bare),
    ]
    for name in [*_PARTS, *(name for name in ours.cpu if name not in _PARTS)]:
        peer = floor.proportional.get(name)
        figures.append(Figure(f"memory, {name}", ours.proportional[name], "MiB", peer))
    for name in ours.cpu:
        if ours.cpu[name] > 0.001:
            used = floor.cpu.get(name)
            figures.append(
                Figure(
                    f"idle CPU, {name}", 100 * ours.cpu[name], "% of a core", used and 100 * used
                )
            )
    return figures


def _sum(values: Mapping[str, float]) -> float:
    return sum(values.values())


def measure(*, seconds: float) -> list[Figure]:
    """The whole suite."""
    floor = watch_floor(seconds)
    return describe(watch_gateway(seconds), floor)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="watch for 5 seconds")
    print_table("Stack", measure(seconds=5 if parser.parse_args().quick else 20))


if __name__ == "__main__":
    main()
