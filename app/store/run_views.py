"""Runs as operators see them: lists by status, kind and charger, and one with its steps.

An organization of None stands for all of them, which only an admin may ask for.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from app.errors import RunNotFound
from app.models import Run, RunStep

_ID: Final = re.compile(r"wfr_[0-9a-f]{32}")


def get(session: Session, organization_id: str | None, run_id: str, *, lock: bool = False) -> Run:
    """Raises `RunNotFound`."""
    run = None
    if _ID.fullmatch(run_id):
        query = select(Run).where(Run.id == run_id, *_is_of(organization_id))
        if lock:
            query = query.with_for_update().execution_options(populate_existing=True)
        run = session.scalars(query).one_or_none()
    if run is None:
        raise RunNotFound("No run with this id.")
    return run


def _is_of(organization_id: str | None) -> tuple[ColumnElement[bool], ...]:
    return () if organization_id is None else (Run.organization_id == organization_id,)


def list_page(
    session: Session,
    organization_id: str | None,
    *,
    page: int,
    limit: int,
    filters: Mapping[str, str],
) -> tuple[Sequence[Run], int]:
    """One page of runs, newest first, and how many there are in all.

    `filters`: any of `status`, `kind`, `charger_id`.
    """
    wanted = [*_is_of(organization_id)]
    wanted += [getattr(Run, name) == value for name, value in filters.items()]
    total = session.scalar(select(func.count()).select_from(Run).where(*wanted)) or 0
    if (page - 1) * limit >= total:
        return [], total
    rows = session.scalars(
        select(Run).where(*wanted).order_by(Run.id.desc()).offset((page - 1) * limit).limit(limit)
    )
    return rows.all(), total


def list_steps(session: Session, run_ids: Collection[str]) -> Mapping[str, Sequence[RunStep]]:
    """The steps that ended, in order, by run."""
    query = (
        select(RunStep)
        .where(RunStep.run_id.in_(run_ids))
        .order_by(RunStep.run_id, RunStep.position)
    )
    found: dict[str, list[RunStep]] = defaultdict(list)
    for step in session.scalars(query):
        found[step.run_id].append(step)
    return found
