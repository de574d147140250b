"""What happened at a bay, in the words of OCPP 1.6.

Messages of a transaction are durable calls with `{"transaction": key}` as their context: they wait
in order while the charger is offline, and get the CSMS's number when StartTransaction is answered
(`simulator.transactions.bind`). Sections 4.8 (StartTransaction), 4.7 (MeterValues), 4.10
(StopTransaction).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from simulator import ocpp16
from simulator.behaviour import Moment
from simulator.births import bear
from simulator.connectors import Connector16
from simulator.keys16 import Configuration
from simulator.lifecycles import FirmwareUpdate, LogUpload
from simulator.ocpp16 import BEHAVIOUR
from simulator.sampling import meter_value, sampled_values16, thin, timestamp, whole_wh
from simulator.station import Bay, Station, Terms, installed_firmware, is_crowded, station_of
from simulator.tokens import Policy
from simulator.transactions import UNKNOWN_ID, End, Token, Transaction

if TYPE_CHECKING:
    from simulator.charger import Charger

#: FirmwareStatus of OCPP 1.6 section 7.25; the whitepaper's list is longer.
_PLAIN_STATUSES = frozenset(
    {
        "Downloaded",
        "DownloadFailed",
        "Downloading",
        "Idle",
        "InstallationFailed",
        "Installing",
        "Installed",
    }
)
#: Meter values kept for StopTransaction; beyond that, inner ones are left out.
_MAX_SAMPLES = 200


def keys_of(station: Station) -> Configuration:
    """The configuration keys of a 1.6 station, to be read."""
    assert isinstance(station.settings, Configuration)  # noqa: S101 - `bear_station` made it so
    return station.settings


def keys_to_change(station: Station) -> Configuration:
    """The configuration keys of a 1.6 station, to be changed."""
    station.own_settings()
    return keys_of(station)


class Voice16:
    """The `Voice` of OCPP 1.6."""

    __slots__ = ()

    def terms(self, station: Station) -> Terms:
        """What the configuration keys say."""
        keys = keys_of(station)
        sample_s = keys.number("MeterValueSampleInterval")
        return Terms(
            connection_timeout_s=keys.number("ConnectionTimeOut"),
            stops_on_unplug=keys.flag("StopTransactionOnEVSideDisconnect"),
            stops_on_invalid=keys.flag("StopTransactionOnInvalidId"),
            energy_on_invalid_wh=keys.number("MaxEnergyOnInvalidId"),
            asks_for_remote=keys.flag("AuthorizeRemoteTxRequests"),
            sample_interval_s=sample_s,
            stop_sample_interval_s=sample_s if keys.text("StopTxnSampledData") else 0,
            aligned_interval_s=keys.number("ClockAlignedDataInterval"),
            policy=Policy(
                list_enabled=keys.flag("LocalAuthListEnabled"),
                cache_enabled=keys.flag("AuthorizationCacheEnabled"),
                pre_authorize=keys.flag("LocalPreAuthorize"),
                authorize_offline=keys.flag("LocalAuthorizeOffline"),
                unknown_offline=keys.flag("AllowOfflineTxForUnknownId"),
            ),
        )

    def begins(self, station: Station, bay: Bay) -> bool:
        """A transaction begins once somebody is authorized and the cable is in (4.8)."""
        del station
        return bay.token is not None and bay.connector.plugged

    def ends_on_stop(self, station: Station) -> bool:
        """In 1.6 a stopped transaction has ended."""
        del station
        return True

    def report(self, charger: Charger, bay: Bay, now: float) -> None:
        """StatusNotification; while offline the newest status waits for the next connection."""
        ocpp16.report_outlet(charger, bay.outlet, now)

    def ask(self, charger: Charger, token: Token, context: object) -> bool:
        """Authorize (4.1)."""
        return charger.call("Authorize", {"idTag": token.id}, context=context)

    def say_begun(self, charger: Charger, bay: Bay, now: float, trigger: str) -> None:
        """StartTransaction (4.8)."""
        del trigger
        tx = bay.tx
        if tx is None or tx.token is None:
            return
        payload: dict[str, Any] = {
            "connectorId": bay.id,
            "idTag": tx.token.id,
            "meterStart": whole_wh(tx.begin_wh),
            "timestamp": timestamp(now),
        }
        if tx.reservation_id is not None:
            payload["reservationId"] = tx.reservation_id
        _queue(charger, "StartTransaction", payload, tx)
        _keep(charger, bay, tx, now, "Transaction.Begin")

    def say_changed(self, charger: Charger, bay: Bay, now: float, trigger: str) -> None:
        """In 1.6 the connector's status says it all."""

    def say_ended(
        self, charger: Charger, bay: Bay, tx: Transaction, why: End, now: float, token: Token | None
    ) -> None:
        """StopTransaction (4.10), with its samples where StopTxnSampledData asks for them."""
        payload: dict[str, Any] = {
            "transactionId": UNKNOWN_ID if tx.csms_id is None else tx.csms_id,
            "meterStop": whole_wh(bay.meter.energy_wh),
            "timestamp": timestamp(now),
            "reason": why.value.reason16,
        }
        if token is not None:
            payload["idTag"] = token.id
        _keep(charger, bay, tx, now, "Transaction.End")
        if tx.samples:
            payload["transactionData"] = tx.samples
        _queue(charger, "StopTransaction", payload, tx)

    def say_sample(self, charger: Charger, bay: Bay, now: float, context: str) -> None:
        """MeterValues (4.7): durable inside a transaction, now or never outside."""
        keys = keys_of(station_of(charger))
        aligned = context == "Sample.Clock"
        names = keys.items("MeterValuesAlignedData" if aligned else "MeterValuesSampledData")
        values = sampled_values16(bay.meter.read(), names, context)
        tx = bay.tx
        if tx is not None and aligned:
            _keep(charger, bay, tx, now, context)
        if not values:
            return
        payload = {"connectorId": bay.id, "meterValue": [meter_value(now, values)]}
        if tx is None:
            charger.call("MeterValues", payload, triggered=context == "Trigger")
        elif not is_crowded(charger, tx.begun, now):
            payload["transactionId"] = UNKNOWN_ID if tx.csms_id is None else tx.csms_id
            _queue(charger, "MeterValues", payload, tx)

    def keep_sample(self, charger: Charger, bay: Bay, now: float) -> None:
        """A sample for StopTransaction."""
        if bay.tx is not None:
            _keep(charger, bay, bay.tx, now, "Sample.Periodic")

    def say_reservation_over(self, charger: Charger, reservation_id: int, now: float) -> None:
        """In 1.6 the connector's status says it."""

    def say_firmware(self, charger: Charger, update: FirmwareUpdate, *, triggered: bool) -> None:
        """FirmwareStatusNotification, or its signed sister of the security whitepaper."""
        payload: dict[str, Any] = {"status": update.status}
        if not update.order.detailed:
            if update.status in _PLAIN_STATUSES:
                charger.call("FirmwareStatusNotification", payload, triggered=triggered)
            return
        if update.order.request_id is not None and update.status != "Idle":
            payload["requestId"] = update.order.request_id
        charger.call("SignedFirmwareStatusNotification", payload, triggered=triggered)

    def say_upload(self, charger: Charger, upload: LogUpload, *, triggered: bool) -> None:
        """DiagnosticsStatusNotification, or LogStatusNotification for a GetLog."""
        if upload.request_id is None:
            payload: dict[str, Any] = {"status": upload.status}
            charger.call("DiagnosticsStatusNotification", payload, triggered=triggered)
            return
        if upload.status == "AcceptedCanceled":  # which only 2.0.1 has a word for
            return
        status = "UploadFailure" if upload.status == "UploadFailed" else upload.status
        payload = {"status": status, "requestId": upload.request_id}
        charger.call("LogStatusNotification", payload, triggered=triggered)

    def say_security_event(self, charger: Charger, kind: str, now: float) -> None:
        """SecurityEventNotification, where security is in use: older systems do not know it."""
        if charger.config.security_profile > 0:
            payload = {"type": kind, "timestamp": timestamp(now)}
            charger.call("SecurityEventNotification", payload)

    def say_fault(self, charger: Charger, bay: Bay, code: str, now: float, *, over: bool) -> None:
        """In 1.6 the connector's status carries the error code."""


VOICE = Voice16()


@BEHAVIOUR.moment(Moment.BORN)
def bear_station(charger: Charger, now: float) -> None:
    """Make the living part of a new charger."""
    del now
    changed = charger.config.settings.get("configuration") or {}
    security = charger.config.security_profile
    settings = _shared_keys(len(charger.outlets), security, tuple(sorted(changed.items())))
    bear(charger, VOICE, Connector16, settings)


def write_boot(charger: Charger) -> dict[str, Any]:
    """BootNotification, with the version of the firmware that was installed last."""
    payload = ocpp16.write_boot(charger)
    version = installed_firmware(charger)
    return payload | {"firmwareVersion": version} if version else payload


BEHAVIOUR.write_boot = write_boot


@lru_cache(maxsize=256)
def _shared_keys(
    connectors: int, security_profile: int, changed: tuple[tuple[str, str], ...]
) -> Configuration:
    facts = {"NumberOfConnectors": str(connectors), "SecurityProfile": str(security_profile)}
    keys = Configuration(facts)
    for name, value in changed:
        keys.change(name, str(value))
    return keys


def _queue(charger: Charger, action: str, payload: dict[str, Any], tx: Transaction) -> None:
    charger.call(action, payload, context={"transaction": tx.key}, durable=True)


def _keep(charger: Charger, bay: Bay, tx: Transaction, now: float, context: str) -> None:
    keys = keys_of(station_of(charger))
    name = "StopTxnAlignedData" if context == "Sample.Clock" else "StopTxnSampledData"
    values = sampled_values16(bay.meter.read(), keys.items(name), context)
    if values:
        tx.samples.append(meter_value(now, values))
        thin(tx.samples, _MAX_SAMPLES)
