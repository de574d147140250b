"""What every part of one link shares: who it is, its way to the database, its clocks and counters.

`Context.write` is how the event loop asks for SQL: a function that takes a session runs in a thread, in one
transaction. Two pools, so that a thousand runtimes at the door do not keep those inside waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy.orm import Session as Transaction
from sqlalchemy.orm import sessionmaker

from app.catalog import Catalog
from app.ids import make_link_id
from app.link.counters import Counters
from app.queue import HintQueue
from app.settings import Settings
from app.store import runtimes
from app.store.runtimes import Gone

Result = TypeVar("Result")

#: Threads for those who knock, and for those who are inside.
DOOR_THREADS: Final = 3
CONTROL_THREADS: Final = 3


@dataclass(frozen=True, slots=True)
class Clocks:
    """Every time that a link lives by, in seconds."""

    #: Between two signs of life in the `links` row.
    touch_s: float = 3.0
    #: Between two looks at the database that nobody rang for.
    look_s: float = 2.0
    #: What is told within this is written together.
    flush_s: float = 0.05
    #: The database has so long to say whether a runtime may come in.
    door_s: float = 5.0
    #: A runtime has so long to say hello.
    hello_s: float = 10.0
    ping_s: float = 20.0
    #: A `drop` that was not answered is said again after this.
    drop_again_s: float = 10.0
    #: Digests are compared only when nothing was added or dropped for so long.
    settle_s: float = 2.0
    #: How long the last records and reports may take when the link ends.
    farewell_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Context:
    """One link."""

    settings: Settings
    clocks: Clocks
    database: sessionmaker[Transaction]
    queue: HintQueue
    catalog: Catalog
    link_id: str = field(default_factory=make_link_id)
    counters: Counters = field(default_factory=Counters)
    doors: ThreadPoolExecutor = field(
        default_factory=partial(ThreadPoolExecutor, DOOR_THREADS, "link-door")
    )
    control: ThreadPoolExecutor = field(
        default_factory=partial(ThreadPoolExecutor, CONTROL_THREADS, "link-control")
    )

    @property
    def away_s(self) -> float:
        """What was not heard of for so long counts as away."""
        return self.settings.engine.link_away_s

    @property
    def cap(self) -> int:
        """Runs of one organization that may be hinted at once."""
        return self.settings.engine.org_inflight

    async def write(
        self, work: Callable[[Transaction], Result], *, pool: Executor | None = None
    ) -> Result:
        """Run `work` in a thread, in a transaction of its own. Raises what it and the database raise."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool or self.control, self._write, work)

    def _write(self, work: Callable[[Transaction], Result]) -> Result:
        with self.database.begin() as transaction:
            return work(transaction)

    def mark_gone(self, transaction: Transaction, gone: list[Gone]) -> list[Any]:
        """`app.store.runtimes.mark_gone` with the engine's settings."""
        engine = self.settings.engine
        return runtimes.mark_gone(
            transaction,
            gone,
            cap=self.cap,
            recover_min_s=engine.recover_min_s,
            recover_max_s=engine.recover_max_s,
            recover_reset_s=engine.recover_reset_s,
        )
