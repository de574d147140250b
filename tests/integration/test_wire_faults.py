"""Faults on a charger's wire, over real sockets: what the CSMS gets is what the plan says."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from simulator.csms import Csms
from tests.link_gateway import (
    GatewayLink,
    in_event_loop,
    linked,
    online,
    running_host,
    started_csms,
)

CHARGER, IDENTITY = "dep-1", "CP-1"


class Wire:
    """One charger that is online, and how to spoil its wire."""

    def __init__(self, gateway: GatewayLink, csms: Csms, session: int) -> None:
        self.gateway, self.csms, self._session = gateway, csms, session
        self._count = 0

    async def does(self, name: str, **args: Any) -> str:
        """Send a command and do not wait for it; its id."""
        self._count += 1
        command_id = f"{self._count:012x}"
        await self.gateway.command(CHARGER, name, args, command_id, self._session)
        return command_id

    async def spoils(self, **plan: Any) -> None:
        """Set the plan and wait until it holds."""
        await self.ended(await self.does("wire_faults", **plan))

    async def ended(self, *command_ids: str) -> None:
        """Wait until these commands have ended."""
        await self.gateway.wait_for(
            lambda: {m["id"] for m in self.gateway.told("result")} >= set(command_ids)
        )

    def frames(self, action: str) -> list[str]:
        return [f.text for f in self.csms.frames if f.direction == "u" and f.action == action]


@contextlib.asynccontextmanager
async def wire() -> AsyncIterator[Wire]:
    async with started_csms() as csms, GatewayLink() as gateway, running_host(gateway):
        await linked(gateway)
        it = Wire(gateway, csms, await online(gateway, csms, CHARGER, IDENTITY))
        # One answered call: nothing of the boot is in the air any more.
        await it.ended(await it.does("authorize_id_tag", id_tag="FIRST"))
        yield it


@in_event_loop
async def test_a_doubled_frame_arrives_twice() -> None:
    async with wire() as it:
        await it.spoils(duplicate_rate=1)
        await it.does("proxy_message", action="heartbeat", payload={})
        await it.csms.wait_for(lambda: len(it.frames("Heartbeat")) == 2)
        first, second = it.frames("Heartbeat")
        assert first == second


@in_event_loop
async def test_a_dropped_frame_never_arrives_and_is_in_the_charger_s_log() -> None:
    async with wire() as it:
        await it.spoils(drop_rate=1)
        await it.does("proxy_message", action="heartbeat", payload={})
        await it.gateway.wait_for(
            lambda: any(f[5] == "Heartbeat" for f in it.gateway.records("frames", CHARGER))
        )
        assert it.frames("Heartbeat") == []


@in_event_loop
async def test_a_malformed_frame_is_noticed_by_the_csms() -> None:
    async with wire() as it:
        await it.spoils(malformed_rate=1)
        await it.does("proxy_message", action="heartbeat", payload={})
        await it.csms.wait_for(lambda: any("JSON" in o.sentence for o in it.csms.offences))


@in_event_loop
async def test_a_late_frame_arrives_late_and_in_order() -> None:
    async with wire() as it:
        await it.spoils(latency_s=0.3, jitter_s=0.1)
        ids = [await it.does("authorize_id_tag", id_tag=f"TAG{n}") for n in range(2)]
        await it.ended(*ids)
        assert [n for f in it.frames("Authorize") for n in ("TAG0", "TAG1") if n in f] == [
            "TAG0",
            "TAG1",
        ]
        assert it.csms.offences == []


@in_event_loop
async def test_a_cut_connection_comes_back_after_its_time() -> None:
    async with wire() as it:
        await it.spoils(refuse_connect_s=0.3)
        await it.gateway.wait_for(lambda: "offline" in it.gateway.stages(CHARGER))
        await it.gateway.wait_for(lambda: it.gateway.stages(CHARGER)[-1] == "online")
        assert len(it.csms.sockets) == 2


@pytest.mark.parametrize("plan", [{"drop_rate": 2}, {"gremlins": 1}])
@in_event_loop
async def test_a_plan_that_makes_no_sense_is_rejected(plan: dict[str, Any]) -> None:
    async with wire() as it:
        await it.spoils(**plan)
        assert it.gateway.told("result")[-1]["state"] == "rejected"
