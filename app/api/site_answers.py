"""Locations, bulk jobs and ready-made sites as answers (see `app.api.answers`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.api.answers import show_charger, show_error
from app.catalog import Catalog, Template
from app.lifecycle import Status
from app.models import Charger, Job, Location
from app.services.location_chargers import Failure
from app.store.jobs import Progress


def show_location(location: Location) -> dict[str, Any]:
    """A location."""
    return {
        "id": location.id,
        "slug": location.slug,
        "name": location.name,
        "address": location.address,
        "city": location.city,
        "country": location.country,
        "coordinates": {"latitude": location.latitude, "longitude": location.longitude},
        "timezone": location.timezone,
        "owner_name": location.owner_name,
        "public": location.public,
        "status": location.status,
        "created_at": location.created_at,
        "updated_at": location.updated_at,
    }


def show_job_accepted(job: Job) -> dict[str, Any]:
    """The answer to a bulk order."""
    return {
        "job_id": job.id,
        "status": job.status,
        "status_url": f"/ocpp/locations/{job.location_id}/chargers/jobs/{job.id}",
        "workflow_run_id": job.workflow_run_id,
    }


def show_job(
    job: Job, progress: Progress, created: Sequence[Charger], catalog: Catalog, docs_url: str
) -> dict[str, Any]:
    """A bulk job; `created` are the chargers that it brought up and that are still there."""
    return {
        "job_id": job.id,
        "job_type": job.job_type,
        "status": job.status,
        "workflow_run_id": job.workflow_run_id,
        "error": show_error(job.error, docs_url),
        "provisioned_at": job.finished_at if job.status == Status.READY.value else None,
        "results": job.results and _show_results(job.results, created, catalog),
        "progress": {
            "total": progress.total,
            "ready": progress.ready,
            "failed": progress.failed,
            "pending": progress.pending,
        },
        "created_at": job.created_at,
        "cancelled_at": job.cancelled_at,
    }


def _show_results(
    results: Mapping[str, Any], created: Sequence[Charger], catalog: Catalog
) -> dict[str, Any]:
    return {
        "created_count": len(results["created"]),
        "failed_count": len(results["failed"]),
        "created": [show_charger(charger, catalog) for charger in created],
        "failed": results["failed"],
    }


def _show_failures(failed: Sequence[Failure]) -> list[dict[str, Any]]:
    return [{"charger_id": one.charger_id, "error": one.error, "code": one.code} for one in failed]


def show_updated(
    updated: Sequence[Charger], failed: Sequence[Failure], catalog: Catalog
) -> dict[str, Any]:
    """What became of many changes."""
    return {
        "updated_count": len(updated),
        "failed_count": len(failed),
        "updated": [show_charger(charger, catalog) for charger in updated],
        "failed": _show_failures(failed),
    }


def show_deleted(deleted: Sequence[str], failed: Sequence[Failure]) -> dict[str, Any]:
    """Which chargers are gone."""
    return {
        "deleted_count": len(deleted),
        "failed_count": len(failed),
        "deleted": deleted,
        "failed": _show_failures(failed),
    }


def show_template(template: Template) -> dict[str, Any]:
    """A ready-made site."""
    return {
        "slug": template.slug,
        "name": template.name,
        "country": template.country,
        "parking_type": template.parking_type,
        "type": template.type,
        "groups": [
            {
                "brand_slug": group.brand_slug,
                "model_slug": group.model_slug,
                "connector_type": group.connector_type,
                "ocpp_version": group.ocpp_version,
                "count": group.count,
                "nominal_kw": group.nominal_kw,
            }
            for group in template.groups
        ],
    }
