"""How a runtime is refused, how it ends, and what outlives it: docs/link.md from its side."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from simulator import ocpp16
from simulator.host import Host
from simulator.settings import Settings
from tests.flow_world import CHARGER, TOKEN, a_flow
from tests.link_gateway import (
    GatewayLink,
    in_event_loop,
    linked,
    make_config,
    online,
    running_host,
    started_csms,
)


async def ends(gateway: GatewayLink, **changes: Any) -> None:
    """Run a host until it ends by itself."""
    await Host(
        Settings(
            **{
                "link_url": gateway.url,
                "token": "b1.dep-1.1.secret",
                "link_retry_min_s": 0.02,
                "link_retry_max_s": 0.05,
                "stop_s": 2.0,
                **changes,
            }
        )
    ).run()


@in_event_loop
async def test_a_410_ends_the_process_without_a_word_to_a_csms() -> None:
    async with GatewayLink() as gateway:
        gateway.refuses = 410
        await ends(gateway)
        assert gateway.attempts == 1


@in_event_loop
async def test_a_doubled_start_is_closed_with_4410_and_ends() -> None:
    async with GatewayLink() as gateway:
        gateway.turns_away = 4410
        await ends(gateway)
        assert len(gateway.hellos) == 1


@pytest.mark.parametrize("status", [401, 503, 500])
@in_event_loop
async def test_other_refusals_are_tried_again(status: int) -> None:
    async with GatewayLink() as gateway:
        gateway.refuses = status
        async with running_host(gateway, link_unauthorized_s=0.05):
            await gateway.wait_for(lambda: gateway.attempts >= 3)
            gateway.refuses = None
            await linked(gateway)


@in_event_loop
async def test_an_unknown_credential_has_a_pause_of_its_own() -> None:
    async with GatewayLink() as gateway:
        gateway.refuses = 401
        pauses = {"link_retry_min_s": 3600, "link_retry_max_s": 3600, "link_unauthorized_s": 0.02}
        async with running_host(gateway, **pauses):
            await gateway.wait_for(lambda: gateway.attempts >= 3)


@pytest.mark.parametrize("code", [1012, 1013, 1008, 1011, 1000])
@in_event_loop
async def test_a_line_that_the_gateway_closes_comes_back(code: int) -> None:
    async with started_csms() as csms, GatewayLink() as gateway, running_host(gateway):
        await linked(gateway)
        await online(gateway, csms, "dep-1", "CP-1")
        await gateway.close(code)
        await linked(gateway, 2)
        assert gateway.hellos[1]["running"] == [["dep-1", 1]]
        assert len(csms.sockets) == 1


@in_event_loop
async def test_a_container_runs_its_one_charger_and_ends_with_its_drop() -> None:
    async with started_csms() as csms, GatewayLink() as gateway:
        running = asyncio.create_task(ends(gateway))
        await linked(gateway)
        assert gateway.hellos[0]["capacity"] == 1
        await online(gateway, csms, "dep-1", "CP-1")
        await gateway.drop("dep-1")
        await running
        assert gateway.told("dropped", "dep-1")
        assert csms.sockets[0].close_code == 1000
        sent = len([frame for frame in csms.frames if frame.identity == "CP-1"])
        assert len(gateway.records("frames", "dep-1")) == sent


@in_event_loop
async def test_stopping_closes_every_csms_socket_even_one_that_does_not_answer() -> None:
    async with started_csms() as csms, GatewayLink() as gateway:
        async with running_host(gateway, stop_s=0.4):
            await linked(gateway)
            for number in range(20):
                await gateway.add(f"dep-{number}", make_config(csms.url, f"CP-{number}"))
            await csms.wait_for(lambda: len(csms.accepted()) == 20)
            frozen = csms._open["CP-3"][-1].transport
            frozen.pause_reading()
        frozen.resume_reading()
        await csms.wait_for(lambda: not csms.connected())
        codes = [life.close_code for life in csms.sockets]
        assert codes.count(1000) >= 19


@in_event_loop
async def test_a_drop_that_is_under_way_when_the_process_stops_is_still_answered() -> None:
    async with started_csms() as csms, GatewayLink() as gateway:
        async with running_host(gateway, stop_s=2.0) as host:
            await linked(gateway)
            await online(gateway, csms, "dep-1", "CP-1")
            await online(gateway, csms, "dep-2", "CP-2")
            frozen = csms._open["CP-1"][-1].transport
            frozen.pause_reading()
            await gateway.drop("dep-1")
            while not host.runners["dep-1"].is_ending:
                await asyncio.sleep(0)
            host.stop()
            frozen.resume_reading()
        assert [m["charger"] for m in gateway.told("dropped")] == ["dep-1"]


@in_event_loop
async def test_a_charger_that_fails_inside_loses_its_connection_and_the_others_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_boot = ocpp16.BEHAVIOUR.write_boot
    failures: list[str] = []

    def stumble(charger: Any) -> Any:
        if charger.config.identity == "CP-1" and len(failures) < 2:
            failures.append("again")
            raise RuntimeError("a bug")
        return write_boot(charger)

    monkeypatch.setattr(ocpp16.BEHAVIOUR, "write_boot", stumble)
    async with started_csms() as csms, GatewayLink() as gateway, running_host(gateway):
        await linked(gateway)
        await online(gateway, csms, "dep-2", "CP-2")
        await online(gateway, csms, "dep-1", "CP-1")
        await gateway.wait_for(lambda: gateway.records("events", "dep-1"))
        assert gateway.records("events", "dep-1")[0][4] == "charger_failed"
        assert len([life for life in csms.sockets if life.identity == "CP-2"]) == 1


@in_event_loop
async def test_what_a_charger_keeps_outlives_the_process_and_goes_with_its_deletion(
    tmp_path: Path,
) -> None:
    stop = {"transactionId": 7, "meterStop": 1, "timestamp": "2026-11-22T12:00:00Z"}
    async with started_csms() as csms, GatewayLink() as gateway:
        async with running_host(gateway, state_dir=tmp_path) as host:
            await linked(gateway)
            await online(gateway, csms, "dep-1", "CP-1")
            csms.behave("CP-1", upgrade="503")
            await csms.drop("CP-1", 1000)
            await gateway.wait_for(lambda: "offline" in gateway.stages("dep-1"))
            host.runners["dep-1"].charger.call("StopTransaction", stop, durable=True)
            host.runners["dep-1"].wake(host.clock.now())
        csms.behave("CP-1", upgrade="accept")
        async with running_host(gateway, state_dir=tmp_path):
            await linked(gateway, 2)
            await gateway.add("dep-1", make_config(csms.url, "CP-1"), incarnation=2)
            await csms.wait_for(lambda: csms.seen("CP-1", "StopTransaction"))
            await gateway.drop("dep-1", 2, reason="delete")
            await gateway.wait_for(lambda: gateway.told("dropped", "dep-1"))
        assert list((tmp_path / "chargers").iterdir()) == []


@pytest.mark.parametrize(
    ("version", "keeps", "reason", "endings"),
    [
        ("OCPP1.6", False, "stop", 1),
        ("OCPP2.0.1", False, "stop", 1),
        ("OCPP1.6", True, "stop", 0),
        ("OCPP1.6", True, "delete", 1),
    ],
)
@in_event_loop
async def test_a_stop_in_mid_charge_ends_the_transaction_unless_it_goes_on_later(
    version: str, keeps: bool, reason: str, endings: int, tmp_path: Path
) -> None:
    async with a_flow(version, state_dir=tmp_path if keeps else None) as flow:
        await flow.does("start_session", id_tag=TOKEN)
        await flow.gateway.drop(CHARGER, reason=reason)
        await flow.gateway.wait_for(lambda: flow.gateway.told("dropped"))
        events = [p for p in flow.said("TransactionEvent") if p["eventType"] == "Ended"]
        stops = flow.said("StopTransaction")
        assert len(events + stops) == endings
        assert flow.csms.sockets[0].close_code == 1000
