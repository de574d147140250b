"""RemoteStartTransaction, RemoteStopTransaction and UnlockConnector (OCPP 1.6 sections 5.11, 5.12,
5.18).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator import authorization, sessions
from simulator.ocpp16 import BEHAVIOUR
from simulator.profiles import Profile, ProfileRejected, Purpose, parse16
from simulator.station import Bay, Station, station_of
from simulator.transactions import End, Token

if TYPE_CHECKING:
    from simulator.charger import Charger

_REJECTED = {"status": "Rejected"}
_ACCEPTED = {"status": "Accepted"}


@BEHAVIOUR.action("RemoteStartTransaction")
def start(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Begin as if the token had been presented; AuthorizeRemoteTxRequests says whether to ask
    first.
    """
    station = station_of(charger)
    token = Token(payload["idTag"])
    bay = _choose(station, payload.get("connectorId"), token)
    if bay is None:
        return _REJECTED
    if "chargingProfile" in payload:
        profile = _parse_profile(payload["chargingProfile"], bay, now)
        if profile is None:
            return _REJECTED
        bay.tx_profile = profile
    if station.voice.terms(station).asks_for_remote:
        authorization.present(charger, bay, token, now)
    else:
        sessions.grant(charger, bay, token, None, now)
    return _ACCEPTED


def _choose(station: Station, number: int | None, token: Token) -> Bay | None:
    """The bay named, or else one with a cable in, or else any free one."""
    bays = sorted(station.bays, key=lambda bay: not bay.connector.plugged)
    if number is not None:
        bays = [bay for bay in bays if bay.id == number]
    return next(
        (
            bay
            for bay in bays
            if authorization.obstacle(station, bay, token, None) is None and bay.token is None
        ),
        None,
    )


def _parse_profile(message: dict[str, Any], bay: Bay, now: float) -> Profile | None:
    try:
        profile = parse16(bay.id, message, now)
    except ProfileRejected:
        return None
    # Section 5.11: only a TxProfile, and it cannot know the transaction yet.
    return profile if profile.purpose is Purpose.TX and "transactionId" not in message else None


@BEHAVIOUR.action("RemoteStopTransaction")
def stop(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """End the transaction with this number."""
    bay = station_of(charger).bay_of_transaction(str(payload["transactionId"]))
    if bay is None:
        return _REJECTED
    sessions.stop(charger, bay, End.REMOTE, now)
    return _ACCEPTED


@BEHAVIOUR.action("UnlockConnector")
def unlock(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Stop what runs there and release the lock; the cable is then the user's to take."""
    bay = station_of(charger).bay(payload["connectorId"])
    if bay is None:
        return {"status": "NotSupported"}
    if bay.connector.fault == "ConnectorLockFailure":
        return {"status": "UnlockFailed"}
    sessions.stop(charger, bay, End.UNLOCKED, now)
    return {"status": "Unlocked"}
