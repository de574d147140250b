"""Faults to order: what goes wrong, for which call, how often. Read `Fault` for the words.

A fault is armed through the control endpoint (docs/ecs-standin.md) and is asked at each of its occasions.
Without `every` or `probability` it strikes each time; `times` and `for_s` end it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, fields
from typing import Any, Final

#: Kind → what it does.
KINDS: Final = {
    "error": "answers `code` and `message` with HTTP `status`, having done nothing",
    "throttle": "answers ThrottlingException, having done nothing",
    "slow_reply": "answers `after_s` AWS seconds late",
    "lost_reply": "does the work and answers 500; with `cut`, closes the connection instead",
    "failures": "RunTask answers 200 with `failures[]` of `message`, nothing is started",
    "ghost": "RunTask answers 200 with `failures[]`, and the task starts all the same",
    "stop_before_start": "the task stops before its container starts, with `message`",
    "oom": "the container's memory runs out `after_s` after it runs",
    "interrupt": "the infrastructure goes `after_s` after it runs: `code` is the stopCode",
}

CAPACITY_TEXT: Final = (
    "Capacity is unavailable at this time. Please try again later or in a different availability "
    "zone"
)


@dataclass(slots=True)
class Fault:
    """One armed fault."""

    kind: str
    #: The API operation that it waits for; `*` is any.
    operation: str = "RunTask"
    #: Strike on each n-th occasion.
    every: int | None = None
    #: Strike with this probability, drawn from `seed`.
    probability: float | None = None
    seed: int = 0
    #: Strike at most so often.
    times: int | None = None
    #: End after so many AWS seconds.
    for_s: float | None = None
    #: Only tasks of this image.
    image: str | None = None
    code: str = "ServerException"
    message: str = ""
    status: int = 500
    after_s: float = 0.0
    cut: bool = False
    armed_at: float = 0.0
    occasions: int = 0
    strikes: int = 0
    _random: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable on purpose

    def strikes_now(self, now: float) -> bool:
        """Count an occasion, and say whether the fault strikes."""
        if self.is_over(now):
            return False
        self.occasions += 1
        if self.every is not None and self.occasions % self.every:
            return False
        if self.probability is not None and self._random.random() >= self.probability:
            return False
        self.strikes += 1
        return True

    def is_over(self, now: float) -> bool:
        """Whether it will never strike again."""
        if self.times is not None and self.strikes >= self.times:
            return True
        return self.for_s is not None and now >= self.armed_at + self.for_s

    def show(self) -> dict[str, Any]:
        """Its state, for the control endpoint."""
        return {f.name: getattr(self, f.name) for f in fields(self) if not f.name.startswith("_")}


class Faults:
    """All armed faults, oldest first. Guarded by the world's lock."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []

    def arm(self, order: dict[str, Any], now: float) -> Fault:
        """Arm the fault that `order` describes. Raises `ValueError` with a sentence for a wrong one."""
        allowed = {f.name for f in fields(Fault)} - {"_random", "armed_at", "occasions", "strikes"}
        unknown = sorted(set(order) - allowed)
        if unknown:
            raise ValueError(f"A fault has no {', '.join(unknown)}.")
        if order.get("kind") not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}.")
        fault = Fault(**order, armed_at=now)
        self._armed.append(fault)
        return fault

    def clear(self) -> None:
        """Disarm all."""
        self._armed.clear()

    def pick(
        self, kinds: tuple[str, ...], operation: str, now: float, image: str | None = None
    ) -> Fault | None:
        """The first armed fault of these kinds that strikes this call; each one asked counts an occasion."""
        for fault in self._armed:
            fits = fault.kind in kinds and fault.operation in (operation, "*")
            if fits and fault.image in (None, image) and fault.strikes_now(now):
                return fault
        return None

    def show(self) -> list[dict[str, Any]]:
        """All of them, for the control endpoint."""
        return [fault.show() for fault in self._armed]
