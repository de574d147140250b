"""RequestStartTransaction, RequestStopTransaction, GetTransactionStatus, UnlockConnector (F01 to
F05, E14).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator import authorization, sessions
from simulator.ocpp201 import BEHAVIOUR
from simulator.profiles import Profile, ProfileRejected, Purpose, parse201
from simulator.station import Bay, Station, station_of
from simulator.transactions import End, Token

if TYPE_CHECKING:
    from simulator.charger import Charger


def rejected(code: str, reason: str) -> dict[str, Any]:
    """A Rejected answer that says why; the code has at most 20 characters."""
    return {
        "status": "Rejected",
        "statusInfo": {"reasonCode": code, "additionalInfo": reason[:512]},
    }


@BEHAVIOUR.action("RequestStartTransaction")
def start(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Begin as if the token had been presented; AuthorizeRemoteStart says whether to ask first."""
    station = station_of(charger)
    token = Token(payload["idToken"]["idToken"], payload["idToken"]["type"])
    group = payload.get("groupIdToken")
    parent = group["idToken"] if group else None
    chosen = _choose(station, payload.get("evseId"), token, parent)
    if isinstance(chosen, str):
        return rejected("NoEvse", chosen)
    if "chargingProfile" in payload:
        try:
            chosen.tx_profile = _parse_profile(payload["chargingProfile"], chosen)
        except ProfileRejected as refusal:
            return rejected(refusal.reason_code, str(refusal))
    chosen.remote_start_id = payload["remoteStartId"]
    # F02.FR.05: what began with the cable already has an id that the CSMS does not know yet.
    answer = {"status": "Accepted"}
    if chosen.tx is not None:
        answer["transactionId"] = chosen.tx.key
    if station.voice.terms(station).asks_for_remote:
        authorization.present(charger, chosen, token, now, trigger="RemoteStart")
    else:
        sessions.grant(charger, chosen, token, parent, now, trigger="RemoteStart")
    return answer


def _choose(station: Station, number: int | None, token: Token, parent: str | None) -> Bay | str:
    """The EVSE named, or else one with a cable in, or else any free one; or why there is none."""
    bays = sorted(station.bays, key=lambda bay: not bay.connector.plugged)
    if number is not None:
        bays = [bay for bay in bays if bay.id == number]
    reason = f"There is no EVSE {number}."
    for bay in bays:
        obstacle = authorization.obstacle(station, bay, token, parent)
        if obstacle is None and bay.token is None:
            return bay
        reason = obstacle or f"Somebody is about to charge at EVSE {bay.id}."
    return reason


def _parse_profile(message: dict[str, Any], bay: Bay) -> Profile:
    """Only a TxProfile, which cannot name the transaction yet (F01.FR.08 to .11)."""
    profile = parse201(bay.id, message)
    if profile.purpose is not Purpose.TX or "transactionId" in message:
        raise ProfileRejected("Only a TxProfile without a transactionId comes with a start.")
    return profile


@BEHAVIOUR.action("RequestStopTransaction")
def stop(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Stop the transaction with this id."""
    bay = station_of(charger).bay_of_transaction(payload["transactionId"])
    if bay is None:
        return rejected("TxNotFound", "No transaction has this id.")
    sessions.stop(charger, bay, End.REMOTE, now)
    return {"status": "Accepted"}


@BEHAVIOUR.action("GetTransactionStatus")
def get_status(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Whether a transaction runs, and whether messages of it (or of any) still wait (E14)."""
    del now
    wanted = payload.get("transactionId")
    waiting = [
        call.context["transaction"]
        for call in charger.outbox.waiting()
        if isinstance(call.context, dict) and "transaction" in call.context
    ]
    if wanted is None:
        return {"messagesInQueue": bool(waiting)}
    return {
        "ongoingIndicator": station_of(charger).bay_of_transaction(wanted) is not None,
        "messagesInQueue": wanted in waiting,
    }


@BEHAVIOUR.action("UnlockConnector")
def unlock(charger: Charger, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Release the lock, unless somebody charges there (F05)."""
    bay = station_of(charger).bay(payload["evseId"])
    if bay is None or payload["connectorId"] != 1:
        return {"status": "UnknownConnector"}
    if bay.connector.fault == "ConnectorLockFailure":
        return {"status": "UnlockFailed"}
    if bay.tx is not None and bay.tx.token is not None and bay.tx.stopped_by is None:
        return {"status": "OngoingAuthorizedTransaction"}
    sessions.end(charger, bay, End.UNLOCKED, now)
    return {"status": "Unlocked"}
