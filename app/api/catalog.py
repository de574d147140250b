"""Routes of the catalog: which hardware can be ordered. Read-only, the same for every organization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.api import answers, examples
from app.api.auth import Access
from app.api.call import Call
from app.api.operations import Blueprint
from app.api.schemas import catalog as schemas
from app.api.schemas.base import Paging

blueprint = Blueprint(
    "Catalog", url_prefix="/ocpp/catalog", description="The hardware that can be ordered."
)


def _page(call: Call, entries: Sequence[dict[str, Any]]) -> Any:
    first = (call.query["page"] - 1) * call.query["limit"]
    shown = list(entries[first : first + call.query["limit"]])
    return answers.show_page(shown, len(entries), call.query)


@blueprint.operation(
    "GET", "/brands", access=Access.TOKEN, query=Paging(), answer=schemas.BrandPage()
)
def list_brands(call: Call) -> Any:
    """List the brands."""
    return _page(call, [answers.show_brand(brand) for brand in call.policy.catalog.brands()])


@blueprint.operation(
    "GET",
    "/brands/<brand_slug>/models",
    access=Access.TOKEN,
    query=Paging(),
    answer=schemas.ModelPage(),
    errors=(404,),
)
def list_models(call: Call, brand_slug: str) -> Any:
    """List the models of a brand."""
    models = call.policy.catalog.models(brand_slug)
    return _page(call, [answers.show_model(model) for model in models])


@blueprint.operation(
    "GET",
    "/brands/<brand_slug>/models/<model_slug>",
    access=Access.TOKEN,
    answer=schemas.Model(),
    example=examples.MODEL,
    errors=(404,),
)
def get_model(call: Call, brand_slug: str, model_slug: str) -> Any:
    """Get a model."""
    return answers.show_model(call.policy.catalog.model(brand_slug, model_slug))
