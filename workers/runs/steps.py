"""A function for each step name. A name stays here for as long as an active run may name it in its plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from app.store.runs import Claim
from workers.runs import bringup, bulk, retirement
from workers.runs.context import Context
from workers.runs.outcomes import Outcome

Step = Callable[[Context, Claim], Outcome]

STEPS: Final[Mapping[str, Step]] = {
    "register_task_definition": bringup.register_task_definition,
    "run_task": bringup.run_task,
    "wait_for_health": bringup.wait_for_health,
    "mark_ready": bringup.mark_ready,
    "retire_runtimes": retirement.retire_runtimes,
    "wait_until_gone": retirement.wait_until_gone,
    "mark_stopped": retirement.mark_stopped,
    "mark_failed": retirement.mark_failed,
    "forget": retirement.forget,
    "admit_children": bulk.admit_children,
    "wait_for_children": bulk.wait_for_children,
    "mark_job": bulk.mark_job,
}

#: Hard limits in seconds; a step that is not named here has `DEFAULT_LIMIT_S`.
LIMITS_S: Final[Mapping[str, float]] = {"register_task_definition": 900.0}
DEFAULT_LIMIT_S: Final = 30.0
