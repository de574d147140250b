"""The supervisor's shadow: when the supervisor is killed, it ends everything that belonged to the gateway.

The kernel already tells each direct child (PR_SET_PDEATHSIG); but those children have workers of their own, and
other systems have no such call. The guard is a child of `gateway up` in a session of its own that reads from a
pipe. The pipe ends when the supervisor does, however that came about. Then the guard asks all processes that hold
the folder's lock to end, waits, and kills what is left. A clean stop ends the guard by SIGTERM, last of all.

Run as `python -m app.embedded.guard <data folder> <descriptor>`; it needs next to no memory until then.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import psutil

_PATIENCE_S: Final = 5.0


def wait_for_the_end(descriptor: int) -> None:
    """Sleep until the other end of the pipe is closed."""
    while os.read(descriptor, 1):
        pass


def end_everything(data: Path, *, patience_s: float = _PATIENCE_S) -> int:
    """End all processes of the gateway on this folder; answers how many had to be killed."""
    import psutil

    from app.embedded.locking import end_processes, find_leftovers, wait_for_ends

    leftovers = find_leftovers(data)
    for process in leftovers:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(_choose_signal(process, data))
    wait_for_ends(leftovers, patience_s=patience_s)
    # Look again: a program may have started another one while it was ending.
    stubborn = find_leftovers(data)
    end_processes(stubborn)
    return len(stubborn)


def _choose_signal(process: psutil.Process, data: Path) -> signal.Signals:
    """SIGTERM would make the postmaster wait for its clients; SIGINT is its fast shutdown."""
    with suppress(OSError, IndexError):
        first = (data / "postgres" / "postmaster.pid").read_text().splitlines()[0]
        if first == str(process.pid):
            return signal.SIGINT
    return signal.SIGTERM


def main() -> None:
    """Wait for the supervisor's end, then clean up and leave a line in the gateway's log."""
    # Ctrl-C and a closed terminal are the supervisor's business.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    data, descriptor = Path(sys.argv[1]), int(sys.argv[2])
    wait_for_the_end(descriptor)
    killed = end_everything(data)
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with suppress(OSError), (data / "logs" / "gateway.log").open("a") as log:
        log.write(f"{moment} WARNING the supervisor was killed; the guard ended the rest")
        log.write(f", {killed} of them by force\n" if killed else "\n")


if __name__ == "__main__":
    main()
