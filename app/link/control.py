"""Writes what runtimes tell of themselves: states, connectors, drops, results.

Reports are folded per charger until the next write, so a thousand chargers that boot at once are a few
transactions, and a database that is away for long costs memory for one report per charger and no more. Order is
kept: one write at a time, states before drops before results.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy.orm import Session as Transaction

from app.db import DatabaseAway
from app.jobs import Hint
from app.link import wire
from app.link.context import Context
from app.link.sessions import Held, Session
from app.store import admissions, commands, events, hints, hosts, reports
from app.store.admissions import Dropped
from app.store.commands import Outcome
from app.store.reports import Report
from app.store.runtimes import Gone

log = logging.getLogger(__name__)

#: Reports written by one transaction.
_BATCH: Final = 500
#: Moves of one charger that are kept between two writes; a charger that flaps faster loses the oldest.
_MOST_MOVES: Final = 20
_PAUSE_MIN_S: Final = 0.1
_PAUSE_MAX_S: Final = 2.0

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class After:
    """What is to be done once a transaction is committed."""

    hints: Sequence[Hint] = ()
    online: Sequence[str] = ()


class Control:
    """What was told and is not written yet. `on_online` is called with chargers that can take commands now."""

    def __init__(self, context: Context, on_online: Callable[[Sequence[str]], None]) -> None:
        self._context = context
        self._on_online = on_online
        self._reports: dict[tuple[str, int, int], Report] = {}
        self._dropped: list[Dropped] = []
        self._ended: set[str] = set()
        self._outcomes: list[Outcome] = []
        self._wanted = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def put_state(self, charger_id: str, held: Held, message: Mapping[str, Any]) -> None:
        """A `state` of a charger that this session holds."""
        stage, verdict = message.get("stage"), message.get("verdict")
        if stage not in wire.STAGES or verdict not in wire.VERDICTS:
            self._context.counters.unreadable += 1
            return
        report = self._fold(charger_id, held)
        detail = wire.read_detail(message)
        report.stage, report.verdict, report.detail = stage, verdict, detail
        at = wire.read_time(message)
        move = events.Move(charger_id, held.incarnation, stage, verdict, detail, at)
        report.moves = [*report.moves[-_MOST_MOVES + 1 :], move]
        if stage == "online":
            report.was_online, report.refusals = True, 0
        elif detail.get("definite"):
            report.refusals += 1

    def put_connectors(self, charger_id: str, held: Held, message: Mapping[str, Any]) -> None:
        """The `connectors` of a charger that this session holds."""
        connectors = wire.read_connectors(message)
        if connectors is not None:
            self._fold(charger_id, held).connectors = connectors

    def put_dropped(self, session: Session, message: Mapping[str, Any]) -> None:
        """A charger does not run on this host any more. Of a single charger's end its driver decides."""
        pair = wire.read_pair([message.get("charger"), message.get("incarnation")])
        if pair is None:
            return
        session.forget(*pair)
        claimant = session.claimant
        if claimant.host_id is None:
            self._ended.add(str(claimant.charger_id))
        else:
            final = message.get("final")
            facts = wire.clean(final) if isinstance(final, dict) else {}
            self._dropped.append(Dropped(*pair, claimant.host_id, claimant.epoch, facts))
        self._want()

    def put_result(self, charger_id: str, held: Held, message: Mapping[str, Any]) -> None:
        """What became of a command of a charger that this session holds."""
        state, result, error = (message.get(name) for name in ("state", "result", "error"))
        if state not in ("applied", "rejected") or not isinstance(message.get("id"), str):
            self._context.counters.unreadable += 1
            return
        self._outcomes.append(
            Outcome(
                wire.escape(message["id"]),
                charger_id,
                held.incarnation,
                held.session,
                state,
                wire.clean(result) if isinstance(result, dict) else None,
                wire.escape(error[:2000]) if isinstance(error, str) else None,
            )
        )
        self._want()

    def _fold(self, charger_id: str, held: Held) -> Report:
        key = (charger_id, held.incarnation, held.session)
        report = self._reports.get(key)
        if report is None:
            report = self._reports[key] = Report(*key)
            self._want()
        return report

    def _want(self) -> None:
        self._wanted.set()
        self._idle.clear()

    async def run(self) -> None:
        """Write what is told, for ever."""
        while True:
            await self._wanted.wait()
            await asyncio.sleep(self._context.clocks.flush_s)
            self._wanted.clear()
            await self._flush()
            if not self._wanted.is_set():
                self._idle.set()

    async def drain(self, timeout_s: float | None = None) -> None:
        """Wait until everything told so far is written, or for `timeout_s` seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), timeout_s)

    async def _flush(self) -> None:
        told, self._reports = list(self._reports.values()), {}
        dropped, self._dropped = self._dropped, []
        ended, self._ended = list(self._ended), set()
        outcomes, self._outcomes = self._outcomes, []
        await self._persist(self._apply, told)
        await self._persist(self._mark_dropped, dropped)
        await self._persist(self._wake, ended)
        await self._persist(self._finish, outcomes)

    async def _persist(
        self, write: Callable[[Sequence[Item], Transaction], After], items: Sequence[Item]
    ) -> None:
        """Write items in transactions of at most `_BATCH`; one that cannot be written stops no other."""
        for start in range(0, len(items), _BATCH):
            batch = items[start : start + _BATCH]
            try:
                after = await self._patiently(partial(write, batch))
            except Exception:
                if len(batch) == 1:
                    log.exception("a report was given up")
                    continue
                half = len(batch) // 2
                await self._persist(write, batch[:half])
                await self._persist(write, batch[half:])
            else:
                self._context.queue.send(after.hints)
                if after.online:
                    self._on_online(after.online)

    async def _patiently(self, work: Callable[[Transaction], After]) -> After:
        pause = _PAUSE_MIN_S
        while True:
            try:
                return await self._context.write(work)
            except DatabaseAway as error:
                self._context.counters.control_retries += 1
                log.warning("reports wait for the database: %s", type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _PAUSE_MAX_S)

    def _apply(self, told: Sequence[Report], transaction: Transaction) -> After:
        context = self._context
        applied = reports.apply(transaction, context.link_id, told, cap=context.cap)
        context.counters.reports += len(told) - applied.refused
        context.counters.fenced += applied.refused
        return After(applied.hints, applied.online)

    def _mark_dropped(self, dropped: Sequence[Dropped], transaction: Transaction) -> After:
        gone = []
        for one, asked, is_newest in admissions.confirm_dropped(transaction, dropped):
            expected = asked or not is_newest
            code = "stopped" if expected else "runtime_ended"
            end = hosts.make_end(code, asked=expected, facts=one.final)
            gone.append(Gone(one.charger_id, one.incarnation, end))
        return After(self._context.mark_gone(transaction, gone))

    def _wake(self, charger_ids: Sequence[str], transaction: Transaction) -> After:
        return After(hints.wake_many(transaction, charger_ids, cap=self._context.cap))

    def _finish(self, outcomes: Sequence[Outcome], transaction: Transaction) -> After:
        commands.finish(transaction, outcomes)
        return After()
