"""Questions that come at the same time are asked of the database together.

After a restart of the link thousands of runtimes call home within a second; one transaction for each would keep
the last of them waiting for half a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Generic, TypeVar

from sqlalchemy.orm import Session as Transaction

from app.link.context import Context

Item = TypeVar("Item")
Answer = TypeVar("Answer")

#: What comes within this is asked together, seconds; what comes while a question is on its way, too.
_GATHER_S: Final = 0.002
_BATCH: Final = 200


class Gathering(Generic[Item, Answer]):
    """Asks `question` with many items at once; it returns one answer for each, in order."""

    def __init__(
        self,
        context: Context,
        question: Callable[[Sequence[Item], Transaction], Sequence[Answer]],
    ) -> None:
        self._context = context
        self._question = question
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, item: Item) -> Answer:
        """The answer for this item. Raises what the database raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((item, future))
        if self._task is None:
            self._task = loop.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self._waiting:
            await asyncio.sleep(_GATHER_S)
            taken, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            work = partial(self._question, [item for item, _ in taken])
            try:
                answers = await self._context.write(work, pool=self._context.doors)
            except Exception as error:  # noqa: BLE001  # whoever asked gets it
                for _, future in taken:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (_, future), answer in zip(taken, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)
        self._task = None
