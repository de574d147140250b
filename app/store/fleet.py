"""Counts of an organization's live chargers, or of everybody's, by what one would ask about."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

#: Locations and organizations that are listed, the largest first.
LONGEST: Final = 1_000
_COLUMNS: Final = ("status", "stage", "verdict", "ocpp_version")

# One pass over the rows for all of them. GROUPING has a bit per column, set where it is not grouped by.
_SUMMARY: Final = """
    SELECT GROUPING(status, stage, verdict, ocpp_version) AS which,
           coalesce(status, stage, verdict, ocpp_version) AS name, count(*) AS number
    FROM chargers WHERE deleted_at IS NULL {mine}
    GROUP BY GROUPING SETS ((status), (stage), (verdict), (ocpp_version), ())
"""
_LOCATIONS: Final = """
    SELECT counted.location_id, locations.name, counted.number FROM (
        SELECT location_id, count(*) AS number FROM chargers WHERE deleted_at IS NULL {mine}
        GROUP BY location_id ORDER BY number DESC, location_id LIMIT :longest) AS counted
    LEFT JOIN locations ON locations.id = counted.location_id
    ORDER BY counted.number DESC, counted.location_id
"""
_ORGANIZATIONS: Final = """
    SELECT organization_id, count(*) AS number FROM chargers WHERE deleted_at IS NULL
    GROUP BY organization_id ORDER BY number DESC, organization_id LIMIT :longest
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
    values = {"organization_id": organization_id, "longest": LONGEST}
    counts: dict[str, dict[str, int]] = {name: {} for name in _COLUMNS}
    total = 0
    for which, name, number in session.execute(text(_SUMMARY.format(mine=mine)), values):
        column = _read_grouping(which)
        if column is None:
            total = number
        else:
            counts[column][name] = number
    locations = session.execute(text(_LOCATIONS.format(mine=mine)), values)
    organizations = {}
    if organization_id is None:
        rows = session.execute(text(_ORGANIZATIONS), values)
        organizations = {row.organization_id: row.number for row in rows}
    return Summary(
        total,
        counts,
        [(row.location_id, row.name, row.number) for row in locations],
        organizations,
    )


def _read_grouping(which: int) -> str | None:
    """The one column whose bit is not set, from the left; None: the whole."""
    for place, name in enumerate(_COLUMNS):
        if not which & 1 << (len(_COLUMNS) - 1 - place):
            return name
    return None
