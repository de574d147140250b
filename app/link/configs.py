"""The configuration that a charger is started with: its row and its model, as docs/link.md has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.catalog import Catalog, Model
from app.errors import NotFound

#: For a model that the catalog has no more; the charger was ordered when it had.
_POWER_W: Final = 22_000


def make_config(charger: Any, catalog: Catalog, ws_allow: Sequence[str]) -> dict[str, Any]:
    """`config` of an `add`. `charger` is a row with the columns of a charger; holds its password."""
    model = _find_model(charger, catalog)
    settings: Mapping[str, Any] = charger.settings or {}
    outlet = _make_outlet(charger, model)
    count = model.connector_count if model else 1
    return {
        "identity": charger.identity,
        "ocpp_version": charger.ocpp_version,
        "ws_url": charger.ws_url,
        "location_name": charger.location_name,
        "vendor_name": model.brand_name if model else charger.brand_slug,
        "model": model.name if model else charger.model_slug,
        "name": charger.name,
        "connectors": [{"id": number, **outlet} for number in range(1, count + 1)],
        "max_power_w": model.max_power_w if model else _POWER_W,
        "security_profile": charger.security_profile,
        "authorization_key": charger.authorization_key,
        "ws_allow": list(ws_allow) or None,
        "wire_faults": settings.get("wire_faults"),
        "settings": {key: value for key, value in settings.items() if key != "wire_faults"},
    }


def _find_model(charger: Any, catalog: Catalog) -> Model | None:
    try:
        return catalog.model(charger.brand_slug, charger.model_slug)
    except NotFound:
        return None


def _make_outlet(charger: Any, model: Model | None) -> dict[str, Any]:
    kind = charger.connector_type
    if model is None:
        return {"type": kind, "current_type": "ac", "max_power_w": _POWER_W, "phases": 3}
    outlet = model.outlet(kind)
    return {
        "type": kind,
        "current_type": outlet.current_type,
        "max_power_w": outlet.max_power_w,
        "phases": outlet.phases,
    }
