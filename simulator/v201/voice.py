"""What happened at a bay, in the words of OCPP 2.0.1.

Everything about a transaction is a TransactionEvent: a durable call with `{"transaction": key}` as
its context, a seqNo that counts up, and `offline` when it happened while the CSMS could not be
asked (part 2, section E). Each connector of the catalog is an EVSE of its own with connector 1.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from simulator import ocpp201
from simulator.authorization import is_online
from simulator.behaviour import Moment
from simulator.births import bear
from simulator.connectors import Connector201, charging_state
from simulator.device_model import DeviceModel
from simulator.lifecycles import FirmwareUpdate, LogUpload
from simulator.ocpp201 import BEHAVIOUR
from simulator.sampling import meter_value, parse_measurands, sampled_values201, thin, timestamp
from simulator.station import (
    Bay,
    Station,
    Terms,
    installed_firmware,
    is_crowded,
    station_of,
)
from simulator.tokens import Policy
from simulator.transactions import End, Token, Transaction
from simulator.v201 import events
from simulator.v201.settings import change_by_name

if TYPE_CHECKING:
    from simulator.charger import Charger

#: Meter values kept for the Ended event; beyond that, inner ones are left out (E06).
_MAX_SAMPLES = 200
#: Lengths of an ISO 14443 UID in hexadecimal digits; some systems check them.
_UID = re.compile(r"(?:[0-9A-Fa-f]{8}|[0-9A-Fa-f]{14})")


def make_token(name: str) -> Token:
    """The token behind an id tag: a card's UID where it looks like one, else one of the CSMS's own."""
    return Token(name, "ISO14443" if _UID.fullmatch(name) else "Central")


def model_of(station: Station) -> DeviceModel:
    """The variables of a 2.0.1 station, to be read."""
    assert isinstance(station.settings, DeviceModel)  # noqa: S101 - `bear_station` made it so
    return station.settings


def model_to_change(station: Station) -> DeviceModel:
    """The variables of a 2.0.1 station, to be changed."""
    station.own_settings()
    return model_of(station)


class Voice201:
    """The `Voice` of OCPP 2.0.1."""

    __slots__ = ()

    def terms(self, station: Station) -> Terms:
        """What the variables say."""
        model = model_of(station)
        sampled = model.flag("SampledDataCtrlr", "Enabled")
        aligned = model.flag("AlignedDataCtrlr", "Enabled")
        return Terms(
            connection_timeout_s=model.number("TxCtrlr", "EVConnectionTimeOut"),
            stops_on_unplug=model.flag("TxCtrlr", "StopTxOnEVSideDisconnect"),
            stops_on_invalid=model.flag("TxCtrlr", "StopTxOnInvalidId"),
            energy_on_invalid_wh=model.number("TxCtrlr", "MaxEnergyOnInvalidId"),
            asks_for_remote=model.flag("AuthCtrlr", "AuthorizeRemoteStart"),
            sample_interval_s=sampled * model.number("SampledDataCtrlr", "TxUpdatedInterval"),
            stop_sample_interval_s=sampled * model.number("SampledDataCtrlr", "TxEndedInterval"),
            aligned_interval_s=aligned * model.number("AlignedDataCtrlr", "Interval"),
            policy=Policy(
                list_enabled=model.flag("LocalAuthListCtrlr", "Enabled"),
                cache_enabled=model.flag("AuthCacheCtrlr", "Enabled"),
                pre_authorize=model.flag("AuthCtrlr", "LocalPreAuthorize"),
                authorize_offline=model.flag("AuthCtrlr", "LocalAuthorizeOffline"),
                unknown_offline=model.flag("AuthCtrlr", "OfflineTxForUnknownIdEnabled"),
                cache_life_time=model.number("AuthCacheCtrlr", "LifeTime"),
            ),
        )

    def begins(self, station: Station, bay: Bay) -> bool:
        """Whether one of the points in TxStartPoint is reached (part 2, TxStartStopPointEnumType)."""
        points = _points(station, "TxStartPoint")
        plugged, authorized = bay.connector.plugged, bay.token is not None
        return (
            ("EVConnected" in points and plugged)
            or ("Authorized" in points and authorized)
            or (bool(points & {"PowerPathClosed", "EnergyTransfer"}) and plugged and authorized)
        )

    def ends_on_stop(self, station: Station) -> bool:
        """Whether losing the authorization ends a transaction, by TxStopPoint."""
        return bool(_points(station, "TxStopPoint") - {"EVConnected"})

    def report(self, charger: Charger, bay: Bay, now: float) -> None:
        """StatusNotification (G01); while offline the newest status waits for the next connection."""
        ocpp201.report_outlet(charger, bay.outlet, now)
        events.watch(charger, bay, now)

    def ask(self, charger: Charger, token: Token, context: object) -> bool:
        """Authorize (C01)."""
        return charger.call("Authorize", {"idToken": token.write()}, context=context)

    def say_begun(self, charger: Charger, bay: Bay, now: float, trigger: str) -> None:
        """The Started event."""
        tx = bay.tx
        if tx is None:
            return
        tx.state = "EVConnected" if bay.connector.plugged else "Idle"
        values = _read(charger, bay, "TxStartedMeasurands", "Transaction.Begin")
        if values:
            tx.samples.append(meter_value(now, values))
        extra: dict[str, Any] = {}
        if tx.reservation_id is not None:
            extra["reservationId"] = tx.reservation_id
        _send(charger, bay, tx, "Started", trigger, now, values, extra)

    def say_changed(self, charger: Charger, bay: Bay, now: float, trigger: str) -> None:
        """An Updated event when the charging state or the rate changed, or for the trigger's sake."""
        tx = bay.tx
        if tx is None:
            return
        state = _state(bay, tx)
        changed = state != tx.state
        rate = bay.meter.offer.power_w if state == "Charging" else None
        if not changed and not trigger and not _differs(charger, tx.rate_w, rate):
            tx.rate_w = rate if tx.rate_w is None else tx.rate_w
            return
        if not trigger:
            trigger = "ChargingStateChanged" if changed else "ChargingRateChanged"
        tx.rate_w = rate
        context = "Other"
        if changed and state.startswith("Suspended"):
            context = "Interruption.Begin"
        elif changed and state == "Charging" and (tx.state or "").startswith("Suspended"):
            context = "Interruption.End"
        tx.state = state
        values = _read(charger, bay, "TxUpdatedMeasurands", context)
        _send(charger, bay, tx, "Updated", trigger, now, values)
        events.watch(charger, bay, now)

    def say_ended(
        self, charger: Charger, bay: Bay, tx: Transaction, why: End, now: float, token: Token | None
    ) -> None:
        """The Ended event, with what was sampled for it."""
        tx.state = "EVConnected" if bay.connector.plugged else "Idle"
        values = _read(charger, bay, "TxEndedMeasurands", "Transaction.End")
        extra: dict[str, Any] = {}
        if token is not None:
            extra["idToken"] = token.write()
        words = why.value
        _send(charger, bay, tx, "Ended", words.trigger201, now, values, extra, words.reason201)

    def say_sample(self, charger: Charger, bay: Bay, now: float, context: str) -> None:
        """An Updated event inside a transaction, MeterValues (J01) outside and when triggered."""
        model = model_of(station_of(charger))
        tx = bay.tx
        if context == "Sample.Clock":
            if tx is not None and model.number("AlignedDataCtrlr", "TxEndedInterval"):
                _keep(bay, tx, model.text("AlignedDataCtrlr", "TxEndedMeasurands"), now, context)
            names = model.text("AlignedDataCtrlr", "Measurands")
            if tx is not None and model.flag("AlignedDataCtrlr", "SendDuringIdle"):
                return
        else:
            names = model.text("SampledDataCtrlr", "TxUpdatedMeasurands")
        values = sampled_values201(bay.meter.read(), parse_measurands(names) or [], context)
        if not values:
            return
        if tx is None or context == "Trigger":
            payload = {"evseId": bay.id, "meterValue": [meter_value(now, values)]}
            charger.call("MeterValues", payload, triggered=context == "Trigger")
        elif not is_crowded(charger, tx.begun, now):
            trigger = "MeterValueClock" if context == "Sample.Clock" else "MeterValuePeriodic"
            _send(charger, bay, tx, "Updated", trigger, now, values)
        events.watch(charger, bay, now)

    def say_triggered(self, charger: Charger, bay: Bay, now: float) -> None:
        """The TransactionEvent that TriggerMessage asks for (F06)."""
        if bay.tx is not None:
            values = _read(charger, bay, "TxUpdatedMeasurands", "Trigger")
            _send(charger, bay, bay.tx, "Updated", "Trigger", now, values)

    def keep_sample(self, charger: Charger, bay: Bay, now: float) -> None:
        """A sample for the Ended event."""
        names = model_of(station_of(charger)).text("SampledDataCtrlr", "TxEndedMeasurands")
        if bay.tx is not None:
            _keep(bay, bay.tx, names, now, "Sample.Periodic")

    def say_reservation_over(self, charger: Charger, reservation_id: int, now: float) -> None:
        """ReservationStatusUpdate (H04)."""
        del now
        payload = {"reservationId": reservation_id, "reservationUpdateStatus": "Expired"}
        charger.call("ReservationStatusUpdate", payload)

    def say_firmware(self, charger: Charger, update: FirmwareUpdate, *, triggered: bool) -> None:
        """FirmwareStatusNotification (L01); its requestId is missing only when Idle."""
        payload: dict[str, Any] = {"status": update.status}
        if update.order.request_id is not None and update.status != "Idle":
            payload["requestId"] = update.order.request_id
        charger.call("FirmwareStatusNotification", payload, triggered=triggered)

    def say_upload(self, charger: Charger, upload: LogUpload, *, triggered: bool) -> None:
        """LogStatusNotification (N01)."""
        payload: dict[str, Any] = {
            "status": "UploadFailure" if upload.status == "UploadFailed" else upload.status
        }
        if upload.request_id is not None:
            payload["requestId"] = upload.request_id
        charger.call("LogStatusNotification", payload, triggered=triggered)

    def say_security_event(self, charger: Charger, kind: str, now: float) -> None:
        """SecurityEventNotification (A04), where security is in use."""
        if charger.config.security_profile > 0:
            payload = {"type": kind, "timestamp": timestamp(now)}
            charger.call("SecurityEventNotification", payload)

    def say_fault(self, charger: Charger, bay: Bay, code: str, now: float, *, over: bool) -> None:
        """NotifyEvent (N07): the connector's Problem came or went."""
        events.say_problem(charger, bay, code, now, over=over)


VOICE = Voice201()


@BEHAVIOUR.moment(Moment.BORN)
def bear_station(charger: Charger, now: float) -> None:
    """Make the living part of a new charging station."""
    del now
    changed = charger.config.settings.get("configuration") or {}
    model = _shared_model(
        tuple(outlet.spec.id for outlet in charger.outlets), tuple(sorted(changed.items()))
    )
    bear(charger, VOICE, Connector201, model)


def write_boot(charger: Charger) -> dict[str, Any]:
    """BootNotification, with the version of the firmware that was installed last."""
    payload = ocpp201.write_boot(charger)
    version = installed_firmware(charger)
    if version:
        payload["chargingStation"]["firmwareVersion"] = version
    return payload


BEHAVIOUR.write_boot = write_boot


@lru_cache(maxsize=256)
def _shared_model(evse_ids: tuple[int, ...], changed: tuple[tuple[str, str], ...]) -> DeviceModel:
    model = DeviceModel(tuple((evse_id, 1) for evse_id in evse_ids))
    for name, value in changed:
        change_by_name(model, name, str(value))
    return model


def _points(station: Station, name: str) -> frozenset[str]:
    return frozenset(model_of(station).text("TxCtrlr", name).replace(" ", "").split(","))


def _state(bay: Bay, tx: Transaction) -> str:
    """The chargingState; without somebody's authorization an EV is merely connected."""
    if bay.connector.plugged and (tx.token is None or tx.stopped_by is not None):
        return "EVConnected"
    return str(charging_state(bay.connector))


def _differs(charger: Charger, before: float | None, after: float | None) -> bool:
    """Whether the rate changed by LimitChangeSignificance percent or more."""
    if before is None or after is None or before == after:
        return False
    model = model_of(station_of(charger))
    least = float(model.text("SmartChargingCtrlr", "LimitChangeSignificance"))
    return abs(after - before) * 100 >= least * max(before, 1.0)


def _read(charger: Charger, bay: Bay, variable: str, context: str) -> list[dict[str, Any]]:
    names = model_of(station_of(charger)).text("SampledDataCtrlr", variable)
    return sampled_values201(bay.meter.read(), parse_measurands(names) or [], context)


def _keep(bay: Bay, tx: Transaction, names: str, now: float, context: str) -> None:
    values = sampled_values201(bay.meter.read(), parse_measurands(names) or [], context)
    if values:
        tx.samples.append(meter_value(now, values))
        thin(tx.samples, _MAX_SAMPLES)


def _send(
    charger: Charger,
    bay: Bay,
    tx: Transaction,
    kind: str,
    trigger: str,
    now: float,
    values: list[dict[str, Any]],
    extra: dict[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    info: dict[str, Any] = {"transactionId": tx.key}
    if tx.state is not None:
        info["chargingState"] = tx.state
    if reason is not None:
        info["stoppedReason"] = reason
    payload: dict[str, Any] = {
        "eventType": kind,
        "timestamp": timestamp(now),
        "triggerReason": trigger,
        "seqNo": tx.next_sequence(),
        "transactionInfo": info,
        "evse": {"id": bay.id, "connectorId": 1},
        **(extra or {}),
    }
    if tx.token is not None and not tx.told_token:
        tx.told_token = True
        payload["idToken"] = tx.token.write()
        if tx.remote_start_id is not None:
            info["remoteStartId"] = tx.remote_start_id
    samples = [meter_value(now, values)] if values else []
    if kind == "Ended":
        samples = [*tx.samples, *samples]
    if samples:
        payload["meterValue"] = samples
    if tx.state == "Charging" and not bay.meter.outlet.is_dc:
        payload["numberOfPhasesUsed"] = bay.meter.read().phases
    if not is_online(charger):
        payload["offline"] = True
    charger.call("TransactionEvent", payload, context={"transaction": tx.key}, durable=True)
