"""The simulator's log lines: whose they are, and what ends a host that can no longer do its housekeeping."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator import v16
from simulator.behaviour import Command
from simulator.charger import Charger
from simulator.host import Host
from simulator.logs import configure_logs
from simulator.settings import Settings
from tests.link_gateway import (
    GatewayLink,
    in_event_loop,
    linked,
    make_config,
    running_host,
    started_csms,
)

Read = Callable[..., list[dict[str, Any]]]
ORDER = {"organization": "acme", "run": "wfr_1"}
IDS = {"organization_id": "acme", "charger_id": "dep-1", "incarnation": 1, "run_id": "wfr_1"}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Iterator[Read]:
    """Log as the program does; the lines so far that have these fields."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    configure_logs("INFO", "host")

    def read(**fields: Any) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in written.getvalue().splitlines()]
        return [line for line in lines if line.items() >= fields.items()]

    yield read
    root.handlers[:] = handlers
    root.setLevel(level)


@in_event_loop
async def test_the_life_of_a_charger_is_logged_with_the_ids_of_its_order(read: Read) -> None:
    async with started_csms() as csms, GatewayLink() as gateway, running_host(gateway):
        await linked(gateway)
        await gateway.add("dep-1", make_config(csms.url, "CP-1"), **ORDER)
        await gateway.wait_for(lambda: "online" in gateway.stages("dep-1"))
        await gateway.drop("dep-1")
        await gateway.wait_for(lambda: gateway.told("dropped", "dep-1"))
        lines = [line["event"] for line in read(program="host", **IDS)]
        assert lines == ["a charger begins", "a charger ended"]


@in_event_loop
async def test_a_gateway_that_names_no_order_gets_its_charger_all_the_same(read: Read) -> None:
    async with started_csms() as csms, GatewayLink() as gateway, running_host(gateway):
        await linked(gateway)
        await gateway.add("dep-1", make_config(csms.url, "CP-1"))
        await gateway.wait_for(lambda: "online" in gateway.stages("dep-1"))
        (begins,) = read(event="a charger begins", charger_id="dep-1")
        assert (begins["organization_id"], begins["run_id"]) == (None, None)


@in_event_loop
async def test_a_charger_that_cannot_run_is_logged_with_its_order(read: Read) -> None:
    async with GatewayLink() as gateway, running_host(gateway):
        await linked(gateway)
        await gateway.add("dep-1", {"identity": "CP-1"}, **ORDER)
        await gateway.wait_for(lambda: gateway.told("dropped", "dep-1"))
        (line,) = read(event="a charger cannot run")
        assert line.items() >= IDS.items()


@in_event_loop
async def test_a_line_from_deep_inside_says_which_of_the_chargers_it_was(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(charger: Charger, command: Command, now: float) -> None:
        raise RuntimeError("The cable is made of rubber.")

    monkeypatch.setitem(v16.BEHAVIOUR.commands, "plug_connector", break_down)
    async with started_csms() as csms, GatewayLink() as gateway, running_host(gateway):
        await linked(gateway)
        session = await gateway.add("dep-1", make_config(csms.url, "CP-1"), **ORDER)
        await gateway.add("dep-2", make_config(csms.url, "CP-2"), **ORDER)
        for charger in ("dep-1", "dep-2"):
            await gateway.wait_for(lambda charger=charger: "online" in gateway.stages(charger))
        await gateway.command("dep-1", "plug_connector", {}, "c0ffee", session)
        await gateway.wait_for(lambda: gateway.told("result", "dep-1"))
        (line,) = read(event="command failed")
        assert line.items() >= {**IDS, "command_id": "c0ffee", "level": "error"}.items()
        assert "made of rubber" in line["exception"]


@in_event_loop
async def test_a_line_about_the_whole_host_names_no_charger(read: Read) -> None:
    async with started_csms() as csms, GatewayLink() as gateway, running_host(gateway):
        await linked(gateway)
        await gateway.add("dep-1", make_config(csms.url, "CP-1"), **ORDER)
        await gateway.wait_for(lambda: "online" in gateway.stages("dep-1"))
        await gateway.cut()
        await linked(gateway, 2)
        session = await gateway.add("dep-1", make_config(csms.url, "CP-1"), **ORDER)
        await gateway.wait_for(lambda: gateway.told("state", "dep-1")[-1]["session"] == session)
        assert len(read(event="linked")) == 2
        assert not [line for line in read(event="linked") if "charger_id" in line]


@in_event_loop
async def test_a_health_file_that_cannot_be_written_ends_the_host_with_the_error(
    tmp_path: Path,
) -> None:
    health_file = tmp_path / "away" / "health"
    async with GatewayLink() as gateway:
        host = Host(Settings(gateway.url, "h1.one.secret", health_file=health_file))
        with pytest.raises(FileNotFoundError) as ended:
            await host.run()
    assert ended.value.filename == str(health_file)
