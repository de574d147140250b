"""A world with locations and bulk orders (see `tests.engine_world`)."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import Engine, event, select

from app.models import Charger, Job
from app.services import bulk, locations
from app.services.policy import Policy, make_policy
from app.store import jobs
from tests.engine_world import World

PARIS = {
    "name": "Paris Hub",
    "address": "14 Rue de la Paix",
    "city": "Paris",
    "country": "FR",
    "latitude": 48.8,
    "longitude": 2.3,
}


class Site(World):
    """A world with locations and bulk orders."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.policy = make_policy(self.settings)
        self.location_id = self.opens()

    def opens(self, organization: str = "acme") -> uuid.UUID:
        """A new location."""
        with self.sessions.begin() as session:
            return locations.create(session, organization, PARIS).id

    def orders(
        self, *groups: bulk.Group, organization: str = "acme", policy: Policy | None = None
    ) -> Job:
        """A bulk order, as POST does."""
        location_id = self.location_id if organization == "acme" else self.opens(organization)
        with self.sessions.begin() as session:
            job = bulk.order(
                session, self.queue, policy or self.policy, organization, location_id, groups
            )
        self.queue.commit()
        return job

    def cancels(self, job: Job) -> Job:
        """Cancel it, as POST .../cancel does."""
        with self.sessions.begin() as session:
            job = bulk.cancel(session, self.queue, "acme", self.location_id, job.id)
        self.queue.commit()
        return job

    def job(self, job: Job) -> Job:
        with self.sessions() as session:
            return jobs.get(session, job.organization_id, job.location_id, job.id)

    def progress(self, job: Job) -> tuple[int, int, int]:
        """(ready, failed, pending)."""
        with self.sessions() as session:
            progress = jobs.count(session, self.job(job))
        assert progress.ready + progress.failed + progress.pending == progress.total
        return progress.ready, progress.failed, progress.pending

    def children(self, job: Job) -> list[Charger]:
        with self.sessions() as session:
            query = select(Charger).where(Charger.job_id == job.id).order_by(Charger.id)
            return list(session.scalars(query))

    def all_go_online(self, job: Job) -> None:
        for charger in self.children(job):
            self.goes_online(charger.id)


def make_group(*suffixes: str, **fields: Any) -> bulk.Group:
    hardware = {
        "brand_slug": "wallbox",
        "model_slug": "wallbox-pulsar-plus",
        "connector_type": "Type2",
        "ws_url": "ws://csms.example.com/ocpp",
        "identity_prefix": "SITE_A_",
        "template_name": "Bay",
    }
    return bulk.Group(**(hardware | fields), suffixes=suffixes)


def count_statements(engine: Engine) -> list[str]:
    """Every round trip to the database, as it is made from now on."""
    seen: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        seen.append(statement)

    return seen
