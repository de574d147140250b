"""Whether a process on this machine has ended, told by what was noted about it while it ran.

A pid alone means nothing: it is used again, means another process in another pid namespace, and nothing after a
reboot. So a process is known by three facts: the machine (boot id and pid namespace, docs/link.md), its pid, and
its start time as psutil reads it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import psutil

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE: Final = Path("/proc/self/ns/pid")
#: Two readings of one start time differ by rounding only; a pid is not used again within this.
_SAME_START_S: Final = 1.0


@lru_cache(maxsize=1)
def describe_machine() -> str:
    """Where pids mean something as this process sees them: `<boot id>/<pid namespace>` on Linux."""
    try:
        return f"{_BOOT_ID.read_text().strip()}/{_PID_NAMESPACE.readlink()}"
    except OSError:
        return f"boot-{psutil.boot_time():.0f}"


def has_ended(machine: str | None, pid: int | None, started: float | None) -> bool:
    """Whether that process certainly ended. False when it runs, and when it cannot be seen from here."""
    if not machine or pid is None or started is None or machine != describe_machine():
        return False
    try:
        process = psutil.Process(pid)
        another = abs(process.create_time() - started) > _SAME_START_S
        return another or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
