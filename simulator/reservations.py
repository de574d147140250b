"""Reservations: who holds which connector until when.

`Reservations` is a small table; whether a connector can be reserved follows from the facts of
`simulator.connectors`. Connector 0 (1.6), or no EVSE (2.0.1), reserves any one connector: as many
connectors as such reservations have to stay free. Sources: OCPP 1.6 sections 3.10, 5.2, 5.13; OCPP
2.0.1 part 2, section H.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from simulator.connectors import Connector
from simulator.tokens import same_token

ACCEPTED, FAULTED, OCCUPIED, REJECTED, UNAVAILABLE = (
    "Accepted",
    "Faulted",
    "Occupied",
    "Rejected",
    "Unavailable",
)


class Reservation(NamedTuple):
    """One reservation; `connector_id` 0 is any connector, `expiry` epoch seconds."""

    id: int
    connector_id: int
    token: str
    parent: str | None
    expiry: float

    def is_for(self, token: str, parent: str | None = None) -> bool:
        """Whether this token, or its group, may use it."""
        return same_token(self.token, token) or same_token(self.parent, parent)


class Reservations:
    """Every reservation of one charger. It sets `Connector.reserved`; settle the connectors after."""

    __slots__ = ("_held",)

    def __init__(self, held: Iterable[Reservation] = ()) -> None:
        self._held = {reservation.id: reservation for reservation in held}

    def __len__(self) -> int:
        return len(self._held)

    def all(self) -> list[Reservation]:
        """Every reservation."""
        return list(self._held.values())

    def on(self, connector_id: int) -> Reservation | None:
        """The reservation of this very connector."""
        return next((r for r in self._held.values() if r.connector_id == connector_id), None)

    def reserve(self, wanted: Reservation, connectors: Sequence[Connector], now: float) -> str:
        """Reserve, or say why not: Accepted, Faulted, Occupied, Rejected or Unavailable.

        The same id again replaces the older reservation (OCPP 1.6 section 5.13).
        """
        if wanted.expiry <= now:
            return REJECTED
        held = [r for r in self._held.values() if r.id != wanted.id]
        status = (
            _find_any(connectors, held)
            if wanted.connector_id == 0
            else _find_one(wanted.connector_id, connectors, held)
        )
        if status == ACCEPTED:
            self.cancel(wanted.id, connectors)
            self._held[wanted.id] = wanted
            self._mark(wanted.connector_id, connectors, reserved=True)
        return status

    def cancel(self, reservation_id: int, connectors: Sequence[Connector]) -> Reservation | None:
        """Take a reservation out; None when there is none of this id."""
        gone = self._held.pop(reservation_id, None)
        if gone is not None:
            self._mark(gone.connector_id, connectors, reserved=False)
        return gone

    def expire(self, now: float, connectors: Sequence[Connector]) -> list[Reservation]:
        """Take out what has expired."""
        over = [r for r in self._held.values() if r.expiry <= now]
        for reservation in over:
            self.cancel(reservation.id, connectors)
        return over

    def next_expiry(self) -> float | None:
        """The earliest expiry; None without reservations."""
        return min((r.expiry for r in self._held.values()), default=None)

    def refuses(
        self,
        connector: Connector,
        connectors: Sequence[Connector],
        token: str,
        parent: str | None = None,
    ) -> bool:
        """Whether reservations keep this token from using this connector."""
        held = self.on(connector.id)
        if held is not None:
            return not held.is_for(token, parent)
        anywhere = [r for r in self._held.values() if r.connector_id == 0]
        if not anywhere or any(r.is_for(token, parent) for r in anywhere):
            return False
        free = [c for c in connectors if c.is_free and not c.reserved and c is not connector]
        return len(free) < len(anywhere)

    def claim(
        self,
        connector: Connector,
        connectors: Sequence[Connector],
        token: str,
        parent: str | None = None,
    ) -> Reservation | None:
        """Use up the reservation that this token has for this connector, if it has one."""
        candidates = (self.on(connector.id), self.on(0))
        for held in candidates:
            if held is not None and held.is_for(token, parent):
                return self.cancel(held.id, connectors)
        return None

    def _mark(self, connector_id: int, connectors: Sequence[Connector], *, reserved: bool) -> None:
        for connector in connectors:
            if connector.id == connector_id:
                connector.reserved = reserved


def _find_one(wanted: int, connectors: Sequence[Connector], held: Sequence[Reservation]) -> str:
    connector = next((c for c in connectors if c.id == wanted), None)
    if connector is None:
        return REJECTED
    if connector.fault is not None:
        return FAULTED
    if not connector.operative and not connector.transacting:
        return UNAVAILABLE
    taken = any(r.connector_id == wanted for r in held)
    return OCCUPIED if taken or not connector.is_free else ACCEPTED


def _find_any(connectors: Sequence[Connector], held: Sequence[Reservation]) -> str:
    taken = {r.connector_id for r in held}
    free = [c for c in connectors if c.is_free and c.id not in taken]
    if len(free) > sum(r.connector_id == 0 for r in held):
        return ACCEPTED
    if all(c.fault is not None for c in connectors):
        return FAULTED
    return UNAVAILABLE if not any(c.operative for c in connectors) else OCCUPIED
