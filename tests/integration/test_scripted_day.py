"""A day of a charger before a strict CSMS that no one here wrote (npm's ocpp-rpc), in both
versions.

Boot, plug, authorize, charge under a profile, remote stop, fault, reservation, local list,
firmware, logs, reset, and a transaction that ends while the CSMS is away. The strict peer checks
both directions against the OCA's schemas; here it is checked that what was told is true.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.link_gateway import GatewayLink, in_event_loop, make_config, running_host
from tests.node_csms import NodeCsms, is_installed, run_node_csms

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(
        not is_installed() and "node" not in os.environ.get("GATEWAY_TEST_REQUIRE", ""),
        reason="not run: node (ocpp-rpc is not installed)",
    ),
]

IDENTITY = "DAY-1"
#: Enough power that seconds are many watt-hours, and whole ones are exact enough.
POWER_W = 350_000
SETTINGS = {
    "reconnect_min_s": 0.05,
    "reconnect_max_s": 0.2,
    "reboot_s": 0.1,
    "firmware_download_s": 0.2,
    "firmware_verify_s": 0.1,
    "firmware_install_s": 0.2,
    "log_upload_s": 0.2,
    "ev": {"soc": 0.1, "dc_power_w": POWER_W, "battery_wh": 1_000_000},
}
INTERVAL = {
    "OCPP1.6": "MeterValueSampleInterval",
    "OCPP2.0.1": "SampledDataCtrlr.TxUpdatedInterval",
}


class Day:
    """A charger, the gateway that commands it, and the strict CSMS."""

    def __init__(self, gateway: GatewayLink, csms: NodeCsms, version: str) -> None:
        self.gateway, self.csms, self.version = gateway, csms, version
        self._numbers = itertools.count(1)
        self._session = 0

    @property
    def is_201(self) -> bool:
        return self.version == "OCPP2.0.1"

    async def begin(self) -> None:
        config = make_config(
            self.csms.ws_url,
            IDENTITY,
            ocpp_version=self.version,
            max_power_w=POWER_W,
            connectors=[
                {"id": 1, "type": "CCS2", "current_type": "dc", "max_power_w": POWER_W, "phases": 1}
            ],
            settings=SETTINGS | {"configuration": {INTERVAL[self.version]: "1"}},
        )
        self._session = await self.gateway.add("dep-1", config)
        await self.hears(lambda day: "StatusNotification" in day.names())

    async def does(self, name: str, **args: Any) -> dict[str, Any]:
        """A command of the gateway, carried out."""
        command_id = f"{next(self._numbers):012x}"
        await self.gateway.command("dep-1", name, args, command_id, self._session)
        await self.gateway.wait_for(lambda: self._result(command_id))
        [result] = self._result(command_id)
        assert result["state"] == "applied", result
        return dict(result["result"])

    def _result(self, command_id: str) -> list[dict[str, Any]]:
        return [m for m in self.gateway.told("result") if m["id"] == command_id]

    async def asks(self, method: str, **params: Any) -> dict[str, Any]:
        """A call of the CSMS; the answer."""
        answer = await asyncio.to_thread(self.csms.call, IDENTITY, method, params)
        assert "result" in answer, (method, answer)
        return dict(answer["result"])

    async def calls(self) -> list[dict[str, Any]]:
        report = await asyncio.to_thread(self.csms.report, calls=True)
        return [call for call in report["calls"] if call["identity"] == IDENTITY]

    async def hears(self, fact: Any) -> None:
        """Wait until the CSMS heard enough."""
        async with asyncio.timeout(10):
            while not fact(Heard(await self.calls())):
                await asyncio.sleep(0.05)

    async def heard(self) -> Heard:
        return Heard(await self.calls())


class Heard:
    """What the CSMS heard until now."""

    def __init__(self, calls: list[dict[str, Any]]) -> None:
        self._calls = calls

    def names(self) -> list[str]:
        return [call["method"] for call in self._calls]

    def said(self, method: str) -> list[dict[str, Any]]:
        return [call["params"] for call in self._calls if call["method"] == method]

    def statuses(self) -> list[str]:
        told = self.said("StatusNotification")
        return [p.get("status") or p["connectorStatus"] for p in told if p["connectorId"]]

    def endings(self) -> list[dict[str, Any]]:
        events = [p for p in self.said("TransactionEvent") if p["eventType"] == "Ended"]
        return self.said("StopTransaction") + events

    def moments(self) -> list[dict[str, Any]]:
        carriers = self.said("MeterValues") + self.said("TransactionEvent")
        return [m for p in carriers for m in p.get("meterValue", [])]


def seconds(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


def later(by_s: float) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=by_s)).isoformat()


def power(moment: dict[str, Any]) -> float | None:
    found = [v for v in moment["sampledValue"] if v.get("measurand") == "Power.Active.Import"]
    return float(found[0]["value"]) if found else None


def check_energy(heard: Heard) -> None:
    """The energy of the first transaction is the integral of its power samples within 1 %."""
    if starts := heard.said("StartTransaction"):
        start, stop = starts[0], heard.endings()[0]
        begun, energy = seconds(start["timestamp"]), stop["meterStop"] - start["meterStart"]
        ended = seconds(stop["timestamp"])
    else:
        data = heard.endings()[0]["meterValue"]
        registers = [
            next(v["value"] for v in m["sampledValue"] if v["measurand"].endswith("Register"))
            for m in (data[0], data[-1])
        ]
        energy = registers[1] - registers[0]
        begun, ended = (seconds(m["timestamp"]) for m in (data[0], data[-1]))
    samples = [(seconds(m["timestamp"]), power(m)) for m in heard.moments()]
    known = sorted((at, w) for at, w in samples if w and begun <= at < ended)
    # A sample holds until the next one; the first also speaks for the time before it.
    times = [begun, *(at for at, _ in known[1:]), ended]
    integral = sum(
        w * (end - start) / 3600
        for (_, w), (start, end) in zip(known, itertools.pairwise(times), strict=True)
    )
    assert energy == pytest.approx(integral, rel=0.01)
    assert energy > 100


@asynccontextmanager
async def a_day(version: str) -> AsyncIterator[Day]:
    with run_node_csms() as csms:
        async with GatewayLink() as gateway, running_host(gateway):
            await gateway.wait_for(lambda: gateway.is_linked)
            day = Day(gateway, csms, version)
            await day.begin()
            yield day
            report = await asyncio.to_thread(csms.report)
            assert report["violations"] == []
            assert report["overlaps"] == 0


def profile(watts: float, version: str) -> dict[str, Any]:
    schedule = {
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": watts}],
    }
    common = {
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
    }
    if version == "OCPP2.0.1":
        message = common | {"id": 1, "chargingSchedule": [schedule | {"id": 1}]}
        return {"evseId": 1, "chargingProfile": message}
    message = common | {"chargingProfileId": 1, "chargingSchedule": schedule}
    return {"connectorId": 1, "csChargingProfiles": message}


async def charge_under_a_profile(day: Day) -> None:
    await day.does("plug_connector")
    await day.does("start_transaction", id_tag="AABBCCDD")
    await day.hears(lambda heard: len(heard.moments()) >= 3)
    await day.asks("SetChargingProfile", **profile(200_000, day.version))
    await day.asks("TriggerMessage", requestedMessage="MeterValues")
    composite = {"evseId": 1} if day.is_201 else {"connectorId": 1}
    assert (await day.asks("GetCompositeSchedule", duration=60, **composite))[
        "status"
    ] == "Accepted"
    seen = len((await day.heard()).moments())
    await day.hears(lambda heard: len(heard.moments()) >= seen + 2)
    name = day.gateway.told("connectors")[-1]["connectors"][0]["transaction_id"]
    if day.is_201:
        await day.asks("RequestStopTransaction", transactionId=name)
    else:
        await day.asks("RemoteStopTransaction", transactionId=int(name))
    await day.hears(lambda heard: heard.endings())
    await day.does("unplug_connector")


async def break_and_reserve(day: Day) -> None:
    await day.does("inject_fault", fault_type="GroundFailure")
    await day.does("clear_fault")
    await day.hears(lambda heard: heard.statuses()[-2:] == ["Faulted", "Available"])
    if day.is_201:
        token = {"idToken": "AABBCCDD", "type": "ISO14443"}
        wish = {"id": 1, "evseId": 1, "idToken": token, "expiryDateTime": later(60)}
    else:
        wish = {
            "reservationId": 1, "connectorId": 1, "idTag": "AABBCCDD", "expiryDate": later(60),
        }  # fmt: skip
    assert (await day.asks("ReserveNow", **wish))["status"] == "Accepted"
    await day.hears(lambda heard: heard.statuses()[-1] == "Reserved")
    await day.asks("CancelReservation", reservationId=1)
    await day.hears(lambda heard: heard.statuses()[-1] == "Available")


async def maintain(day: Day) -> None:
    if day.is_201:
        line = {
            "idToken": {"idToken": "AABBCCDD", "type": "ISO14443"},
            "idTokenInfo": {"status": "Accepted"},
        }
        full = {"versionNumber": 1, "updateType": "Full", "localAuthorizationList": [line]}
        firmware = {"location": "https://files.example.com/f.bin", "retrieveDateTime": later(0)}
        update = {"requestId": 1, "firmware": firmware}
        await day.asks("GetBaseReport", requestId=1, reportBase="FullInventory")
    else:
        line = {"idTag": "AABBCCDD", "idTagInfo": {"status": "Accepted"}}
        full = {"listVersion": 1, "updateType": "Full", "localAuthorizationList": [line]}
        update = {"location": "https://files.example.com/f.bin", "retrieveDate": later(0)}
        await day.asks("GetConfiguration")
        await day.asks("GetDiagnostics", location="ftp://logs.example.com/")
    assert (await day.asks("SendLocalList", **full))["status"] == "Accepted"
    await day.asks("UpdateFirmware", **update)
    await day.hears(lambda heard: {"status": "Installed"}.items() <= last_firmware(heard).items())
    log = {"remoteLocation": "ftp://logs.example.com/"}
    await day.asks("GetLog", logType="DiagnosticsLog", requestId=2, log=log)
    await day.hears(
        lambda heard: (
            heard.said("LogStatusNotification")[-1:] == [{"status": "Uploaded", "requestId": 2}]
        )
    )
    boots = (await day.heard()).names().count("BootNotification")
    await day.asks("Reset", type="Immediate" if day.is_201 else "Soft")
    await day.hears(lambda heard: heard.names().count("BootNotification") == boots + 1)


def last_firmware(heard: Heard) -> dict[str, Any]:
    return [{}, *heard.said("FirmwareStatusNotification")][-1]


async def end_a_transaction_offline(day: Day) -> None:
    await day.hears(lambda heard: heard.statuses()[-1] == "Available")
    await day.does("start_session", id_tag="AABBCCDD")
    await day.hears(lambda heard: len(heard.endings()) == 1 and begun(heard) == 2)
    await asyncio.to_thread(day.csms.shuts_its_door)
    await asyncio.to_thread(day.csms.drop, IDENTITY)
    await day.gateway.wait_for(lambda: day.gateway.stages("dep-1")[-1] == "offline")
    await day.does("stop_session")
    assert len((await day.heard()).endings()) == 1
    await asyncio.to_thread(day.csms.opens_its_door)
    await day.hears(lambda heard: len(heard.endings()) == 2)


def begun(heard: Heard) -> int:
    events = [p for p in heard.said("TransactionEvent") if p["eventType"] == "Started"]
    return len(heard.said("StartTransaction")) + len(events)


@pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])
@in_event_loop
async def test_a_whole_day_breaks_no_rule_and_counts_its_energy(version: str) -> None:
    async with a_day(version) as day:
        await charge_under_a_profile(day)
        await break_and_reserve(day)
        await maintain(day)
        await end_a_transaction_offline(day)
        check_energy(await day.heard())
