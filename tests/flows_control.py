"""The TCK's scenarios of remote control, triggers, smart charging and firmware, and its seven of OCPP 2.0.1.

One function per scenario; where several differ only in a word, they share one (docs/ocpp-flows.md).
"""

from __future__ import annotations

from typing import Any

from tests.flow_world import TOKEN, Flow, later, scenario

FILES = "https://files.example.com"


# --- remote control, triggers, smart charging -------------------------------------------------


@scenario("cert16-tc010-remote-start", "cert16-tc011-remote-start-stop")
async def remote_start(flow: Flow, name: str) -> None:
    if "stop" not in name:
        await flow.does("plug_connector")
    answer = await flow.asks("RemoteStartTransaction", idTag=TOKEN, connectorId=1)
    assert answer == {"status": "Accepted"}
    await flow.hears("StatusNotification", connectorId=1, status="Preparing")
    if "stop" in name:
        await flow.does("plug_connector")
    await flow.hears("StartTransaction", connectorId=1, idTag=TOKEN)
    await flow.hears("StatusNotification", connectorId=1, status="Charging")
    if "stop" in name:
        await remote_stop(flow, flow.transaction())


async def remote_stop(flow: Flow, number: int) -> None:
    answer = await flow.asks("RemoteStopTransaction", transactionId=number)
    assert answer == {"status": "Accepted"}
    await flow.hears("StopTransaction", transactionId=number, reason="Remote")
    await flow.hears("StatusNotification", connectorId=1, status="Finishing")


@scenario("cert16-tc012-remote-stop")
async def remote_stop_of_a_local_start(flow: Flow) -> None:
    await remote_stop(flow, await flow.charges())


@scenario("cert16-tc026-remote-start-rejected", "cert16-tc028-remote-stop-rejected")
async def remote_rejected(flow: Flow, name: str) -> None:
    number = await flow.charges()
    if "start" in name:
        answer = await flow.asks("RemoteStartTransaction", idTag="11223344", connectorId=1)
    else:
        answer = await flow.asks("RemoteStopTransaction", transactionId=number + 1)
    assert answer == {"status": "Rejected"}
    assert (len(flow.said("StartTransaction")), flow.said("StopTransaction")) == (1, [])


@scenario("cert16-tc054-trigger-message")
async def trigger(flow: Flow) -> None:
    for message in (
        "MeterValues",
        "Heartbeat",
        "StatusNotification",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "BootNotification",
    ):
        answer = await flow.asks("TriggerMessage", requestedMessage=message)
        assert answer == {"status": "Accepted"}
        await flow.hears(message)


@scenario("cert16-tc055-trigger-message-rejected")
async def trigger_nothing(flow: Flow) -> None:
    answer = await flow.asks("TriggerMessage", requestedMessage="MeterValues", connectorId=9)
    assert answer == {"status": "Rejected"}


def profile(watts: float, purpose: str, **more: Any) -> dict[str, Any]:
    return {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": {
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": watts}],
        },
        **more,
    }


async def limit(flow: Flow, message: dict[str, Any]) -> None:
    answer = await flow.asks("SetChargingProfile", connectorId=1, csChargingProfiles=message)
    assert answer == {"status": "Accepted"}


@scenario(
    "cert16-tc056-central-smart-charging-txdefault", "cert16-tc057-central-smart-charging-txprofile"
)
async def limited(flow: Flow, name: str) -> None:
    number = await flow.charges()
    assert await flow.power() > 6900
    if "default" in name:
        await limit(flow, profile(6900, "TxDefaultProfile"))
    else:
        await limit(flow, profile(6900, "TxProfile", transactionId=number))
    assert await flow.power() == 6900


@scenario("cert16-tc059-remote-start-with-profile")
async def remote_start_limited(flow: Flow) -> None:
    await flow.does("plug_connector")
    message = profile(6900, "TxProfile")
    answer = await flow.asks(
        "RemoteStartTransaction", idTag=TOKEN, connectorId=1, chargingProfile=message
    )
    assert answer == {"status": "Accepted"}
    await flow.hears("StatusNotification", connectorId=1, status="Charging")
    assert await flow.power() == 6900


@scenario("cert16-tc066-get-composite-schedule")
async def composite(flow: Flow) -> None:
    await limit(flow, profile(10_000, "TxDefaultProfile"))
    answer = await flow.asks(
        "GetCompositeSchedule", connectorId=1, duration=600, chargingRateUnit="W"
    )
    assert answer["status"] == "Accepted"
    [period] = answer["chargingSchedule"]["chargingSchedulePeriod"]
    assert (period["startPeriod"], period["limit"]) == (0, 10_000)


@scenario("cert16-tc067-clear-charging-profile")
async def clear_profile(flow: Flow) -> None:
    await flow.charges()
    await limit(flow, profile(6900, "TxDefaultProfile"))
    assert await flow.asks("ClearChargingProfile", id=1) == {"status": "Accepted"}
    assert await flow.power() > 6900
    assert await flow.asks("ClearChargingProfile", id=1) == {"status": "Unknown"}


# --- firmware and diagnostics -----------------------------------------------------------------


@scenario(
    "cert16-tc044-1-firmware-update",
    "cert16-tc044-2-firmware-download-failed",
    "cert16-tc044-3-firmware-install-failed",
)
async def update(flow: Flow, name: str) -> None:
    location, *statuses = {
        "update": (f"{FILES}/f.bin", "Downloading", "Downloaded", "Installing", "Installed"),
        "download-failed": ("https://files.invalid/f.bin", "Downloading", "DownloadFailed"),
        "install-failed": (f"{FILES}/corrupt.bin", "Downloading", "Downloaded", "Installing",
                           "InstallationFailed"),
    }[name.partition("firmware-")[2]]  # fmt: skip
    assert await flow.asks("UpdateFirmware", location=location, retrieveDate=later(0)) == {}
    await flow.hears("FirmwareStatusNotification", status=statuses[-1])
    assert [p["status"] for p in flow.said("FirmwareStatusNotification")] == statuses


@scenario("cert16-tc045-1-get-diagnostics")
async def diagnose(flow: Flow) -> None:
    answer = await flow.asks("GetDiagnostics", location="ftp://logs.example.com/")
    assert answer["fileName"]
    await flow.hears("DiagnosticsStatusNotification", status="Uploading")
    await flow.hears("DiagnosticsStatusNotification", status="Uploaded")


# --- OCPP 2.0.1 -------------------------------------------------------------------------------

INTERVAL = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}


@scenario("cert201-tcb01-cold-boot")
async def cold_boot_201(flow: Flow) -> None:
    await flow.hears("BootNotification", reason="PowerUp")
    await flow.hears("StatusNotification", evseId=1, connectorId=1, connectorStatus="Available")


@scenario("cert201-tcb06-get-variables", "cert201-tcb09-set-variables")
async def variables(flow: Flow, name: str) -> None:
    if "set" in name:
        item = INTERVAL | {"attributeValue": "600"}
        [result] = (await flow.asks("SetVariables", setVariableData=[item]))["setVariableResult"]
        assert result["attributeStatus"] == "Accepted"
    [result] = (await flow.asks("GetVariables", getVariableData=[INTERVAL]))["getVariableResult"]
    assert result["attributeStatus"] == "Accepted"
    assert result["attributeValue"] == ("600" if "set" in name else "100")


@scenario("cert201-tcb20-reset-accepted")
async def reset_201(flow: Flow) -> None:
    assert await flow.asks("Reset", type="Immediate") == {"status": "Accepted"}
    await flow.hears("BootNotification", reason="RemoteReset")
    await flow.hears("StatusNotification", connectorStatus="Available")


@scenario("cert201-tcb21-reset-scheduled")
async def reset_on_idle(flow: Flow) -> None:
    await flow.does("start_session", id_tag=TOKEN)
    await flow.hears("TransactionEvent", eventType="Started")
    assert await flow.asks("Reset", type="OnIdle") == {"status": "Scheduled"}
    await flow.does("stop_session")
    await flow.hears("TransactionEvent", eventType="Ended")
    await flow.hears("BootNotification", reason="ScheduledReset")


@scenario("cert201-tcb22-reset-rejected")
async def reset_of_nothing(flow: Flow) -> None:
    assert (await flow.asks("Reset", type="Immediate", evseId=9))["status"] == "Rejected"
    assert len(flow.said("BootNotification")) == 1


@scenario("cert201-tcf20-heartbeat")
async def triggered_heartbeat(flow: Flow) -> None:
    answer = await flow.asks("TriggerMessage", requestedMessage="Heartbeat")
    assert answer == {"status": "Accepted"}
    await flow.hears("Heartbeat")
