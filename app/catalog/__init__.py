"""Brands and models that can be ordered, and ready-made sites, as data with a loader.

Read `brands.json` and `models.json` first: they are the catalog. `entries.py` says what each field means and
which rules an entry obeys, `index.py` looks things up and judges an order, `templates.py` reads
`templates.json` (sites with groups of chargers).

Where a model's facts come from is its `source`: the title of the document, with what that document does not
say marked as `typical values`; an entry that is `typical values` throughout had no document that we could
read. `OCPP2.0.1` stands only where we believe that the maker offers it for that hardware: read the source of
the entry for whether a document said so. Ordering it of any other model is refused.
"""

from app.catalog.entries import (
    CONNECTORS,
    OCPP_VERSIONS,
    Brand,
    CatalogInvalid,
    Model,
    Outlet,
    Template,
    TemplateGroup,
)
from app.catalog.index import Catalog, build_catalog, load_catalog
from app.catalog.templates import build_templates, load_templates

__all__ = [
    "CONNECTORS",
    "OCPP_VERSIONS",
    "Brand",
    "Catalog",
    "CatalogInvalid",
    "Model",
    "Outlet",
    "Template",
    "TemplateGroup",
    "build_catalog",
    "build_templates",
    "load_catalog",
    "load_templates",
]
