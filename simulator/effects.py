"""What a charger wants done. `Charger`'s inputs return lists of these; the runner carries them out in order.

They are plain values, so that a test can compare them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Open:
    """Open a connection to the CSMS; answer with `connected` or `connection_failed`."""


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection politely; answer with `disconnected`."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Abandon:
    """End the connection at once, since nobody answers on it; answer with `disconnected`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Send a WebSocket ping; answer with `ponged`."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send this frame and record it. `action` is that of the call, for answers too."""

    text: str
    action: str


@dataclass(frozen=True, slots=True)
class Heard:
    """Record this frame, which came from the CSMS. `action` is empty when it cannot be told."""

    text: str
    action: str


@dataclass(frozen=True, slots=True)
class Stated:
    """The stage or the verdict changed, or an attempt failed: tell the gateway (docs/link.md, `state`)."""

    stage: str
    verdict: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Happened:
    """Something worth an entry in the charger's own events."""

    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OutletsChanged:
    """What `Charger.describe_outlets` says has changed."""


@dataclass(frozen=True, slots=True)
class CommandEnded:
    """A command came to an end. `state` is `applied` or `rejected`."""

    id: str
    state: str
    result: Mapping[str, Any]
    error: str | None


@dataclass(frozen=True, slots=True)
class Save:
    """What `Charger.snapshot` says has changed and must outlive the process."""


Effect: TypeAlias = (
    Open
    | Close
    | Abandon
    | Ping
    | Send
    | Heard
    | Stated
    | Happened
    | OutletsChanged
    | CommandEnded
    | Save
)
