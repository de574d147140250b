"""One child of the supervisor: its process, its log, and when it may be started again."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Final

from app.embedded.logfiles import LogFile
from app.embedded.processes import kill_group, spawn
from app.embedded.programs import Program

_PAUSE_MIN_S: Final = 0.5
_PAUSE_MAX_S: Final = 30.0
#: A program that ran this long had no trouble with its start: the next pause is the shortest again.
_HEALTHY_S: Final = 60.0
_READ_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class ChildState:
    """What others may know of a child."""

    name: str
    #: `starting`, `running`, `waiting` (to be started again) or `stopped`.
    state: str
    pid: int | None
    #: Unix seconds of its last start; None before the first.
    since: float | None
    restarts: int


class Child:
    """A program, and the process that carries it out at the moment."""

    def __init__(self, program: Program, log: LogFile) -> None:
        self.program = program
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self.is_ready = False
        self.restarts = 0
        #: When it is to be started again (monotonic seconds); None: not planned.
        self.start_at: float | None = None
        self._pause_s = _PAUSE_MIN_S
        self._started = 0.0
        self._since: float | None = None

    @property
    def output(self) -> IO[bytes]:
        """The pipe that its output comes through."""
        assert self.process is not None  # noqa: S101  # for mypy
        assert self.process.stdout is not None  # noqa: S101  # for mypy
        return self.process.stdout

    def get_state(self) -> ChildState:
        """A picture of this moment."""
        state = "running" if self.is_ready else "starting"
        if self.process is None:
            state = "stopped" if self.start_at is None else "waiting"
        pid = self.process.pid if self.process else None
        return ChildState(self.program.name, state, pid, self._since, self.restarts)

    def start(self, keep: Sequence[int]) -> None:
        """Start it now; it inherits the descriptors in `keep`."""
        self.start_at = None
        self.is_ready = False
        self.log.forget()
        self.program.prepare()
        self._started, self._since = time.monotonic(), time.time()
        self.process = spawn(
            self.program.argv,
            environment=self.program.environment,
            account=self.program.account,
            death_signal=self.program.death_signal,
            keep=(*keep, *self.program.keep),
        )
        os.set_blocking(self.output.fileno(), False)

    def read(self) -> bool:
        """Take what it wrote; False once its output has ended."""
        try:
            data = os.read(self.output.fileno(), _READ_BYTES)
        except BlockingIOError:
            return True
        self.log.feed(data)
        return bool(data)

    def has_ended(self) -> bool:
        """Whether its process is over and not yet put away."""
        return self.process is not None and self.process.poll() is not None

    def put_away(self) -> str:
        """After its end: end its workers too, keep its last words; answers how it ended."""
        assert self.process is not None  # noqa: S101  # for mypy
        kill_group(self.process.pid)
        while self.read():
            if not _has_more(self.output.fileno()):
                break
        self.log.flush()
        self.output.close()
        code = self.process.returncode
        self.process = None
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"

    def plan_restart(self) -> float:
        """Set when it starts again; answers the pause in seconds."""
        now = time.monotonic()
        if now - self._started > _HEALTHY_S:
            self._pause_s = _PAUSE_MIN_S
        pause = self._pause_s
        self.start_at = now + pause
        self._pause_s = min(pause * 2, _PAUSE_MAX_S)
        self.restarts += 1
        return pause

    def send(self, number: signal.Signals) -> None:
        """Signal its process, not its workers: it tells them itself."""
        if self.process is not None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """End it and its workers at once."""
        if self.process is not None:
            kill_group(self.process.pid)


def _has_more(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])
