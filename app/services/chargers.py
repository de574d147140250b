"""Use cases of one charger: order it, look at it, change it, make it go.

Each takes a session (one transaction, which the caller commits). What an order does to the runtime is
`app.services.orders`; here is what a client may ask for and what is refused.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import Engine, func
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from app.errors import ChargerNotFound, IdentityTaken, UnknownLocation
from app.ids import make_charger_id
from app.lifecycle import SETTLED
from app.models import Charger
from app.queue import Hints
from app.services import orders
from app.services.news import News, wait_until
from app.services.policy import Policy
from app.store import chargers as store

#: A change of these must reach the runtime.
RUNTIME_FIELDS: Final = frozenset(
    {"ws_url", "ocpp_version", "connector_type", "security_profile", "authorization_key"}
)
_IDENTITY_INDEX: Final = "uq_chargers_live_identity"
Order: TypeAlias = Callable[[Session, Hints, Charger], orders.Placed]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCharger:
    """What a client orders. `location_id` is as the client wrote it."""

    identity: str
    brand_slug: str
    model_slug: str
    connector_type: str
    ws_url: str
    ocpp_version: str = "OCPP1.6"
    charge_point_name: str | None = None
    location_id: str | None = None
    location_name: str | None = None
    security_profile: int | None = None
    authorization_key: str | None = None


def create(
    session: Session, queue: Hints, policy: Policy, organization_id: str, new: NewCharger
) -> Charger:
    """Order a charger and its first bring-up.

    Raises a kind of `InvalidOrder`; `IdentityTaken` names the live charger when it has the same fields, so that
    a client whose answer was lost knows that it has what it asked for.
    """
    charger = make_charger(policy, organization_id, new)
    _put(charger, hold_place(session, organization_id, new.location_id), new.location_name)
    policy.quota.take(session, organization_id)
    wanted = describe(charger)
    try:
        orders.provision(session, queue, charger)
    except IntegrityError as error:
        if _IDENTITY_INDEX not in str(error.orig):
            raise
        session.rollback()
        raise _identity_taken(session, organization_id, new.identity, wanted) from None
    return charger


def make_charger(policy: Policy, organization_id: str, new: NewCharger) -> Charger:
    """A charger that may be ordered, not yet of any session. Raises a kind of `InvalidOrder`."""
    policy.check_hardware(new.brand_slug, new.model_slug, new.connector_type, new.ocpp_version)
    profile = new.security_profile
    if profile is None:
        profile = choose_profile(new.ws_url, new.authorization_key)
    policy.check_address(new.ws_url, profile, new.authorization_key)
    return Charger(
        id=make_charger_id(),
        organization_id=organization_id,
        identity=new.identity,
        name=new.charge_point_name,
        brand_slug=new.brand_slug,
        model_slug=new.model_slug,
        connector_type=new.connector_type,
        ocpp_version=new.ocpp_version,
        ws_url=new.ws_url,
        security_profile=profile,
        authorization_key=new.authorization_key,
    )


def choose_profile(ws_url: str, authorization_key: str | None) -> int:
    """The profile of an order that names none: a key is there to be sent."""
    if authorization_key is None:
        return 0
    return 2 if ws_url.startswith("wss:") else 1


@dataclass(frozen=True, slots=True)
class Place:
    """A location that cannot be deleted until the transaction ends."""

    id: uuid.UUID
    name: str


def hold_place(session: Session, organization_id: str, location_id: str | None) -> Place | None:
    """The location that an order names. Before any charger is locked: deleting a location does so too.

    Raises `UnknownLocation`.
    """
    if location_id is None:
        return None
    found = read_location_id(location_id)
    name = store.hold_location(session, organization_id, found) if found else None
    if found is None or name is None:
        raise UnknownLocation("No location with this id.", param="location_id")
    return Place(found, name)


def _put(charger: Charger, place: Place | None, location_name: str | None) -> None:
    """Put the charger there; it takes the location's name unless it is given one of its own."""
    if place is not None and place.id != charger.location_id:
        charger.location_id = place.id
        charger.location_name = place.name
    if location_name is not None:
        charger.location_name = location_name


def read_location_id(text: str) -> uuid.UUID | None:
    """The id of a location, or None when it cannot be one."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def describe(charger: Charger) -> tuple[Any, ...]:
    """What two orders of the same charger have in common."""
    return (
        charger.name,
        charger.brand_slug,
        charger.model_slug,
        charger.connector_type,
        charger.ocpp_version,
        charger.ws_url,
        charger.location_id,
        charger.location_name,
        charger.security_profile,
        charger.authorization_key,
    )


def _identity_taken(
    session: Session, organization_id: str, identity: str, wanted: tuple[Any, ...]
) -> IdentityTaken:
    message = f"The organization has a live charger with the identity {identity}."
    live = store.find_live(session, organization_id, identity)
    if live is None or describe(live) != wanted:
        return IdentityTaken(message)
    return IdentityTaken(message, charger_id=live.id)


def update(
    session: Session,
    queue: Hints,
    policy: Policy,
    organization_id: str,
    charger_id: str,
    changes: Mapping[str, Any],
) -> Charger:
    """Change a charger; a field that its runtime must see replaces the runtime of one that is up.

    `changes` has any of the fields of `NewCharger` but identity, brand and model, with `name` for
    `charge_point_name`. Raises `ChargerNotFound` or a kind of `InvalidOrder`.
    """
    place = hold_place(session, organization_id, changes.get("location_id"))
    charger = store.lock(session, organization_id, charger_id)
    if change(policy, charger, place, changes, now=func.clock_timestamp()):
        orders.replace(session, queue, charger)
    session.flush()
    session.refresh(charger)
    return charger


def change(
    policy: Policy, charger: Charger, place: Place | None, changes: Mapping[str, Any], *, now: Any
) -> bool:
    """Write `changes` into the row of a locked charger; whether its runtime must see them.

    Raises a kind of `InvalidOrder`, and then nothing was changed.
    """
    names = (*RUNTIME_FIELDS, "name")
    wanted = {name: changes.get(name, getattr(charger, name)) for name in names}
    if "security_profile" not in changes and "authorization_key" in changes:
        wanted["security_profile"] = choose_profile(wanted["ws_url"], wanted["authorization_key"])
    policy.check_hardware(
        charger.brand_slug, charger.model_slug, wanted["connector_type"], wanted["ocpp_version"]
    )
    policy.check_address(wanted["ws_url"], wanted["security_profile"], wanted["authorization_key"])
    was = describe(charger)
    must_see = any(getattr(charger, name) != wanted[name] for name in RUNTIME_FIELDS)
    for name, value in wanted.items():
        setattr(charger, name, value)
    _put(charger, place, changes.get("location_name"))
    if describe(charger) != was:
        charger.updated_at = now
    return must_see


def carry_out(
    session: Session, queue: Hints, organization_id: str, charger_id: str, order: Order
) -> tuple[Charger, orders.Placed]:
    """Start, stop or reset the runtime. Raises `ChargerNotFound`."""
    charger = store.lock(session, organization_id, charger_id)
    return charger, order(session, queue, charger)


def delete(session: Session, queue: Hints, organization_id: str, charger_id: str) -> None:
    """Mark the charger as deleted and let its runtime go; a repetition within 24 h changes nothing.

    Raises `ChargerNotFound`.
    """
    try:
        charger = store.lock(session, organization_id, charger_id)
    except ChargerNotFound:
        if store.was_deleted(session, organization_id, charger_id):
            return
        raise
    orders.delete(session, queue, charger)


def read_status(
    reads: sessionmaker[Session],
    news: News,
    organization_id: str,
    charger_id: str,
    *,
    wait_s: int,
) -> tuple[store.Seen, bool]:
    """The status, at once or when it settles within `wait_s`: (what is seen, whether there was room to wait).

    Holds no connection while it waits. Raises `ChargerNotFound`, also when it is deleted meanwhile.
    """
    bind: Engine = reads.kw["bind"]

    def look() -> tuple[store.Seen, bool]:
        # A connection without a session around it: one statement is all that happens here, and it is polled.
        with bind.connect() as connection:
            seen = store.read_status(connection, organization_id, charger_id)
        return seen, seen["status"] in SETTLED

    if wait_s == 0:
        return look()[0], True
    return wait_until(news, charger_id, look, seconds=wait_s)
