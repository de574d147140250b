"""What `status` says, and when it may change. Pure; the diagram in docs/architecture.md is made from here.

`Status` is about orders: what became of the last one. What the runtime does right now is `Stage`, and what to
think of it is `Verdict`. A charger that lost its CSMS is still READY; its stage and verdict tell.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """The outcome of the last order."""

    #: Accepted; no worker has taken it up yet.
    PENDING = "PENDING"
    #: A bring-up is under way.
    PROVISIONING = "PROVISIONING"
    #: The last bring-up ended well. Also while stopping, stopped, offline, or being recovered.
    READY = "READY"
    #: The last bring-up failed; `error` says why. Waits for an order.
    FAILED = "FAILED"


class Desired(StrEnum):
    """What the client asked for; only the API writes it."""

    RUNNING = "running"
    STOPPED = "stopped"


class Stage(StrEnum):
    """How far the runtime is."""

    NOT_DEPLOYED = "not_deployed"
    #: Ordered; waiting for a worker or for another runtime of the identity to go.
    QUEUED = "queued"
    #: The driver accepted it, or capacity is awaited.
    SCHEDULING = "scheduling"
    PULLING = "pulling"
    #: The process comes up and calls home.
    STARTING = "starting"
    #: It dials the CSMS.
    CONNECTING = "connecting"
    #: Connected; BootNotification not yet accepted.
    REGISTERING = "registering"
    #: The CSMS accepted it.
    ONLINE = "online"
    #: It was online and lost its CSMS.
    OFFLINE = "offline"
    STOPPED = "stopped"


class Verdict(StrEnum):
    """What to think of the stage."""

    STOPPED = "stopped"
    SCHEDULING = "scheduling"
    IMAGE_PULL_FAILED = "image_pull_failed"
    CRASH_LOOP = "crash_loop"
    STARTING = "starting"
    CSMS_UNREACHABLE = "csms_unreachable"
    CSMS_REJECTED = "csms_rejected"
    CONNECTED = "connected"
    #: The link to it is away; the charger itself may be well.
    UNKNOWN = "unknown"


class Event(StrEnum):
    """What moves a status."""

    #: A worker claimed the first step of a PROVISION run.
    CLAIMED = "a worker takes up the order"
    #: start, reset, or an update that the runtime must see.
    BRING_UP_ORDERED = "start, reset or update is ordered"
    CAME_UP = "the charger came up"
    GAVE_UP = "the bring-up failed for good"
    #: stop before the first READY.
    STOPPED_EARLY = "stop is ordered before it was ever READY"
    #: stop supersedes a later bring-up.
    STOPPED_LATER = "stop is ordered during a later bring-up"


TRANSITIONS: Final[dict[tuple[Status, Event], Status]] = {
    (Status.PENDING, Event.CLAIMED): Status.PROVISIONING,
    (Status.PENDING, Event.BRING_UP_ORDERED): Status.PROVISIONING,
    (Status.PENDING, Event.STOPPED_EARLY): Status.FAILED,
    (Status.PROVISIONING, Event.BRING_UP_ORDERED): Status.PROVISIONING,
    (Status.PROVISIONING, Event.CAME_UP): Status.READY,
    (Status.PROVISIONING, Event.GAVE_UP): Status.FAILED,
    (Status.PROVISIONING, Event.STOPPED_EARLY): Status.FAILED,
    (Status.PROVISIONING, Event.STOPPED_LATER): Status.READY,
    (Status.READY, Event.BRING_UP_ORDERED): Status.PROVISIONING,
    (Status.FAILED, Event.BRING_UP_ORDERED): Status.PROVISIONING,
}

#: A client may stop polling at these.
SETTLED: Final = frozenset({Status.READY, Status.FAILED})


def move(status: Status, event: Event) -> Status:
    """The status after an event.

    Raises `KeyError` for a move that the table does not have: that is a mistake in this program.
    """
    return TRANSITIONS[status, event]


def draw() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> PENDING: create is ordered"]
    lines += [f"    {old} --> {new}: {event}" for (old, event), new in TRANSITIONS.items()]
    return "\n".join(lines)
