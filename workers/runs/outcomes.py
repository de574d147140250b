"""What a step function may answer. The engine turns each into one statement.

Done    the step is over; the chain goes on
Park    nothing to do now; look again later, or when woken
Again   a passing failure; try the step again after a pause that grows
Redo    what was started has ended for a passing reason; bring up once more within the same run
Fail    it cannot work; compensate
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Problem:
    """An error for people: the `error` part of a status answer."""

    code: str
    message: str
    param: str | None = None
    retryable: bool = True

    def render(self, step: str) -> dict[str, Any]:
        """The JSON of api-contract's `error`."""
        return {
            "code": self.code,
            "message": self.message[:2000],
            "step": step,
            "param": self.param,
            "doc_url": f"/docs/errors#{self.code}",
            "retryable": self.retryable,
        }


@dataclass(frozen=True, slots=True)
class Done:
    """`apply` runs in the finishing transaction, before the run's row is locked."""

    output: Mapping[str, Any] = field(default_factory=dict)
    learnt: Mapping[str, Any] = field(default_factory=dict)
    apply: Callable[[Session], None] | None = None
    run_status: str = "done"


@dataclass(frozen=True, slots=True)
class Park:
    """Seconds to sleep unless woken, why (for people), and the clocks as they now stand."""

    pause: float
    hint: str | None = None
    deadlines: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Again:
    """A passing failure; `deadlines` as they now stand."""

    problem: Problem
    deadlines: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Redo:
    """Retire what ended and bring up once more, `pause` seconds from now; `learnt` as in `Done`."""

    problem: Problem
    pause: float
    learnt: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fail:
    """It cannot work."""

    problem: Problem


Outcome: TypeAlias = Done | Park | Again | Redo | Fail
