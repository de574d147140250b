"""The public Python SDK, unmodified, against a live server: typed models, typed errors, its own retries.

Nothing runs the chargers here; what needs a runtime is in tests/e2e.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from ocpplab import OcpplabSDK
from ocpplab.core.api_error import ApiError
from ocpplab.errors.bad_request_error import BadRequestError
from ocpplab.errors.forbidden_error import ForbiddenError
from ocpplab.errors.not_found_error import NotFoundError
from ocpplab.errors.unauthorized_error import UnauthorizedError
from ocpplab.errors.unprocessable_entity_error import UnprocessableEntityError
from sqlalchemy.orm import Session, sessionmaker

from app.models import Frame
from app.tokens import Role
from tests.contract.conftest import ORDER
from tests.contract.states import put_up


@pytest.fixture
def make_sdk(base_url: str, make_token: Callable[..., str]) -> Callable[..., OcpplabSDK]:
    def make(organization: str | None = "acme", **kwargs: Any) -> OcpplabSDK:
        token = kwargs.pop("token", None) or make_token(**kwargs)
        return OcpplabSDK(base_url=base_url, token=token, organization_id=organization)

    return make


@pytest.fixture
def sdk(make_sdk: Callable[..., OcpplabSDK]) -> OcpplabSDK:
    return make_sdk()


def test_a_charger_from_order_to_delete(sdk: OcpplabSDK, sessions: sessionmaker[Session]) -> None:
    accepted = sdk.chargers.create(
        **ORDER, ocpp_version="OCPP1.6", charge_point_name="Bay 1", location_name="Depot"
    )
    charger_id = accepted.charger_id
    assert accepted.status == "PENDING"
    assert accepted.workflow_run_id is not None
    put_up(sessions, charger_id)
    status = sdk.chargers.get_status(charger_id)
    assert status.status == "READY"
    assert status.error is None
    assert isinstance(status.provisioned_at, datetime)
    charger = sdk.chargers.get(charger_id)
    assert (charger.identity, charger.name, charger.model) == ("CP-001", "Bay 1", "Pulsar Plus")
    assert charger.max_charging_power == 22000
    moved = sdk.chargers.update(charger_id, ws_url="ws://elsewhere.example.com")
    assert moved.ws_url == "ws://elsewhere.example.com"
    stopped = sdk.chargers.stop_runtime(charger_id, request={})
    assert stopped.event_type == "stop_charger"
    assert sdk.chargers.start_runtime(charger_id, request={}).payload["desired_count"] == 1
    assert sdk.chargers.reset_runtime(charger_id, request={}).id == charger_id
    sdk.chargers.delete(charger_id)
    sdk.chargers.delete(charger_id)
    with pytest.raises(NotFoundError) as caught:
        sdk.chargers.get(charger_id)
    assert caught.value.body["detail"] == "No charger with this id."
    assert sdk.chargers.create(**ORDER).charger_id != charger_id


def test_lists_are_paged(sdk: OcpplabSDK) -> None:
    for number in range(3):
        sdk.chargers.create(**ORDER | {"identity": f"CP-{number}"})
    page = sdk.chargers.list(page=2, limit=2)
    assert (page.total, page.page, page.limit) == (3, 2, 2)
    assert [charger.identity for charger in page.data] == ["CP-0"]
    assert sdk.chargers.list().total == 3


def test_logs_are_typed(sdk: OcpplabSDK, sessions: sessionmaker[Session]) -> None:
    charger_id = sdk.chargers.create(**ORDER).charger_id
    at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    facts = {"charger_id": charger_id, "incarnation": 1, "at": at, "message": "[]"}
    with sessions.begin() as session:
        session.add(Frame(**facts, number=1, direction="u", action="BootNotification"))
        session.add(Frame(**facts, number=2, direction="u", action="Heartbeat"))
    logs = sdk.chargers.get_logs(
        charger_id, event="BootNotification", start_date=at, end_date=at, limit=5, offset=0
    )
    assert (logs.total, logs.limit, logs.offset) == (1, 5, 0)
    assert logs.data[0].direction == "cp_to_csms"
    assert logs.data[0].timestamp == at


def test_the_catalog_and_health(sdk: OcpplabSDK) -> None:
    assert "wallbox" in {brand.slug for brand in sdk.catalog.list_brands(limit=100).data}
    assert sdk.catalog.list_models("abb").data[0].brand_slug == "abb"
    assert sdk.catalog.get_model("abb", "terra-184").connector_count == 2
    with pytest.raises(NotFoundError):
        sdk.catalog.get_model("abb", "nothing")
    assert sdk.health.health_check() == {"status": "ok"}


def test_errors_are_typed(make_sdk: Callable[..., OcpplabSDK], sdk: OcpplabSDK) -> None:
    with pytest.raises(BadRequestError) as bad:
        sdk.chargers.create(**ORDER | {"model_slug": "nothing"})
    assert "wallbox-pulsar-plus" in bad.value.body.detail
    with pytest.raises(UnprocessableEntityError) as wrong:
        sdk.chargers.create(**ORDER | {"identity": "a b"})
    assert wrong.value.body["detail"][0]["loc"] == ["body", "identity"]
    with pytest.raises(UnprocessableEntityError):
        sdk.chargers.list(limit=101)
    with pytest.raises(UnauthorizedError):
        make_sdk(token="nonsense").chargers.list()
    with pytest.raises(ForbiddenError):
        make_sdk("other").chargers.list()
    with pytest.raises(ForbiddenError):
        make_sdk(None, role=Role.ADMIN).chargers.list()
    assert make_sdk("acme", role=Role.ADMIN).chargers.list().total == 0


def test_a_duplicate_is_told_at_once_and_not_tried_again(sdk: OcpplabSDK) -> None:
    charger_id = sdk.chargers.create(**ORDER).charger_id
    with pytest.raises(BadRequestError) as caught:
        sdk.chargers.create(**ORDER)
    assert caught.value.body.charger_id == charger_id
    assert caught.value.body.status_url == f"/ocpp/chargers/{charger_id}/status"


def test_an_unknown_path_is_an_api_error(base_url: str, sdk: OcpplabSDK) -> None:
    with pytest.raises(ApiError) as caught:
        sdk.ocpi_cpos.list()
    assert caught.value.status_code == 404
