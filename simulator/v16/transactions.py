"""What the CSMS makes of an OCPP 1.6 charger's transactions: answers to our calls.

A call that the CSMS refuses is tried again as TransactionMessageAttempts and
TransactionMessageRetryInterval say (section 3.7.1); one that it does not answer is sent again by
the core.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.authorization import Asking, conclude, remember
from simulator.behaviour import Answered, Outcome, Refused, Sent, Unanswered
from simulator.conclusions import show
from simulator.ocpp16 import BEHAVIOUR
from simulator.sampling import parse_timestamp
from simulator.sessions import deauthorize
from simulator.station import station_of
from simulator.tokens import Known
from simulator.transactions import UNKNOWN_ID, Token, bind
from simulator.v16.voice import keys_of

if TYPE_CHECKING:
    from simulator.charger import Charger


def parse_known(info: dict[str, Any]) -> Known:
    """An idTagInfo (section 7.27). An expiry that cannot be read is none."""
    expiry = None
    if "expiryDate" in info:
        try:
            expiry = parse_timestamp(info["expiryDate"])
        except ValueError:
            expiry = None
    return Known(info["status"], info.get("parentIdTag"), expiry)


@BEHAVIOUR.answer("Authorize")
def note_authorize(charger: Charger, sent: Sent, outcome: Outcome, now: float) -> None:
    """What the CSMS says of a token; without an answer the charger decides alone."""
    if not isinstance(sent.context, Asking):
        return
    known = None
    if isinstance(outcome, Answered):
        known = parse_known(outcome.payload["idTagInfo"])
    conclude(charger, sent.context, known, now)


@BEHAVIOUR.answer("StartTransaction")
def note_start(charger: Charger, sent: Sent, outcome: Outcome, now: float) -> None:
    """The CSMS gives the transaction its number, and may take the authorization back."""
    key = _key(sent)
    if key is None or isinstance(outcome, Unanswered) or _retries(charger, sent, outcome, now):
        return
    bay = station_of(charger).bay_of_transaction(key)
    number = UNKNOWN_ID
    if isinstance(outcome, Answered):
        number = outcome.payload["transactionId"]
    bind(charger.outbox.waiting(), key, number)
    if bay is not None and bay.tx is not None:
        bay.tx.csms_id = number
        show(charger, bay)
    if not isinstance(outcome, Answered):
        return
    known = parse_known(outcome.payload["idTagInfo"])
    remember(charger, Token(sent.payload["idTag"]), known, now)
    if bay is not None and bay.tx is not None:
        bay.tx.parent = known.parent or bay.tx.parent
        if not known.accepts(now):
            deauthorize(charger, bay, now)


@BEHAVIOUR.answer("StopTransaction")
def note_stop(charger: Charger, sent: Sent, outcome: Outcome, now: float) -> None:
    """The last word on a transaction; it may carry news of the token."""
    if _key(sent) is None or _retries(charger, sent, outcome, now):
        return
    if isinstance(outcome, Answered) and "idTagInfo" in outcome.payload and "idTag" in sent.payload:
        known = parse_known(outcome.payload["idTagInfo"])
        remember(charger, Token(sent.payload["idTag"]), known, now)


@BEHAVIOUR.answer("MeterValues")
def note_meter_values(charger: Charger, sent: Sent, outcome: Outcome, now: float) -> None:
    """Samples of a transaction are tried again like its other messages."""
    if _key(sent) is not None:
        _retries(charger, sent, outcome, now)


def _key(sent: Sent) -> str | None:
    """Our key of the transaction that a call belongs to; None for a call sent by hand."""
    return sent.context["transaction"] if isinstance(sent.context, dict) else None


def _retries(charger: Charger, sent: Sent, outcome: Outcome, now: float) -> bool:
    """Whether a refused call goes out again."""
    if not isinstance(outcome, Refused):
        return False
    keys = keys_of(station_of(charger))
    if sent.attempts >= keys.number("TransactionMessageAttempts"):
        return False
    charger.retry(sent, now + sent.attempts * keys.number("TransactionMessageRetryInterval"))
    return True
