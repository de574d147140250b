"""Looks at what the database wants of this link's sessions: charger to add, to drop, commands to give.

A look happens when somebody rings (`app.link.doorbell`), when chargers come online, and every few seconds in any
case, so that a lost ring costs seconds and nothing more. Rings that come while a look is under way are answered
together by the next one. Each part of a look is a transaction of its own; what is sent is sent after its
commit.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy.orm import Session as Transaction

from app.db import DatabaseAway
from app.link.context import Context
from app.link.doors import Doors
from app.link.sessions import DONE, Registry, Session
from app.link.wire import read_running
from app.store import admissions, commands, links
from app.store.commands import Delivery

log = logging.getLogger(__name__)

#: Rings within this are answered by one look, seconds.
_GATHER_S: Final = 0.01


class Lookout:
    """The looks of one link. Belongs to the event loop."""

    def __init__(self, context: Context, registry: Registry, doors: Doors) -> None:
        self._context = context
        self._registry = registry
        self._doors = doors
        self._hosts: set[str] = set()
        self._chargers: set[str] = set()
        self._everything = True
        self._wanted = asyncio.Event()
        #: The loop itself keeps only weak references.
        self._tasks: set[asyncio.Task[None]] = set()

    def ring(self, payload: str) -> None:
        """Somebody wrote something for `host:<id>` or `charger:<id>`."""
        kind, _, name = payload.partition(":")
        if kind == "host" and self._registry.find(payload) is not None:
            self._hosts.add(name)
            self._wanted.set()
        elif kind == "charger" and self._registry.find_holder(name) is not None:
            self._chargers.add(name)
            self._wanted.set()

    def ring_chargers(self, charger_ids: Iterable[str]) -> None:
        """These came online: commands may wait for them."""
        self._chargers.update(charger_ids)
        self._wanted.set()

    def ring_everything(self) -> None:
        """Rings may have been missed."""
        self._everything = True
        self._wanted.set()

    async def run(self) -> None:
        """Look, for ever."""
        clocks = self._context.clocks
        while True:
            try:
                async with asyncio.timeout(clocks.look_s):
                    await self._wanted.wait()
            except TimeoutError:
                self._everything = True
            await asyncio.sleep(_GATHER_S)
            self._wanted.clear()
            try:
                await self._look()
            except DatabaseAway as error:
                log.warning("a look failed: %s", type(error).__name__)
            except Exception:
                log.exception("a look failed")

    async def _look(self) -> None:
        everything, self._everything = self._everything, False
        hosts, self._hosts = self._hosts, set()
        chargers, self._chargers = self._chargers, set()
        sessions = [
            session
            for session in self._registry.list_hosts()
            if everything or session.claimant.host_id in hosts
        ]
        for session in sessions:
            async with self._registry.lock(session.key):
                if self._registry.find(session.key) is session:
                    await self._doors.admit_host(session)
        if sessions or everything or chargers:
            await self._drop(sessions)
        if everything:
            await self._expire()
        if everything or chargers:
            await self._deliver(None if everything else chargers)

    async def _drop(self, sessions: Sequence[Session]) -> None:
        context = self._context
        host_ids = [str(session.claimant.host_id) for session in sessions]
        listed = await context.write(
            lambda transaction: admissions.list_to_drop(transaction, context.link_id, host_ids)
        )
        for one in listed:
            key = f"charger:{one.charger_id}" if one.host_id is None else f"host:{one.host_id}"
            session = self._registry.find(key)
            if session is not None and session.is_ready:
                self._tell_drop(session, one.charger_id, one.incarnation, one.reason)

    def _tell_drop(self, session: Session, charger_id: str, incarnation: int, reason: str) -> None:
        again_s = self._context.clocks.drop_again_s
        if session.drop(charger_id, incarnation, reason, again_s=again_s):
            self._context.counters.drops += 1
            ids = {"charger_id": charger_id, "incarnation": incarnation}
            log.info("a charger is to end", extra={**ids, "reason": reason})

    async def _expire(self) -> None:
        await self._context.write(commands.expire)

    async def _deliver(self, charger_ids: Collection[str] | None) -> None:
        context = self._context

        def take(transaction: Transaction) -> list[Delivery]:
            found = commands.deliverable(transaction, context.link_id, charger_ids)
            commands.mark_delivered(transaction, found)
            return found

        deliveries = await context.write(take)
        for delivery in deliveries:
            self._send(delivery)
        if len(deliveries) == commands.BATCH:
            self.ring_everything()

    def _send(self, delivery: Delivery) -> None:
        """Under the fence that it was marked with; a session that ended meanwhile makes it `outcome_unknown`."""
        session = self._registry.find_holder(delivery.charger_id)
        if session is None:
            return
        held = session.chargers.get(delivery.charger_id)
        if held is None or held.session != delivery.session:
            return
        self._context.counters.commands += 1
        session.send(
            {
                "t": "command",
                "id": delivery.id,
                "charger": delivery.charger_id,
                "incarnation": delivery.incarnation,
                "session": delivery.session,
                "name": delivery.name,
                "args": delivery.args,
            }
        )

    def take_digest(self, session: Session, message: Mapping[str, Any]) -> None:
        """A host says in short what it runs; compared in the background."""
        self._spawn(self._compare(session, message))

    def take_running(self, session: Session, message: Mapping[str, Any]) -> None:
        """A host says in full what it runs; mended in the background."""
        self._spawn(self._mend(session, message))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        async def guarded() -> None:
            try:
                await work
            except DatabaseAway as error:
                log.warning("a set was not compared: %s", type(error).__name__)
            except Exception:
                log.exception("a set was not compared")

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _compare(self, session: Session, message: Mapping[str, Any]) -> None:
        """A host's digest: mend our idea of its set by the database's, and ask for its own when they differ."""
        clocks = self._context.clocks
        if not session.is_host or not session.is_settled(clocks.settle_s):
            return
        wanted = await self._list_set(session)
        if not session.is_settled(clocks.settle_s):
            return
        held = {(charger_id, one.incarnation) for charger_id, one in session.chargers.items()}
        for charger_id, incarnation in held - wanted:
            self._tell_drop(session, charger_id, incarnation, "superseded")
        missing = frozenset(charger_id for charger_id, _ in wanted - held)
        if missing:
            await self._again(session, missing)
        elif message.get("sha256") != make_digest(wanted):
            session.send({"t": "resync"})

    async def _mend(self, session: Session, message: Mapping[str, Any]) -> None:
        """A host says in full what it runs: add what is missing, drop what should not run."""
        if not session.is_host:
            return
        running = read_running(message)
        wanted = await self._list_set(session)
        for charger_id, incarnation in running - wanted:
            self._tell_drop(session, charger_id, incarnation, "superseded")
        missing = frozenset(charger_id for charger_id, _ in wanted - running)
        if missing:
            await self._again(session, missing)

    async def _list_set(self, session: Session) -> set[tuple[str, int]]:
        return await self._context.write(partial(admissions.list_set, claimant=session.claimant))

    async def _again(self, session: Session, charger_ids: frozenset[str]) -> None:
        async with self._registry.lock(session.key):
            if self._registry.find(session.key) is session:
                await self._doors.admit_host(session, again=charger_ids)

    def finish_charger(self, session: Session) -> None:
        """A single runtime dropped its charger: nothing is left to talk about."""
        if not session.is_host:
            session.close(DONE, "the charger was dropped")

    async def touch(self) -> None:
        """Say every few seconds that this link and its hosts live, and take over from links that do not."""
        context, loop = self._context, asyncio.get_running_loop()
        started = loop.time()
        while True:
            host_ids = [str(session.claimant.host_id) for session in self._registry.list_hosts()]
            try:
                await context.write(
                    partial(links.touch, link_id=context.link_id, host_ids=host_ids)
                )
                # At first, runtimes of a link that ended need a moment to come to this one.
                lost = int(loop.time() - started > context.away_s)
                while lost:
                    lost = await context.write(partial(links.lose_dead, away_s=context.away_s))
            except DatabaseAway as error:
                log.warning("no sign of life written: %s", type(error).__name__)
            except Exception:
                log.exception("no sign of life written")
            await asyncio.sleep(context.clocks.touch_s)


def make_digest(running: Collection[tuple[str, int]]) -> str:
    """SHA-256 of the sorted lines `charger incarnation` (docs/link.md)."""
    lines = sorted(f"{charger_id} {incarnation}\n" for charger_id, incarnation in running)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
