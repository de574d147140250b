"""Child processes that are measured: start them, read their CPU and memory, end them.

Memory is counted twice: resident (what `ps` says, pages that processes share counted for each) and
proportional (PSS: a shared page counted once, in parts). Sums are honest only as PSS.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import psutil

MIB: Final = 2**20
ROOT: Final = Path(__file__).parents[1]
_PATIENCE_S: Final = 120.0
#: A secret for servers that live as long as a measurement.
SECRET: Final = "a-secret-of-the-bench-that-is-long-enough-for-all"


@contextlib.contextmanager
def run_program(*argv: str, **environment: str) -> Iterator[psutil.Process]:
    """A Python child that ends with the block; it says nothing."""
    child = subprocess.Popen(
        [sys.executable, *argv],
        env=os.environ | environment,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(20)


def take_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(fact: Callable[[], object], what: str, *, pause_s: float = 0.05) -> float:
    """Seconds until `fact` held. Ends the bench when it never does."""
    began = time.monotonic()
    while not fact():
        if time.monotonic() - began > _PATIENCE_S:
            raise SystemExit(f"never happened: {what}")
        time.sleep(pause_s)
    return time.monotonic() - began


def answers(port: int) -> bool:
    """Whether somebody takes connections there."""
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False


def list_family(*roots: psutil.Process) -> list[psutil.Process]:
    """These processes and everything below them."""
    family = []
    for root in roots:
        with contextlib.suppress(psutil.Error):
            family += [root, *root.children(recursive=True)]
    return family


def read_cpu(*roots: psutil.Process) -> float:
    """Seconds of CPU that they and their living children have used."""
    used = 0.0
    for process in list_family(*roots):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            used += times.user + times.system
    return used


def read_resident(processes: Iterable[psutil.Process]) -> float:
    """Resident memory in MiB."""
    return sum(_read(process, "VmRSS") for process in processes) / 1024


def read_peak(processes: Iterable[psutil.Process]) -> float:
    """The most that each has ever had resident, summed, in MiB (Linux)."""
    return sum(_read(process, "VmHWM") for process in processes) / 1024


def _read(process: psutil.Process, name: str) -> int:
    """A field of /proc/<pid>/status in KiB; 0 for one that is gone."""
    with contextlib.suppress(OSError):
        found = re.search(rf"{name}:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
        return int(found[1]) if found else 0
    return 0


def read_proportional(processes: Iterable[psutil.Process]) -> float:
    """Proportional memory in MiB."""
    pss = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            pss += process.memory_full_info().pss
    return pss / MIB
