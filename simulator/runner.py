"""One charger at work: carries out the effects of its sans-I/O core and feeds it what happens.

A runner has no task of its own. The core's clocks ring through the host's one `Alarm`, frames
arrive through the connection's callbacks, and only opening a connection is a short-lived task
(paced by the host).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from simulator.address import CsmsUnusable
from simulator.charger import Charger
from simulator.connection import CsmsConnection
from simulator.effects import (
    Abandon,
    Close,
    CommandEnded,
    Effect,
    Happened,
    Heard,
    Open,
    OutletsChanged,
    Ping,
    Save,
    Send,
    Stated,
)
from simulator.logs import speaking
from simulator.problems import Problem

if TYPE_CHECKING:
    from simulator.host import Host

log = logging.getLogger(__name__)

#: Connector states are sent at most this often per charger, in seconds (docs/link.md).
_OUTLETS_PAUSE_S = 1.0


class Order(NamedTuple):
    """Where an incarnation comes from, as the gateway's logs name it (docs/link.md, `add`)."""

    organization_id: str | None
    run_id: str | None


class Runner:
    """One (charger, incarnation) in this process."""

    __slots__ = (
        "_connection", "_ending", "_host", "_number", "_opening", "_outlets_at", "_outlets_due",
        "_problem", "charger", "charger_id", "forgets", "incarnation", "order", "session",
        "successor", "wake_at",
    )  # fmt: skip

    def __init__(
        self,
        host: Host,
        charger_id: str,
        incarnation: int,
        session: int,
        charger: Charger,
        order: Order,
    ) -> None:
        self.charger_id = charger_id
        self.incarnation = incarnation
        #: The fence of docs/link.md; changes with every `add`.
        self.session = session
        self.charger = charger
        #: Who wanted it to run, for the logs.
        self.order = order
        #: Kept by the alarm.
        self.wake_at: float | None = None
        #: Whether what is kept of the charger is to be removed when it has ended.
        self.forgets = False
        #: The `add` of a newer incarnation, which begins when this one has ended.
        self.successor: Mapping[str, Any] | None = None
        self._host = host
        self._connection: CsmsConnection | None = None
        self._opening: asyncio.Task[None] | None = None
        self._ending: Callable[[Runner], None] | None = None
        self._problem: Problem | None = None
        self._number = 0
        self._outlets_at = 0.0
        self._outlets_due: float | None = None

    # --- what the host asks ---------------------------------------------------------------------

    def start(self) -> None:
        """Let the charger live."""
        log.info("a charger begins", extra=self.name_for_logs())
        self._feed(self.charger.start, self._now())
        self._tell_outlets(self._now())

    def relink(self, session: int) -> None:
        """The gateway admitted us again: from now on this session counts. Tell it where we are."""
        self.session = session
        charger = self.charger
        self._tell_state(Stated(charger.stage, charger.verdict, charger.detail))
        self._tell_outlets(self._now())

    def obey(self, command_id: str, name: str, args: Mapping[str, Any]) -> None:
        """Hand the charger a command; the result goes to the host."""
        self._feed(self.charger.command, command_id, name, args, self._now())

    @property
    def is_ending(self) -> bool:
        """`end` was called and the socket is not closed yet."""
        return self._ending is not None

    def succeeded_by(self, incarnation: int) -> bool:
        """This incarnation is the one that begins when the present one has ended."""
        return self.successor is not None and int(self.successor["incarnation"]) == incarnation

    def end(self, ended: Callable[[Runner], None]) -> None:
        """Stop for good; `ended` is called when the CSMS socket is closed. A later call replaces
        it.
        """
        is_first = self._ending is None
        self._ending = ended
        if not is_first:
            return
        resumes = self._host.keeps_states and not self.forgets
        self._feed(self.charger.end, self._now(), resumes)
        if self._connection is None and self._opening is None:
            self._finish()

    def abort(self) -> None:
        """Close the socket by force, without waiting for the CSMS."""
        if self._opening is not None:
            self._opening.cancel()
        if self._connection is not None:
            self._connection.abort()

    # --- what happens ---------------------------------------------------------------------------

    def wake(self, now: float) -> None:
        """A clock of the charger, or the pause between two `connectors`, ran out."""
        if self._outlets_due is not None and self._outlets_due <= now:
            self._tell_outlets(now)
        self._feed(self.charger.tick, now)

    def heard(self, text: str) -> None:
        """A frame from the CSMS."""
        if self.charger.wire_faults is None:
            self._feed(self.charger.receive, text, self._now())
        else:
            self._carry(text, ours=False)

    def ponged(self) -> None:
        """The CSMS answered a ping."""
        self._feed(self.charger.ponged, self._now())

    def lost(self, code: int, reason: str) -> None:
        """The connection to the CSMS is over."""
        self._connection = None
        problem, self._problem = self._problem, None
        self._feed(self.charger.disconnected, self._now(), code, reason, problem)
        if self._ending is not None:
            self._finish()

    # --- effects --------------------------------------------------------------------------------

    def _now(self) -> float:
        return self._host.clock.now()

    def _feed(self, take: Callable[..., list[Effect]], *arguments: Any) -> None:
        """Give the charger an input. One that fails loses its connection, the others nothing.

        What is logged until its effects are carried out, and by the tasks begun meanwhile, is its.
        """
        token = speaking.set(self)
        try:
            self._perform(self._let(take, *arguments))
        finally:
            speaking.reset(token)

    def _let(self, take: Callable[..., list[Effect]], *arguments: Any) -> list[Effect]:
        try:
            return take(*arguments)
        except Exception:
            log.exception("a charger failed")
            if self._connection is not None:
                self._connection.abort()
            return [Happened("charger_failed", {"input": take.__name__})]

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            _PERFORM[type(effect)](self, effect)
        wake_at = self.charger.next_wake()
        if self._outlets_due is not None and (wake_at is None or self._outlets_due < wake_at):
            wake_at = self._outlets_due
        self._host.alarm.set(self, wake_at)

    def _open(self, effect: Open) -> None:
        del effect
        self._opening = self._host.loop.create_task(self._dial())

    async def _dial(self) -> None:
        charger = self.charger
        try:
            async with self._host.gate:
                connection = await self._host.dialer.dial(
                    charger.config, charger.behaviour.wire.subprotocol, self
                )
        except CsmsUnusable as unusable:
            self._opening = None
            if self._ending is None:
                self._feed(charger.connection_failed, self._now(), unusable.problem)
            else:
                self._finish()
            return
        except asyncio.CancelledError:
            self._opening = None
            if self._ending is not None:
                self._finish()
            raise
        self._opening = None
        self._connection = connection
        if self._ending is not None:
            connection.listen()
            connection.send_close(1000, "")
            return
        self._feed(charger.connected, self._now())
        connection.listen()

    def _close(self, effect: Close) -> None:
        if self._opening is not None:
            self._opening.cancel()
        elif self._connection is not None:
            self._connection.send_close(effect.code, effect.reason)

    def _abandon(self, effect: Abandon) -> None:
        if self._connection is not None:
            self._problem = Problem("timeout", f"{effect.reason}.")
            self._connection.abort()

    def _ping(self, effect: Ping) -> None:
        del effect
        if self._connection is not None:
            self._connection.send_ping()

    def _send(self, effect: Send) -> None:
        self._record("u", effect.action, effect.text)
        if self._connection is None:
            return
        if self.charger.wire_faults is None:
            self._connection.send_text(effect.text)
        else:
            self._carry(effect.text, ours=True)

    def _carry(self, text: str, *, ours: bool) -> None:
        """Let the charger's wire faults decide what arrives of a frame, and when."""
        faults, now = self.charger.wire_faults, self._now()
        if faults is None:
            return
        for delivery in faults.deliveries(text, now, ours=ours):
            delay = max(0.0, delivery.at - now)
            self._host.loop.call_later(delay, self._arrive, self._connection, delivery.text, ours)

    def _arrive(self, connection: CsmsConnection | None, text: str, ours: bool) -> None:
        if connection is None or connection is not self._connection:
            return  # lost with the connection that it was on
        if ours:
            connection.send_text(text)
        else:
            self._feed(self.charger.receive, text, self._now())

    def _hear(self, effect: Heard) -> None:
        self._record("d", effect.action, effect.text)

    def _record(self, direction: str, action: str, text: str) -> None:
        self._number += 1
        self._host.records.add_frame(
            self.charger_id,
            self.incarnation,
            self._number,
            int(self._now() * 1000),
            direction,
            action,
            text,
        )
        self._host.link.notice_records()

    def _note(self, effect: Happened) -> None:
        self._number += 1
        at_ms = int(self._now() * 1000)
        self._host.records.add_event(
            self.charger_id, self.incarnation, self._number, at_ms, effect.kind, effect.data
        )
        self._host.link.notice_records()

    def _tell_state(self, effect: Stated) -> None:
        self._tell("state", stage=effect.stage, verdict=effect.verdict, detail=dict(effect.detail))

    def _change_outlets(self, effect: OutletsChanged) -> None:
        del effect
        now = self._now()
        if now - self._outlets_at >= _OUTLETS_PAUSE_S:
            self._tell_outlets(now)
        elif self._outlets_due is None:
            self._outlets_due = self._outlets_at + _OUTLETS_PAUSE_S

    def _tell_outlets(self, now: float) -> None:
        self._outlets_at = now
        self._outlets_due = None
        self._tell("connectors", connectors=self.charger.describe_outlets())

    def _tell(self, kind: str, **fields: Any) -> None:
        """Send a control message; what is not sent now is told again by `relink`."""
        message = {"t": kind, **self.name(), **fields, "at": int(self._now() * 1000)}
        self._host.link.tell(message)

    def name(self) -> dict[str, Any]:
        """The fields that say whose message it is, with the fence."""
        return {
            "charger": self.charger_id,
            "incarnation": self.incarnation,
            "session": self.session,
        }

    def name_for_logs(self) -> Mapping[str, Any]:
        """The ids of this charger's log lines; None where the gateway gave none."""
        return {
            "organization_id": self.order.organization_id,
            "charger_id": self.charger_id,
            "incarnation": self.incarnation,
            "run_id": self.order.run_id,
        }

    def _end_command(self, effect: CommandEnded) -> None:
        self._host.finish_command(self, effect)

    def _save(self, effect: Save) -> None:
        del effect
        self._host.dirty.add(self)

    def _finish(self) -> None:
        self._host.alarm.set(self, None)
        log.info("a charger ended", extra=self.name_for_logs())
        ended, self._ending = self._ending, None
        if ended is not None:
            ended(self)


_PERFORM: Mapping[type, Callable[[Runner, Any], None]] = {
    Open: Runner._open,
    Close: Runner._close,
    Abandon: Runner._abandon,
    Ping: Runner._ping,
    Send: Runner._send,
    Heard: Runner._hear,
    Stated: Runner._tell_state,
    Happened: Runner._note,
    OutletsChanged: Runner._change_outlets,
    CommandEnded: Runner._end_command,
    Save: Runner._save,
}
