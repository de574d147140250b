"""What the catalog is made of: brands, models, outlets, site templates, and the rules they obey.

The dataclasses come first, then `read_brand` and `read_model`, which turn one entry of the JSON files into
one of them or raise `CatalogInvalid` with every mistake of that entry.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from app.errors import GatewayError

CurrentType: TypeAlias = Literal["ac", "dc"]
TemplateType: TypeAlias = Literal["AC", "DC", "AC-DC"]

#: Connector names that an order may use, and the current each carries. NACS carries either (SAE J3400), so
#: there the model decides.
CONNECTORS: Mapping[str, CurrentType | None] = {
    "Type1": "ac",
    "Type2": "ac",
    "CCS1": "dc",
    "CCS2": "dc",
    "CHAdeMO": "dc",
    "NACS": None,
    "Schuko": "ac",
}

OCPP_VERSIONS = ("OCPP1.6", "OCPP2.0.1")

#: Ids are made of this and the slugs, so they are the same in every installation. Never change it.
NAMESPACE = uuid.UUID("3f0c1c5e-6d0b-5b8e-9a53-2f4f6f0d9c11")

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class CatalogInvalid(GatewayError):
    """A data file of the catalog is wrong; the message names the entry and every mistake in it."""

    code = "catalog_invalid"


@dataclass(frozen=True, slots=True)
class Brand:
    """A maker of chargers. `id` is a UUIDv5 of the slug; `created_at` is UTC."""

    id: str
    slug: str
    name: str
    image_url: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Outlet:
    """What one connector of a model gives: its current, its power in watts, and the AC phases behind it."""

    connector_type: str
    current_type: CurrentType
    max_power_w: int
    phases: int


@dataclass(frozen=True, slots=True)
class Model:
    """A charger that can be ordered.

    `supported_kwh` are its power steps in **kW** (the name is the API's); `max_power_w` is the most that one
    vehicle can draw, in watts, equal to the highest step. `connector_types` are the kinds it is built with,
    `connector_count` how many outlets it has. `outlets` holds only the connectors that give less than that.
    """

    id: str
    slug: str
    name: str
    brand_slug: str
    brand_id: str
    brand_name: str
    image_url: str | None
    current_type: CurrentType
    supported_kwh: tuple[float, ...]
    connector_types: tuple[str, ...]
    connector_count: int
    phases: int
    max_power_w: int
    ocpp_versions: tuple[str, ...]
    outlets: tuple[Outlet, ...]
    source: str
    created_at: datetime

    def outlet(self, connector_type: str) -> Outlet:
        """What an outlet with this connector gives; also for one that only a lenient catalog admits."""
        for outlet in self.outlets:
            if outlet.connector_type == connector_type:
                return outlet
        current = CONNECTORS.get(connector_type) or self.current_type
        return Outlet(connector_type, current, self.max_power_w, self.phases)


@dataclass(frozen=True, slots=True)
class TemplateGroup:
    """So many equal chargers of a site; `nominal_kw` is the power of one of them."""

    brand_slug: str
    model_slug: str
    connector_type: str
    ocpp_version: str
    count: int
    nominal_kw: float


@dataclass(frozen=True, slots=True)
class Template:
    """A ready-made site. `country` is ISO 3166-1 alpha-2, `parking_type` OCPI 2.2.1's ParkingType.

    `type` follows from the connectors of the groups: all AC, all DC, or both.
    """

    slug: str
    name: str
    country: str
    parking_type: str
    type: TemplateType
    groups: tuple[TemplateGroup, ...]

    def speaks(self, ocpp_version: str) -> bool:
        """Whether some group speaks this version."""
        return any(group.ocpp_version == ocpp_version for group in self.groups)


def check_fields(where: str, entry: Any, fields: Mapping[str, type | tuple[type, ...]]) -> None:
    """Raise `CatalogInvalid` unless `entry` is an object with these fields, each of its type, and no others.

    A field whose name ends in `?` may be missing.
    """
    if not isinstance(entry, dict):
        raise CatalogInvalid(f"{where} is not an object")
    names = {name.removesuffix("?"): kind for name, kind in fields.items()}
    mistakes = [f"has no {name}" for name in fields if not name.endswith("?") and name not in entry]
    mistakes += [f"has an unknown field {name}" for name in entry if name not in names]
    mistakes += [
        f"has a {name} of the wrong type"
        for name, kind in names.items()
        # A JSON true is an int to Python, but never a number here.
        if name in entry and (not isinstance(entry[name], kind) or isinstance(entry[name], bool))
    ]
    refuse(where, mistakes)


def refuse(where: str, mistakes: list[str]) -> None:
    """Raise `CatalogInvalid` with all mistakes, if there are any."""
    if mistakes:
        raise CatalogInvalid(f"{where} {', '.join(mistakes)}")


def slug_mistakes(slug: str) -> Iterator[str]:
    """A slug is lower case letters and digits in words joined by single hyphens."""
    if not _SLUG.fullmatch(slug):
        yield "has a slug that is not lower case words joined by hyphens"


def read_brand(entry: Any) -> Brand:
    """One entry of `brands.json`. Raises `CatalogInvalid`."""
    where = _name("brand", entry, "slug")
    check_fields(
        where,
        entry,
        {"slug": str, "name": str, "image_url": (str, type(None)), "created_at": str},
    )
    refuse(where, [*slug_mistakes(entry["slug"]), *_empty(entry, "name")])
    return Brand(
        id=str(uuid.uuid5(NAMESPACE, f"brand/{entry['slug']}")),
        slug=entry["slug"],
        name=entry["name"],
        image_url=entry["image_url"],
        created_at=_read_time(where, entry["created_at"]),
    )


_MODEL_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "brand": str,
    "slug": str,
    "name": str,
    "image_url": (str, type(None)),
    "created_at": str,
    "current_type": str,
    "phases": int,
    "connector_count": int,
    "connector_types": list,
    "supported_kwh": list,
    "max_power_w": int,
    "ocpp_versions": list,
    "outlets?": dict,
    "source": str,
}


def read_model(entry: Any, brands: Mapping[str, Brand]) -> Model:
    """One entry of `models.json`; `brands` are by slug. Raises `CatalogInvalid`."""
    where = _name("model", entry, "slug")
    check_fields(where, entry, _MODEL_FIELDS)
    refuse(where, list(_model_mistakes(entry, brands)))
    brand = brands[entry["brand"]]
    return Model(
        id=str(uuid.uuid5(NAMESPACE, f"model/{brand.slug}/{entry['slug']}")),
        slug=entry["slug"],
        name=entry["name"],
        brand_slug=brand.slug,
        brand_id=brand.id,
        brand_name=brand.name,
        image_url=entry["image_url"],
        current_type=entry["current_type"],
        supported_kwh=tuple(float(step) for step in entry["supported_kwh"]),
        connector_types=tuple(entry["connector_types"]),
        connector_count=entry["connector_count"],
        phases=entry["phases"],
        max_power_w=entry["max_power_w"],
        ocpp_versions=tuple(entry["ocpp_versions"]),
        outlets=tuple(_read_outlets(where, entry)),
        source=entry["source"],
        created_at=_read_time(where, entry["created_at"]),
    )


def _model_mistakes(entry: Mapping[str, Any], brands: Mapping[str, Brand]) -> Iterator[str]:
    yield from slug_mistakes(entry["slug"])
    yield from _empty(entry, "name")
    yield from _empty(entry, "source")
    if entry["brand"] not in brands:
        yield f"has an unknown brand {entry['brand']!r}"
    if entry["current_type"] not in ("ac", "dc"):
        yield "has a current_type that is neither ac nor dc"
    if entry["phases"] not in (1, 3):
        yield "has phases that are neither 1 nor 3"
    if entry["connector_count"] < 1:
        yield "has no connector"
    yield from _list_mistakes(entry, "connector_types", tuple(CONNECTORS))
    yield from _list_mistakes(entry, "ocpp_versions", OCPP_VERSIONS)
    yield from _power_mistakes(entry)
    # A station may have both kinds; its current_type is that of at least one connector.
    kinds = {
        CONNECTORS.get(str(name)) or entry["current_type"] for name in entry["connector_types"]
    }
    if kinds and entry["current_type"] not in kinds:
        yield "has no connector of its current_type"


def _list_mistakes(entry: Mapping[str, Any], field: str, allowed: tuple[str, ...]) -> Iterator[str]:
    values = entry[field]
    strangers = [value for value in values if value not in allowed]
    if not values:
        yield f"has empty {field}"
    if strangers:
        yield f"has {field} outside {', '.join(allowed)}: {strangers}"
    elif len(set(values)) != len(values):
        yield f"has {field} that repeat"


def _power_mistakes(entry: Mapping[str, Any]) -> Iterator[str]:
    steps = entry["supported_kwh"]
    numbers = [
        step for step in steps if isinstance(step, int | float) and not isinstance(step, bool)
    ]
    if (
        not steps
        or len(numbers) != len(steps)
        or min(numbers) <= 0
        or sorted(set(numbers)) != numbers
    ):
        yield "has supported_kwh that are not rising powers in kW"
    elif entry["max_power_w"] != round(numbers[-1] * 1000):
        yield "has a max_power_w that is not its highest step"


def _read_outlets(where: str, entry: Mapping[str, Any]) -> Iterator[Outlet]:
    for connector_type, facts in entry.get("outlets", {}).items():
        check_fields(
            f"{where}, outlet {connector_type},", facts, {"max_power_w": int, "phases": int}
        )
        known = connector_type in entry["connector_types"]
        if (
            not known
            or not 0 < facts["max_power_w"] <= entry["max_power_w"]
            or facts["phases"] not in (1, 3)
        ):
            raise CatalogInvalid(f"{where} has an outlet {connector_type!r} that it cannot have")
        current = CONNECTORS[connector_type] or entry["current_type"]
        yield Outlet(connector_type, current, facts["max_power_w"], facts["phases"])


def _name(kind: str, entry: Any, key: str) -> str:
    slug = entry.get(key) if isinstance(entry, dict) else None
    return f"{kind} {slug!r}"


def _empty(entry: Mapping[str, Any], field: str) -> Iterator[str]:
    if not entry[field].strip():
        yield f"has an empty {field}"


def _read_time(where: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CatalogInvalid(f"{where} has a created_at that is not RFC 3339: {text!r}") from error
    if moment.tzinfo is None:
        raise CatalogInvalid(f"{where} has a created_at without an offset: {text!r}")
    return moment.astimezone(UTC)
