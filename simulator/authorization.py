"""A token is presented: accepted, refused, or asked about. The same for both OCPP versions.

`present` is somebody at the reader of a bay, `check` the same without a bay (authorize_id_tag).
When the CSMS has to be asked, the version's `Voice` does it with an `Asking` as the call's context,
and its answer handler brings the outcome to `conclude`. No answer counts as being offline (OCPP 1.6
section 4.2, OCPP 2.0.1 C15).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from simulator import sessions
from simulator.conclusions import refresh
from simulator.station import Bay, Station, station_of
from simulator.tokens import ACCEPT, ASK, Known, decide, look_up, may_stop
from simulator.transactions import End, Token

if TYPE_CHECKING:
    from simulator.charger import Charger


class Asking(NamedTuple):
    """Why the CSMS is asked about a token."""

    token: Token
    #: The bay at whose reader it was presented; None for a mere check.
    bay_id: int | None
    #: `start`, `stop` or `check`.
    intent: str
    #: The command that waits for the answer of a check.
    command_id: str | None = None
    trigger: str = "Authorized"


def present(
    charger: Charger, bay: Bay, token: Token, now: float, *, trigger: str = "Authorized"
) -> None:
    """A token at the reader of a bay: ends the transaction that it began, or begins one.

    A second presentation before the cable came takes the first one back (transition B1).
    """
    tx = bay.tx
    if tx is not None and tx.stopped_by is None and tx.token is not None:
        _present_to_stop(charger, bay, tx.token, tx.parent, token, now)
    elif bay.token is not None and may_stop(bay.token.id, None, token.id, None):
        sessions.forget_token(charger, bay, now)
    else:
        bay.asking = token
        _decide(charger, Asking(token, bay.id, "start", trigger=trigger), now)


def check(charger: Charger, token: Token, command_id: str | None, now: float) -> None:
    """A token is only looked up; the command is answered with its status."""
    asking = Asking(token, None, "check", command_id)
    # Asked by hand, the CSMS is asked: that is what the command is for.
    if not (is_online(charger) and station_of(charger).voice.ask(charger, token, asking)):
        _decide(charger, asking, now, may_ask=False)


def is_online(charger: Charger) -> bool:
    """Whether the CSMS can be asked now."""
    return charger.is_up and charger.is_online


def conclude(charger: Charger, asking: Asking, known: Known | None, now: float) -> None:
    """The CSMS answered, with what is now known, or it did not (None): then decide without it."""
    if known is None:
        _decide(charger, asking, now, may_ask=False)
        return
    remember(charger, asking.token, known, now)
    if known.accepts(now):
        _accept(charger, asking, known, now)
    else:
        _refuse(charger, asking, known.status_at(now), now)


def remember(charger: Charger, token: Token, known: Known, now: float) -> None:
    """Put what the CSMS said of a token into the cache, where there is one."""
    station = station_of(charger)
    if station.voice.terms(station).policy.cache_enabled:
        station.need_cache().put(token.id, known, now)


def _present_to_stop(
    charger: Charger, bay: Bay, owner: Token, group: str | None, token: Token, now: float
) -> None:
    station = station_of(charger)
    policy = station.voice.terms(station).policy
    known = look_up(token.id, now, policy=policy, listed=station.listed, cache=station.cache)
    if may_stop(owner.id, group, token.id, known):
        sessions.stop(charger, bay, End.LOCAL, now, token)
    elif group is not None and known is None:
        # It may be of the same group, which only the CSMS can say.
        _decide(charger, Asking(token, bay.id, "stop"), now)


def _decide(charger: Charger, asking: Asking, now: float, *, may_ask: bool = True) -> None:
    station = station_of(charger)
    verdict = decide(
        asking.token.id,
        now,
        online=may_ask and is_online(charger),
        policy=station.voice.terms(station).policy,
        listed=station.listed,
        cache=station.cache,
    )
    if verdict.action == ASK:
        if not station.voice.ask(charger, asking.token, asking):
            _decide(charger, asking, now, may_ask=False)
    elif verdict.action == ACCEPT:
        _accept(charger, asking, verdict.known or Known(), now)
    else:
        status = verdict.known.status_at(now) if verdict.known else "Invalid"
        _refuse(charger, asking, "Invalid" if status == "Accepted" else status, now)


def _accept(charger: Charger, asking: Asking, known: Known, now: float) -> None:
    station = station_of(charger)
    bay = station.bay(asking.bay_id)
    if bay is None:
        _answer_check(charger, asking, "Accepted")
    elif asking.intent == "stop":
        tx, token = bay.tx, asking.token
        if tx and tx.token and may_stop(tx.token.id, tx.parent, token.id, known):
            sessions.stop(charger, bay, End.LOCAL, now, token)
    elif bay.asking == asking.token:
        bay.asking = None
        _start(charger, station, bay, asking, known, now)


def _start(
    charger: Charger, station: Station, bay: Bay, asking: Asking, known: Known, now: float
) -> None:
    reason = obstacle(station, bay, asking.token, known.parent)
    if reason is not None:
        sessions.refuse_order(charger, bay, reason)
        refresh(charger, bay, now)
        return
    sessions.grant(charger, bay, asking.token, known.parent, now, trigger=asking.trigger)


def _refuse(charger: Charger, asking: Asking, status: str, now: float) -> None:
    bay = station_of(charger).bay(asking.bay_id)
    charger.happen("token_refused", {"status": status, "connector_id": asking.bay_id})
    if bay is None:
        _answer_check(charger, asking, status)
    elif bay.asking == asking.token:
        bay.asking = None
        sessions.refuse_order(charger, bay, f"The token was not accepted: {status}.")
        refresh(charger, bay, now)


def _answer_check(charger: Charger, asking: Asking, status: str) -> None:
    if asking.command_id is not None:
        charger.end_command(asking.command_id, {"id_tag": asking.token.id, "status": status})


def obstacle(
    station: Station, bay: Bay, token: Token | None = None, parent: str | None = None
) -> str | None:
    """Why no transaction can begin at this bay now, as a sentence; None when one can.

    Without a token reservations are left aside: they depend on who comes.
    """
    connector = bay.connector
    if connector.fault is not None:
        return f"Connector {bay.id} is faulted: {connector.fault}."
    if not connector.operative:
        return f"Connector {bay.id} is out of service."
    if bay.tx is not None and bay.tx.token is not None:
        return f"A transaction runs on connector {bay.id} already."
    held = station.reservations
    if token is None or held is None:
        return None
    if held.refuses(connector, station.connectors, token.id, parent):
        return f"Connector {bay.id} is reserved for somebody else."
    return None
