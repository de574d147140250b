"""Look things up in the catalog, and judge whether an order fits it.

`load_catalog()` is what everybody calls; `build_catalog` makes one of data that is already parsed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from typing import Any

from app.catalog.entries import (
    CONNECTORS,
    Brand,
    CatalogInvalid,
    Model,
    read_brand,
    read_model,
)
from app.errors import (
    BrandNotFound,
    ModelNotFound,
    UnknownBrand,
    UnknownModel,
    UnsupportedConnector,
    UnsupportedVersion,
)


class Catalog:
    """All brands and models, immutable; made by `load_catalog`."""

    __slots__ = ("_brands", "_models")

    def __init__(self, brands: Iterable[Brand], models: Iterable[Model]) -> None:
        self._brands = {brand.slug: brand for brand in brands}
        self._models: dict[str, dict[str, Model]] = {slug: {} for slug in self._brands}
        for model in models:
            self._models[model.brand_slug][model.slug] = model

    def brands(self) -> tuple[Brand, ...]:
        """Every brand, in the order of the data."""
        return tuple(self._brands.values())

    def models(self, brand_slug: str) -> tuple[Model, ...]:
        """The models of a brand, in the order of the data. Raises `BrandNotFound`."""
        if brand_slug not in self._models:
            raise BrandNotFound(f"The catalog has no brand {quote(brand_slug)}.")
        return tuple(self._models[brand_slug].values())

    def model(self, brand_slug: str, model_slug: str) -> Model:
        """One model. Raises `BrandNotFound` or `ModelNotFound`."""
        for model in self.models(brand_slug):
            if model.slug == model_slug:
                return model
        raise ModelNotFound(f"The brand {brand_slug} has no model {quote(model_slug)}.")

    def check_order(
        self, brand_slug: str, model_slug: str, connector_type: str, ocpp_version: str, strict: bool
    ) -> Model:
        """The model that an order names, once brand, model, connector and OCPP version fit each other.

        Not `strict`: any known connector will do, whether or not the model is built with it. Raises
        `UnknownBrand`, `UnknownModel`, `UnsupportedConnector` or `UnsupportedVersion`; the message lists what
        would be accepted.
        """
        if brand_slug not in self._models:
            raise UnknownBrand(
                f"Unknown brand {quote(brand_slug)}. Allowed: {_listed(self._brands)}."
            )
        models = self._models[brand_slug]
        if model_slug not in models:
            raise UnknownModel(
                f"Unknown model {quote(model_slug)} of {brand_slug}. Allowed: {_listed(models)}."
            )
        model = models[model_slug]
        connectors = model.connector_types if strict else tuple(CONNECTORS)
        if connector_type not in connectors:
            raise UnsupportedConnector(
                f"{model.name} has no connector {quote(connector_type)}. Allowed: {_listed(connectors)}."
            )
        if ocpp_version not in model.ocpp_versions:
            raise UnsupportedVersion(
                f"{model.name} does not speak {quote(ocpp_version)}. Allowed: {_listed(model.ocpp_versions)}."
            )
        return model


def build_catalog(brands: Any, models: Any) -> Catalog:
    """A catalog of parsed JSON, shaped as in the data files. Raises `CatalogInvalid` at the first bad entry."""
    if not isinstance(brands, list) or not isinstance(models, list):
        raise CatalogInvalid("brands and models must each be a list")
    known: dict[str, Brand] = {}
    for entry in brands:
        brand = read_brand(entry)
        if brand.slug in known:
            raise CatalogInvalid(f"brand {brand.slug!r} is there twice")
        known[brand.slug] = brand
    seen: dict[str, Model] = {}
    for entry in models:
        model = read_model(entry, known)
        if model.id in seen:
            raise CatalogInvalid(f"model {model.slug!r} of {model.brand_slug} is there twice")
        seen[model.id] = model
    return Catalog(known.values(), seen.values())


@lru_cache(maxsize=1)
def load_catalog() -> Catalog:
    """The catalog of the data files beside this module; read once. Raises `CatalogInvalid`."""
    return build_catalog(read_file("brands.json"), read_file("models.json"))


def read_file(name: str) -> Any:
    """The parsed content of one data file of this package. Raises `CatalogInvalid` when it is not JSON."""
    text = files("app.catalog").joinpath(name).read_text(encoding="utf-8")
    try:
        return json.loads(text)
    except ValueError as error:
        raise CatalogInvalid(f"{name} is not JSON: {error}") from error


def quote(value: str) -> str:
    """A caller's word for an error sentence, shortened so that a huge one does not fill the answer."""
    return repr(value if len(value) <= 64 else f"{value[:64]}...")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
