"""The TCK's scenarios of its groups core, authorize and authlist-reservation, for a charger (docs/ocpp-flows.md).

One function per scenario; where several differ only in a word, they share one.
"""

from __future__ import annotations

from tests.flow_world import TOKEN, Flow, later, scenario

# --- core -------------------------------------------------------------------------------------


@scenario("cert16-tc001-cold-boot", interval_s=1)
async def cold_boot(flow: Flow) -> None:
    boot = await flow.hears("BootNotification")
    assert (boot["chargePointVendor"], boot["chargePointModel"]) == ("Wallbox", "Pulsar Plus")
    await flow.hears("Heartbeat")
    told = {(p["connectorId"], p["status"]) for p in flow.said("StatusNotification")}
    assert told == {(0, "Available"), (1, "Available")}


@scenario("cert16-tc003-charging-plugin-first", MeterValueSampleInterval="1")
async def plug_in_first(flow: Flow) -> None:
    await flow.does("plug_connector")
    await flow.hears("StatusNotification", connectorId=1, status="Preparing")
    await flow.does("start_transaction", id_tag=TOKEN)
    await flow.hears("Authorize", idTag=TOKEN)
    await flow.hears("StartTransaction", connectorId=1, idTag=TOKEN)
    await flow.hears("StatusNotification", connectorId=1, status="Charging")
    await flow.hears("MeterValues", connectorId=1, transactionId=flow.transaction())
    await flow.does("stop_transaction")
    await flow.hears("StopTransaction", transactionId=flow.transaction(), reason="Local")
    await flow.hears("StatusNotification", connectorId=1, status="Finishing")
    await flow.does("unplug_connector")
    await flow.hears("StatusNotification", connectorId=1, status="Available")


@scenario("cert16-tc004-charging-id-first", AuthorizeRemoteTxRequests="true")
async def identify_first(flow: Flow) -> None:
    await flow.asks("RemoteStartTransaction", idTag=TOKEN, connectorId=1)
    await flow.hears("Authorize", idTag=TOKEN)
    await flow.hears("StatusNotification", connectorId=1, status="Preparing")
    assert flow.said("StartTransaction") == []
    await flow.does("plug_connector")
    await flow.hears("StartTransaction", idTag=TOKEN)
    await flow.hears("StatusNotification", connectorId=1, status="Charging")


@scenario("cert16-tc005-ev-side-disconnect")
async def drive_away(flow: Flow) -> None:
    number = await flow.charges()
    await flow.does("unplug_connector")
    await flow.hears("StopTransaction", transactionId=number, reason="EVDisconnected")
    await flow.hears("StatusNotification", connectorId=1, status="Available")


@scenario("cert16-tc013-hard-reset", "cert16-tc014-soft-reset")
async def reset(flow: Flow, name: str) -> None:
    kind = "Hard" if "hard" in name else "Soft"
    number = await flow.charges()
    assert await flow.asks("Reset", type=kind) == {"status": "Accepted"}
    # A hard one does not wait until the CSMS has taken the last message; that follows the boot.
    await flow.csms.wait_for(
        lambda: len(flow.said("BootNotification")) == 2 and flow.said("StopTransaction")
    )
    stop = flow.said("StopTransaction")[0]
    assert (stop["transactionId"], stop["reason"]) == (number, f"{kind}Reset")


@scenario("cert16-tc017-unlock-occupied")
async def unlock(flow: Flow) -> None:
    number = await flow.charges()
    assert await flow.asks("UnlockConnector", connectorId=1) == {"status": "Unlocked"}
    await flow.hears("StopTransaction", transactionId=number, reason="UnlockCommand")


@scenario("cert16-tc018-unlock-failure")
async def fail_to_unlock(flow: Flow) -> None:
    await flow.does("plug_connector")
    await flow.does("inject_fault", fault_type="ConnectorLockFailure")
    assert await flow.asks("UnlockConnector", connectorId=1) == {"status": "UnlockFailed"}


@scenario("cert16-tc024-lock-failure")
async def fail_to_lock(flow: Flow) -> None:
    await flow.does("plug_connector")
    await flow.does("inject_fault", fault_type="ConnectorLockFailure")
    await flow.hears("StatusNotification", status="Faulted", errorCode="ConnectorLockFailure")
    await flow.refuses("start_transaction", id_tag=TOKEN)
    assert flow.said("StartTransaction") == []
    await flow.does("clear_fault")
    await flow.hears("StatusNotification", status="Preparing", errorCode="NoError")


@scenario("cert16-tc031-unlock-unknown-connector")
async def unlock_nothing(flow: Flow) -> None:
    assert await flow.asks("UnlockConnector", connectorId=99) == {"status": "NotSupported"}


@scenario("cert16-tc019-get-configuration-all")
async def list_settings(flow: Flow) -> None:
    answer = await flow.asks("GetConfiguration")
    listed = {item["key"]: item["readonly"] for item in answer["configurationKey"]}
    assert len(listed) == len(answer["configurationKey"])
    assert (listed["HeartbeatInterval"], listed["NumberOfConnectors"]) == (False, True)
    assert not answer.get("unknownKey")


@scenario("cert16-tc019-get-configuration-key")
async def get_setting(flow: Flow) -> None:
    answer = await flow.asks("GetConfiguration", key=["HeartbeatInterval", "Gremlins"])
    assert [item["key"] for item in answer["configurationKey"]] == ["HeartbeatInterval"]
    assert answer["unknownKey"] == ["Gremlins"]


@scenario("cert16-tc021-change-configuration")
async def change_setting(flow: Flow) -> None:
    key = "MeterValueSampleInterval"
    assert await flow.asks("ChangeConfiguration", key=key, value="10") == {"status": "Accepted"}
    [item] = (await flow.asks("GetConfiguration", key=[key]))["configurationKey"]
    assert item["value"] == "10"


@scenario("cert16-tc061-clear-cache")
async def clear_cache(flow: Flow) -> None:
    await flow.does("authorize_id_tag", id_tag=TOKEN)
    assert await flow.asks("ClearCache") == {"status": "Accepted"}


@scenario("cert16-tc064-data-transfer")
async def transfer_data(flow: Flow) -> None:
    payload = {"vendor_id": "Acme", "message_id": "m", "data": "d"}
    await flow.does("proxy_message", action="data_transfer", payload=payload)
    await flow.hears("DataTransfer", vendorId="Acme", messageId="m", data="d")


@scenario(
    "cert16-tc023-1-authorize-invalid",
    "cert16-tc023-2-authorize-expired",
    "cert16-tc023-3-authorize-blocked",
)
async def refused_token(flow: Flow, name: str) -> None:
    status = name.rpartition("-")[2].title()
    flow.csms.behave(answers={"Authorize": {"idTagInfo": {"status": status}}})
    await flow.does("plug_connector")
    assert status in await flow.refuses("start_transaction", id_tag=TOKEN)
    await flow.hears("Authorize", idTag=TOKEN)
    assert flow.said("StartTransaction") == []


# --- local list and reservation ---------------------------------------------------------------


async def send_list(flow: Flow, version: int, *tokens: str, kind: str = "Full") -> str:
    lines = [{"idTag": token, "idTagInfo": {"status": "Accepted"}} for token in tokens]
    answer = await flow.asks(
        "SendLocalList", listVersion=version, updateType=kind, localAuthorizationList=lines
    )
    return str(answer["status"])


async def list_version(flow: Flow) -> int:
    return int((await flow.asks("GetLocalListVersion"))["listVersion"])


@scenario(
    "cert16-tc042-1-get-local-list-version-not-supported",
    "cert16-tc043-1-send-local-list-not-supported",
    LocalAuthListEnabled="false",
)
async def without_list(flow: Flow, name: str) -> None:
    if "send" in name:
        assert await send_list(flow, 1, "A") == "NotSupported"
    assert await list_version(flow) == -1


@scenario("cert16-tc042-2-get-local-list-version-empty")
async def empty_list(flow: Flow) -> None:
    assert await list_version(flow) == 0


@scenario("cert16-tc043-3-send-local-list-failed")
async def list_with_a_token_twice(flow: Flow) -> None:
    assert await send_list(flow, 1, "A", "a") == "Failed"
    assert await list_version(flow) == 0


@scenario("cert16-tc043-4-send-local-list-full")
async def full_list(flow: Flow) -> None:
    assert await send_list(flow, 1, "A") == "Accepted"
    assert await list_version(flow) == 1


@scenario("cert16-tc043-5-send-local-list-differential")
async def differential_list(flow: Flow) -> None:
    assert await send_list(flow, 1, "A") == "Accepted"
    assert await send_list(flow, 2, "B", kind="Differential") == "Accepted"
    assert await send_list(flow, 2, "C", kind="Differential") == "VersionMismatch"
    assert await list_version(flow) == 2


async def reserve(flow: Flow, expiry: str | None = None) -> str:
    answer = await flow.asks(
        "ReserveNow",
        reservationId=1,
        connectorId=1,
        idTag=TOKEN,
        expiryDate=expiry or later(60),
    )
    return str(answer["status"])


@scenario("cert16-reservation-basic")
async def reservation(flow: Flow) -> None:
    assert await reserve(flow) == "Accepted"
    await flow.hears("StatusNotification", connectorId=1, status="Reserved")
    assert "reserved" in await flow.refuses("start_transaction", id_tag="11223344")
    await flow.does("start_transaction", id_tag=TOKEN)
    await flow.hears("StartTransaction", idTag=TOKEN, reservationId=1)


@scenario("cert16-tc048-1-reserve-now-faulted")
async def reserve_faulted(flow: Flow) -> None:
    await flow.does("inject_fault", fault_type="GroundFailure")
    assert await reserve(flow) == "Faulted"


@scenario("cert16-tc048-2-reserve-now-occupied")
async def reserve_occupied(flow: Flow) -> None:
    await flow.charges()
    assert await reserve(flow) == "Occupied"


@scenario("cert16-tc048-3-reserve-now-unavailable")
async def reserve_unavailable(flow: Flow) -> None:
    answer = await flow.asks("ChangeAvailability", connectorId=1, type="Inoperative")
    assert answer == {"status": "Accepted"}
    await flow.hears("StatusNotification", connectorId=1, status="Unavailable")
    assert await reserve(flow) == "Unavailable"


@scenario("cert16-tc048-4-reserve-now-rejected")
async def reserve_the_past(flow: Flow) -> None:
    assert await reserve(flow, later(-60)) == "Rejected"


@scenario("cert16-tc051-cancel-reservation")
async def cancel(flow: Flow) -> None:
    await reserve(flow)
    await flow.hears("StatusNotification", connectorId=1, status="Reserved")
    assert await flow.asks("CancelReservation", reservationId=1) == {"status": "Accepted"}
    await flow.hears("StatusNotification", connectorId=1, status="Available")


@scenario("cert16-tc052-cancel-reservation-rejected")
async def cancel_nothing(flow: Flow) -> None:
    assert await flow.asks("CancelReservation", reservationId=99999) == {"status": "Rejected"}
