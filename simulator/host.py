"""A process full of chargers, under one line to the gateway.

The gateway says which chargers run here (`add`, `drop`); the host keeps a `Runner` for each,
answers what the link asks, and does the housekeeping: health file, digest, kept states, a graceful
end. With a bootstrap token instead of a host credential it runs exactly one charger and ends with
it (a container, an ECS task).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import random
import secrets
from collections import OrderedDict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO, Any

import psutil

from simulator import v16, v201
from simulator.alarm import Alarm, Clock
from simulator.charger import Charger
from simulator.config import ConfigInvalid, parse_config
from simulator.connection import Dialer
from simulator.effects import CommandEnded
from simulator.keep import StateFolder, take_lock
from simulator.link import Link, LinkEnd
from simulator.records import RecordBuffer
from simulator.runner import Order, Runner
from simulator.settings import Settings

log = logging.getLogger(__name__)

SOFTWARE = "simulator/0.1.0"
_BEHAVIOURS = {"OCPP1.6": v16.BEHAVIOUR, "OCPP2.0.1": v201.BEHAVIOUR}
#: How many commands are remembered, so that a repeated id is answered and not repeated
#: (docs/link.md).
_REMEMBERED_COMMANDS = 1000
#: Reasons of a drop after which the charger never comes back.
_LAST_REASONS = frozenset({"delete", "deleted"})
_HOUSEKEEPING_S = 1.0
_SAVES_PER_PASS = 200
#: The final facts of a charger that ended in good order.
_STOPPED: Mapping[str, Any] = {"stage": "stopped"}


class Host:
    """All that the chargers of this process share."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.loop = asyncio.get_running_loop()
        self.clock = Clock(self.loop)
        self.alarm = Alarm(self.loop, self.clock)
        self.dialer = Dialer(ca_file=settings.ca_file, in_container=settings.in_container)
        #: Paces the opening of connections.
        self.gate = asyncio.Semaphore(settings.openings)
        self.records = RecordBuffer(settings.buffer_bytes)
        self.link = Link(settings, self, self.records)
        #: Runners whose snapshot is to be stored.
        self.dirty: set[Runner] = set()
        self.runners: dict[str, Runner] = {}
        self._is_single = settings.token.startswith("b1.")
        self._epoch = secrets.token_hex(16)
        self._states = StateFolder(settings.state_dir)
        self._commands: OrderedDict[str, Mapping[str, Any] | None] = OrderedDict()
        self._unsent: list[Mapping[str, Any]] = []
        #: Chargers that run here and that the gateway has not added again on the present line.
        self._awaited: set[str] = set()
        self._stopping = asyncio.Event()

    # --- life -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Live until told to end: by `stop`, by the gateway's 410, or by the drop of the only
        charger.
        """
        # Before the lock is ours nothing may run, but being healthy is not running.
        housekeeping = asyncio.create_task(self._keep_house())
        stopping = asyncio.create_task(self._stopping.wait())
        living = asyncio.create_task(self._live())
        try:
            await asyncio.wait(
                [living, stopping, housekeeping], return_when=asyncio.FIRST_COMPLETED
            )
            if not living.done():
                await self._wind_up()
        finally:
            for task in (housekeeping, stopping, living):
                task.cancel()
            results = await asyncio.gather(living, housekeeping, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    @property
    def keeps_states(self) -> bool:
        """Whether a charger that ends here may go on later where it was."""
        return self.settings.state_dir is not None

    def stop(self) -> None:
        """Ask for a graceful end; `run` returns soon after."""
        self._stopping.set()

    async def _live(self) -> None:
        lock: IO[str] | None = None
        if not self._is_single and self.settings.state_dir is not None:
            lock = await take_lock(self.settings.state_dir, self.settings.token.split(".")[1])
        try:
            if await self.link.run() is LinkEnd.OVER:
                log.info("this incarnation is over")
                await self._close_sockets()
        finally:
            if lock is not None:
                lock.close()

    async def _wind_up(self) -> None:
        """End within `stop_s`: CSMS sockets first, then what the gateway should still hear."""
        await self._close_sockets()
        await self.link.drain(self.settings.stop_s / 4)
        try:
            async with asyncio.timeout(self.settings.stop_s / 4):
                await self.link.close()
        except TimeoutError:
            log.warning("the gateway did not answer our goodbye")

    async def _close_sockets(self) -> None:
        waiting = set(self.runners.values())
        gone = asyncio.Event()

        asked = {runner for runner in waiting if runner.is_ending}

        def note(runner: Runner) -> None:
            waiting.discard(runner)
            if runner in asked:
                self._tell_dropped(runner.charger_id, runner.incarnation, _STOPPED)
            if not waiting:
                gone.set()

        for runner in list(waiting):
            runner.end(note)
        try:
            async with asyncio.timeout(self.settings.stop_s / 2):
                if waiting:
                    await gone.wait()
        except TimeoutError:
            for runner in list(waiting):
                runner.abort()
        self._store(list(self.dirty))

    async def _keep_house(self) -> None:
        next_digest = self.clock.now() + self.settings.digest_s
        while True:
            if self.settings.health_file is not None:
                self.settings.health_file.touch()
            if self.dirty:
                # Small files, and few per second: a thread would only let old and new ones
                # overtake.
                self._store(list(self.dirty)[:_SAVES_PER_PASS])
            if self.clock.catch_up():
                self.alarm.rearm()
            if self.clock.now() >= next_digest:
                next_digest = self.clock.now() + self.settings.digest_s
                self.link.tell(self._digest())
            await asyncio.sleep(_HOUSEKEEPING_S)

    def _store(self, runners: Collection[Runner]) -> None:
        self._states.save({runner.charger_id: runner.charger.snapshot() for runner in runners})
        self.dirty.difference_update(runners)

    # --- the link's owner -----------------------------------------------------------------------

    def greet(self) -> Mapping[str, Any]:
        """The hello of docs/link.md."""
        process = psutil.Process()
        return {
            "t": "hello",
            "v": 1,
            "epoch": self._epoch,
            "capacity": 1 if self._is_single else self.settings.capacity,
            "software": SOFTWARE,
            "pid": os.getpid(),
            "pid_start": process.create_time(),
            "machine": _name_machine(),
            "running": self._list_running(),
        }

    def welcomed(self) -> None:
        """Tell what could not be told while the line was away."""
        unsent, self._unsent = self._unsent, []
        for message in unsent:
            self.link.tell(message)
        self._awaited = set(self.runners)
        if self._awaited:
            self.link.hold_records()

    def received(self, message: Mapping[str, Any]) -> None:
        """A message from the gateway; types that are not known are ignored (docs/link.md)."""
        kind = message.get("t")
        if kind == "add":
            self._add(message)
            self._expect_no_more(str(message["charger"]))
        elif kind == "drop":
            self._drop(message)
            self._expect_no_more(str(message["charger"]))
        elif kind == "command":
            self._command(message)
        elif kind == "resync":
            self.link.tell({"t": "running", "running": self._list_running()})

    def _expect_no_more(self, charger_id: str) -> None:
        if charger_id in self._awaited:
            self._awaited.remove(charger_id)
            if not self._awaited:
                self.link.release_records()

    def _list_running(self) -> list[list[str | int]]:
        return [[runner.charger_id, runner.incarnation] for runner in self.runners.values()]

    def _digest(self) -> Mapping[str, Any]:
        lines = sorted(f"{item.charger_id} {item.incarnation}\n" for item in self.runners.values())
        sha256 = hashlib.sha256("".join(lines).encode()).hexdigest()
        return {"t": "digest", "count": len(lines), "sha256": sha256}

    # --- the set of chargers --------------------------------------------------------------------

    def _add(self, message: Mapping[str, Any]) -> None:
        charger_id, incarnation = str(message["charger"]), int(message["incarnation"])
        known = self.runners.get(charger_id)
        if known is None:
            self._start(message)
        elif known.successor is not None and known.successor["incarnation"] > incarnation:
            return
        elif known.incarnation == incarnation and not known.is_ending:
            known.relink(int(message["session"]))
        elif known.incarnation < incarnation:
            # Its socket is closed before the new one opens.
            known.successor = message
            known.end(self._ended)

    def _start(self, message: Mapping[str, Any]) -> None:
        charger_id, incarnation = str(message["charger"]), int(message["incarnation"])
        order = Order(message.get("organization"), message.get("run"))
        try:
            config = parse_config(message.get("config") or {}, self.settings.clocks)
        except ConfigInvalid as invalid:
            ids = {"charger_id": charger_id, "incarnation": incarnation, **order._asdict()}
            log.warning("a charger cannot run", extra={**ids, "reason": str(invalid)})
            self._tell_dropped(charger_id, incarnation, {"error": str(invalid)})
            return
        charger = Charger(
            config,
            _BEHAVIOURS[config.ocpp_version],
            random.random,
            self.clock.now(),
            self._states.load(charger_id),
        )
        session = int(message["session"])
        runner = Runner(self, charger_id, incarnation, session, charger, order)
        self.runners[charger_id] = runner
        runner.start()

    def _drop(self, message: Mapping[str, Any]) -> None:
        charger_id, incarnation = str(message["charger"]), int(message["incarnation"])
        runner = self.runners.get(charger_id)
        if runner is not None and runner.succeeded_by(incarnation):
            runner.successor = None
            self._tell_dropped(charger_id, incarnation, {})
            return
        if runner is None or runner.incarnation != incarnation:
            if runner is None and message.get("reason") in _LAST_REASONS:
                self._states.forget(charger_id)
            self._tell_dropped(charger_id, incarnation, {})
            return
        if message.get("reason") in _LAST_REASONS:
            runner.forgets = True
        if not runner.is_ending:
            runner.end(self._ended)

    def _ended(self, runner: Runner) -> None:
        """A runner's socket is closed: it no longer runs here."""
        del self.runners[runner.charger_id]
        if runner.forgets:
            self.dirty.discard(runner)
            self._states.forget(runner.charger_id)
        elif runner in self.dirty:
            self._store([runner])
        self._tell_dropped(runner.charger_id, runner.incarnation, _STOPPED)
        if runner.successor is not None:
            self._start(runner.successor)
        elif self._is_single:
            self.stop()

    def _tell_dropped(self, charger_id: str, incarnation: int, final: Mapping[str, Any]) -> None:
        message = {
            "t": "dropped",
            "charger": charger_id,
            "incarnation": incarnation,
            "final": final,
        }
        if not self.link.tell(message):
            self._unsent.append(message)

    # --- commands -------------------------------------------------------------------------------

    def _command(self, message: Mapping[str, Any]) -> None:
        command_id = str(message["id"])
        if command_id in self._commands:
            known = self._commands[command_id]
            # Under way: its result follows by itself.
            if known is not None:
                self._tell_result(str(message["charger"]), known)
            return
        self._commands[command_id] = None
        while len(self._commands) > _REMEMBERED_COMMANDS:
            self._commands.popitem(last=False)
        runner = self.runners.get(str(message["charger"]))
        if runner is None or runner.incarnation != message["incarnation"] or runner.is_ending:
            self._keep_result(
                command_id,
                message,
                {"state": "rejected", "result": {}, "error": "The charger does not run here."},
            )
            return
        runner.obey(command_id, str(message["name"]), message.get("args") or {})

    def finish_command(self, runner: Runner, ended: CommandEnded) -> None:
        """A charger is done with a command."""
        outcome = {"state": ended.state, "result": dict(ended.result), "error": ended.error}
        self._keep_result(ended.id, runner.name(), outcome)

    def _keep_result(
        self, command_id: str, whose: Mapping[str, Any], outcome: Mapping[str, Any]
    ) -> None:
        names = {key: whose[key] for key in ("charger", "incarnation", "session")}
        result = {"t": "result", "id": command_id, **names, **outcome}
        self._commands[command_id] = result
        self._tell_result(str(whose["charger"]), result)

    def _tell_result(self, charger_id: str, result: Mapping[str, Any]) -> None:
        runner = self.runners.get(charger_id)
        # The fence is the present session, whichever the command came under.
        session = runner.session if runner is not None else result["session"]
        self.link.tell({**result, "session": session})


def _name_machine() -> str:
    """Where our process id means something, and until when (docs/link.md, `machine`)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"boot-{psutil.boot_time():.0f}"
