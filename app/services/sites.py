"""A ready-made site in one call: the location, and a bulk job for its chargers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.catalog import Template, load_templates
from app.errors import NotFound
from app.models import Job, Location
from app.queue import Hints
from app.services import bulk, locations
from app.services.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteOrder:
    """What a client says beside the template. Identities are `identity_prefix` and 001, 002, ..."""

    #: Columns of the location; its country is the template's unless it is given.
    location: Mapping[str, Any]
    ws_url: str
    identity_prefix: str = ""
    template_name: str | None = None
    security_profile: int | None = None
    authorization_key: str | None = None


def find_template(slug: str) -> Template:
    """Raises `NotFound`."""
    for template in load_templates():
        if template.slug == slug:
            return template
    raise NotFound("No site template with this slug.", code="template_not_found")


def order(
    session: Session, queue: Hints, policy: Policy, organization_id: str, slug: str, new: SiteOrder
) -> tuple[Location, Job]:
    """Create the location and order its chargers. Raises `NotFound` and what `bulk.order` raises."""
    template = find_template(slug)
    fields = {"country": template.country, **new.location}
    location = locations.create(session, organization_id, fields)
    groups = make_groups(template, new)
    return location, bulk.order(session, queue, policy, organization_id, location.id, groups)


def make_groups(template: Template, new: SiteOrder) -> list[bulk.Group]:
    """The template's groups, numbered through."""
    groups: list[bulk.Group] = []
    first = 1
    for group in template.groups:
        numbers = range(first, first + group.count)
        first = numbers.stop
        groups.append(
            bulk.Group(
                brand_slug=group.brand_slug,
                model_slug=group.model_slug,
                connector_type=group.connector_type,
                ocpp_version=group.ocpp_version,
                ws_url=new.ws_url,
                identity_prefix=new.identity_prefix,
                template_name=new.template_name,
                security_profile=new.security_profile,
                authorization_key=new.authorization_key,
                suffixes=[f"{number:03d}" for number in numbers],
            )
        )
    return groups
