"""The tables. PostgreSQL rows are the truth of this gateway; everything else is a hint or a cache.

Read in this order: `Charger` (what was ordered), `Run` and `RunStep` (the work it caused), `Runtime` (each start
of its simulator), then what runtimes tell (`Frame`, `ChargerEvent`), what they are told (`Command`), and the
small tables. Migrations in `migrations/versions` make these tables; a test compares the two.

Lock order, to keep orders and steps from waiting for each other in a ring: chargers, runs, runtimes, the rest.
"""

from __future__ import annotations

from app.models.base import Base
from app.models.orders import Charger, Installation, Run, RunStep
from app.models.records import ChargerEvent, Command, Frame, IdempotencyKey
from app.models.runtimes import Host, Link, Runtime, RuntimeTemplate
from app.models.sites import Job, Location

__all__ = [
    "Base",
    "Charger",
    "ChargerEvent",
    "Command",
    "Frame",
    "Host",
    "IdempotencyKey",
    "Installation",
    "Job",
    "Link",
    "Location",
    "Run",
    "RunStep",
    "Runtime",
    "RuntimeTemplate",
]
