"""What `bench.large` asks: each a path of the API, and the bare statement that finds the same rows."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from bench.large_rows import BUSY, LOCATIONS, Sizes

_FIRST, _LAST = "2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z"


@dataclass(frozen=True, slots=True)
class Subject:
    """One charger of the fleet, by its number."""

    number: int
    sizes: Sizes

    @property
    def values(self) -> dict[str, str]:
        """What paths and statements name."""
        site = uuid.UUID(int=self.number % (self.sizes.organizations * LOCATIONS))
        return {
            "org": f"org-{self.number % self.sizes.organizations}",
            "charger": f"dep-{self.number:032x}",
            "site": str(site),
        }


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that is asked, of a charger drawn at random."""

    what: str
    #: With the names of `Subject.values` in braces.
    path: str
    #: With the same names as psycopg's parameters.
    bare: str
    query: tuple[tuple[str, str], ...] = ()
    admin: bool = False
    #: Only of chargers that have many frames.
    busy: bool = False

    def draw(self, chance: random.Random, sizes: Sizes) -> Subject:
        """Whom it is about this time."""
        return Subject(chance.randrange(BUSY if self.busy else sizes.chargers), sizes)

    def write_path(self, subject: Subject) -> str:
        """The path, with its query."""
        filled = [(name, value.format(**subject.values)) for name, value in self.query]
        return self.path.format(**subject.values) + (f"?{urlencode(filled)}" if filled else "")


def _page(table: str, where: str, order: str, *, limit: int = 50, offset: int = 0) -> str:
    """One page, and how many there are: what every list has to find."""
    return (
        f"SELECT (SELECT count(*) FROM {table} WHERE {where}), p.* FROM (SELECT * FROM {table}"
        f" WHERE {where} ORDER BY {order} LIMIT {limit} OFFSET {offset}) AS p"
    )


def _list(
    what: str, more: str = "", offset: int = 0, path: str = "/ocpp/chargers", **query: str
) -> Question:
    where = f"deleted_at IS NULL AND organization_id = %(org)s {more}"
    bare = _page("chargers", where, "id DESC", offset=offset)
    return Question(what, path, bare, tuple(query.items()))


def _logs(what: str, more: str = "", *, busy: bool = False, **query: str) -> Question:
    where = f"charger_id = %(charger)s {more}"
    bare = _page("ocpp_frames", where, "at DESC, number DESC", limit=100)
    path = "/ocpp/chargers/{charger}/logs"
    return Question(what, path, bare, tuple(query.items()), busy=busy)


def _runs(what: str, where: str, *, admin: bool = False, **query: str) -> Question:
    bare = _page("runs", where, "id DESC")
    return Question(what, "/ocpp/runs", bare, tuple(query.items()), admin=admin)


_MINE: Final = "organization_id = %(org)s"
_STATUS: Final = """
    SELECT c.*, r.*, (SELECT jsonb_agg(s.*) FROM run_steps AS s WHERE s.run_id = r.id)
    FROM chargers AS c JOIN runs AS r ON r.id = c.current_run_id WHERE c.id = %(charger)s
"""
_SUMMARY: Final = """
    SELECT status, stage, verdict, count(*) FROM chargers WHERE deleted_at IS NULL {more} GROUP BY 1, 2, 3
"""

QUESTIONS: Final = (
    _list("list"),
    _list("list, page 15", offset=700, page="15"),
    _list("filter by status", "AND status = 'FAILED'", status="FAILED"),
    _list("filter by stage", "AND stage = 'offline'", stage="offline"),
    _list("filter by identity", "AND identity LIKE 'CP-00001%%'", identity="CP-00001"),
    _list("filter by location", "AND location_id = %(site)s", location_id="{site}"),
    _list(
        "chargers of a location",
        "AND location_id = %(site)s",
        path="/ocpp/locations/{site}/chargers",
    ),
    Question(
        "a charger", "/ocpp/chargers/{charger}", "SELECT * FROM chargers WHERE id = %(charger)s"
    ),
    Question("its status", "/ocpp/chargers/{charger}/status", _STATUS),
    _logs("logs"),
    _logs("logs by event", "AND action = 'MeterValues'", event="MeterValues"),
    _logs(
        "logs by time",
        f"AND at BETWEEN '{_FIRST}' AND '{_LAST}'",
        start_date=_FIRST,
        end_date=_LAST,
    ),
    _logs("logs of a busy charger", busy=True),
    _logs("... by event", "AND action = 'MeterValues'", busy=True, event="MeterValues"),
    Question(
        "locations",
        "/ocpp/locations",
        _page("locations", f"deleted_at IS NULL AND {_MINE}", "id DESC"),
    ),
    _runs("runs", _MINE),
    _runs("runs by status", f"{_MINE} AND status = 'failed'", status="failed"),
    _runs("runs by kind", f"{_MINE} AND kind = 'start'", kind="start"),
    _runs("everybody's failed runs", "status = 'failed'", admin=True, status="failed"),
    Question("fleet summary", "/ocpp/fleet/summary", _SUMMARY.format(more=f"AND {_MINE}")),
    Question("everybody's summary", "/ocpp/fleet/summary", _SUMMARY.format(more=""), admin=True),
)
