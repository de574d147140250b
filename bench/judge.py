"""A strict CSMS in a process of its own, with books that are cheap to read while thousands of chargers boot.

    with open_judge(interval_s=10) as judge:
        judge.ws_url, judge.read(), judge.process

It is `simulator.csms.Csms`, which holds every frame against the schemas and the rules of order. What `read` gives
is counted as frames come, so asking costs nothing. Ours and the floors are judged by the same program.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psutil

from bench.programs import ROOT
from simulator.csms import Csms
from simulator.judge import find_overlaps


@dataclass(frozen=True, slots=True)
class Books:
    """What the CSMS has seen."""

    #: Messages from chargers by action; answers are under "".
    heard: dict[str, int]
    #: BootNotifications that were answered Accepted.
    accepted: int
    #: When the newest of these was answered, Unix seconds.
    accepted_at: float
    #: Sentences about what broke a rule, the first few of them.
    offences: list[str]
    #: Pairs of sockets of one identity that were open at once.
    overlaps: int


@dataclass
class Judge:
    """The other end of the pipe."""

    ws_url: str
    child: subprocess.Popen[str]

    @property
    def process(self) -> psutil.Process:
        """Its process."""
        return psutil.Process(self.child.pid)

    def read(self) -> Books:
        """Ask for the books."""
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        return Books(**json.loads(self.child.stdout.readline()))


@contextlib.contextmanager
def open_judge(interval_s: int) -> Iterator[Judge]:
    """A CSMS that asks for a heartbeat at this interval, for as long as the block lasts."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.judge", str(interval_s)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        try:
            yield Judge(child.stdout.readline().strip(), child)
        finally:
            child.terminate()


@dataclass
class Tally:
    """Counts frames as they pass."""

    heard: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    accepted_at: float = 0.0

    def note(self, _identity: str, direction: str, text: str) -> None:
        """One frame. Only the CSMS answers with a status and an interval: that is a boot's answer."""
        if direction == "u":
            self.heard[text.split('"', 4)[3] if text.startswith("[2") else ""] += 1
        elif '"Accepted"' in text and '"interval"' in text:
            self.accepted += 1
            self.accepted_at = time.time()


def write_books(csms: Csms, tally: Tally) -> dict[str, Any]:
    """The books as JSON."""
    return {
        "heard": dict(tally.heard),
        "accepted": tally.accepted,
        "accepted_at": tally.accepted_at,
        "offences": [f"{one.identity}: {one.sentence}" for one in csms.offences[:5]],
        "overlaps": len(find_overlaps(csms.sockets)),
    }


async def serve(interval_s: int) -> None:
    """Judge until the pipe is closed."""
    tally = Tally()
    csms = Csms(interval_s=interval_s, on_frame=tally.note, max_frames=1000)
    await csms.start()
    print(csms.url, flush=True)
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        print(json.dumps(write_books(csms, tally)), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
