"""What is done, in which order: each workflow is a tuple of step names. Pure; nothing here runs.

A run stores its own copy (`runs.plan`) when it is ordered, so these tuples may change at any release.
`workers.runs.steps` binds a function to each name; each step is a Celery task of its own, called
`<workflow>.<step>` (`provision.run_task`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """The workflows. The value is the first half of a task's name."""

    #: A new charger comes up.
    PROVISION = "provision"
    #: A stopped or failed charger comes up again.
    START = "start"
    #: A reset was ordered.
    RESTART = "restart"
    #: An update that the runtime must see.
    REPLACE = "replace"
    #: The reconciler brings back what ended by itself.
    RECOVER = "recover"
    #: The runtime goes, the charger stays.
    STOP = "stop"
    #: Both go.
    DELETE = "delete"
    #: Many chargers in one order.
    BULK = "bulk"


RETIRE: Final = ("retire_runtimes", "wait_until_gone")
BRING_UP: Final = ("register_task_definition", "run_task", "wait_for_health", "mark_ready")

PLANS: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.PROVISION: BRING_UP,
    Kind.START: RETIRE + BRING_UP,
    Kind.RESTART: RETIRE + BRING_UP,
    Kind.REPLACE: RETIRE + BRING_UP,
    Kind.RECOVER: RETIRE + BRING_UP,
    Kind.STOP: (*RETIRE, "mark_stopped"),
    Kind.DELETE: (*RETIRE, "forget"),
    Kind.BULK: ("admit_children", "wait_for_children", "mark_job"),
}

#: What is appended to the steps done when a bring-up fails for good.
COMPENSATION: Final = (*RETIRE, "mark_failed")

#: Workflows that end in a running charger.
BRINGS_UP: Final = frozenset({Kind.PROVISION, Kind.START, Kind.RESTART, Kind.REPLACE})
#: Workflows that never give up: they wait with back-off for as long as it takes.
NEVER_FAILS: Final = frozenset({Kind.STOP, Kind.DELETE, Kind.RECOVER, Kind.BULK})
