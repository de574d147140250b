"""States that a test begins with, written as the rest of the gateway would leave them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from sqlalchemy.orm import Session, sessionmaker

from app.models import Charger, Location, Run


def put_up(sessions: sessionmaker[Session], charger_id: str) -> None:
    """What workers leave when a charger is up."""
    with sessions.begin() as session:
        charger = session.get_one(Charger, charger_id)
        run = session.get_one(Run, charger.current_run_id)
        run.status, run.at, run.hinted = "done", len(run.plan), False
        charger.status, charger.stage, charger.verdict = "READY", "online", "connected"
        charger.provider = "local"
        charger.provisioned_at = datetime(2026, 1, 1, 12, tzinfo=UTC)


def add_location(sessions: sessionmaker[Session], name: str, organization: str = "acme") -> str:
    """A live location; its id."""
    location = Location(
        id=uuid.uuid4(),
        organization_id=organization,
        slug=f"{name}-{uuid.uuid4().hex[:8]}",
        name=name,
        address="1 High Street",
        city="Oslo",
        country="NO",
        latitude=59.9,
        longitude=10.7,
    )
    with sessions.begin() as session:
        session.add(location)
    return str(location.id)


def read(sessions: sessionmaker[Session], charger_id: str) -> Charger:
    with sessions() as session:
        return session.get_one(Charger, charger_id)
