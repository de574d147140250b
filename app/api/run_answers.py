"""Runs and the fleet's summary as answers (see `app.api.answers`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.models import Run, RunStep
from app.store.fleet import Summary


def show_run(run: Run, ended: Sequence[RunStep]) -> dict[str, Any]:
    """A run; `ended` are its steps that are over."""
    is_active = run.status == "active"
    return {
        "id": run.id,
        "organization_id": run.organization_id,
        "kind": run.kind,
        "charger_id": run.charger_id,
        "job_id": run.job_id,
        "identity": run.identity,
        "generation": run.generation,
        "status": run.status,
        "phase": run.phase,
        "current_step": run.plan[run.at] if is_active else None,
        "attempts": run.attempts,
        "hint": run.hint,
        "error": run.error,
        "due_at": run.due_at if is_active else None,
        "lease_until": run.lease_until,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
        "steps": [_show_ended(step) for step in ended] + (_show_ahead(run) if is_active else []),
    }


def _show_ended(step: RunStep) -> dict[str, Any]:
    return {
        "name": step.name,
        "status": step.status,
        "attempts": step.attempt,
        "started_at": step.started_at,
        "finished_at": step.finished_at,
        "error": step.error,
        "output": step.output,
    }


def _show_ahead(run: Run) -> list[dict[str, Any]]:
    """The step at hand and those after it."""
    ahead: list[dict[str, Any]] = [
        {
            "name": name,
            "status": "waiting",
            "attempts": 0,
            "started_at": None,
            "finished_at": None,
            "error": None,
            "output": {},
        }
        for name in run.plan[run.at :]
    ]
    if ahead and run.step_started_at is not None:
        ahead[0] |= {
            "status": "running",
            "attempts": run.attempts,
            "started_at": run.step_started_at,
            "error": run.error,
        }
    return ahead


def show_summary(summary: Summary) -> dict[str, Any]:
    """A fleet in numbers."""
    shown: dict[str, Any] = {
        "total": summary.total,
        **{f"by_{column}": counts for column, counts in summary.by.items()},
        "by_location": [
            {"location_id": location_id, "name": name, "chargers": number}
            for location_id, name, number in summary.by_location
        ],
    }
    if summary.by_organization:
        shown["by_organization"] = summary.by_organization
    return shown
