"""The living part of a charger: its bays (one per connector) and what they share.

A `Station` is the facet "station" of a `Charger`. It holds facts and nothing else:
`simulator.sessions` and `simulator.authorization` act on it, and a `Voice` (one per OCPP version)
turns what happened into messages and answers what that version's settings say. Whatever an idle
charger does not need (lists, profiles, reservations, changed settings) is made when it is first
asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from simulator.certificates import CertificateStore
from simulator.connectors import Connector
from simulator.device_model import DeviceModel
from simulator.ev import DEFAULT_MODEL, DEFAULT_SOC, Model
from simulator.keys16 import Configuration
from simulator.lifecycles import FirmwareUpdate, LogUpload
from simulator.meter import Meter, Outlet
from simulator.profiles import Profile
from simulator.reservations import Reservations
from simulator.stacking import Electrics, ProfileStack, Session
from simulator.tokens import Cache, LocalList, Policy
from simulator.transactions import End, Token, Transaction

if TYPE_CHECKING:
    from simulator.charger import Charger
    from simulator.outlet import Outlet as ShownOutlet

FACET = "station"
#: While offline, samples are made more rarely as so many calls wait.
_CROWDED = 20


class Order(NamedTuple):
    """A gateway command that waits for a transaction to begin, and the goals that it set."""

    command_id: str
    duration_s: float | None = None
    energy_wh: float | None = None


class Terms(NamedTuple):
    """What the settings of either version say about sessions. Seconds; an interval of 0 is never."""

    connection_timeout_s: float
    stops_on_unplug: bool
    stops_on_invalid: bool
    #: Wh that may still flow after the authorization was taken back, when that does not stop it.
    energy_on_invalid_wh: float
    asks_for_remote: bool
    sample_interval_s: float
    stop_sample_interval_s: float
    aligned_interval_s: float
    policy: Policy


class Voice(Protocol):
    """How one OCPP version says what happened. Implementations hold no state."""

    def terms(self, station: Station) -> Terms:
        """What the settings say."""

    def begins(self, station: Station, bay: Bay) -> bool:
        """Whether a transaction begins with the facts as they are."""

    def ends_on_stop(self, station: Station) -> bool:
        """Whether a transaction ends when its user stops it, and not only when the cable is out."""

    def report(self, charger: Charger, bay: Bay, now: float) -> None:
        """The status of a connector changed."""

    def ask(self, charger: Charger, token: Token, context: object) -> bool:
        """Ask the CSMS about a token; the answer goes to `authorization.conclude`."""

    def say_begun(self, charger: Charger, bay: Bay, now: float, trigger: str) -> None:
        """A transaction began."""

    def say_changed(self, charger: Charger, bay: Bay, now: float, trigger: str) -> None:
        """Something about a running transaction changed."""

    def say_ended(
        self, charger: Charger, bay: Bay, tx: Transaction, why: End, now: float, token: Token | None
    ) -> None:
        """A transaction ended; `tx` is no longer on the bay."""

    def say_sample(self, charger: Charger, bay: Bay, now: float, context: str) -> None:
        """A sample is due: `Sample.Periodic`, `Sample.Clock` or `Trigger`."""

    def keep_sample(self, charger: Charger, bay: Bay, now: float) -> None:
        """A sample for the last message is due."""

    def say_reservation_over(self, charger: Charger, reservation_id: int, now: float) -> None:
        """A reservation expired, or cannot be kept."""

    def say_firmware(self, charger: Charger, update: FirmwareUpdate, *, triggered: bool) -> None:
        """The firmware update is where its `status` says; `triggered` when the CSMS asked."""

    def say_upload(self, charger: Charger, upload: LogUpload, *, triggered: bool) -> None:
        """The log upload is where its `status` says."""

    def say_security_event(self, charger: Charger, kind: str, now: float) -> None:
        """Something happened that the security chapters list as an event."""

    def say_fault(self, charger: Charger, bay: Bay, code: str, now: float, *, over: bool) -> None:
        """A fault appeared or went, beside what the connector's status says."""


class Bay:
    """One connector with everything behind it. `outlet` is the part that is shown."""

    __slots__ = (
        "asking",
        "connector",
        "in_service",
        "meter",
        "order",
        "outlet",
        "override_w",
        "parent",
        "remote_start_id",
        "token",
        "tx",
        "tx_profile",
    )

    def __init__(self, shown: ShownOutlet, connector: Connector, hardware: Outlet) -> None:
        self.outlet = shown
        self.connector = connector
        self.meter = Meter(hardware)
        self.tx: Transaction | None = None
        #: What ChangeAvailability asked for; an installation may overrule it for a while.
        self.in_service = True
        #: The token that was accepted and whose transaction has not begun, and its group.
        self.token: Token | None = None
        self.parent: str | None = None
        #: A token about which the CSMS was asked, for this bay.
        self.asking: Token | None = None
        self.order: Order | None = None
        self.remote_start_id: int | None = None
        #: The TxProfile that came with a remote start.
        self.tx_profile: Profile | None = None
        #: What power_update asked for, in W.
        self.override_w: float | None = None

    @property
    def id(self) -> int:
        """The connector's number in 1.6, the EVSE's in 2.0.1."""
        return self.outlet.spec.id

    @property
    def session(self) -> Session | None:
        """The running transaction, as charging profiles see it."""
        return Session(self.tx.key, self.tx.begun) if self.tx is not None else None

    @property
    def electrics(self) -> Electrics:
        """How amperes and watts relate here."""
        hardware = self.meter.outlet
        return Electrics(400.0, 1) if hardware.is_dc else Electrics(230.0, hardware.phases)


class Station:
    """The bays of one charger, and what they share."""

    __slots__ = (
        "bays",
        "cache",
        "certificates",
        "ev",
        "firmware",
        "firmware_version",
        "idle_reset",
        "listed",
        "monitors",
        "operative",
        "profiles",
        "report",
        "reservations",
        "settings",
        "shares_settings",
        "upload",
        "voice",
    )

    def __init__(
        self,
        voice: Voice,
        bays: Sequence[Bay],
        settings: Configuration | DeviceModel,
        ev: tuple[Model, float] = (DEFAULT_MODEL, DEFAULT_SOC),
    ) -> None:
        self.voice = voice
        self.bays = tuple(bays)
        #: Configuration keys (1.6) or variables (2.0.1); shared until they are changed.
        self.settings = settings
        self.shares_settings = True
        #: The car that is plugged in, and its state of charge then.
        self.ev = ev
        #: Whether the station as a whole is in service (ChangeAvailability of connector or EVSE 0).
        self.operative = True
        self.listed: LocalList | None = None
        self.cache: Cache | None = None
        self.reservations: Reservations | None = None
        self.profiles: ProfileStack | None = None
        self.firmware: FirmwareUpdate | None = None
        self.upload: LogUpload | None = None
        #: What BootNotification says; None until an update replaced the first version.
        self.firmware_version: str | None = None
        #: A reset waits until no transaction runs.
        self.idle_reset = False
        self.certificates: CertificateStore | None = None
        #: Whatever 2.0.1 keeps of monitors and reports under way.
        self.monitors: Any = None
        self.report: Any = None

    @property
    def connectors(self) -> list[Connector]:
        """The facts of every connector."""
        return [bay.connector for bay in self.bays]

    @property
    def is_busy(self) -> bool:
        """Whether any transaction runs."""
        return any(bay.tx is not None for bay in self.bays)

    def bay(self, number: int | None) -> Bay | None:
        """The bay of this connector (1.6) or EVSE (2.0.1); None when there is none."""
        return next((bay for bay in self.bays if bay.id == number), None)

    def bay_of_transaction(self, name: str) -> Bay | None:
        """The bay whose transaction is called so, by our key or by the CSMS's number."""
        return next((b for b in self.bays if b.tx is not None and b.tx.is_called(name)), None)

    def own_settings(self) -> Configuration | DeviceModel:
        """The settings, to be changed: from now on this charger has its own."""
        if self.shares_settings:
            self.settings = self.settings.copy()
            self.shares_settings = False
        return self.settings

    def need_list(self) -> LocalList:
        """The local list, made when there was none."""
        if self.listed is None:
            self.listed = LocalList()
        return self.listed

    def need_cache(self) -> Cache:
        """The authorization cache, made when there was none."""
        if self.cache is None:
            self.cache = Cache()
        return self.cache

    def need_reservations(self) -> Reservations:
        """The reservations, made when there were none."""
        if self.reservations is None:
            self.reservations = Reservations()
        return self.reservations

    def need_profiles(self) -> ProfileStack:
        """The charging profiles, made when there were none."""
        if self.profiles is None:
            self.profiles = ProfileStack()
        return self.profiles


def station_of(charger: Charger) -> Station:
    """The station behind a charger."""
    station: Station = charger.facets[FACET]
    return station


def is_in_service(charger: Charger) -> bool:
    """Whether the station as a whole is in service; a charger without a living part always is."""
    station = charger.facets.get(FACET)
    return station is None or bool(station.operative)


def installed_firmware(charger: Charger) -> str | None:
    """The firmware that an update brought; None while it is the first one."""
    station = charger.facets.get(FACET)
    return station.firmware_version if station is not None else None


def is_crowded(charger: Charger, begun: float, now: float) -> bool:
    """Whether a sample is left out, since an offline charger's memory is finite (2.0.1, E06).

    The more calls wait, the rarer the samples of the transaction that began then: every one up to
    20, every second up to 40, and so on.
    """
    waiting = len(charger.outbox.waiting())
    if waiting < _CROWDED:
        return False
    every: int = 1 << min(waiting // _CROWDED, 12)
    return int(now - begun) // 60 % every != 0
