"""The loop of `gateway up`: one thread that starts children, writes their output to logs, and restarts the dead.

It sleeps in `select` until a child writes, ends, or is due to be started again, so an idle gateway costs it no
processor time. One thread on purpose: a child's death signal is bound to the thread that forked it, and
`preexec_fn` is safe only while nobody else holds a lock. Programs come in stages; the next begins when all of the
last are ready, and they are stopped in the opposite order.
"""

from __future__ import annotations

import selectors
import signal
import socket
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final

from app.embedded.children import Child, ChildState
from app.embedded.errors import ProgramFailed
from app.embedded.logfiles import Echo, LogFile
from app.embedded.programs import Program

#: How often a program that starts is asked whether it is ready.
_POLL_S: Final = 0.02
_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_WAKE: Final = "wake"


class StopRequested(Exception):
    """Somebody asked the supervisor to stop while it was starting programs."""


class Supervisor:
    """Starts, watches and ends programs. Use as a context manager, from the main thread."""

    def __init__(
        self,
        logs: Path,
        *,
        keep: Sequence[int] = (),
        echo: Echo | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._logs = logs
        self._keep = tuple(keep)
        self._echo = echo
        self._changed = changed
        self._log = LogFile(logs, "gateway", echo)
        self._stages: list[list[Child]] = []
        self._selector = selectors.DefaultSelector()
        self._reader, self._writer = socket.socketpair()
        self._stops = 0
        #: Somebody asked, with SIGUSR1, that runtimes elsewhere end too.
        self.evacuates = False
        self._restore: list[tuple[signal.Signals, Any]] = []

    def __enter__(self) -> Supervisor:
        for sock in (self._reader, self._writer):
            sock.setblocking(False)
        self._selector.register(self._reader, selectors.EVENT_READ, _WAKE)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        handlers = dict.fromkeys(_STOP_SIGNALS, self._note_stop)
        for number, handler in {**handlers, signal.SIGUSR1: self._note_evacuation}.items():
            self._restore.append((number, signal.signal(number, handler)))
        self._restore.append((signal.SIGCHLD, signal.signal(signal.SIGCHLD, _ignore)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        signal.set_wakeup_fd(-1)
        for number, handler in self._restore:
            signal.signal(number, handler)
        self._selector.close()
        self._reader.close()
        self._writer.close()
        for child in self._list_children():
            child.log.close()
        self._log.close()

    def get_states(self) -> list[ChildState]:
        """Each child, in the order of starting."""
        return [child.get_state() for child in self._list_children()]

    def say(self, line: str) -> None:
        """Write a line of our own to the gateway's log."""
        self._log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {line}")

    def start(self, *programs: Program) -> None:
        """Start a stage and wait until all of it is ready.

        Raises `ProgramFailed` when one ends or takes too long, `StopRequested` when we are asked to stop.
        """
        if not programs:
            return
        stage = [self._adopt(program) for program in programs]
        self._stages.append(stage)
        for child in stage:
            self._begin(child)
        deadlines = {child: time.monotonic() + child.program.ready_s for child in stage}
        while waiting := [child for child in stage if not child.is_ready]:
            self._turn(_POLL_S)
            self._require_no_stop()
            for child in waiting:
                self._look(child, deadlines[child])

    def run_once(self, program: Program) -> None:
        """Run a program to its end. Raises `ProgramFailed` unless it ends with code 0."""
        child = self._adopt(program)
        self._begin(child)
        deadline = time.monotonic() + program.ready_s
        try:
            stops = self._stops
            while not child.has_ended():
                self._turn(_POLL_S)
                if self._stops > stops:
                    raise StopRequested
                if time.monotonic() > deadline:
                    raise ProgramFailed(f"{program.name} took longer than {program.ready_s:g} s.")
            how = self._put_away(child)
            if how != "code 0":
                raise _explain(child, how)
        finally:
            child.kill()
            child.log.close()

    def run(self) -> None:
        """Watch until SIGTERM, SIGINT, SIGHUP or SIGUSR1; restart what ends."""
        while not self._stops:
            planned = [c.start_at for c in self._list_children() if c.start_at is not None]
            pause = max(0.0, min(planned) - time.monotonic()) if planned else None
            self._turn(pause)
            for child in self._list_children():
                if child.has_ended():
                    self._plan_restart(child)
                elif child.start_at is not None and child.start_at <= time.monotonic():
                    self._restart(child)

    def stop(self, *, keep: Collection[str] = ()) -> None:
        """End every child, the last stage first. A second signal meanwhile kills them at once.

        Stops before the newest stage that has a program named in `keep`.
        """
        while self._stages and not any(c.program.name in keep for c in self._stages[-1]):
            stage = self._stages[-1]
            for child in stage:
                child.start_at = None
            for step in range(max(len(child.program.stop) for child in stage)):
                self._stop_stage(stage, step)
            for child in stage:
                child.kill()
            self._wait_for_ends(stage, patience_s=5.0)
            for child in stage:
                child.log.close()
            self._stages.pop()
            self._changed()

    def _list_children(self) -> list[Child]:
        return [child for stage in self._stages for child in stage]

    def _adopt(self, program: Program) -> Child:
        return Child(program, LogFile(self._logs, program.name, self._echo))

    def _begin(self, child: Child) -> None:
        child.start(self._keep)
        self._selector.register(child.output, selectors.EVENT_READ, child)
        self._changed()

    def _look(self, child: Child, deadline: float) -> None:
        """During a start: is it ready, has it ended, is it late?"""
        name = child.program.name
        if child.has_ended():
            how = self._put_away(child)
            mended = child.program.mend(child.log.get_last_lines())
            if mended is None:
                raise _explain(child, how)
            self.say(f"WARNING {name}: {mended}")
            self._begin(child)
        elif child.process and child.program.is_ready(child.process.pid):
            child.is_ready = True
            self.say(f"{name} is ready (process {child.process.pid})")
            self._changed()
        elif time.monotonic() > deadline:
            raise ProgramFailed(
                f"{name} was not ready after {child.program.ready_s:g} s; "
                f"its log is {child.log.path}"
            )

    def _plan_restart(self, child: Child) -> None:
        how = self._put_away(child)
        mended = child.program.mend(child.log.get_last_lines())
        pause = child.plan_restart()
        note = f" {mended}" if mended else ""
        self.say(f"WARNING {child.program.name} ended ({how}); again in {pause:g} s.{note}")
        self._changed()

    def _restart(self, child: Child) -> None:
        try:
            self._begin(child)
        except OSError as error:
            pause = child.plan_restart()
            self.say(f"ERROR {child.program.name} did not start ({error}); again in {pause:g} s.")
            return
        child.is_ready = True  # whether it really is, `gateway status` asks it
        self._changed()

    def _put_away(self, child: Child) -> str:
        if child.output in self._selector.get_map():
            self._selector.unregister(child.output)
        return child.put_away()

    def _stop_stage(self, stage: list[Child], step: int) -> None:
        """Send each its next signal, and wait as long as the most patient of them."""
        patience = 0.0
        for child in stage:
            if child.process is not None and step < len(child.program.stop):
                number, seconds = child.program.stop[step]
                child.send(number)
                patience = max(patience, seconds)
        self._wait_for_ends(stage, patience_s=patience)

    def _wait_for_ends(self, stage: list[Child], *, patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        impatient = self._stops + 1
        while any(child.process for child in stage) and time.monotonic() < deadline:
            for child in stage:
                if child.has_ended():
                    how = self._put_away(child)
                    self.say(f"{child.program.name} stopped ({how})")
                    self._changed()
            if self._stops > impatient:
                return
            if any(child.process for child in stage):
                self._turn(deadline - time.monotonic())

    def _turn(self, timeout: float | None) -> None:
        """Wait for something to happen, at most `timeout` seconds, and take in what children wrote."""
        for key, _ in self._selector.select(None if timeout is None else max(0.0, timeout)):
            if key.data == _WAKE:
                self._drain_wakes()
            elif not key.data.read():
                self._selector.unregister(key.fileobj)

    def _drain_wakes(self) -> None:
        try:
            while self._reader.recv(4096):
                pass
        except BlockingIOError:
            pass

    def _require_no_stop(self) -> None:
        if self._stops:
            raise StopRequested

    def _note_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stops += 1

    def _note_evacuation(self, number: int, frame: FrameType | None) -> None:
        self.evacuates = True
        self._note_stop(number, frame)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """SIGCHLD must have a handler: only then does it wake the loop."""


def _explain(child: Child, how: str) -> ProgramFailed:
    lines = [line for line in child.log.get_last_lines() if line.strip()]
    why = f": {lines[-1].strip()}" if lines else ""
    return ProgramFailed(
        f"{child.program.name} ended while starting ({how}){why}\nIts log is {child.log.path}"
    )
