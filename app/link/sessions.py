"""One connection of a runtime after its hello, and the list of all of them.

`Session.send` never waits: messages go to a bounded queue that `pump` empties, so a runtime that does not read
is cut off instead of holding anybody up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakValueDictionary

import orjson
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from app.store.admissions import Claimant

#: Messages waiting for one runtime: more than the `add`s of the largest host.
_MOST_WAITING: Final = 50_000
#: Pairs remembered as allowed to write; others are looked up in the database.
_MOST_KNOWN: Final = 50_000
#: Unacknowledged batches, and bytes of each, of a host and of a single charger.
HOST_CREDITS: Final = 8
HOST_BATCH: Final = 262_144
CHARGER_CREDITS: Final = 2
CHARGER_BATCH: Final = 65_536

#: Close codes (docs/link.md, «How a connection ends»).
DONE: Final = 1000
BROKEN: Final = 1008
RESTARTING: Final = 1012
LATER: Final = 1013
OVER: Final = 4410


@dataclass(frozen=True, slots=True)
class Held:
    """The right to run a charger: its incarnation and the fence."""

    incarnation: int
    session: int


class Session:
    """One runtime's connection. Belongs to the event loop."""

    def __init__(self, connection: ServerConnection, claimant: Claimant) -> None:
        self.claimant = claimant
        self.is_host = claimant.host_id is not None
        self.credits = HOST_CREDITS if self.is_host else CHARGER_CREDITS
        self.max_batch_bytes = HOST_BATCH if self.is_host else CHARGER_BATCH
        #: Whether its whole set was given to it.
        self.is_ready = False
        self.chargers: dict[str, Held] = {}
        #: Every (charger, incarnation) that may write records here. The writer's thread adds to it, too.
        self.known: set[tuple[str, int]] = set()
        #: When each `drop` that is not answered was last sent, by the loop's clock.
        self.dropping: dict[tuple[str, int], float] = {}
        #: When the set last changed, by the loop's clock.
        self.changed_at = 0.0
        self.unacknowledged = 0
        self._is_closing = False
        self._connection = connection
        self._waiting: deque[bytes] = deque()
        self._wanted = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    @property
    def key(self) -> str:
        """Whom this is a session of: `host:<id>` or `charger:<id>`."""
        claimant = self.claimant
        return f"host:{claimant.host_id}" if self.is_host else f"charger:{claimant.charger_id}"

    @property
    def ids(self) -> dict[str, Any]:
        """The same, as log lines have it."""
        claimant = self.claimant
        if self.is_host:
            return {"host_id": claimant.host_id}
        return {"charger_id": claimant.charger_id, "incarnation": claimant.incarnation}

    def send(self, message: Mapping[str, Any]) -> None:
        """Put a message in the queue; a runtime that left too many unread is cut off."""
        if len(self._waiting) >= _MOST_WAITING:
            self.close(LATER, "the runtime does not read")
            return
        self._waiting.append(orjson.dumps(message))
        self._wanted.set()

    async def pump(self) -> None:
        """Send what is queued, until the connection is closed."""
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                while self._waiting:
                    await self._connection.send(self._waiting.popleft(), text=True)
        except ConnectionClosed:
            self._waiting.clear()

    async def flush(self, timeout_s: float) -> None:
        """Send what is queued now; for the last words before a close."""
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._waiting:
                    await self._connection.send(self._waiting.popleft(), text=True)

    def close(self, code: int, reason: str) -> None:
        """End the connection in the background; the first reason counts."""
        if self._is_closing:
            return
        self._is_closing = True
        task = self._loop.create_task(self._connection.close(code, reason))
        _closings.add(task)
        task.add_done_callback(_closings.discard)

    def add(
        self, charger_id: str, held: Held, config: Mapping[str, Any], *, organization: str, run: str
    ) -> None:
        """Give it a charger to run. `organization` and `run` are for its log lines."""
        self.chargers[charger_id] = held
        if len(self.known) > _MOST_KNOWN:
            self.known = {(name, one.incarnation) for name, one in self.chargers.items()}
        self.known.add((charger_id, held.incarnation))
        self.changed_at = self._loop.time()
        self.send(
            {
                "t": "add",
                "charger": charger_id,
                "incarnation": held.incarnation,
                "session": held.session,
                "organization": organization,
                "run": run,
                "config": config,
            }
        )

    def drop(self, charger_id: str, incarnation: int, reason: str, *, again_s: float) -> bool:
        """Tell it to end a charger, unless that was said within `again_s` seconds; whether it was said."""
        now = self._loop.time()
        said = self.dropping.get((charger_id, incarnation))
        if said is not None and now - said < again_s:
            return False
        self.dropping[charger_id, incarnation] = self.changed_at = now
        self.send(
            {"t": "drop", "charger": charger_id, "incarnation": incarnation, "reason": reason}
        )
        return True

    def forget(self, charger_id: str, incarnation: int) -> None:
        """It does not run this any more."""
        self.dropping.pop((charger_id, incarnation), None)
        held = self.chargers.get(charger_id)
        if held is not None and held.incarnation == incarnation:
            del self.chargers[charger_id]
        self.changed_at = self._loop.time()

    def find_held(self, message: Mapping[str, Any]) -> Held | None:
        """What this message may speak for: its charger, with the incarnation and the fence it was given."""
        held = self.chargers.get(str(message.get("charger")))
        if held is None or message.get("session") != held.session:
            return None
        return held if message.get("incarnation") == held.incarnation else None

    def list_fences(self) -> list[tuple[str, int, int]]:
        """(charger, incarnation, session) of all that it was given."""
        return [
            (charger_id, held.incarnation, held.session)
            for charger_id, held in self.chargers.items()
        ]

    def is_settled(self, for_s: float) -> bool:
        """Whether its set was not touched for so long, and no `drop` is open."""
        return not self.dropping and self._loop.time() - self.changed_at >= for_s


#: Closings under way; the loop itself keeps only weak references to tasks.
_closings: set[asyncio.Task[None]] = set()


class Registry:
    """All sessions of this link, at most one for each key; and who holds which charger."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._holders: dict[str, Session] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def lock(self, key: str) -> asyncio.Lock:
        """Held while a session of this key begins or is given up, so that the two do not mix."""
        found = self._locks.get(key)
        if found is None:
            found = self._locks[key] = asyncio.Lock()
        return found

    def find(self, key: str) -> Session | None:
        """The session of this key."""
        return self._sessions.get(key)

    def put(self, session: Session) -> Session | None:
        """Take a session in; the one that it replaces."""
        older = self._sessions.get(session.key)
        self._sessions[session.key] = session
        return older

    def remove(self, session: Session) -> bool:
        """Take it out; False when a newer one has its place."""
        for charger_id in session.chargers:
            if self._holders.get(charger_id) is session:
                del self._holders[charger_id]
        if self._sessions.get(session.key) is not session:
            return False
        del self._sessions[session.key]
        return True

    def hold(self, charger_id: str, session: Session) -> None:
        """This session runs this charger."""
        self._holders[charger_id] = session

    def find_holder(self, charger_id: str) -> Session | None:
        """The session that runs this charger."""
        return self._holders.get(charger_id)

    def list_hosts(self) -> Iterable[Session]:
        """Sessions of hosts that were given their whole set."""
        return [session for session in self if session.is_host and session.is_ready]
