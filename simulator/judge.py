"""The rules that the CSMS of the tests holds a charger to, and the books it keeps.

`Judge` is told of every socket and every frame of one identity and writes down what breaks a rule: framing,
schemas (both directions), anything but BootNotification before Accepted, two calls in the air, a message id
used twice, and the order of connector states (OCPP 1.6 edition 2, 4.9). It never closes anything itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.rpc import WIRE16, WIRE201, Answer, Broken, Call, Failure, Message, Wire, read
from simulator.schemas import SCHEMAS16, SCHEMAS201, Catalogue

#: Where each connector state may go (OCPP 1.6 edition 2, 4.9: the table of status transitions).
_NEXT: Mapping[str, frozenset[str]] = {
    "Available": frozenset(
        {"Preparing", "Charging", "SuspendedEV", "SuspendedEVSE", "Reserved", "Unavailable", "Faulted"}
    ),
    "Preparing": frozenset(
        {"Available", "Charging", "SuspendedEV", "SuspendedEVSE", "Finishing", "Faulted"}
    ),
    "Charging": frozenset(
        {"Available", "SuspendedEV", "SuspendedEVSE", "Finishing", "Unavailable", "Faulted"}
    ),
    "SuspendedEV": frozenset(
        {"Available", "Charging", "SuspendedEVSE", "Finishing", "Unavailable", "Faulted"}
    ),
    "SuspendedEVSE": frozenset(
        {"Available", "Charging", "SuspendedEV", "Finishing", "Unavailable", "Faulted"}
    ),
    "Finishing": frozenset({"Available", "Preparing", "Unavailable", "Faulted"}),
    "Reserved": frozenset({"Available", "Preparing", "Unavailable", "Faulted"}),
    "Unavailable": frozenset(
        {"Available", "Preparing", "Charging", "SuspendedEV", "SuspendedEVSE", "Faulted"}
    ),
    "Faulted": frozenset(
        {
            "Available", "Preparing", "Charging", "SuspendedEV", "SuspendedEVSE", "Finishing",
            "Reserved", "Unavailable",
        }
    ),
}  # fmt: skip
_STATION_STATES = frozenset({"Available", "Unavailable", "Faulted"})


@dataclass(slots=True)
class SocketLife:
    """One connection of one identity. Times are Unix seconds."""

    identity: str
    subprotocol: str
    opened_at: float
    closed_at: float | None = None
    close_code: int | None = None


@dataclass(frozen=True, slots=True)
class SeenFrame:
    """One frame; `direction` is `u` (from the charger) or `d`."""

    identity: str
    at: float
    direction: str
    action: str
    text: str


@dataclass(frozen=True, slots=True)
class Offence:
    """A rule that the charger broke, as a sentence."""

    identity: str
    at: float
    sentence: str
    text: str = ""


@dataclass(slots=True)
class Judge:
    """The books of one identity."""

    identity: str
    offences: list[Offence]
    wire: Wire = WIRE16
    schemas: Catalogue = SCHEMAS16
    #: What the last BootNotification was answered with; it outlives a socket, as a charger's boot does.
    boot_status: str | None = None
    #: The message id of the charger's call that waits for our answer.
    waits_for_us: str | None = None
    #: Messages that we asked for, which may come before Accepted.
    triggered: set[str] = field(default_factory=set)
    _ids: set[str] = field(default_factory=set)
    _states: dict[int, str] = field(default_factory=dict)
    #: Our calls in the air: id to action.
    asked: dict[str, str] = field(default_factory=dict)

    def opened(self, subprotocol: str) -> None:
        """A new socket: ids and connector states start afresh, for a charger reports only where it is."""
        self.wire, self.schemas = (
            (WIRE16, SCHEMAS16) if subprotocol == "ocpp1.6" else (WIRE201, SCHEMAS201)
        )
        self.waits_for_us = None
        self._ids.clear()
        self._states.clear()
        self.asked.clear()

    def hear(self, text: str, at: float) -> Message:
        """Judge one frame from the charger; what it says."""
        message = read(text, self.wire)
        if isinstance(message, Broken):
            self._note(at, message.reason, text)
        elif isinstance(message, Call):
            self._judge_call(message, at, text)
        else:
            self._judge_answer(message, at, text)
        return message

    def refusal(self, call: Call) -> tuple[str, str] | None:
        """The CALLERROR (code, description) that this call deserves; None when it is to be answered."""
        if call.action not in self.schemas.actions:
            return "NotImplemented", f"The action {call.action} is not known."
        violation = self.schemas.check_request(call.action, call.payload)
        if violation:
            return violation.code, violation.message
        if not self._may_speak(call.action):
            return "SecurityError", f"{call.action} before BootNotification was Accepted."
        return None

    def answered_boot(self, status: str) -> None:
        """The CSMS answered a BootNotification."""
        self.boot_status = status
        self._states.clear()

    def _may_speak(self, action: str) -> bool:
        if self.boot_status == "Accepted" or action == "BootNotification":
            return True
        return self.boot_status == "Pending" and action in self.triggered

    def _judge_call(self, call: Call, at: float, text: str) -> None:
        if self.waits_for_us is not None:
            self._note(at, "A second call while the first is in the air.", text)
        self.waits_for_us = call.id
        if call.id in self._ids:
            self._note(at, f"The message id {call.id} was used before.", text)
        self._ids.add(call.id)
        refusal = self.refusal(call)
        if refusal:
            self._note(at, f"{call.action}: {refusal[0]}: {refusal[1]}", text)
        elif call.action == "StatusNotification" and self.wire is WIRE16:
            self._judge_status(call.payload, at, text)
        self.triggered.discard(call.action)

    def _judge_status(self, payload: Mapping[str, Any], at: float, text: str) -> None:
        connector, status = payload["connectorId"], payload["status"]
        before = self._states.get(connector)
        self._states[connector] = status
        if connector == 0 and status not in _STATION_STATES:
            self._note(at, f"Connector 0 cannot be {status}.", text)
        elif before is not None and status != before and status not in _NEXT[before]:
            self._note(at, f"Connector {connector} went from {before} to {status}.", text)

    def _judge_answer(self, message: Answer | Failure, at: float, text: str) -> None:
        action = self.asked.pop(message.id, None)
        if action is None:
            self._note(at, f"An answer to {message.id}, which was not asked.", text)
        elif isinstance(message, Answer):
            violation = self.schemas.check_answer(action, message.payload)
            if violation:
                self._note(at, f"{action} answer: {violation.code}: {violation.message}", text)

    def _note(self, at: float, sentence: str, text: str) -> None:
        self.offences.append(Offence(self.identity, at, sentence, text))


def find_overlaps(sockets: list[SocketLife]) -> list[tuple[SocketLife, SocketLife]]:
    """Pairs of sockets of one identity that were open at the same time."""
    found = []
    latest: dict[str, SocketLife] = {}
    for life in sorted(sockets, key=lambda item: item.opened_at):
        before = latest.get(life.identity)
        if before is not None and _end(before) > life.opened_at:
            found.append((before, life))
        if before is None or _end(life) >= _end(before):
            latest[life.identity] = life
    return found


def _end(life: SocketLife) -> float:
    return math.inf if life.closed_at is None else life.closed_at
