"""The charger itself, without I/O: inputs with a time in, a list of effects out.

Whoever runs it (`runner.py`, or a test) calls the inputs (`start`, `connected`,
`connection_failed`, `disconnected`, `receive`, `ponged`, `command`, `tick`, `end`), carries out the
effects that each returns (`effects.py`) in order, and calls `tick` at the latest when `next_wake`
says. Times are Unix seconds; nothing here looks at a clock.

What the core knows: the connection with its pauses, one call in the air, the boot, heartbeats,
pings, and what is owed to a frame that makes no sense. All else (what an action means,
transactions, commands) is a handler registered in a `Behaviour`: read `behaviour.py` for how to add
one. Handlers use the second half of this class: `call`, `set_timer`, `reboot`, `happen`, `save`,
`end_command` and the public attributes.

The specification's rules followed here: OCPP 1.6 edition 2, 4.2 (boot), 4.6 (heartbeat); OCPP 1.6
JSON 5.3 (no new BootNotification after a mere reconnect); OCPP 2.0.1 Part 2, B01 to B03, and Part
4.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any

from simulator import dialogue, lifeline, registration
from simulator.behaviour import Behaviour, Command, Moment, Sent, attempt
from simulator.config import Config
from simulator.effects import (
    Abandon,
    Close,
    CommandEnded,
    Effect,
    Happened,
    Open,
    OutletsChanged,
    Save,
    Stated,
)
from simulator.outbox import Outbox
from simulator.outlet import Outlet
from simulator.problems import Problem, describe_close
from simulator.wire import WireFaults

#: How long the last words of a charger may take, in seconds; less than a host gives to sockets.
PARTING_S = 1.5


class Socket(enum.Enum):
    """What the connection to the CSMS is doing."""

    #: There is none, and none is being opened.
    DOWN = enum.auto()
    #: It is being opened.
    OPENING = enum.auto()
    #: Frames may be sent.
    UP = enum.auto()
    #: We asked for its end.
    CLOSING = enum.auto()


class Charger:
    """One charger. See the module's docstring for how it is driven."""

    __slots__ = (
        "_ended", "_opened_at", "_out", "_rebooting", "attempts", "been_online", "behaviour",
        "boot_reason", "boot_status", "config", "detail", "draw", "facets", "failures", "heard_at",
        "interval_s", "outbox", "outlets", "pinged", "socket", "stage", "timers", "verdict",
        "wire_faults",
    )  # fmt: skip

    def __init__(
        self,
        config: Config,
        behaviour: Behaviour,
        draw: Callable[[], float],
        now: float,
        saved: Mapping[str, Any] | None = None,
    ) -> None:
        self.config = config
        self.behaviour = behaviour
        #: Random numbers from 0 to 1 (jitter); given, so that a test knows them.
        self.draw = draw
        self.stage = "starting"
        self.verdict = "starting"
        self.detail: Mapping[str, Any] = {}
        self.socket = Socket.DOWN
        #: What the CSMS said to the last BootNotification; None before its answer and after a
        #: reboot.
        self.boot_status: str | None = None
        #: Why we boot, in the words of 2.0.1's BootReasonEnumType.
        self.boot_reason = "PowerUp"
        #: Seconds between heartbeats.
        self.interval_s = config.clocks.heartbeat_interval_s
        #: Connection attempts since it last was online.
        self.attempts = 0
        self.outlets = tuple(Outlet(spec) for spec in config.connectors)
        #: One object per behaviour that has a state, by its name.
        self.facets: dict[str, Any] = {}
        self.timers: dict[str, float] = {}
        self.wire_faults: WireFaults | None = None  # asked by whoever owns the socket
        self.outbox = Outbox()
        #: Whether it was ever online in this process.
        self.been_online = False
        self._out: list[Effect] = []
        self._begin_unconnected()
        self.reach(Moment.BORN, now)
        if saved:
            self._load(saved)

    def _begin_unconnected(self) -> None:
        #: Connections that failed or broke soon, in a row.
        self.failures = 0
        self._opened_at = 0.0
        #: When the CSMS last gave a sign of life, and whether it was asked for one since.
        self.heard_at = 0.0
        self.pinged = False
        self._rebooting = False
        self._ended = False

    # --- inputs -------------------------------------------------------------------------------

    def start(self, now: float) -> list[Effect]:
        """Begin to live: connect."""
        self.open()
        return self._finish(now)

    def connected(self, now: float) -> list[Effect]:
        """The connection that `Open` asked for is there, with the right subprotocol."""
        self.socket = Socket.UP
        self._opened_at = self.heard_at = now
        self.pinged = False
        self.set_timer("ping", now + self.config.clocks.ping_interval_s)
        registration.begin(self, now)
        return self._finish(now)

    def connection_failed(self, now: float, problem: Problem) -> list[Effect]:
        """The connection that `Open` asked for did not come about."""
        self.socket = Socket.DOWN
        self.failures += 1
        self.state_problem(problem)
        lifeline.pause(self, now)
        return self._finish(now)

    def disconnected(
        self, now: float, code: int, reason: str, problem: Problem | None = None
    ) -> list[Effect]:
        """The connection is gone, whoever ended it. `problem` says more than the code, where known."""
        was_online = self.socket is Socket.UP and self.is_online
        self.socket = Socket.DOWN
        self.cancel_timer("ping")
        self.cancel_timer("heartbeat")
        dialogue.lose(self, now)
        if self._ended:
            self.timers.clear()
            return self._finish(now)
        if was_online:
            self.reach(Moment.OFFLINE, now)
        if self._rebooting:
            self._rebooting = False
            self.set_timer("reconnect", now + self.config.clocks.reboot_s)
            return self._finish(now)
        if now - self._opened_at >= self.config.clocks.stable_after_s:
            self.failures = 0
        self.failures += 1
        self.state_problem(problem or describe_close(code, reason))
        lifeline.pause(self, now)
        return self._finish(now)

    def receive(self, text: str, now: float) -> list[Effect]:
        """A frame came from the CSMS."""
        self.heard_at = now
        self.pinged = False
        dialogue.hear(self, text, now)
        return self._finish(now)

    def ponged(self, now: float) -> list[Effect]:
        """The CSMS answered a ping."""
        self.heard_at = now
        self.pinged = False
        return self._finish(now)

    def command(
        self, command_id: str, name: str, args: Mapping[str, Any], now: float
    ) -> list[Effect]:
        """The gateway wants something. Exactly one `CommandEnded` follows, now or later."""
        dialogue.obey(self, Command(command_id, name, args), now)
        return self._finish(now)

    def tick(self, now: float) -> list[Effect]:
        """Time has passed: everything that is due happens, oldest first."""
        while self.timers:
            name = min(self.timers, key=self.timers.__getitem__)
            if self.timers[name] > now:
                break
            del self.timers[name]
            self._fire(name, now)
        return self._finish(now)

    def end(self, now: float, resumes: bool = True) -> list[Effect]:
        """Stop for good: close the connection and let every clock run out.

        One that never resumes from what was kept ends its transactions first, and the CSMS has
        `PARTING_S` to take what is left to say. Whatever it asks meanwhile is answered.
        """
        self._ended = True
        speaks = not resumes and self.is_up and self.is_online
        if speaks:
            self.reach(Moment.ENDING, now)
        self.timers.clear()
        if speaks and self.outbox.waiting():
            self.set_timer("parting", now + PARTING_S)
        else:
            self._part()
        return self._finish(now)

    def next_wake(self) -> float | None:
        """When `tick` is due next; None: when there is nothing to wait for."""
        return min(self.timers.values()) if self.timers else None

    # --- for handlers -------------------------------------------------------------------------

    @property
    def is_up(self) -> bool:
        """There is an open connection to the CSMS."""
        return self.socket is Socket.UP

    @property
    def is_online(self) -> bool:
        """The CSMS has accepted us since the last boot; with the socket up, calls may go out."""
        return self.boot_status == "Accepted"

    def call(
        self,
        action: str,
        payload: dict[str, Any],
        *,
        context: Any = None,
        durable: bool = False,
        triggered: bool = False,
    ) -> bool:
        """Send a call when its turn comes; what became of it goes to the action's answer handler.

        A durable call is kept until it is answered. Another is refused (False) unless it can be
        sent on the present connection; `triggered` ones may be while the boot is Pending.
        """
        sent = Sent(action, payload, context, durable, triggered)
        if durable:
            self.save()
        elif not self.is_up or not (self.is_online or triggered):
            return False
        self.outbox.add(sent)
        return True

    def retry(self, sent: Sent, at: float) -> None:
        """Send a durable call that failed again, before all others, not before `at`."""
        self.outbox.add(sent, first=True)
        self.outbox.held_until = at
        self.set_timer("release", at)

    def boot_now(self, reason: str) -> None:
        """Send a BootNotification, out of turn and without a reboot (TriggerMessage)."""
        self.boot_reason = reason
        registration.send_boot(self)

    def reboot(self, now: float, reason: str) -> None:
        """Go down and come up again with a new BootNotification; `reason` is 2.0.1's
        BootReasonEnumType.
        """
        self.reach(Moment.REBOOTING, now)
        self.boot_status = None
        self.boot_reason = reason
        self.cancel_timer("boot")
        self.state("starting", "starting", {"message": "The charger restarts."})
        if self.socket is Socket.UP:
            self._rebooting = True
            self.socket = Socket.CLOSING
            self._out.append(Close(1001, "The charger restarts"))
        elif self.socket is Socket.DOWN:
            self.set_timer("reconnect", now + self.config.clocks.reboot_s)

    def set_timer(self, name: str, at: float) -> None:
        """Fire the timer handler `name` (or `name:argument`) at this time; again: moves it."""
        self.timers[name] = at

    def cancel_timer(self, name: str) -> None:
        """Let the timer not fire; no matter whether it runs."""
        self.timers.pop(name, None)

    def happen(self, kind: str, data: Mapping[str, Any]) -> None:
        """Write an entry in the charger's own events."""
        self._out.append(Happened(kind, data))

    def emit(self, effect: Effect) -> None:
        """Ask for something that no other method asks for."""
        self._out.append(effect)

    def change_outlets(self) -> None:
        """Say that an outlet changed, so that the gateway is shown."""
        self._out.append(OutletsChanged())

    def save(self) -> None:
        """Say that what `snapshot` returns has changed and must be kept."""
        self._out.append(Save())

    def end_command(
        self, command_id: str, result: Mapping[str, Any], error: str | None = None
    ) -> None:
        """Answer a command: applied, or rejected when there is an error sentence."""
        self._out.append(
            CommandEnded(command_id, "rejected" if error else "applied", result, error)
        )

    def describe_outlets(self) -> list[dict[str, Any]]:
        """The connectors as the link's `connectors` shows them."""
        return [outlet.describe() for outlet in self.outlets]

    def snapshot(self) -> dict[str, Any]:
        """What must outlive the process, as JSON: durable calls, and what the behaviours keep."""
        kept = {name: dump(self) for name, (dump, _) in self.behaviour.keeps.items()}
        return {"v": 1, "calls": self.outbox.dump(), "kept": kept}

    # --- the core's own ---------------------------------------------------------------------

    def _load(self, saved: Mapping[str, Any]) -> None:
        self.outbox.load(saved.get("calls", ()))
        for name, value in saved.get("kept", {}).items():
            if name in self.behaviour.keeps:
                self.behaviour.keeps[name][1](self, value)

    def _finish(self, now: float) -> list[Effect]:
        dialogue.send_next(self, now)
        if "parting" in self.timers and self.outbox.is_done:
            self._part()
        out, self._out = self._out, []
        return out

    def _part(self) -> None:
        """Close the connection for good."""
        self.timers.clear()
        if self.socket in (Socket.UP, Socket.OPENING):
            self.socket = Socket.CLOSING
            self._out.append(Close(1000, "The charger was stopped"))

    def reach(self, moment: Moment, now: float) -> None:
        """Let the behaviours act at a point of the charger's life."""
        for handler in self.behaviour.moments.get(moment, ()):
            attempt(self, moment, handler, now)

    def state(self, stage: str, verdict: str, detail: Mapping[str, Any]) -> None:
        """Say where the charger is now (docs/link.md, `state`)."""
        self.stage, self.verdict, self.detail = stage, verdict, detail
        self._out.append(Stated(stage, verdict, detail))

    def state_problem(self, problem: Problem, stage: str | None = None) -> None:
        """Say what is wrong; without a stage, that of a charger without a connection."""
        if stage is None:
            stage = "offline" if self.been_online else "connecting"
        detail = problem.describe()
        detail["attempts"] = self.attempts
        self.state(stage, problem.verdict, detail)

    def open(self) -> None:
        """Connect now."""
        self.socket = Socket.OPENING
        self.attempts += 1
        if not self.been_online and self.stage != "connecting":
            self.state("connecting", "starting", {"attempts": self.attempts})
        self._out.append(Open())

    def abandon(self, reason: str) -> None:
        """Give the connection up without a word; `disconnected` follows."""
        self.socket = Socket.CLOSING
        self._out.append(Abandon(reason))

    def _fire(self, name: str, now: float) -> None:
        kind, _, argument = name.partition(":")
        if kind == "reconnect":
            lifeline.reconnect(self, now)
        elif kind == "boot":
            registration.boot_due(self)
        elif kind == "heartbeat":
            registration.beat(self, now)
        elif kind == "call":
            dialogue.expire(self, now)
        elif kind == "parting":
            self._part()
        elif kind == "ping":
            lifeline.check_pulse(self, now)
        elif kind != "release":  # which only wakes the outbox
            handler = self.behaviour.timers.get(kind)
            if handler is None:
                self.happen("timer_unknown", {"timer": name})
            else:
                attempt(self, name, handler, argument, now)
