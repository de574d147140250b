"""Bodies of requests that any gateway accepts, for tests and benches that are about something else."""

from __future__ import annotations

from typing import Any, Final

HARDWARE: Final = {
    "brand_slug": "wallbox",
    "model_slug": "wallbox-pulsar-plus",
    "connector_type": "Type2",
}
SITE: Final[dict[str, Any]] = {
    "name": "Depot",
    "address": "1 Main Street",
    "city": "Paris",
    "country": "FR",
    "coordinates": {"latitude": 48.8, "longitude": 2.3},
}
