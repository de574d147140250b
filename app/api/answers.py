"""Rows as answers: plain functions, one per shape; `app.api.schemas` documents the same shapes.

Times are UTC by the connection's setting; the renderer writes a `datetime` as RFC 3339 with `Z`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from app.catalog import Brand, Catalog, Model
from app.errors import NotFound
from app.models import Charger, ChargerEvent, Frame
from app.services.orders import Placed
from app.services.policy import warn_about
from app.store.chargers import Seen, Under

_DIRECTIONS: Final = {"u": "cp_to_csms", "d": "csms_to_cp"}
#: What a charger's runtime is at each provider, by the setting `GATEWAY_RUNTIME`.
_PROVIDERS: Final = {"local": "local", "docker": "docker", "ecs": "aws"}
_KINDS: Final = {"local": "process", "docker": "container", "aws": "ecs_task"}
_MESSAGE_LENGTH: Final = 2000


def show_accepted(charger: Charger) -> dict[str, Any]:
    """The answer to a create."""
    answer = {
        "charger_id": charger.id,
        "identity": charger.identity,
        "status": charger.status,
        "status_url": f"/ocpp/chargers/{charger.id}/status",
        "workflow_run_id": charger.current_run_id,
    }
    warnings = warn_about(charger.identity, charger.ocpp_version)
    return answer | {"warnings": warnings} if warnings else answer


def show_runtime(row: Charger) -> dict[str, Any]:
    """The `runtime` part of a charger."""
    return {
        "provider": row.provider,
        "stage": row.stage,
        "verdict": row.verdict,
        "hint": row.hint,
        "since": row.stage_since,
        "restarts": row.restarts,
        "last_error": row.last_error,
        "connectors": row.connectors,
    }


def show_charger(charger: Charger, catalog: Catalog) -> dict[str, Any]:
    """A charger. Hardware that the catalog does not have any more shows as null."""
    try:
        model = catalog.model(charger.brand_slug, charger.model_slug)
    except NotFound:
        model = None
    return {
        "id": charger.id,
        "identity": charger.identity,
        "name": charger.name,
        "vendor_name": model and model.brand_name,
        "model": model and model.name,
        "image_url": model and model.image_url,
        "ocpp_version": charger.ocpp_version,
        "number_of_connectors": model and model.connector_count,
        "max_charging_power": model and model.outlet(charger.connector_type).max_power_w,
        "connector_type": charger.connector_type,
        "location_id": charger.location_id,
        "created_at": charger.created_at,
        "updated_at": charger.updated_at,
        "brand_slug": charger.brand_slug,
        "model_slug": charger.model_slug,
        "ws_url": charger.ws_url,
        "security_profile": charger.security_profile,
        "location_name": charger.location_name,
        "status": charger.status,
        "desired_state": charger.desired_state,
        "runtime": show_runtime(charger),
    }


def show_page(data: list[dict[str, Any]], total: int, query: dict[str, Any]) -> dict[str, Any]:
    """A page of anything."""
    return {"data": data, "total": total, "page": query["page"], "limit": query["limit"]}


def show_status(seen: Seen, docs_url: str) -> dict[str, Any]:
    """The status, with the steps of the last order."""
    run = seen["run"]
    return {
        "charger_id": seen["charger_id"],
        "status": seen["status"],
        "workflow_run_id": seen["run_id"],
        "error": show_error(seen["error"], docs_url),
        "provisioned_at": seen["provisioned_at"],
        "current_step": run and run["plan"][run["at"]],
        "attempt": run["attempts"] if run else 0,
        "steps": (seen["steps"] or []) + (_list_ahead(run) if run else []),
        "runtime": seen["runtime"],
    }


def _list_ahead(run: Under) -> list[dict[str, Any]]:
    """The step at hand and those after it."""
    ahead: list[dict[str, Any]] = [
        {
            "name": name,
            "status": "waiting",
            "attempts": 0,
            "started_at": None,
            "finished_at": None,
            "error": None,
        }
        for name in run["plan"][run["at"] :]
    ]
    if run["started_at"] is not None:
        ahead[0] |= {
            "status": "running",
            "attempts": run["attempts"],
            "started_at": run["started_at"],
            "error": run["error"],
        }
    return ahead


def show_error(error: dict[str, Any] | None, docs_url: str) -> dict[str, Any] | None:
    """Why something is FAILED; every code has its heading in docs/errors.md."""
    if error is None:
        return None
    return {
        "code": error["code"],
        "message": str(error["message"])[:_MESSAGE_LENGTH],
        "step": error.get("step"),
        "param": error.get("param"),
        "doc_url": error.get("doc_url") or f"{docs_url}/docs/errors#{error['code']}",
        "retryable": error.get("retryable"),
    }


def show_ordered(event: str, charger: Charger, placed: Placed, runtime: str) -> dict[str, Any]:
    """The answer to start, stop and reset. `runtime`: the setting, for a charger that never ran."""
    provider = charger.provider or _PROVIDERS[runtime]
    return {
        "id": charger.id,
        "event_type": event,
        "ocpp_version": charger.ocpp_version,
        "payload": {
            "provider": provider,
            "runtime_kind": _KINDS[provider],
            "service_name": charger.id,
            "desired_count": 1 if charger.desired_state == "running" else 0,
            "status": charger.status,
            "workflow_run_id": placed.run_id or None,
        },
    }


def show_log(rows: Sequence[Frame], total: int, query: dict[str, Any]) -> dict[str, Any]:
    """OCPP frames."""
    data = [
        {
            "direction": _DIRECTIONS[row.direction],
            "action": row.action,
            "message": row.message,
            "timestamp": row.at,
        }
        for row in rows
    ]
    return {"data": data, "total": total, "limit": query["limit"], "offset": query["offset"]}


def show_events(rows: Sequence[ChargerEvent], total: int, query: dict[str, Any]) -> dict[str, Any]:
    """Events of a charger."""
    data = [{"kind": row.kind, "timestamp": row.at, "data": row.data} for row in rows]
    return {"data": data, "total": total, "limit": query["limit"], "offset": query["offset"]}


def show_brand(brand: Brand) -> dict[str, Any]:
    """A brand of the catalog."""
    return {
        "id": brand.id,
        "slug": brand.slug,
        "name": brand.name,
        "image_url": brand.image_url,
        "created_at": brand.created_at,
    }


def show_model(model: Model) -> dict[str, Any]:
    """A model of the catalog. `supported_kwh` holds powers in kW; the name is the API's."""
    return {
        "id": model.id,
        "slug": model.slug,
        "name": model.name,
        "brand_slug": model.brand_slug,
        "brand_id": model.brand_id,
        "image_url": model.image_url,
        "connector_count": model.connector_count,
        "current_type": model.current_type,
        "supported_kwh": list(model.supported_kwh),
        "connector_types": list(model.connector_types),
        "created_at": model.created_at,
        "ocpp_versions": list(model.ocpp_versions),
        "max_power_w": model.max_power_w,
    }
