"""The official SDK, unmodified, on the 18 operations of commands; what they cause is seen at the CSMS."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import httpx
import pytest
from ocpplab import (
    AuthorizeIdTagCommandEvent,
    ChargerCommandTarget,
    ChargerGroup,
    ChargerTemplate,
    ClearFaultEvent,
    CommandTarget,
    ConfigurationUpdateEvent,
    ConnectorCommandEvent,
    Coordinates,
    EmptyEvent,
    InjectFaultEvent,
    LocalAuthListEntry,
    LocalAuthListEvent,
    OcpplabSDK,
    PowerUpdateCommandEvent,
    ProxyMessageEvent,
    StartSessionCommandEvent,
    StartTransactionCommandEvent,
    StopSessionCommandEvent,
    StopTransactionCommandEvent,
)
from ocpplab.errors import BadRequestError, NotFoundError, UnprocessableEntityError

from tests.e2e.conftest import comes_up
from tests.gateways import eventually
from tests.judges import Judge

TAG = "TAG-RFID-001"
HARDWARE = {
    "OCPP1.6": ("wallbox", "wallbox-pulsar-plus", "Type2"),
    "OCPP2.0.1": ("alpitronic", "hyc400", "CCS2"),
}


class Seen:
    """The charger's calls as the CSMS has them."""

    def __init__(self, judge: Judge, identity: str) -> None:
        self._judge, self._identity = judge, identity
        #: What came until now does not count.
        self._taken = len(self._judge.report(self._identity)["frames"])

    def expect(self, action: str, **fields: Any) -> dict[str, Any]:
        """Wait for a call with these fields; its payload. The next one looks at what came after it."""

        def look() -> tuple[int, dict[str, Any]] | None:
            frames = self._judge.report(self._identity)["frames"]
            for place, frame in enumerate(frames[self._taken :], start=self._taken + 1):
                kind, _, *call = json.loads(frame["text"])
                if kind == 2 and call[0] == action and call[1].items() >= fields.items():
                    return place, call[1]
            return None

        found: dict[str, Any]
        self._taken, found = eventually(look, f"{action} {fields}")
        return found


@pytest.fixture
def charger_id(sdk: OcpplabSDK, judge: Judge, identity: str) -> str:
    """A charger of OCPP 1.6 that is online."""
    return comes_up(sdk, identity, judge.ws_url)


@pytest.fixture
def seen(judge: Judge, identity: str, charger_id: str) -> Seen:
    return Seen(judge, identity)


def applied(sdk: OcpplabSDK, base_url: str, answer: Any) -> dict[str, Any]:
    """Wait until the one command of a fan-out was carried out; what became of it."""
    assert (answer.targeted_count, answer.queued_count, answer.failed_count) == (1, 1, 0)
    (one,) = answer.results
    assert len(one.command.id) == 12
    url = f"{base_url}/ocpp/commands/{one.command.id}"
    headers = sdk._client_wrapper.get_headers()

    def look() -> dict[str, Any] | None:
        told: dict[str, Any] = httpx.get(url, headers=headers).json()
        return told if told["state"] not in ("received", "deferred") else None

    found: dict[str, Any] = eventually(look, "the command ended")
    assert found["state"] == "applied", found
    return found


def test_a_session_step_by_step(
    sdk: OcpplabSDK, base_url: str, charger_id: str, seen: Seen
) -> None:
    target, where = (
        CommandTarget(charger_id=charger_id),
        ConnectorCommandEvent(evse_id=1, connector_id=1),
    )
    plugged = sdk.commands.plug_connector(target=target, event=where)
    assert plugged.results[0].command.event_type == "plug_connector"
    assert plugged.results[0].command.ocpp_version == "ocpp1.6"
    assert plugged.results[0].command.payload == {"evse_id": 1, "connector_id": 1}
    applied(sdk, base_url, plugged)
    seen.expect("StatusNotification", connectorId=1, status="Preparing")
    applied(
        sdk,
        base_url,
        sdk.commands.authorize_id_tag(target=target, event=AuthorizeIdTagCommandEvent(id_tag=TAG)),
    )
    seen.expect("Authorize", idTag=TAG)
    started = sdk.commands.start_transaction(
        target=target,
        event=StartTransactionCommandEvent(id_tag=TAG, evse_id=1, connector_id=1),
    )
    seen.expect("StartTransaction", connectorId=1, idTag=TAG)
    applied(sdk, base_url, started)
    seen.expect("StatusNotification", connectorId=1, status="Charging")
    applied(sdk, base_url, sdk.commands.ev_stops_energy(target=target, event=where))
    seen.expect("StatusNotification", connectorId=1, status="SuspendedEV")
    applied(sdk, base_url, sdk.commands.ev_requests_energy(target=target, event=where))
    seen.expect("StatusNotification", connectorId=1, status="Charging")
    power = sdk.commands.power_update(
        target=target, event=PowerUpdateCommandEvent(power_w=7400, evse_id=1, connector_id=1)
    )
    assert applied(sdk, base_url, power)["result"]["power_w"] <= 7400
    applied(
        sdk,
        base_url,
        sdk.commands.stop_transaction(target=target, event=StopTransactionCommandEvent()),
    )
    seen.expect("StopTransaction")
    applied(sdk, base_url, sdk.commands.unlock_connector(target=target, event=where))
    applied(sdk, base_url, sdk.commands.unplug_connector(target=target, event=where))
    seen.expect("StatusNotification", connectorId=1, status="Available")
    sdk.chargers.delete(charger_id)


def test_a_session_in_one_go(sdk: OcpplabSDK, base_url: str, charger_id: str, seen: Seen) -> None:
    target = CommandTarget(charger_id=charger_id)
    applied(
        sdk,
        base_url,
        sdk.commands.start_session(
            target=target,
            event=StartSessionCommandEvent(
                id_tag=TAG, connector_id=1, duration_seconds=300, target_energy_kwh=20.0
            ),
        ),
    )
    seen.expect("StartTransaction", connectorId=1, idTag=TAG)
    applied(
        sdk,
        base_url,
        sdk.commands.stop_session(target=target, event=StopSessionCommandEvent(connector_id=1)),
    )
    seen.expect("StopTransaction")
    sdk.chargers.delete(charger_id)


def test_a_session_ends_by_itself_at_its_energy(
    sdk: OcpplabSDK, base_url: str, charger_id: str, seen: Seen
) -> None:
    event = StartSessionCommandEvent(id_tag=TAG, target_energy_kwh=0.001)
    started = sdk.commands.start_session(target=CommandTarget(charger_id=charger_id), event=event)
    applied(sdk, base_url, started)
    start = seen.expect("StartTransaction")
    stop = seen.expect("StopTransaction")
    assert stop["meterStop"] - start["meterStart"] == pytest.approx(1, abs=2)
    sdk.chargers.delete(charger_id)


def test_questions_are_answered_by_the_charger(
    sdk: OcpplabSDK, charger_id: str, seen: Seen
) -> None:
    target = ChargerCommandTarget(charger_id=charger_id)
    changed = sdk.commands.set_configuration(
        target=target, event=ConfigurationUpdateEvent(configuration={"HeartbeatInterval": "30"})
    )
    assert (changed.status, changed.configured) == ("Accepted", ["HeartbeatInterval"])
    reset = sdk.commands.reset_auth_cache(target=target, event=EmptyEvent())
    assert reset.cleared_entries == 0
    entries = [
        LocalAuthListEntry(
            id_tag="TAG-RFID-001", expiry_date=dt.datetime(2036, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
        ),
        LocalAuthListEntry(id_tag="TAG-RFID-002", parent_id_tag="GROUP"),
    ]
    event = LocalAuthListEvent(list_version=2, entries=entries)
    for _ in range(2):
        sent = sdk.commands.send_local_list(target=target, event=event)
        assert (sent.status, sent.list_version, sent.entries_received) == ("Accepted", 2, 2)
    older = LocalAuthListEvent(list_version=1, entries=entries)
    with pytest.raises(BadRequestError) as caught:
        sdk.commands.send_local_list(target=target, event=older)
    assert "grow" in caught.value.body.detail
    cleared = sdk.commands.clear_local_list(target=target, event=EmptyEvent())
    assert (cleared.status, cleared.entries_deleted, cleared.list_version) == ("Accepted", 2, 0)
    faulted = sdk.commands.inject_fault(
        target=target,
        event=InjectFaultEvent(fault_type="OverCurrent", evse_id=1, connector_id=1),
    )
    assert (faulted.status, faulted.fault_type, faulted.connector_id) == (
        "Faulted",
        "OverCurrent",
        1,
    )
    seen.expect("StatusNotification", status="Faulted", errorCode="OverCurrentFailure")
    mended = sdk.commands.clear_fault(
        target=target, event=ClearFaultEvent(evse_id=1, connector_id=1)
    )
    assert mended.status == "Available"
    seen.expect("StatusNotification", status="Available", errorCode="NoError")
    sdk.chargers.delete(charger_id)


def test_a_message_by_hand_reaches_the_csms(sdk: OcpplabSDK, charger_id: str, seen: Seen) -> None:
    queued = sdk.commands.proxy_message(
        target=ChargerCommandTarget(charger_id=charger_id),
        event=ProxyMessageEvent(
            action="boot_notification",
            ocpp_version="ocpp1.6",
            payload={"charge_point_vendor": "OCPPLAB", "charge_point_model": "SDK-DC-50"},
        ),
    )
    assert (queued.event_type, queued.ocpp_version) == ("boot_notification", "ocpp1.6")
    assert queued.payload["charge_point_model"] == "SDK-DC-50"
    seen.expect("BootNotification", chargePointModel="SDK-DC-50")
    sdk.chargers.delete(charger_id)


def test_a_charger_of_2_0_1_obeys_too(
    sdk: OcpplabSDK, base_url: str, judge: Judge, identity: str
) -> None:
    brand, model, connector = HARDWARE["OCPP2.0.1"]
    charger_id = comes_up(
        sdk,
        identity,
        judge.ws_url,
        brand_slug=brand,
        model_slug=model,
        connector_type=connector,
        ocpp_version="OCPP2.0.1",
    )
    seen = Seen(judge, identity)
    target = CommandTarget(charger_id=charger_id)
    started = sdk.commands.start_session(
        target=target, event=StartSessionCommandEvent(id_tag=TAG, connector_id=1)
    )
    assert started.results[0].command.ocpp_version == "ocpp2.0.1"
    applied(sdk, base_url, started)
    seen.expect("TransactionEvent", eventType="Started")
    applied(
        sdk, base_url, sdk.commands.stop_session(target=target, event=StopSessionCommandEvent())
    )
    seen.expect("TransactionEvent", eventType="Ended")
    queued = sdk.commands.proxy_message(
        target=ChargerCommandTarget(charger_id=charger_id),
        event=ProxyMessageEvent(action="heartbeat", ocpp_version="ocpp2.0.1", payload={}),
    )
    assert (queued.event_type, queued.ocpp_version) == ("heartbeat", "ocpp2.0.1")
    seen.expect("Heartbeat")
    sdk.chargers.delete(charger_id)


def test_a_location_is_told_at_once(sdk: OcpplabSDK, judge: Judge, identity: str) -> None:
    site = sdk.locations.create(
        name="Site",
        address="1 Rue",
        city="Paris",
        country="FR",
        coordinates=Coordinates(latitude=1, longitude=2),
    )
    brand, model, connector = HARDWARE["OCPP1.6"]
    template = ChargerTemplate(
        brand_slug=brand,
        model_slug=model,
        connector_type=connector,
        ws_url=judge.ws_url,
        identity_prefix=f"{identity}-",
    )
    job = sdk.location_chargers.create(
        site.id, request=[ChargerGroup(template=template, charger_ids=["1", "2", "3"])]
    )
    eventually(
        lambda: sdk.location_chargers.get_bulk_job(site.id, job.job_id).status == "READY",
        "the site is there",
    )
    third, second, first = (one.id for one in sdk.location_chargers.list(site.id).data)
    sdk.chargers.stop_runtime(second, request={})
    seen = Seen(judge, f"{identity}-1")
    told = sdk.commands.plug_connector(
        target=CommandTarget(location_id=site.id), event=ConnectorCommandEvent()
    )
    assert [one.charger_id for one in told.results] == [first, third]
    assert [one.identity for one in told.failed] == [f"{identity}-2"]
    seen.expect("StatusNotification", status="Preparing")
    some = sdk.commands.unplug_connector(
        target=CommandTarget(location_id=site.id, charger_ids=[first]),
        event=ConnectorCommandEvent(),
    )
    assert some.targeted_count == 1
    gone = sdk.location_chargers.delete(site.id, charger_ids=[first, second, third])
    assert gone.deleted_count == 3
    eventually(
        lambda: all(judge.count_open(f"{identity}-{n}") == 0 for n in (1, 2, 3)), "all are gone"
    )
    sdk.locations.delete(site.id)


def test_mistakes_are_typed(sdk: OcpplabSDK) -> None:
    unknown = f"dep-{0:032x}"
    with pytest.raises(NotFoundError):
        sdk.commands.plug_connector(
            target=CommandTarget(charger_id=unknown), event=ConnectorCommandEvent()
        )
    with pytest.raises(NotFoundError):
        sdk.commands.reset_auth_cache(
            target=ChargerCommandTarget(charger_id=unknown), event=EmptyEvent()
        )
    with pytest.raises(UnprocessableEntityError):
        sdk.commands.plug_connector(
            target=CommandTarget(charger_id=unknown, location_id="x"), event=ConnectorCommandEvent()
        )
