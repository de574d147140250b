"""The public Python SDK, unmodified, on locations, location chargers and templates; the engine works beside it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from ocpplab import (
    ChargerGroup,
    ChargerTemplate,
    Coordinates,
    OcpplabSDK,
    UpdateLocationChargerItem,
)
from ocpplab.errors.bad_request_error import BadRequestError
from ocpplab.errors.not_found_error import NotFoundError
from ocpplab.errors.unprocessable_entity_error import UnprocessableEntityError
from sqlalchemy import Engine

from app.settings import Settings
from tests.contract.conftest import ORDER
from tests.contract.test_locations import NOWHERE
from tests.engine_world import World

#: The bodies of the SDK's own documentation.
LOCATION = {
    "name": "La Defense Charging Hub",
    "address": "14 Rue de la Paix",
    "city": "Paris",
    "country": "FR",
    "coordinates": Coordinates(latitude=48.8566, longitude=2.3522),
    "timezone": "Europe/Paris",
    "owner_name": "VINCI Autoroutes",
    "public": True,
}
GROUP = ChargerGroup(
    template=ChargerTemplate(
        brand_slug="schneider",
        model_slug="evlink-pro-ac-22kw",
        connector_type="CCS2",
        ocpp_version="OCPP1.6",
        ws_url="wss://ocpp-toolkit-api.monta.app",
        identity_prefix="SITE_A_",
        template_name="Bay",
    ),
    charger_ids=["001", "002", "003"],
)


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    """The documented order asks a connector of hardware that is not built with it."""
    return make_app(catalog_strict=False)


@pytest.fixture
def sdk(base_url: str, make_token: Callable[..., str]) -> OcpplabSDK:
    return OcpplabSDK(base_url=base_url, token=make_token(), organization_id="acme")


@pytest.fixture
def world(engine: Engine, settings: Settings) -> World:
    """Workers on the same database, by hand."""
    return World(engine, settings)


def bring_up(world: World, chargers: list[Any]) -> None:
    """What the SDK ordered is worked until the CSMS has accepted these chargers."""
    world.lets_time_pass(10)
    world.passes()
    world.work()
    for charger in chargers:
        world.goes_online(charger.id)
    world.work()


def test_a_location_from_create_to_delete(sdk: OcpplabSDK) -> None:
    made = sdk.locations.create(**LOCATION)
    assert uuid.UUID(made.id)
    assert (made.name, made.country, made.status) == (LOCATION["name"], "FR", "active")
    assert made.coordinates == LOCATION["coordinates"]
    assert made.slug is not None
    assert made.slug.startswith("la-defense-charging-hub-")
    assert isinstance(made.created_at, datetime)
    assert sdk.locations.get(location_id=made.id) == made
    changed = sdk.locations.update(
        location_id=made.id,
        name="La Defense Charging Hub - West",
        timezone="Europe/Paris",
        public=False,
    )
    assert (changed.name, changed.public) == ("La Defense Charging Hub - West", False)
    everything = {**LOCATION, "slug": "west", "status": "closed", "city": "Lyon"}
    assert sdk.locations.update(location_id=made.id, **everything).slug == "west"
    assert [one.id for one in sdk.locations.list(page=1, limit=10).data] == [made.id]
    assert sdk.locations.list().total == 1
    sdk.locations.delete(location_id=made.id)
    sdk.locations.delete(location_id=made.id)
    with pytest.raises(NotFoundError):
        sdk.locations.get(location_id=made.id)


def test_mistakes_are_typed(sdk: OcpplabSDK) -> None:
    nowhere = NOWHERE.rsplit("/", 1)[1]
    with pytest.raises(UnprocessableEntityError) as caught:
        sdk.locations.create(**LOCATION | {"country": "XX"})
    assert caught.value.body["detail"][0]["loc"] == ["body", "country"]
    with pytest.raises(NotFoundError):
        sdk.locations.delete(location_id=nowhere)
    with pytest.raises(NotFoundError):
        sdk.location_chargers.list(nowhere)
    with pytest.raises(NotFoundError):
        sdk.location_chargers.create(nowhere, request=[GROUP])
    made = sdk.locations.create(**LOCATION)
    with pytest.raises(UnprocessableEntityError):
        sdk.location_chargers.create(made.id, request=[ChargerGroup(template=GROUP.template)])
    with pytest.raises(UnprocessableEntityError):
        sdk.location_chargers.delete(made.id)
    with pytest.raises(NotFoundError):
        sdk.location_chargers.get_bulk_job(made.id, job_id="job_id")
    with pytest.raises(BadRequestError):
        sdk.chargers.create(**ORDER, location_id=nowhere)


def test_a_bulk_order_is_polled_until_it_is_ready(sdk: OcpplabSDK, world: World) -> None:
    site = sdk.locations.create(**LOCATION)
    accepted = sdk.location_chargers.create(site.id, request=[GROUP])
    assert uuid.UUID(accepted.job_id)
    assert accepted.status == "PENDING"
    assert accepted.workflow_run_id is not None
    assert accepted.status_url == f"/ocpp/locations/{site.id}/chargers/jobs/{accepted.job_id}"
    chargers = sdk.location_chargers.list(site.id).data
    assert [one.identity for one in chargers] == ["SITE_A_003", "SITE_A_002", "SITE_A_001"]
    bring_up(world, chargers[:1])
    halfway = sdk.location_chargers.get_bulk_job(site.id, accepted.job_id)
    assert (halfway.status, halfway.results, halfway.provisioned_at) == ("PROVISIONING", None, None)
    bring_up(world, chargers[1:])
    ended = sdk.location_chargers.get_bulk_job(site.id, accepted.job_id)
    assert (ended.status, ended.error) == ("READY", None)
    assert ended.workflow_run_id == accepted.workflow_run_id
    assert isinstance(ended.provisioned_at, datetime)
    assert ended.results is not None
    assert (ended.results["created_count"], ended.results["failed_count"]) == (3, 0)
    assert [one["name"] for one in ended.results["created"]] == ["Bay 001", "Bay 002", "Bay 003"]
    assert ended.results["failed"] == []


def test_an_order_of_which_nothing_comes_up_is_failed(sdk: OcpplabSDK, world: World) -> None:
    site = sdk.locations.create(**LOCATION)
    sdk.location_chargers.create(site.id, request=[GROUP])
    again = sdk.location_chargers.create(site.id, request=[GROUP])
    bring_up(world, [])
    ended = sdk.location_chargers.get_bulk_job(site.id, again.job_id)
    assert ended.status == "FAILED"
    assert ended.error is not None
    assert (ended.error.code, ended.error.retryable) == ("identity_taken", True)
    assert ended.results is not None
    assert [one["identity"] for one in ended.results["failed"]] == [
        "SITE_A_001",
        "SITE_A_002",
        "SITE_A_003",
    ]


def test_groups_may_be_numbers_names_or_both(sdk: OcpplabSDK) -> None:
    site = sdk.locations.create(**LOCATION)
    groups = [
        ChargerGroup(template=GROUP.template, chargers_number=2),
        ChargerGroup(template=GROUP.template, charger_ids=["A"], chargers_number=2),
        ChargerGroup(template=GROUP.template, charger_ids=["B", "C"], chargers_number=1),
    ]
    sdk.location_chargers.create(site.id, request=groups)
    identities = {one.identity for one in sdk.location_chargers.list(site.id).data}
    assert len(identities) == 5
    assert {"SITE_A_A", "SITE_A_B"} < identities
    assert "SITE_A_C" not in identities


def test_chargers_of_a_location_are_listed_changed_and_deleted_together(sdk: OcpplabSDK) -> None:
    site = sdk.locations.create(**LOCATION)
    sdk.location_chargers.create(site.id, request=[GROUP])
    third, second, first = (one.id for one in sdk.location_chargers.list(site.id).data)
    page = sdk.location_chargers.list(site.id, page=1, limit=1, charger_ids=[first, second])
    assert ([one.id for one in page.data], page.total) == ([second], 2)
    changed = sdk.location_chargers.update(
        site.id,
        chargers=[
            UpdateLocationChargerItem(
                charge_point_name="Bay A02", connector_type="CCS2", charger_id=first
            ),
            UpdateLocationChargerItem(
                charge_point_name="Bay A03", connector_type="Type2", charger_id=second
            ),
            UpdateLocationChargerItem(charge_point_name="Bay A04", charger_id="dep-124"),
        ],
    )
    assert (changed.updated_count, changed.failed_count) == (2, 1)
    assert [(one.name, one.connector_type) for one in changed.updated] == [
        ("Bay A02", "CCS2"),
        ("Bay A03", "Type2"),
    ]
    assert changed.failed[0].charger_id == "dep-124"
    gone = sdk.location_chargers.delete(site.id, charger_ids=[first, second, "dep-124"])
    assert (gone.deleted_count, gone.failed_count) == (2, 1)
    assert gone.deleted == [first, second]
    assert sdk.location_chargers.delete(site.id, charger_ids=third).deleted == [third]
    sdk.locations.delete(location_id=site.id)


def test_templates_are_listed_by_type_and_version(sdk: OcpplabSDK) -> None:
    everything = sdk.location_templates.list()
    assert everything["total"] >= 8
    fast = sdk.location_templates.list(type="DC", ocpp_version="OCPP2.0.1")
    assert fast["data"]
    assert {one["type"] for one in fast["data"]} == {"DC"}
    assert set(fast["data"][0]) == {"slug", "name", "country", "parking_type", "type", "groups"}
