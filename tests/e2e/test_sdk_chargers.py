"""The official SDK, unmodified, on the ten operations of a charger's life."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ocpplab import OcpplabSDK
from ocpplab.errors import (
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    UnauthorizedError,
    UnprocessableEntityError,
)

from tests.e2e.conftest import comes_up, create, settles
from tests.gateways import eventually
from tests.judges import Judge, run_judge


def test_a_charger_comes_up_and_shows_what_it_is(
    sdk: OcpplabSDK, judge: Judge, identity: str
) -> None:
    charger_id = comes_up(sdk, identity, judge.ws_url, charge_point_name="Bay 4")
    charger = sdk.chargers.get(charger_id)
    assert (charger.identity, charger.name, charger.ocpp_version) == (identity, "Bay 4", "OCPP1.6")
    assert charger.vendor_name == "Wallbox"
    assert charger.connector_type == "Type2"
    assert charger.max_charging_power == 22_000
    assert judge.count_open(identity) == 1
    sdk.chargers.delete(charger_id)


def test_the_list_pages_newest_first(make_sdk: Callable[..., OcpplabSDK], judge: Judge) -> None:
    sdk = make_sdk("pagers")
    ids = [create(sdk, f"PG-{number}", judge.ws_url) for number in range(3)]
    first = sdk.chargers.list(page=1, limit=2)
    second = sdk.chargers.list(page=2, limit=2)
    assert first.total == second.total == 3
    assert [charger.id for charger in [*first.data, *second.data]] == ids[::-1]
    for charger_id in ids:
        sdk.chargers.delete(charger_id)


def test_logs_hold_the_frames_and_filter_by_event(
    sdk: OcpplabSDK, judge: Judge, identity: str
) -> None:
    charger_id = comes_up(sdk, identity, judge.ws_url)

    def read() -> list[str]:
        logs = sdk.chargers.get_logs(charger_id, event="BootNotification")
        return [entry.direction for entry in logs.data]

    assert eventually(lambda: len(read()) == 2, "both frames of the boot")
    assert sorted(read()) == ["cp_to_csms", "csms_to_cp"]
    page = sdk.chargers.get_logs(charger_id, limit=1, offset=0)
    assert page.limit == 1
    assert page.total >= 4
    assert sdk.chargers.get_logs(charger_id, event="Reset").total == 0
    sdk.chargers.delete(charger_id)


def test_a_new_ws_url_moves_the_charger(sdk: OcpplabSDK, judge: Judge, identity: str) -> None:
    charger_id = comes_up(sdk, identity, judge.ws_url)
    with run_judge() as other:
        sdk.chargers.update(charger_id, ws_url=other.ws_url)
        assert sdk.chargers.get_status(charger_id).status in ("PROVISIONING", "READY")
        eventually(lambda: judge.count_open(identity) == 0, "it leaves the old CSMS")
        eventually(lambda: other.count_open(identity) == 1, "it appears at the new one")
        assert settles(sdk, charger_id).status == "READY"
        sdk.chargers.delete(charger_id)
        eventually(lambda: other.count_open(identity) == 0, "it is gone")


def test_stop_start_and_reset(sdk: OcpplabSDK, judge: Judge, identity: str) -> None:
    charger_id = comes_up(sdk, identity, judge.ws_url)
    stopped = sdk.chargers.stop_runtime(charger_id, request={})
    assert stopped.event_type == "stop_charger"
    eventually(lambda: judge.count_open(identity) == 0, "it leaves")
    sdk.chargers.start_runtime(charger_id, request={})
    eventually(lambda: judge.count_open(identity) == 1, "it is back")
    assert settles(sdk, charger_id).status == "READY"
    boots = judge.count_boots(identity)
    sdk.chargers.reset_runtime(charger_id, request={})
    assert sdk.chargers.get_status(charger_id).status == "PROVISIONING"
    assert settles(sdk, charger_id).status == "READY"
    assert judge.count_boots(identity) == boots + 1
    assert judge.count_overlaps(identity) == 0
    sdk.chargers.delete(charger_id)


def test_an_identity_is_free_after_delete_and_never_connected_twice(
    sdk: OcpplabSDK, judge: Judge, identity: str
) -> None:
    for _ in range(3):
        charger_id = comes_up(sdk, identity, judge.ws_url)
        sdk.chargers.delete(charger_id)
        sdk.chargers.delete(charger_id)
        with pytest.raises(NotFoundError):
            sdk.chargers.get(charger_id)
    eventually(lambda: judge.count_open(identity) == 0, "the last one is gone")
    assert judge.count_overlaps(identity) == 0
    assert judge.report(identity)["offences"] == []


def test_errors_are_typed(
    make_sdk: Callable[..., OcpplabSDK], sdk: OcpplabSDK, judge: Judge, identity: str
) -> None:
    with pytest.raises(BadRequestError, match="connector"):
        create(sdk, identity, judge.ws_url, connector_type="CHAdeMO")
    with pytest.raises(UnprocessableEntityError):
        create(sdk, "", judge.ws_url)
    with pytest.raises(UnauthorizedError):
        make_sdk("acme", token="not-a-token").chargers.list()
    with pytest.raises(ForbiddenError):
        sdk.chargers.list(
            request_options={"additional_headers": {"X-Organization-Id": "somebody-else"}}
        )
    with pytest.raises(NotFoundError):
        sdk.chargers.get("dep-0")
    assert identity not in [charger.identity for charger in sdk.chargers.list().data]


def test_the_catalog_is_there(sdk: OcpplabSDK) -> None:
    brands = {brand.slug for brand in sdk.catalog.list_brands().data}
    assert {"wallbox", "schneider", "abb"} <= brands
    assert sdk.catalog.get_model("abb", "terra-184").connector_count == 2
    assert "evlink-pro-ac-22kw" in {m.slug for m in sdk.catalog.list_models("schneider").data}
