"""What happens at a bay: cables, cars, transactions. The same for both OCPP versions.

Each function changes facts and then calls `conclusions.refresh`, which draws what follows from them
(the offer, the flow of energy, the connector's status, the next timer). What is to be told goes to
the station's `Voice`. The timers that lead back here are in `simulator.pulses`.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from simulator.conclusions import arm, refresh, refresh_others
from simulator.sampling import Cadence
from simulator.station import Bay, Order, Station, station_of
from simulator.transactions import End, Token, Transaction

if TYPE_CHECKING:
    from simulator.charger import Charger


# --- the cable and the car --------------------------------------------------------------------


def plug(charger: Charger, bay: Bay, now: float) -> bool:
    """A car arrives; false when one was there already."""
    station = station_of(charger)
    if not bay.connector.plug():
        return False
    bay.meter.advance(now)
    bay.meter.connect(*station.ev)
    charger.cancel_timer(f"connect:{bay.id}")
    if bay.tx is not None:
        refresh(charger, bay, now, "CablePluggedIn")
    elif not _begin_if_due(charger, bay, now, "CablePluggedIn"):
        charger.set_timer(f"connect:{bay.id}", now + timeout(station))
        refresh(charger, bay, now)
    charger.save()
    return True


def unplug(charger: Charger, bay: Bay, now: float) -> bool:
    """The car leaves; false when there was none. Ends the transaction where the settings say so."""
    station = station_of(charger)
    connector = bay.connector
    if not connector.plugged:
        return False
    bay.meter.advance(now)
    tx = bay.tx
    if tx is not None and (tx.stopped_by or station.voice.terms(station).stops_on_unplug):
        why = End[tx.stopped_by] if tx.stopped_by else End.EV_GONE
        connector.plugged = False
        _finish(charger, bay, why, now, None)
    connector.plugged = True
    connector.unplug()
    bay.meter.disconnect(now)
    bay.override_w = None
    if bay.token is None:
        charger.cancel_timer(f"connect:{bay.id}")
    refresh(charger, bay, now, "EVDeparted")
    refresh_others(charger, bay, now)
    charger.save()
    return True


def ask_energy(charger: Charger, bay: Bay, now: float, *, wants: bool) -> None:
    """The car begins or ceases to ask for energy."""
    bay.connector.ev_ready = wants and bay.connector.plugged
    refresh(charger, bay, now)
    refresh_others(charger, bay, now)


# --- transactions -----------------------------------------------------------------------------


def grant(
    charger: Charger,
    bay: Bay,
    token: Token,
    parent: str | None,
    now: float,
    *,
    trigger: str = "Authorized",
) -> None:
    """Somebody may charge here: begin, or wait for the cable."""
    station = station_of(charger)
    bay.token, bay.parent = token, parent
    bay.connector.authorized = True
    if bay.tx is not None and bay.tx.token is None:
        _identify(bay, bay.tx)
        refresh(charger, bay, now, trigger)
        return
    if not _begin_if_due(charger, bay, now, trigger):
        charger.set_timer(f"connect:{bay.id}", now + timeout(station))
        refresh(charger, bay, now)


def forget_token(charger: Charger, bay: Bay, now: float) -> None:
    """Nobody came, or somebody changed their mind: the authorization is void."""
    bay.token = bay.parent = bay.remote_start_id = bay.tx_profile = None
    bay.connector.authorized = False
    _reject_order(charger, bay, "No transaction began before the time ran out.")
    refresh(charger, bay, now)


def stop(
    charger: Charger, bay: Bay, why: End, now: float, token: Token | None = None
) -> Transaction | None:
    """The user, the CSMS or a limit stops the transaction; None when there is none."""
    station = station_of(charger)
    tx = bay.tx
    if tx is None:
        return None
    if bay.connector.plugged and not station.voice.ends_on_stop(station):
        tx.stopped_by = why.name
        refresh(charger, bay, now, why.value.trigger201)
    else:
        end(charger, bay, why, now, token)
    return tx


def end(
    charger: Charger, bay: Bay, why: End, now: float, token: Token | None = None
) -> Transaction | None:
    """The transaction is over, whatever the settings say; None when there was none."""
    tx = _finish(charger, bay, why, now, token)
    if tx is not None:
        refresh(charger, bay, now)
        refresh_others(charger, bay, now)
    return tx


def deauthorize(charger: Charger, bay: Bay, now: float) -> None:
    """The CSMS does not accept the token of a running transaction."""
    station = station_of(charger)
    if bay.tx is None or bay.tx.deauthorized or bay.tx.stopped_by is not None:
        return
    terms = station.voice.terms(station)
    if terms.stops_on_invalid:
        stop(charger, bay, End.DEAUTHORIZED, now)
        return
    bay.meter.advance(now)
    bay.tx.deauthorized = True
    bay.tx.allowance_wh = bay.meter.energy_wh + terms.energy_on_invalid_wh
    refresh(charger, bay, now, "Deauthorized")


def _begin_if_due(charger: Charger, bay: Bay, now: float, trigger: str) -> bool:
    station = station_of(charger)
    out_of_use = bay.connector.fault is not None or not bay.connector.operative
    if bay.tx is not None or out_of_use or not station.voice.begins(station, bay):
        return False
    _begin(charger, bay, now, trigger)
    return True


def _begin(charger: Charger, bay: Bay, now: float, trigger: str) -> None:
    station = station_of(charger)
    charger.cancel_timer(f"connect:{bay.id}")
    bay.meter.advance(now)
    tx = bay.tx = Transaction(str(uuid.uuid4()), None, now, bay.meter.energy_wh)
    order = bay.order
    _claim(station, bay, tx)
    _identify(bay, tx)
    if order is not None:
        tx.ends_at = None if order.duration_s is None else now + order.duration_s
        tx.energy_goal_wh = order.energy_wh
    if bay.tx_profile is not None:
        station.need_profiles().installed.append(bay.tx_profile.bound_to(tx.key))
        bay.tx_profile = None
    bay.connector.begin()
    station.voice.say_begun(charger, bay, now, trigger)
    charger.happen("transaction_started", {"connector_id": bay.id, "transaction": tx.key})
    terms = station.voice.terms(station)
    for timer, interval in (
        ("sample", terms.sample_interval_s),
        ("keep", terms.stop_sample_interval_s),
    ):
        arm(charger, timer, bay, Cadence(now, interval).after(now))
    if not bay.connector.plugged or tx.token is None:
        charger.set_timer(f"connect:{bay.id}", now + timeout(station))
    _accept_order(charger, bay, tx)
    refresh(charger, bay, now)
    refresh_others(charger, bay, now)


def _claim(station: Station, bay: Bay, tx: Transaction) -> None:
    """The reservation that the token has for this connector is used up."""
    if station.reservations is None or bay.token is None:
        return
    claimed = station.reservations.claim(
        bay.connector, station.connectors, bay.token.id, bay.parent
    )
    tx.reservation_id = claimed.id if claimed else None


def _identify(bay: Bay, tx: Transaction) -> None:
    """The accepted token becomes the transaction's."""
    tx.token, tx.parent, tx.remote_start_id = bay.token, bay.parent, bay.remote_start_id
    bay.token = bay.parent = bay.remote_start_id = None
    bay.connector.authorized = False


def _finish(
    charger: Charger, bay: Bay, why: End, now: float, token: Token | None
) -> Transaction | None:
    station = station_of(charger)
    tx = bay.tx
    if tx is None:
        return None
    bay.meter.flow(now, flowing=False)
    bay.tx = None
    bay.connector.end()
    if station.profiles is not None:
        station.profiles.end(tx.key)
    for timer in ("sample", "keep", "power"):
        charger.cancel_timer(f"{timer}:{bay.id}")
    station.voice.say_ended(charger, bay, tx, why, now, token)
    charger.happen(
        "transaction_ended",
        {
            "connector_id": bay.id,
            "transaction": tx.shown_id,
            "reason": why.value.reason16,
            "energy_wh": int(bay.meter.energy_wh - tx.begin_wh),
        },
    )
    if not station.is_busy:
        _use_idleness(charger, station, now)
    charger.save()
    return tx


def _use_idleness(charger: Charger, station: Station, now: float) -> None:
    """Nobody charges any more: what waited for that may go on."""
    if station.firmware is not None and not station.firmware.is_over:
        station.firmware.due = min(station.firmware.due, now)
        charger.set_timer("firmware", station.firmware.due)
    if station.idle_reset:
        charger.set_timer("reset:OnIdle", now)


# --- orders of the gateway that wait for a transaction ----------------------------------------


def expect(charger: Charger, bay: Bay, order: Order) -> None:
    """A command waits for a transaction to begin here; an older one is given up."""
    _reject_order(charger, bay, "A newer command replaced this one.")
    bay.order = order


def refuse_order(charger: Charger, bay: Bay, reason: str) -> None:
    """The transaction that a command waited for will not begin."""
    _reject_order(charger, bay, reason)


def _accept_order(charger: Charger, bay: Bay, tx: Transaction) -> None:
    order, bay.order = bay.order, None
    if order is not None:
        result = {"connector_id": bay.id, "transaction_id": tx.shown_id}
        charger.end_command(order.command_id, result)


def _reject_order(charger: Charger, bay: Bay, reason: str) -> None:
    order, bay.order = bay.order, None
    if order is not None:
        charger.end_command(order.command_id, {}, reason)


def timeout(station: Station) -> float:
    """Seconds that a driver has to plug in, or to identify."""
    return station.voice.terms(station).connection_timeout_s
