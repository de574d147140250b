"""Who is let in, and what a runtime is given at its hello.

At the door (before the WebSocket opens) only the credential is judged, and whether the database can be asked
at all. At the hello the process says which one it is (`epoch`), and gets its chargers: a host its whole set, a
single runtime its one. A session that replaces another of the same process takes its place first, so there is
never a moment in which two of them may write.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy.orm import Session as Transaction

from app.db import DatabaseAway
from app.errors import Unauthorized
from app.jobs import Hint
from app.link.configs import make_config
from app.link.context import Context
from app.link.gathering import Gathering
from app.link.sessions import DONE, LATER, OVER, Held, Registry, Session
from app.link.wire import Hello
from app.store import admissions, commands, hosts, links
from app.store.admissions import Admission, Claimant, Standing
from app.tokens import Bootstrap, HostIdentity, read_link_credential

log = logging.getLogger(__name__)

_BATCH: Final = 500
#: Between two tries to write while the database is away, seconds.
_PAUSE_S: Final = 1.0
#: Results that came before the end are written before commands without one are given up, seconds.
_PATIENCE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a connection is not opened."""

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a runtime of one charger is to do: run it, end it, or go. Hints to send are with one of them."""

    standing: Standing
    admission: Admission | None
    hints: Sequence[Hint]


class Doors:
    """Lets sessions in and out."""

    def __init__(
        self, context: Context, registry: Registry, drain: Callable[[float], Awaitable[None]]
    ) -> None:
        self._context = context
        self._registry = registry
        #: Waits until what the session told is written.
        self._drain = drain
        self._partings: set[asyncio.Task[None]] = set()
        self._standings = Gathering(context, _check_standings)
        self._claims = Gathering(context, self._judge_claims)

    async def check(self, authorization: str) -> Bootstrap | HostIdentity | Refusal:
        """Judge the `Authorization` header of a connection that wants to open."""
        scheme, _, credential = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return Refusal(401, "A Bearer credential is needed.")
        try:
            who = read_link_credential(self._context.settings.link_secret, credential.strip())
        except Unauthorized:
            return Refusal(401, "The credential is not valid.")
        try:
            # A frozen database accepts and never answers; its threads come back when it does.
            async with asyncio.timeout(self._context.clocks.door_s):
                standing = await self._standings.ask(who)
        except (TimeoutError, *DatabaseAway):
            return Refusal(503, "The gateway is not ready.")
        return Refusal(410, "This incarnation is over.") if standing.is_over else who

    async def greet(self, session: Session, hello: Hello) -> bool:
        """Take the session in and give it what it is to run; False when it was closed instead."""
        try:
            async with self._registry.lock(session.key):
                if session.is_host:
                    return await self._greet_host(session, hello)
                return await self._greet_charger(session)
        except DatabaseAway:
            session.close(LATER, "the gateway is not ready")
            return False

    async def _greet_host(self, session: Session, hello: Hello) -> bool:
        context = self._context
        if not await context.write(partial(self._note_host, session, hello), pool=context.doors):
            for charger_id, incarnation in hello.running:
                session.drop(charger_id, incarnation, "superseded", again_s=0)
            await session.flush(_PATIENCE_S)
            session.close(LATER, "another process of this host id is connected")
            return False
        self._take_in(session)
        await self._end_restarted(session)
        await self.admit_host(session, everything=True)
        for charger_id, incarnation in hello.running:
            held = session.chargers.get(charger_id)
            if held is None or held.incarnation != incarnation:
                session.drop(charger_id, incarnation, "superseded", again_s=0)
        session.is_ready = True
        return True

    def _note_host(self, session: Session, hello: Hello, transaction: Transaction) -> bool:
        claimant = session.claimant
        return hosts.greet(
            transaction,
            hosts.Hello(
                host_id=str(claimant.host_id),
                epoch=claimant.epoch,
                capacity=hello.capacity,
                machine=hello.machine,
                pid=hello.pid,
                pid_start=hello.pid_start,
            ),
            claimant.link_id,
            away_s=self._context.away_s,
        )

    async def _end_restarted(self, session: Session) -> None:
        """What earlier processes of this host ran has ended with them."""
        claimant, context = session.claimant, self._context

        def end_some(transaction: Transaction) -> tuple[int, list[Hint]]:
            gone = hosts.list_restarted(
                transaction, str(claimant.host_id), claimant.epoch, batch=_BATCH
            )
            return len(gone), context.mark_gone(transaction, gone)

        count = _BATCH
        while count == _BATCH:
            count, woken = await context.write(end_some, pool=context.doors)
            context.queue.send(woken)

    async def admit_host(
        self, session: Session, *, everything: bool = False, again: frozenset[str] = frozenset()
    ) -> None:
        """Give a host what is placed on it and was not given yet, what it lacks (`again`), or everything."""
        after: str | None = ""
        while after is not None:
            work = partial(
                admissions.admit_host,
                claimant=session.claimant,
                cap=self._context.cap,
                everything=everything,
                again=again,
                after=after,
            )
            admitted = await self._context.write(work)
            self._context.queue.send(admitted.hints)
            self._give(session, admitted.admissions)
            after = admitted.after

    async def _greet_charger(self, session: Session) -> bool:
        claimant = session.claimant
        charger_id, incarnation = str(claimant.charger_id), int(claimant.incarnation or 0)
        verdict = await self._claims.ask(claimant)
        self._context.queue.send(verdict.hints)
        if verdict.admission is None and not verdict.standing.is_stopping:
            session.close(OVER, "this incarnation is over, or another process has it")
            return False
        self._take_in(session)
        session.known.add((charger_id, incarnation))
        if verdict.admission is None:
            session.drop(charger_id, incarnation, "stop", again_s=0)
        else:
            self._give(session, [verdict.admission])
        session.is_ready = True
        return True

    def _judge_claims(
        self, claimants: Sequence[Claimant], transaction: Transaction
    ) -> list[Verdict]:
        """What each of these runtimes of one charger is to do."""
        claims = [(str(one.charger_id), int(one.incarnation or 0), one.epoch) for one in claimants]
        context = self._context
        standings = admissions.check_standings(transaction, claims)
        wanted = [
            one
            for one, standing in zip(claimants, standings, strict=True)
            if not standing.is_over and not standing.is_stopping
        ]
        admitted = admissions.admit_chargers(transaction, context.link_id, wanted, cap=context.cap)
        by_claim = {
            (one.charger_id, one.incarnation, one.epoch): one for one in admitted.admissions
        }
        woken = list(admitted.hints)
        return [
            # Whoever is first sends the hints of all.
            Verdict(standing, by_claim.get(claim), woken if place == 0 else ())
            for place, (claim, standing) in enumerate(zip(claims, standings, strict=True))
        ]

    def _take_in(self, session: Session) -> None:
        older = self._registry.put(session)
        if older is not None:
            older.close(DONE, "a newer connection took over")
        self._context.counters.sessions += 1
        session.send(
            {
                "t": "welcome",
                "link": self._context.link_id,
                "credits": session.credits,
                "max_batch_bytes": session.max_batch_bytes,
            }
        )

    def _give(self, session: Session, given: Sequence[Admission]) -> None:
        for admission in given:
            self._registry.hold(admission.charger_id, session)
            held, row = Held(admission.incarnation, admission.session), admission.charger
            session.add(
                admission.charger_id,
                held,
                self._make_config(admission),
                organization=row.organization_id,
                run=row.run_id,
            )
            if row.is_first:
                # Once for each start: a host that comes back gets thousands again.
                log.info("a charger was given to its runtime", extra=_name(session, admission))
        self._context.counters.admissions += len(given)

    def _make_config(self, admission: Admission) -> dict[str, object]:
        context = self._context
        return make_config(admission.charger, context.catalog, context.settings.ws_allow)

    def see_off(self, session: Session, *, restarting: bool) -> None:
        """The connection is closed: what that means for its chargers, in the background.

        `restarting`: we are the ones who go; the runtime comes back to another link.
        """
        is_current = self._registry.remove(session)
        if restarting:
            return
        task = asyncio.create_task(self._see_off(session, is_current=is_current))
        self._partings.add(task)
        task.add_done_callback(self._partings.discard)

    async def _see_off(self, session: Session, *, is_current: bool) -> None:
        fences = session.list_fences()
        if fences:
            await self._drain(_PATIENCE_S)
            await self._try(lambda transaction: commands.fail_unanswered(transaction, fences))
        if not is_current:
            return
        claimant = session.claimant
        if claimant.host_id is not None:
            host_id = claimant.host_id
            async with self._registry.lock(session.key):
                if self._registry.find(session.key) is None:
                    await self._try(
                        lambda transaction: hosts.leave(
                            transaction, host_id, claimant.epoch, claimant.link_id
                        )
                    )
        await asyncio.sleep(self._context.away_s)
        await self._give_up(session)

    async def _give_up(self, session: Session) -> None:
        """It did not come back to this link in time."""
        claimant = session.claimant
        lose = (
            partial(links.lose_host, link_id=claimant.link_id, host_id=claimant.host_id)
            if claimant.host_id is not None
            else partial(
                links.lose_charger, link_id=claimant.link_id, charger_id=str(claimant.charger_id)
            )
        )
        async with self._registry.lock(session.key):
            lost: int | None = None
            while self._registry.find(session.key) is None and lost != 0:
                lost = await self._try(lose)
                if lost is None:
                    await asyncio.sleep(_PAUSE_S)

    async def _try(self, work: Callable[[Transaction], Any]) -> Any:
        """Run `work`; None when the database is away: the regular look mends what this leaves."""
        try:
            return await self._context.write(work)
        except DatabaseAway as error:
            log.warning("a session's end was not written: %s", type(error).__name__)
            return None

    async def close(self) -> None:
        """Give up what still waits for sessions to come back."""
        for task in self._partings:
            task.cancel()
        await asyncio.gather(*self._partings, return_exceptions=True)


def _name(session: Session, admission: Admission) -> dict[str, Any]:
    """The ids of an admission, as every log of the gateway calls them."""
    return {
        **session.ids,
        "organization_id": admission.charger.organization_id,
        "charger_id": admission.charger_id,
        "incarnation": admission.incarnation,
        "run_id": admission.charger.run_id,
    }


def _check_standings(
    knockers: Sequence[Bootstrap | HostIdentity], transaction: Transaction
) -> list[Standing]:
    """Of hosts only whether the database can be asked matters."""
    claims = [
        (one.charger_id, one.incarnation, None) for one in knockers if isinstance(one, Bootstrap)
    ]
    standings = iter(admissions.check_standings(transaction, claims))
    return [next(standings) if isinstance(one, Bootstrap) else Standing(False) for one in knockers]
