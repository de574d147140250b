"""Answers as the docs show them. A contract test holds each against its schema."""

from __future__ import annotations

from typing import Any, Final

_ID: Final = "dep-0198c0a2f1b47d3e8a5c6f7081920314"
_RUN: Final = "wfr_0198c0a2f1b57a10b3c4d5e6f7081929"

ACCEPTED: Final[dict[str, Any]] = {
    "charger_id": _ID,
    "identity": "CP-001",
    "status": "PENDING",
    "status_url": f"/ocpp/chargers/{_ID}/status",
    "workflow_run_id": _RUN,
}

RUNTIME: Final[dict[str, Any]] = {
    "provider": "local",
    "stage": "online",
    "verdict": "connected",
    "hint": None,
    "since": "2026-01-01T12:00:02.481516Z",
    "restarts": 0,
    "last_error": None,
    "connectors": None,
}

CHARGER: Final[dict[str, Any]] = {
    "id": _ID,
    "identity": "CP-001",
    "name": "Bay 1",
    "vendor_name": "Wallbox",
    "model": "Pulsar Plus",
    "image_url": None,
    "ocpp_version": "OCPP1.6",
    "number_of_connectors": 1,
    "max_charging_power": 22000,
    "connector_type": "Type2",
    "location_id": None,
    "created_at": "2026-01-01T12:00:00.123456Z",
    "updated_at": "2026-01-01T12:00:00.123456Z",
    "brand_slug": "wallbox",
    "model_slug": "wallbox-pulsar-plus",
    "ws_url": "wss://csms.example.com/ocpp",
    "security_profile": 0,
    "location_name": "Depot North",
    "status": "READY",
    "desired_state": "running",
    "runtime": RUNTIME,
}

STATUS: Final[dict[str, Any]] = {
    "charger_id": _ID,
    "status": "READY",
    "workflow_run_id": _RUN,
    "error": None,
    "provisioned_at": "2026-01-01T12:00:02.500000Z",
    "current_step": None,
    "attempt": 0,
    "steps": [
        {
            "name": "register_task_definition",
            "status": "done",
            "attempts": 1,
            "started_at": "2026-01-01T12:00:00.140000Z",
            "finished_at": "2026-01-01T12:00:00.150000Z",
            "error": None,
        }
    ],
    "runtime": RUNTIME,
}

ORDERED: Final[dict[str, Any]] = {
    "id": _ID,
    "event_type": "start_charger",
    "ocpp_version": "OCPP1.6",
    "payload": {
        "provider": "local",
        "runtime_kind": "process",
        "service_name": _ID,
        "desired_count": 1,
        "status": "PROVISIONING",
        "workflow_run_id": _RUN,
    },
}

LOGS: Final[dict[str, Any]] = {
    "data": [
        {
            "direction": "cp_to_csms",
            "action": "Heartbeat",
            "message": '[2,"17","Heartbeat",{}]',
            "timestamp": "2026-01-01T12:00:12.000000Z",
        }
    ],
    "total": 1,
    "limit": 100,
    "offset": 0,
}

MODEL: Final[dict[str, Any]] = {
    "id": "5f3f4d1c-1c5b-5d8e-9b1e-0d6f4f8f2a11",
    "slug": "wallbox-pulsar-plus",
    "name": "Pulsar Plus",
    "brand_slug": "wallbox",
    "brand_id": "1c9a3a52-0f54-5f0a-8a50-6d8a4b1c7f02",
    "image_url": None,
    "connector_count": 1,
    "current_type": "ac",
    "supported_kwh": [7.4, 22.0],
    "connector_types": ["Type2"],
    "created_at": "2025-01-01T00:00:00Z",
    "ocpp_versions": ["OCPP1.6"],
    "max_power_w": 22000,
}
