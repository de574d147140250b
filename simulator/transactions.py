"""A transaction: what is remembered of it, why it ends, and how its messages stay together.

The messages themselves wait in the charger's outbox as durable calls, in order, online or not. What
this module adds is the identity of the transaction: `Transaction.key` is ours from the first moment
(and is the transactionId in 2.0.1); in 1.6 the CSMS gives its own number only in the answer to
StartTransaction, so `bind` writes that number into every later message that is still waiting.

Sources: OCPP 1.6 sections 4.8, 4.10, 7.37 (Reason); OCPP 2.0.1 part 2, section E, ReasonEnumType
and TriggerReasonEnumType.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

#: The transactionId of messages whose StartTransaction the CSMS never took: no CSMS hands it out.
UNKNOWN_ID = -1


class EndWords(NamedTuple):
    """One reason to end, in the words of each version."""

    reason16: str
    reason201: str
    trigger201: str


class End(enum.Enum):
    """Why a transaction ends."""

    LOCAL = EndWords("Local", "Local", "StopAuthorized")
    REMOTE = EndWords("Remote", "Remote", "RemoteStop")
    EV_GONE = EndWords("EVDisconnected", "EVDisconnected", "EVCommunicationLost")
    DEAUTHORIZED = EndWords("DeAuthorized", "DeAuthorized", "Deauthorized")
    SOFT_RESET = EndWords("SoftReset", "ImmediateReset", "ResetCommand")
    HARD_RESET = EndWords("HardReset", "ImmediateReset", "ResetCommand")
    UNLOCKED = EndWords("UnlockCommand", "Other", "UnlockCommand")
    POWER_LOST = EndWords("PowerLoss", "PowerLoss", "AbnormalCondition")
    TIME_REACHED = EndWords("Local", "TimeLimitReached", "TimeLimitReached")
    ENERGY_REACHED = EndWords("Local", "EnergyLimitReached", "EnergyLimitReached")
    TIMED_OUT = EndWords("Other", "Timeout", "EVConnectTimeout")


class Token(NamedTuple):
    """An identifier and, in 2.0.1, its type."""

    id: str
    type: str = "ISO14443"

    def write(self) -> dict[str, str]:
        """The IdTokenType of OCPP 2.0.1."""
        return {"idToken": self.id, "type": self.type}


class Transaction:
    """One transaction on one connector. Time in epoch seconds, energy in Wh, all JSON in `dump`."""

    __slots__ = (
        "allowance_wh",
        "begin_wh",
        "begun",
        "csms_id",
        "deauthorized",
        "ends_at",
        "energy_goal_wh",
        "key",
        "parent",
        "rate_w",
        "remote_start_id",
        "reservation_id",
        "samples",
        "sequence",
        "state",
        "stopped_by",
        "token",
        "told_token",
    )

    def __init__(self, key: str, token: Token | None, begun: float, begin_wh: float) -> None:
        self.key = key
        self.token = token
        #: The group of the token, as far as it is known.
        self.parent: str | None = None
        self.begun = begun
        self.begin_wh = begin_wh
        #: 1.6: the number that the CSMS gave; None until it did.
        self.csms_id: int | None = None
        #: The CSMS took the authorization back, and the transaction goes on without energy.
        self.deauthorized = False
        #: Up to this register it may still take energy then.
        self.allowance_wh: float | None = None
        #: Where start_session asked it to end by itself.
        self.ends_at: float | None = None
        self.energy_goal_wh: float | None = None
        #: 2.0.1: the remoteStartId that began it.
        self.remote_start_id: int | None = None
        #: The reservation that it used up.
        self.reservation_id: int | None = None
        #: Meter values kept for the last message.
        self.samples: list[dict[str, Any]] = []
        #: 2.0.1: the next seqNo.
        self.sequence = 0
        #: 2.0.1: the chargingState that was reported last.
        self.state: str | None = None
        #: Same: the offered power then, in W; and whether the token was told.
        self.rate_w: float | None = None
        self.told_token = False
        #: The name of the `End` with which its user stopped it, while the cable is still in
        #: (2.0.1).
        self.stopped_by: str | None = None

    def next_sequence(self) -> int:
        """The seqNo of the message about to be written."""
        number = self.sequence
        self.sequence += 1
        return number

    def gives_energy(self, register_wh: float) -> bool:
        """Whether somebody is authorized to take energy while the register stands so."""
        if self.token is None or self.stopped_by is not None:
            return False
        if not self.deauthorized:
            return True
        return self.allowance_wh is not None and register_wh < self.allowance_wh - 1e-3

    @property
    def shown_id(self) -> str:
        """What clients see: the CSMS's number once it is known, else our key."""
        return self.key if self.csms_id is None else str(self.csms_id)

    def is_called(self, name: str) -> bool:
        """Whether a message or command with this id means this transaction."""
        return name in (self.key, self.shown_id)

    def dump(self) -> dict[str, Any]:
        """Everything, as JSON."""
        state = {name: getattr(self, name) for name in self.__slots__}
        return state | {"token": list(self.token) if self.token else None}


def load_transaction(state: Mapping[str, Any]) -> Transaction:
    """The transaction that `dump` wrote."""
    token = Token(*state["token"]) if state["token"] else None
    transaction = Transaction(state["key"], token, state["begun"], state["begin_wh"])
    for name in Transaction.__slots__:
        if name != "token" and name in state:
            setattr(transaction, name, state[name])
    return transaction


class Waiting(Protocol):
    """A durable call in the outbox, as far as `bind` cares."""

    payload: dict[str, Any]
    context: Any


def bind(waiting: Iterable[Waiting], key: str, csms_id: int) -> int:
    """Write the CSMS's number into the waiting 1.6 messages of a transaction; how many there were.

    Messages carry `{"transaction": key}` as their context, so this works after a restart as well.
    """
    count = 0
    for call in waiting:
        if isinstance(call.context, dict) and call.context.get("transaction") == key:
            if "idTag" not in call.payload or "transactionId" in call.payload:
                call.payload["transactionId"] = csms_id
            count += 1
    return count
