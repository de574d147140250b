"""Counts of an organization's live chargers, or of everybody's, by what one would ask about."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.models import Location

#: Locations and organizations that are listed, the largest first.
LONGEST: Final = 1_000
_COLUMNS: Final = ("status", "stage", "verdict", "ocpp_version")

# One pass over the chargers; what comes out is a few rows per location, which are added up here.
_COUNT: Final = """
    SELECT organization_id, location_id, status, stage, verdict, ocpp_version, count(*) AS number
    FROM chargers WHERE deleted_at IS NULL {mine} GROUP BY 1, 2, 3, 4, 5, 6
"""


@dataclass(frozen=True, slots=True)
class Summary:
    """How many there are of what."""

    total: int
    #: Column name → value → number.
    by: Mapping[str, Mapping[str, int]]
    #: (id, name, number); no id: at no location.
    by_location: Sequence[tuple[uuid.UUID | None, str | None, int]]
    #: Organization → number; only when all are counted.
    by_organization: Mapping[str, int] = field(default_factory=dict)


def summarize(session: Session, organization_id: str | None) -> Summary:
    """Count; None counts every organization's."""
    mine = "" if organization_id is None else "AND organization_id = :organization_id"
    counts: dict[str, Counter[str]] = {name: Counter() for name in _COLUMNS}
    sites: Counter[uuid.UUID | None] = Counter()
    organizations: Counter[str] = Counter()
    rows = session.execute(text(_COUNT.format(mine=mine)), {"organization_id": organization_id})
    for row in rows:
        for name in _COLUMNS:
            counts[name][getattr(row, name)] += row.number
        sites[row.location_id] += row.number
        organizations[row.organization_id] += row.number
    largest = sites.most_common(LONGEST)
    names = _read_names(session, [site for site, _ in largest if site is not None])
    return Summary(
        sites.total(),
        {name: dict(counted.most_common()) for name, counted in counts.items()},
        [(site, names.get(site) if site else None, number) for site, number in largest],
        dict(organizations.most_common(LONGEST)) if organization_id is None else {},
    )


def _read_names(session: Session, locations: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, str]:
    query = select(Location.id, Location.name).where(Location.id.in_(locations))
    return {row.id: row.name for row in session.execute(query)}
