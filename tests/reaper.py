"""How a worker dies in a test of the engine: at one boundary of one step, once, and nothing after it happens.

`Reaper(world, step, boundary)` arms it, `carries_on` lets the others take up what it left, `check_history` asks
whether each step was done exactly once in the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import text

from tests.engine_world import World

BOUNDARIES = (
    "before_claim",
    "after_claim",
    "before_finish",
    "after_finish",
    "before_next_hint",
)


class WorkerKilled(BaseException):
    """The process is gone; nothing that follows in it happens."""


class Reaper:
    """Kills the worker once, at one boundary of one step."""

    def __init__(self, world: World, step: str, boundary: str) -> None:
        self.world = world
        self.step = step
        self.boundary = boundary
        self.struck = False
        self.world.engine._act = self._wrap(world.engine._act, "after_claim")  # type: ignore[method-assign]
        self.world.engine._finish = self._wrap_finish(world.engine._finish)  # type: ignore[method-assign]

    def _strike(self, boundary: str, step: str) -> None:
        if not self.struck and (boundary, step) == (self.boundary, self.step):
            self.struck = True
            raise WorkerKilled

    def _wrap(self, act: Callable[..., Any], boundary: str) -> Callable[..., Any]:
        def wrapped(held: Any) -> Any:
            self._strike(boundary, held.step)
            return act(held)

        return wrapped

    def _wrap_finish(self, finish: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(task: Any, held: Any, outcome: Any) -> Any:
            self._strike("before_finish", held.step)
            word = finish(task, held, outcome)
            self._strike("after_finish", held.step)
            return word

        return wrapped

    def works(self) -> None:
        """Work every hint; a killed worker's chain is lost with it."""
        while self.world.queue.waiting:
            hint = self.world.queue.waiting.pop(0)
            for step in hint.steps:
                try:
                    self._strike("before_claim", step)
                    word, _ = self.world.perform(hint, step)
                    self._strike("before_next_hint", step)
                except WorkerKilled:
                    break
                if word != "done":
                    break

    def carries_on(self) -> None:
        """Some seconds pass, again and again: leases run out, the keeper passes, drivers are looked at."""
        for _ in range(4):
            self.works()
            self.world.looks()
            self.world.lets_time_pass(12)
            self.world.passes()


def check_history(world: World, run_id: str) -> None:
    """The run is done, and so is each step of its plan, once and in order."""
    run = world.run(run_id)
    with world.sessions() as session:
        rows = session.execute(
            text("SELECT name, status FROM run_steps WHERE run_id = :id ORDER BY position"),
            {"id": run_id},
        ).all()
    assert run.status == "done"
    assert [tuple(row) for row in rows] == [(name, "done") for name in run.plan]
