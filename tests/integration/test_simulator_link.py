"""The runtime's side of docs/link.md, against a gateway's end that a test plays."""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import Any

import psutil
import pytest

from simulator import ocpp16
from tests.link_gateway import (
    GatewayLink,
    in_event_loop,
    linked,
    make_config,
    online,
    running_host,
    started_csms,
)


@in_event_loop
async def test_hello_says_who_and_where_the_process_is() -> None:
    async with GatewayLink() as gateway, running_host(gateway, capacity=7):
        await linked(gateway)
        hello = gateway.hellos[0]
        assert gateway.authorizations == ["Bearer h1.one.secret"]
        assert hello["t"] == "hello"
        assert hello["v"] == 1
        assert len(hello["epoch"]) == 32
        assert hello["capacity"] == 7
        assert hello["pid"] == os.getpid()
        assert hello["pid_start"] == psutil.Process().create_time()
        assert hello["running"] == []
        if os.path.exists("/proc/self/ns/pid"):  # noqa: PTH110 - the link, not where it leads
            assert hello["machine"].endswith(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115


@in_event_loop
async def test_a_lost_line_leaves_the_charger_online_and_the_next_hello_names_it() -> None:
    async with started_csms() as csms, GatewayLink() as gateway, running_host(gateway):
        await linked(gateway)
        await online(gateway, csms, "dep-1", "CP-1")
        await gateway.cut()
        await linked(gateway, 2)
        assert gateway.hellos[1]["running"] == [["dep-1", 1]]
        assert gateway.hellos[1]["epoch"] == gateway.hellos[0]["epoch"]
        told = len(gateway.messages)
        session = await gateway.add("dep-1", make_config(csms.url, "CP-1"))
        await gateway.wait_for(lambda: len(gateway.messages) >= told + 2)
        assert [(m["t"], m["session"]) for m in gateway.messages[told:]] == [
            ("state", session),
            ("connectors", session),
        ]
        assert gateway.messages[told]["stage"] == "online"
        assert len(csms.sockets) == 1


@in_event_loop
async def test_a_gateway_that_is_away_for_long_loses_no_record() -> None:
    async with started_csms(interval_s=1) as csms, GatewayLink() as gateway, running_host(gateway):
        await linked(gateway)
        await online(gateway, csms, "dep-1", "CP-1")
        await gateway.vanish()
        before = len(csms.seen("CP-1", "Heartbeat"))
        await csms.wait_for(lambda: len(csms.seen("CP-1", "Heartbeat")) >= before + 2)
        await gateway.listen()
        await linked(gateway, 2)
        await gateway.add("dep-1", make_config(csms.url, "CP-1"))
        wanted = len([frame for frame in csms.frames if frame.identity == "CP-1"])
        await gateway.wait_for(
            lambda: len({r[2] for r in gateway.records("frames", "dep-1")}) >= wanted
        )
        numbers = sorted({record[2] for record in gateway.records("frames", "dep-1")})
        assert numbers == list(range(1, numbers[-1] + 1))
        assert gateway.records("gaps", "dep-1") == []


@in_event_loop
async def test_after_a_reconnect_records_wait_until_their_charger_is_added_again() -> None:
    async with started_csms() as csms, GatewayLink() as gateway, running_host(gateway):
        await linked(gateway)
        gateway.acknowledges = False
        await online(gateway, csms, "dep-1", "CP-1")
        await gateway.wait_for(lambda: gateway.records("frames", "dep-1"))
        await gateway.cut()
        await linked(gateway, 2)
        gateway.batches.clear()
        # The answer to a resync passes anything that was sent before it.
        await gateway.say({"t": "resync"})
        await gateway.wait_for(lambda: gateway.told("running"))
        await asyncio.sleep(0)
        assert gateway.batches == []
        await gateway.add("dep-1", make_config(csms.url, "CP-1"))
        await gateway.wait_for(lambda: gateway.records("frames", "dep-1"))
        assert gateway.records("frames", "dep-1")[0][2] == 1


@in_event_loop
async def test_records_carry_the_raw_frames_of_both_directions_under_one_numbering() -> None:
    async with started_csms() as csms, GatewayLink() as gateway, running_host(gateway):
        await linked(gateway)
        await online(gateway, csms, "dep-1", "CP-1")
        await csms.send("CP-1", "DataTransfer", {"vendorId": "x"})
        await gateway.wait_for(
            lambda: [r for r in gateway.records("frames", "dep-1") if r[5] == "DataTransfer"][1:]
        )
        frames = gateway.records("frames", "dep-1")
        assert [record[2] for record in frames] == list(range(1, len(frames) + 1))
        seen = [(f.direction, f.action, f.text) for f in csms.frames]
        assert {(r[4], r[6]) for r in frames} == {(d, t) for d, _, t in seen}
        answers = [r for r in frames if r[6].startswith("[3")]
        assert all(record[5] for record in answers), "answers carry the action of their request"


@in_event_loop
async def test_unacknowledged_batches_never_exceed_the_credits() -> None:
    gateway = GatewayLink(credits=2, max_batch_bytes=1000)
    gateway.acknowledges = False
    async with started_csms() as csms, gateway, running_host(gateway):
        await linked(gateway)
        for number in range(10):
            await gateway.add(f"dep-{number}", make_config(csms.url, f"CP-{number}"))
        await csms.wait_for(lambda: len(csms.accepted()) == 10)
        await gateway.wait_for(lambda: len(gateway.batches) == 2)
        await gateway.say({"t": "resync"})
        await gateway.wait_for(lambda: gateway.told("running"))
        assert len(gateway.batches) == 2
        await gateway.ack(gateway.batches[0]["batch"])
        await gateway.wait_for(lambda: len(gateway.batches) == 3)
        gateway.acknowledges = True
        for batch in gateway.batches[1:]:
            await gateway.ack(batch["batch"])
        await gateway.wait_for(
            lambda: all(len(gateway.records("frames", f"dep-{n}")) >= 6 for n in range(10))
        )
        assert max(gateway.batch_sizes) <= 1000


@in_event_loop
async def test_states_are_told_while_records_wait_for_credits() -> None:
    gateway = GatewayLink(credits=1)
    gateway.acknowledges = False
    async with started_csms() as csms, gateway, running_host(gateway):
        await linked(gateway)
        await online(gateway, csms, "dep-1", "CP-1")
        await gateway.wait_for(lambda: gateway.batches)
        await online(gateway, csms, "dep-2", "CP-2")
        assert len(gateway.batches) == 1


@in_event_loop
async def test_a_small_buffer_drops_the_oldest_and_says_how_many() -> None:
    gateway = GatewayLink(credits=1)
    gateway.acknowledges = False
    async with started_csms() as csms, gateway, running_host(gateway, buffer_bytes=4000):
        await linked(gateway)
        await online(gateway, csms, "dep-1", "CP-1")
        await gateway.wait_for(lambda: gateway.batches)
        for number in range(40):
            await csms.send("CP-1", "DataTransfer", {"vendorId": f"v{number}"})
        gateway.acknowledges = True
        await gateway.ack(gateway.batches[0]["batch"])
        await gateway.wait_for(
            lambda: [r for r in gateway.records("frames", "dep-1") if '"v39"' in r[6]]
        )
        gaps = gateway.records("gaps", "dep-1")
        kept = {record[2] for record in gateway.records("frames", "dep-1")}
        assert len(kept) + sum(gap[4] for gap in gaps) == max(kept)
        assert gaps[0][2] not in kept


@in_event_loop
async def test_dropping_what_is_not_known_is_answered_all_the_same() -> None:
    async with GatewayLink() as gateway, running_host(gateway):
        await linked(gateway)
        await gateway.drop("dep-9", 4)
        await gateway.wait_for(lambda: gateway.told("dropped", "dep-9"))
        assert gateway.told("dropped", "dep-9")[0]["incarnation"] == 4


@in_event_loop
async def test_dropped_is_told_only_after_the_csms_socket_is_closed() -> None:
    async with started_csms() as csms, GatewayLink() as gateway, running_host(gateway):
        await linked(gateway)
        await online(gateway, csms, "dep-1", "CP-1")
        await gateway.drop("dep-1")
        await gateway.drop("dep-1")
        await gateway.wait_for(lambda: gateway.told("dropped", "dep-1"))
        await csms.wait_for(lambda: csms.sockets[0].closed_at)
        told_at = gateway.told("dropped", "dep-1")[0]
        assert told_at["incarnation"] == 1
        assert csms.connected() == []
        await gateway.say({"t": "resync"})
        await gateway.wait_for(lambda: gateway.told("running"))
        assert gateway.told("running")[-1]["running"] == []


@in_event_loop
async def test_a_charger_that_is_dropped_while_it_connects_never_gets_there() -> None:
    async with started_csms() as csms, GatewayLink() as gateway, running_host(gateway):
        await linked(gateway)
        csms.behave("CP-1", upgrade="never")
        await gateway.add("dep-1", make_config(csms.url, "CP-1"))
        await csms.wait_for(lambda: csms.attempts.get("CP-1"))
        await gateway.drop("dep-1")
        await gateway.wait_for(lambda: gateway.told("dropped", "dep-1"))
        assert csms.sockets == []


@in_event_loop
async def test_a_newer_incarnation_replaces_the_older_without_an_overlap() -> None:
    async with started_csms() as csms, GatewayLink() as gateway, running_host(gateway):
        await linked(gateway)
        await online(gateway, csms, "dep-1", "CP-1")
        await gateway.add("dep-1", make_config(csms.url, "CP-1"), incarnation=2)
        await csms.wait_for(lambda: len(csms.seen("CP-1", "BootNotification")) == 2)
        assert csms.overlaps() == []
        assert gateway.told("dropped", "dep-1")[0]["incarnation"] == 1
        await gateway.add("dep-1", make_config(csms.url, "CP-1"), incarnation=1)
        await gateway.say({"t": "resync"})
        await gateway.wait_for(lambda: gateway.told("running"))
        assert gateway.told("running")[-1]["running"] == [["dep-1", 2]]


@in_event_loop
async def test_a_replacement_that_is_dropped_before_it_began_does_not_begin() -> None:
    async with started_csms() as csms, GatewayLink() as gateway, running_host(gateway):
        await linked(gateway)
        await online(gateway, csms, "dep-1", "CP-1")
        await gateway.add("dep-1", make_config(csms.url, "CP-1"), incarnation=2)
        await gateway.drop("dep-1", 2)
        await gateway.wait_for(lambda: len(gateway.told("dropped", "dep-1")) == 2)
        assert len(csms.sockets) == 1
        assert csms.connected() == []


@in_event_loop
async def test_a_configuration_that_cannot_run_is_told_as_dropped_with_the_reason() -> None:
    async with GatewayLink() as gateway, running_host(gateway):
        await linked(gateway)
        await gateway.add("dep-1", make_config("ws://x/", "CP-1", ocpp_version="OCPP9"))
        await gateway.wait_for(lambda: gateway.told("dropped", "dep-1"))
        assert "OCPP9" in gateway.told("dropped", "dep-1")[0]["final"]["error"]


@in_event_loop
async def test_the_digest_is_the_hash_of_what_runs() -> None:
    async with (
        started_csms() as csms,
        GatewayLink() as gateway,
        running_host(gateway, digest_s=0.1),
    ):
        await linked(gateway)
        await online(gateway, csms, "dep-2", "CP-2")
        await online(gateway, csms, "dep-1", "CP-1")
        wanted = hashlib.sha256(b"dep-1 1\ndep-2 1\n").hexdigest()
        await gateway.wait_for(
            lambda: [m for m in gateway.told("digest") if m["sha256"] == wanted and m["count"] == 2]
        )


@in_event_loop
async def test_a_command_is_carried_out_once_and_its_id_is_answered_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[Any] = []

    def note(charger: Any, command: Any, now: float) -> dict[str, Any]:
        done.append(command.args)
        return {"count": len(done)}

    monkeypatch.setitem(ocpp16.BEHAVIOUR.commands, "note", note)
    async with started_csms() as csms, GatewayLink() as gateway, running_host(gateway):
        await linked(gateway)
        session = await online(gateway, csms, "dep-1", "CP-1")
        await gateway.command("dep-1", "note", {"x": 1}, "abc", session)
        await gateway.command("dep-1", "note", {"x": 1}, "abc", session)
        await gateway.wait_for(lambda: len(gateway.told("result")) == 2)
        await gateway.command("dep-1", "unheard_of", {}, "def", session)
        await gateway.command("dep-7", "note", {}, "ghi", session)
        await gateway.wait_for(lambda: len(gateway.told("result")) == 4)
        first, again, unknown, foreign = gateway.told("result")
        assert done == [{"x": 1}]
        assert first == again
        assert (first["state"], first["result"], first["session"]) == (
            "applied",
            {"count": 1},
            session,
        )
        assert (unknown["state"], foreign["state"]) == ("rejected", "rejected")
        assert "unheard_of" in unknown["error"]


@in_event_loop
async def test_messages_that_make_no_sense_do_not_end_the_line() -> None:
    async with started_csms() as csms, GatewayLink() as gateway, running_host(gateway):
        await linked(gateway)
        for message in ({"t": "future"}, {"t": "add"}, {"t": "drop", "charger": 5}, {}):
            await gateway.say(message)
        await online(gateway, csms, "dep-1", "CP-1")
        assert len(gateway.hellos) == 1
