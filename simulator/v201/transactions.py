"""What the CSMS makes of an OCPP 2.0.1 station's transactions and tokens: answers to our calls.

A TransactionEvent that the CSMS refuses is tried again as MessageAttempts and
MessageAttemptInterval say (E13); one that it does not answer is sent again by the core.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.authorization import Asking, conclude, remember
from simulator.behaviour import Answered, Outcome, Refused, Sent
from simulator.ocpp201 import BEHAVIOUR
from simulator.sampling import parse_timestamp
from simulator.sessions import deauthorize
from simulator.station import station_of
from simulator.tokens import Known
from simulator.transactions import Token
from simulator.v201.voice import model_of

if TYPE_CHECKING:
    from simulator.charger import Charger


def parse_known(info: dict[str, Any]) -> Known:
    """An IdTokenInfoType. An expiry that cannot be read is none."""
    expiry = None
    if "cacheExpiryDateTime" in info:
        try:
            expiry = parse_timestamp(info["cacheExpiryDateTime"])
        except ValueError:
            expiry = None
    group = info.get("groupIdToken")
    return Known(info["status"], group["idToken"] if group else None, expiry)


@BEHAVIOUR.answer("Authorize")
def note_authorize(charger: Charger, sent: Sent, outcome: Outcome, now: float) -> None:
    """What the CSMS says of a token; without an answer the station decides alone."""
    if not isinstance(sent.context, Asking):
        return
    known = None
    if isinstance(outcome, Answered):
        known = parse_known(outcome.payload["idTokenInfo"])
    conclude(charger, sent.context, known, now)


@BEHAVIOUR.answer("TransactionEvent")
def note_event(charger: Charger, sent: Sent, outcome: Outcome, now: float) -> None:
    """The CSMS may take the authorization back (C09, E05)."""
    if not isinstance(sent.context, dict):
        return
    if isinstance(outcome, Refused):
        _retry(charger, sent, now)
        return
    if not isinstance(outcome, Answered) or "idTokenInfo" not in outcome.payload:
        return
    known = parse_known(outcome.payload["idTokenInfo"])
    if "idToken" in sent.payload:
        remember(charger, Token(**_named(sent.payload["idToken"])), known, now)
    bay = station_of(charger).bay_of_transaction(sent.context["transaction"])
    if bay is None or bay.tx is None:
        return
    bay.tx.parent = known.parent or bay.tx.parent
    if not known.accepts(now):
        deauthorize(charger, bay, now)


def _named(token: dict[str, Any]) -> dict[str, str]:
    return {"id": token["idToken"], "type": token["type"]}


def _retry(charger: Charger, sent: Sent, now: float) -> None:
    model = model_of(station_of(charger))
    if sent.attempts < model.number("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent"):
        interval = model.number("OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent")
        charger.retry(sent, now + sent.attempts * interval)
