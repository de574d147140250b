"""Ready-made sites: `templates.json`, checked against the catalog.

`load_templates()` is what everybody calls; `build_templates` makes them of data that is already parsed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from app.catalog.entries import (
    CatalogInvalid,
    Template,
    TemplateGroup,
    TemplateType,
    check_fields,
    refuse,
    slug_mistakes,
)
from app.catalog.index import Catalog, load_catalog, read_file
from app.errors import InvalidOrder

#: OCPI 2.2.1, module Locations, enum ParkingType.
PARKING_TYPES = (
    "ALONG_MOTORWAY",
    "PARKING_GARAGE",
    "PARKING_LOT",
    "ON_DRIVEWAY",
    "ON_STREET",
    "UNDERGROUND_GARAGE",
)


def load_templates(
    type: str | None = None, ocpp_version: str | None = None
) -> tuple[Template, ...]:
    """The templates of this type (`AC`, `DC`, `AC-DC`) with a group that speaks this OCPP version.

    None does not filter; a value that no template has gives nothing. Raises `CatalogInvalid`.
    """
    return tuple(
        template
        for template in _load_all()
        if (type is None or template.type == type)
        and (ocpp_version is None or template.speaks(ocpp_version))
    )


def build_templates(entries: Any, catalog: Catalog) -> tuple[Template, ...]:
    """Templates of parsed JSON, shaped as in the data file. Raises `CatalogInvalid` at the first bad one."""
    if not isinstance(entries, list):
        raise CatalogInvalid("templates must be a list")
    templates: dict[str, Template] = {}
    for entry in entries:
        template = _read_template(entry, catalog)
        if template.slug in templates:
            raise CatalogInvalid(f"template {template.slug!r} is there twice")
        templates[template.slug] = template
    return tuple(templates.values())


@lru_cache(maxsize=1)
def _load_all() -> tuple[Template, ...]:
    return build_templates(read_file("templates.json"), load_catalog())


def _read_template(entry: Any, catalog: Catalog) -> Template:
    where = f"template {entry.get('slug') if isinstance(entry, dict) else None!r}"
    check_fields(
        where,
        entry,
        {"slug": str, "name": str, "country": str, "parking_type": str, "groups": list},
    )
    mistakes = list(slug_mistakes(entry["slug"]))
    if not re.fullmatch(r"[A-Z]{2}", entry["country"]):
        mistakes.append("has a country that is not two capital letters")
    if entry["parking_type"] not in PARKING_TYPES:
        mistakes.append(f"has a parking_type outside {', '.join(PARKING_TYPES)}")
    if not entry["groups"]:
        mistakes.append("has no groups")
    refuse(where, mistakes)
    groups = tuple(_read_group(where, group, catalog) for group in entry["groups"])
    return Template(
        slug=entry["slug"],
        name=entry["name"],
        country=entry["country"],
        parking_type=entry["parking_type"],
        type=_type_of(groups, catalog),
        groups=groups,
    )


def _read_group(where: str, entry: Any, catalog: Catalog) -> TemplateGroup:
    check_fields(
        f"{where}, a group,",
        entry,
        {
            "brand_slug": str,
            "model_slug": str,
            "connector_type": str,
            "ocpp_version": str,
            "count": int,
            "nominal_kw": (int, float),
        },
    )
    group = TemplateGroup(**{**entry, "nominal_kw": float(entry["nominal_kw"])})
    try:
        model = catalog.check_order(
            group.brand_slug,
            group.model_slug,
            group.connector_type,
            group.ocpp_version,
            strict=True,
        )
    except InvalidOrder as error:
        raise CatalogInvalid(
            f"{where} has a group that cannot be ordered: {error.message}"
        ) from error
    if group.count < 1:
        raise CatalogInvalid(f"{where} has a group of no chargers")
    outlet = model.outlet(group.connector_type)
    if group.nominal_kw not in (*model.supported_kwh, outlet.max_power_w / 1000):
        raise CatalogInvalid(f"{where} has a group whose nominal_kw {model.name} cannot be set to")
    return group


def _type_of(groups: tuple[TemplateGroup, ...], catalog: Catalog) -> TemplateType:
    currents = {
        catalog.model(group.brand_slug, group.model_slug).outlet(group.connector_type).current_type
        for group in groups
    }
    if currents == {"ac"}:
        return "AC"
    return "DC" if currents == {"dc"} else "AC-DC"
