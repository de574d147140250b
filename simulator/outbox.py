"""The calls that a charger wants to make: who may go next, and what became of the one in the air.

OCPP-J allows one call in the air at a time (1.6 JSON 4.1.1, 2.0.1 Part 4 4.1.1). Two lanes wait behind it:
*volatile* calls are dropped when the connection goes, *durable* ones (transactions) stay in order, across
connections and across restarts. Between the heads of the lanes the older goes first.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from simulator.behaviour import Sent

#: Ids of calls that were given up, so that a late answer can still be named; the oldest go first.
_REMEMBERED = 8


class Outbox:
    """The lanes of one charger."""

    __slots__ = (
        "_count",
        "_durable",
        "_late",
        "_order",
        "_prefix",
        "_volatile",
        "held_until",
        "in_air",
    )

    def __init__(self) -> None:
        #: The call that waits for its answer.
        self.in_air: Sent | None = None
        #: Durable calls wait until then (seconds, like every time here).
        self.held_until = 0.0
        self._volatile: list[Sent] | None = None
        self._durable: list[Sent] | None = None
        self._late: dict[str, str] | None = None
        # Ids are unique across reconnects and restarts: a random start, then a number.
        self._prefix = secrets.token_hex(4)
        self._count = 0

    def add(self, sent: Sent, *, first: bool = False) -> None:
        """Put a call into its lane; `first` puts it before the others there."""
        if sent.durable:
            lane = self._durable = self._durable or []
        else:
            lane = self._volatile = self._volatile or []
        if first:
            sent.order = lane[0].order - 1 if lane else self._count
            lane.insert(0, sent)
        else:
            self._count += 1
            sent.order = self._count
            lane.append(sent)

    def has(self, action: str) -> bool:
        """Whether a volatile call of this action waits or is in the air."""
        if self.in_air is not None and self.in_air.action == action:
            return True
        return any(sent.action == action for sent in self._volatile or ())

    @property
    def is_done(self) -> bool:
        """Nothing waits and nothing is in the air."""
        return self.in_air is None and not (self._volatile or self._durable)

    def take(self, now: float, *, accepted: bool) -> Sent | None:
        """The call that goes now, made the one in the air; None when none may."""
        if self.in_air is not None or not (self._volatile or self._durable):
            return None
        sent = self._next_volatile(accepted)
        if accepted and self._durable and self.held_until <= now:
            head = self._durable[0]
            if sent is None or head.order < sent.order:
                sent = head
        if sent is None:
            return None
        for lane in (self._volatile, self._durable):
            if lane and sent in lane:
                lane.remove(sent)
        self._count += 1
        sent.id = f"{self._prefix}-{self._count}"
        sent.attempts += 1
        self.in_air = sent
        return sent

    def _next_volatile(self, accepted: bool) -> Sent | None:
        for sent in self._volatile or ():
            if accepted or sent.triggered:
                return sent
        return None

    def settle(self, message_id: str) -> Sent | None:
        """The call that this id answers, no longer in the air; None when it is another's."""
        sent = self.in_air
        if sent is None or sent.id != message_id:
            return None
        self.in_air = None
        return sent

    def give_up(self) -> Sent | None:
        """Take the call out of the air for want of an answer; its id is remembered for a while."""
        sent, self.in_air = self.in_air, None
        if sent is not None:
            late = self._late = self._late or {}
            late[sent.id] = sent.action
            if len(late) > _REMEMBERED:
                del late[next(iter(late))]
        return sent

    def name_late(self, message_id: str) -> str | None:
        """The action of a call that was given up, when its answer comes after all; asked once."""
        return self._late.pop(message_id, None) if self._late else None

    def drop_volatile(self) -> Sequence[Sent]:
        """Forget what does not outlive a connection; what was dropped."""
        dropped = self._volatile or []
        self._volatile = None
        return dropped

    def waiting(self) -> Sequence[Sent]:
        """The durable calls, in order; the one in the air opens the list when it is durable."""
        lane = list(self._durable or ())
        if self.in_air is not None and self.in_air.durable:
            lane.insert(0, self.in_air)
        return lane

    def dump(self) -> list[Mapping[str, Any]]:
        """The durable calls as JSON."""
        return [
            {"action": sent.action, "payload": sent.payload, "context": sent.context}
            for sent in self.waiting()
        ]

    def load(self, saved: Sequence[Mapping[str, Any]]) -> None:
        """Take up the durable calls that `dump` wrote."""
        for item in saved:
            self.add(Sent(item["action"], item["payload"], item["context"], durable=True))
