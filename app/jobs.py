"""What a hint looks like on the wire: task names, queues, arguments. Shared by who sends and who works.

A hint says «look at this run». It carries ids and the charger's identity, so that Flower says which charger
a task is about; it carries no state and no secret. Losing, repeating or delaying one is harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

#: Hints of new orders and wake-ups.
QUEUE_STEPS: Final = "steps"
#: Hints that the keeper sends again; workers take from it first.
QUEUE_SWEPT: Final = "swept"
#: Beat's housekeeping.
QUEUE_HOUSEKEEPING: Final = "housekeeping"


@dataclass(frozen=True, slots=True)
class Hint:
    """One chain to send: the steps of a run that are not done."""

    run_id: str
    kind: str
    steps: tuple[str, ...]
    #: The charger's id and OCPP identity; a bulk job's id twice.
    charger_id: str
    identity: str
    swept: bool = False

    def task_names(self) -> Sequence[str]:
        """`provision.run_task`, ... in order."""
        return [f"{self.kind}.{step}" for step in self.steps]

    @property
    def queue(self) -> str:
        """The queue that this hint goes to."""
        return QUEUE_SWEPT if self.swept else QUEUE_STEPS
