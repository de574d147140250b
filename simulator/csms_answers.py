"""How the demo CSMS treats a charger: its manners, and its answer to each call when nothing else is ordered."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.rpc import WIRE16, Call, Wire

_transactions = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Manners:
    """What the CSMS does to one identity."""

    #: `accepted`, `rejected`, `pending:N` (N times, then accepted), `error` (a CALLERROR) or `never`.
    boot: str = "accepted"
    #: The interval in a Pending or Rejected answer, in seconds.
    retry_s: int = 1
    #: Before each answer, in seconds.
    delay_s: float = 0.0
    #: `accept`, a status (`401`), `drop` (cut the line) or `never` (no answer).
    upgrade: str = "accept"
    #: The subprotocol to choose, offered or not; the empty string: none; None: as is right.
    subprotocol: str | None = None
    #: The Basic password that the upgrade must carry.
    password: str | None = None
    #: Close the socket after answering this action, with `close_code`.
    close_after: str | None = None
    close_code: int = 1011
    #: Per action: a payload, `{"error": code}` or `"never"`.
    answers: Mapping[str, Any] = field(default_factory=dict)

    def change(self, **changes: Any) -> Manners:
        """The same with these changes. Raises `ValueError` for what makes no sense."""
        unknown = set(changes) - {item.name for item in dataclasses.fields(self)}
        if unknown:
            raise ValueError(f"There is no such thing to change: {', '.join(sorted(unknown))}.")
        if "boot" in changes:
            parse_boot(changes["boot"])
        return dataclasses.replace(self, **changes)

    def next_boot(self) -> tuple[str, Manners]:
        """The status for the BootNotification at hand, and the manners that hold from then on."""
        kind, count = parse_boot(self.boot)
        if kind != "pending":
            return {"accepted": "Accepted", "rejected": "Rejected"}.get(kind, kind), self
        if count == 0:
            return "Accepted", self
        return "Pending", self.change(boot=f"pending:{count - 1}")


def parse_boot(text: str) -> tuple[str, int]:
    """The kind of boot answer and, for `pending:N`, the number of times. Raises `ValueError`."""
    kind, _, count = text.partition(":")
    if kind == "pending":
        if not count.isdigit():
            raise ValueError("pending needs a number of times, as in pending:3.")
        return kind, int(count)
    if kind not in ("accepted", "rejected", "never", "error") or count:
        raise ValueError(f"{text!r} is not accepted, pending:N, rejected, error or never.")
    return kind, 0


def write_default_answer(wire: Wire, call: Call, time_text: str) -> dict[str, Any]:
    """A friendly answer to a call that a charger may make; empty where the schema wants nothing."""
    if call.action == "Heartbeat":
        return {"currentTime": time_text}
    if wire is WIRE16:
        if call.action == "StartTransaction":
            return {"transactionId": next(_transactions), "idTagInfo": {"status": "Accepted"}}
        return dict(_ANSWERS16.get(call.action, {}))
    if call.action == "TransactionEvent" and "idToken" in call.payload:
        return {"idTokenInfo": {"status": "Accepted"}}
    return dict(_ANSWERS201.get(call.action, {}))


_ANSWERS16: Mapping[str, Mapping[str, Any]] = {
    "Authorize": {"idTagInfo": {"status": "Accepted"}},
    "DataTransfer": {"status": "Accepted"},
    "SignCertificate": {"status": "Accepted"},
}
_ANSWERS201: Mapping[str, Mapping[str, Any]] = {
    "Authorize": {"idTokenInfo": {"status": "Accepted"}},
    "DataTransfer": {"status": "Accepted"},
    "Get15118EVCertificate": {"status": "Failed", "exiResponse": ""},
    "GetCertificateStatus": {"status": "Failed"},
    "NotifyEVChargingNeeds": {"status": "Accepted"},
    "NotifyEVChargingSchedule": {"status": "Accepted"},
    "SignCertificate": {"status": "Accepted"},
}
