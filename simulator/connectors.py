"""Connectors as facts, and the status that follows from them.

A connector remembers what is true (a cable is in, the EV wants energy, somebody is authorized, a
transaction runs, a fault is there, ...). Nobody sets its status: `settle` derives the status from
the facts and walks there along the specification's own transitions, so that an illegal jump cannot
be reported. Read `TRANSITIONS` first (OCPP 1.6 edition 2, section 4.9), then `Connector.settle`.

OCPP 2.0.1 has five connector statuses and no table of transitions; what a 1.6 status says of
charging moved to the transaction there (`charging_state`).
"""

from __future__ import annotations

import enum
from collections import deque
from types import MappingProxyType


class Status(enum.StrEnum):
    """ChargePointStatus of OCPP 1.6, section 7.7."""

    AVAILABLE = "Available"
    PREPARING = "Preparing"
    CHARGING = "Charging"
    SUSPENDED_EV = "SuspendedEV"
    SUSPENDED_EVSE = "SuspendedEVSE"
    FINISHING = "Finishing"
    RESERVED = "Reserved"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"


class Status201(enum.StrEnum):
    """ConnectorStatusEnumType of OCPP 2.0.1."""

    AVAILABLE = "Available"
    OCCUPIED = "Occupied"
    RESERVED = "Reserved"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"


class ChargingState(enum.StrEnum):
    """ChargingStateEnumType of OCPP 2.0.1, a fact of the transaction."""

    IDLE = "Idle"
    EV_CONNECTED = "EVConnected"
    CHARGING = "Charging"
    SUSPENDED_EV = "SuspendedEV"
    SUSPENDED_EVSE = "SuspendedEVSE"


#: The codes that OCPP 1.6 (section 7.6, ChargePointErrorCode) knows, except `NoError`.
ERROR_CODES = frozenset(
    {
        "ConnectorLockFailure",
        "EVCommunicationError",
        "GroundFailure",
        "HighTemperature",
        "InternalError",
        "LocalListConflict",
        "OtherError",
        "OverCurrentFailure",
        "OverVoltage",
        "PowerMeterFailure",
        "PowerSwitchFailure",
        "ReaderFailure",
        "ResetFailure",
        "UnderVoltage",
        "WeakSignal",
    }
)

#: Rows A to I of the table in section 4.9: from each status, the columns that have an entry.
_COLUMNS = "ABCDEFGHI"
_ROWS = {
    "A": "BCDEGHI",
    "B": "ACDEFI",
    "C": "ADEFHI",
    "D": "ACEFHI",
    "E": "ACDFHI",
    "F": "ABHI",
    "G": "ABHI",
    "H": "ABCDEI",
    "I": "ABCDEFGH",
}
_BY_LETTER = dict(zip(_COLUMNS, Status, strict=True))

#: From a status to the ones that may follow it directly (OCPP 1.6 section 4.9, 53 transitions).
TRANSITIONS = MappingProxyType(
    {
        _BY_LETTER[row]: tuple(_BY_LETTER[column] for column in columns)
        for row, columns in _ROWS.items()
    }
)
#: Section 4.9: the only statuses of connector 0.
STATION_STATUSES = frozenset({Status.AVAILABLE, Status.UNAVAILABLE, Status.FAULTED})
#: Where the table leaves several shortest ways, a walk prefers to pass through these, in this
#: order: a restart after Finishing is a new Preparing (F2), not a connector free for anybody (F1).
_PREFERRED = (Status.PREPARING, Status.AVAILABLE, Status.FINISHING)


def _walk(source: Status, target: Status) -> tuple[Status, ...]:
    """The shortest legal way from source to target, without the source itself."""
    ways: deque[tuple[Status, ...]] = deque([(source,)])
    while ways:
        way = ways.popleft()
        if way[-1] is target:
            return way[1:]
        steps = sorted(
            (s for s in TRANSITIONS[way[-1]] if s not in way and (s is target or s in _PREFERRED)),
            key=lambda s: _PREFERRED.index(s) if s in _PREFERRED else -1,
        )
        ways.extend((*way, step) for step in steps)
    raise ValueError(f"No legal way leads from {source} to {target}.")


_WALKS = MappingProxyType({(a, b): _walk(a, b) for a in Status for b in Status if a is not b})


class Connector:
    """The facts of one connector. `settle` after changing them; the subclasses speak a version.

    About 200 bytes; it knows no time and no I/O.
    """

    __slots__ = (
        "authorized",
        "ev_ready",
        "evse_id",
        "evse_offers",
        "fault",
        "finished",
        "id",
        "operative",
        "plugged",
        "reserved",
        "transacting",
    )

    def __init__(self, connector_id: int, evse_id: int | None = None) -> None:
        self.id = connector_id
        self.evse_id = connector_id if evse_id is None else evse_id
        #: The cable is in, at both ends.
        self.plugged = False
        #: The EV wants energy (contact S2 closed, IEC 61851 state C).
        self.ev_ready = False
        #: A token was accepted, or a remote start, and its transaction has not begun.
        self.authorized = False
        #: A transaction runs here.
        self.transacting = False
        #: The station would deliver power now; false under a limit of zero.
        self.evse_offers = True
        #: A transaction ended, or nobody identified in time, and the cable is still in.
        self.finished = False
        #: A reservation holds the connector.
        self.reserved = False
        #: What ChangeAvailability asked for; it takes effect once no transaction runs.
        self.operative = True
        #: The error code of the fault that stops charging, if there is one.
        self.fault: str | None = None

    @property
    def is_charging(self) -> bool:
        """Whether energy flows."""
        return (
            self.transacting
            and self.plugged
            and self.ev_ready
            and self.evse_offers
            and self.fault is None
        )

    @property
    def is_free(self) -> bool:
        """Whether nobody uses or blocks it (a reservation aside)."""
        return not (
            self.plugged or self.authorized or self.transacting or self.fault or not self.operative
        )

    def plug(self) -> bool:
        """Put the cable in; false when it was in already. The EV wants energy at once."""
        if self.plugged:
            return False
        self.plugged = self.ev_ready = True
        self.finished = False
        return True

    def unplug(self) -> bool:
        """Take the cable out; false when there was none."""
        if not self.plugged:
            return False
        self.plugged = self.ev_ready = self.finished = False
        return True

    def begin(self) -> None:
        """A transaction begins."""
        self.transacting = True
        self.authorized = self.finished = self.reserved = False

    def end(self) -> None:
        """The transaction ends; a cable still in has to be removed by the user."""
        self.transacting = self.authorized = False
        self.finished = self.plugged

    def settle(self) -> tuple[str, ...]:
        """Each status passed through since the last call, in order; empty when none changed."""
        raise NotImplementedError


class Connector16(Connector):
    """A connector that reports the nine statuses of OCPP 1.6."""

    __slots__ = ("status",)

    def __init__(self, connector_id: int, evse_id: int | None = None) -> None:
        super().__init__(connector_id, evse_id)
        self.status = Status.AVAILABLE

    def settle(self) -> tuple[Status, ...]:
        """Walk to the status that the facts call for, by transitions of the table only."""
        target = target16(self)
        if target is self.status:
            return ()
        walk = _WALKS[self.status, target]
        self.status = target
        return walk


class Connector201(Connector):
    """A connector that reports the five statuses of OCPP 2.0.1."""

    __slots__ = ("status",)

    def __init__(self, connector_id: int, evse_id: int | None = None) -> None:
        super().__init__(connector_id, evse_id)
        self.status = Status201.AVAILABLE

    def settle(self) -> tuple[Status201, ...]:
        """Take the status that the facts call for."""
        target = target201(self)
        if target is self.status:
            return ()
        self.status = target
        return (target,)


def target16(facts: Connector) -> Status:
    """The OCPP 1.6 status that these facts mean.

    A reserved connector stays Reserved until the reserved identity is presented (transition G2),
    whatever is plugged in meanwhile. SuspendedEVSE goes before SuspendedEV (section 4.9).
    """
    if facts.fault is not None:
        return Status.FAULTED
    if facts.transacting:
        return _charging16(facts)
    if not facts.operative:
        return Status.UNAVAILABLE
    if facts.finished:
        # A token presented again at a cable that stayed in starts over (transition F2).
        return Status.PREPARING if facts.authorized else Status.FINISHING
    if facts.authorized:
        return Status.PREPARING
    if facts.reserved:
        return Status.RESERVED
    return Status.PREPARING if facts.plugged else Status.AVAILABLE


def _charging16(facts: Connector) -> Status:
    if facts.plugged and not facts.evse_offers:
        return Status.SUSPENDED_EVSE
    # A cable that was pulled while StopTransactionOnEVSideDisconnect is false is the EV's pause.
    return Status.CHARGING if facts.plugged and facts.ev_ready else Status.SUSPENDED_EV


def target201(facts: Connector) -> Status201:
    """The OCPP 2.0.1 status that these facts mean (part 2, section C and G)."""
    if facts.fault is not None:
        return Status201.FAULTED
    if facts.transacting and facts.plugged:
        return Status201.OCCUPIED
    if not facts.operative and not facts.transacting:
        return Status201.UNAVAILABLE
    if facts.reserved and not facts.authorized:
        return Status201.RESERVED
    return Status201.OCCUPIED if facts.plugged else Status201.AVAILABLE


def charging_state(facts: Connector) -> ChargingState:
    """The chargingState of the transaction on this connector (OCPP 2.0.1)."""
    if not facts.plugged:
        return ChargingState.IDLE
    if not facts.transacting:
        return ChargingState.EV_CONNECTED
    if facts.fault is not None or not facts.evse_offers:
        return ChargingState.SUSPENDED_EVSE
    return ChargingState.CHARGING if facts.ev_ready else ChargingState.SUSPENDED_EV
