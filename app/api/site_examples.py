"""Answers about locations and bulk jobs as the docs show them (see `app.api.examples`)."""

from __future__ import annotations

from typing import Any, Final

from app.api.examples import CHARGER

_LOCATION: Final = "0198c0a2-f1b4-7b1a-9c0d-6e5f40312213"
_JOB: Final = "0198c0a2-f1b4-7c22-8a9b-0c1d2e3f4051"
_RUN: Final = "wfr_0198c0a2f1b57a10b3c4d5e6f7081929"

LOCATION: Final[dict[str, Any]] = {
    "id": _LOCATION,
    "slug": "la-defense-charging-hub-1f9c02aa",
    "name": "La Defense Charging Hub",
    "address": "14 Rue de la Paix",
    "city": "Paris",
    "country": "FR",
    "coordinates": {"latitude": 48.8566, "longitude": 2.3522},
    "timezone": "Europe/Paris",
    "owner_name": "VINCI Autoroutes",
    "public": True,
    "status": "active",
    "created_at": "2026-01-01T12:00:00.123456Z",
    "updated_at": "2026-01-01T12:00:00.123456Z",
}

JOB_ACCEPTED: Final[dict[str, Any]] = {
    "job_id": _JOB,
    "status": "PENDING",
    "status_url": f"/ocpp/locations/{_LOCATION}/chargers/jobs/{_JOB}",
    "workflow_run_id": _RUN,
}

JOB: Final[dict[str, Any]] = {
    "job_id": _JOB,
    "job_type": "location_chargers_create",
    "status": "READY",
    "workflow_run_id": _RUN,
    "error": None,
    "provisioned_at": "2026-01-01T12:00:09.500000Z",
    "results": {
        "created_count": 1,
        "failed_count": 1,
        "created": [CHARGER],
        "failed": [
            {
                "identity": "SITE_A_002",
                "error": "The organization has a live charger with the identity SITE_A_002.",
                "code": "identity_taken",
            }
        ],
    },
    "progress": {"total": 2, "ready": 1, "failed": 1, "pending": 0},
    "created_at": "2026-01-01T12:00:00.123456Z",
    "cancelled_at": None,
}
