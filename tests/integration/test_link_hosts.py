"""A host calls home: what it is given, what it is told to end, and what its silence means."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.processes import describe_machine
from app.settings import Settings
from tests.link_runtime import RunningLink
from tests.link_world import World, make_world, with_away


@pytest.fixture
def world(settings: Settings, sessions: sessionmaker[Session]) -> Iterator[World]:
    with make_world(settings, sessions) as world:
        yield world


@pytest.fixture
def link(settings: Settings) -> Iterator[RunningLink]:
    with RunningLink(settings) as link:
        yield link


def test_a_charger_placed_on_a_connected_host_is_given_to_it(
    world: World, link: RunningLink
) -> None:
    host = world.host(link).connects()
    charger_id = world.create("CP-1", location_name="Depot", ws_url="ws://csms:9000/ocpp")
    handle = world.place(charger_id)
    added = host.is_given(charger_id)
    assert handle["host_id"] == "h1"
    assert added.incarnation == 1
    assert added.config["identity"] == "CP-1"
    assert added.config["location_name"] == "Depot"
    assert added.config["vendor_name"] == "Wallbox"
    assert added.config["connectors"][0]["max_power_w"] == 22000
    world.until(lambda: world.charger(charger_id).stage == "starting")
    assert world.runtime(charger_id).called_home_at is not None
    assert world.run(charger_id).wakes == 1


def test_a_reconnected_host_gets_what_it_runs_again_under_a_new_fence(
    world: World, link: RunningLink
) -> None:
    first = world.host(link).connects()
    charger_id = world.create()
    world.place(charger_id)
    assert first.is_given(charger_id).session == 1
    first.hangs_up()
    second = world.host(link).connects(running=[(charger_id, 1)])
    again = second.is_given(charger_id)
    assert (again.incarnation, again.session) == (1, 2)
    assert world.runtime(charger_id).state != "gone"


def test_a_newer_connection_of_a_host_process_closes_its_older_one(
    world: World, link: RunningLink
) -> None:
    older = world.host(link).connects()
    world.host(link).connects()
    assert older.is_closed() == 1000


def test_a_stopped_charger_is_dropped_and_gone_once_its_host_says_so(
    world: World, link: RunningLink
) -> None:
    host = world.host(link).connects()
    charger_id = world.create()
    world.place(charger_id)
    host.is_given(charger_id)
    world.stop(charger_id)
    assert host.expect("drop", charger=charger_id)["reason"] == "stop"
    assert world.runtime(charger_id).state != "gone"
    host.drops(charger_id)
    world.until(lambda: world.runtime(charger_id).state == "gone")
    assert world.charger(charger_id).stage == "stopped"
    assert world.runtime(charger_id).end["kind"] == "expected"


def test_a_drop_that_is_not_answered_is_said_again(world: World, link: RunningLink) -> None:
    host = world.host(link).connects()
    charger_id = world.create()
    world.place(charger_id)
    host.is_given(charger_id)
    world.stop(charger_id)
    host.expect("drop", charger=charger_id)
    host.expect("drop", charger=charger_id)


def test_a_charger_stopped_before_its_host_was_told_of_it_is_never_added(
    world: World, link: RunningLink
) -> None:
    world.host(link).connects().hangs_up()
    charger_id = world.create()
    world.until(lambda: not world.host_row().connected)
    world.set_runtime(charger_id, host_id="h1")
    world.stop(charger_id)
    host = world.host(link).connects()
    host.expect("drop", charger=charger_id)
    host.drops(charger_id)
    world.until(lambda: world.runtime(charger_id).state == "gone")
    assert not [message for message in host.heard if message["t"] == "add"]


def test_a_deleted_charger_is_dropped_for_good(world: World, link: RunningLink) -> None:
    host = world.host(link).connects()
    charger_id = world.create()
    world.place(charger_id)
    host.is_given(charger_id)
    world.execute(
        "UPDATE chargers SET deleted_at = clock_timestamp() WHERE id = :id", id=charger_id
    )
    world.stop(charger_id)
    assert host.expect("drop", charger=charger_id)["reason"] == "delete"


def test_a_charger_that_its_host_cannot_run_ends_for_good_with_the_reason(
    world: World, link: RunningLink
) -> None:
    host = world.host(link).connects()
    charger_id = world.create()
    world.place(charger_id)
    added = host.is_given(charger_id)
    final = {"error": "The OCPP version is not one that this simulator speaks."}
    host.say({"t": "dropped", "charger": charger_id, "incarnation": 1, "final": final})
    world.until(lambda: world.runtime(added.charger_id).state == "gone")
    end = world.runtime(charger_id).end
    assert (end["kind"], end["code"]) == ("permanent", "config_invalid")
    assert end["message"] == final["error"]


def test_a_restarted_host_process_ends_what_the_earlier_one_ran(
    world: World, link: RunningLink
) -> None:
    host = world.host(link, epoch="a" * 32).connects()
    charger_id = world.create(status="READY")
    world.place(charger_id)
    host.is_given(charger_id)
    host.hangs_up()
    world.until(lambda: not world.host_row().connected)
    world.host(link, epoch="b" * 32).connects()
    world.until(lambda: world.runtime(charger_id).state == "gone")
    end = world.runtime(charger_id).end
    assert (end["kind"], end["code"]) == ("transient", "host_restarted")
    charger = world.charger(charger_id)
    assert charger.stage == "offline"
    assert charger.last_error["code"] == "host_restarted"
    assert charger.recover_at is not None
    assert world.run(charger_id).wakes == 2


def test_a_start_that_no_process_was_told_of_survives_a_restart_of_its_host(
    world: World, link: RunningLink
) -> None:
    world.host(link, epoch="a" * 32).connects().hangs_up()
    charger_id = world.create()
    world.until(lambda: not world.host_row().connected)
    world.set_runtime(charger_id, host_id="h1")
    restarted = world.host(link, epoch="b" * 32).connects()
    assert restarted.is_given(charger_id).incarnation == 1


def test_a_second_process_of_a_connected_host_id_is_sent_away_and_told_to_end_what_it_runs(
    world: World, link: RunningLink
) -> None:
    world.host(link, epoch="a" * 32).connects()
    second = world.host(link, epoch="b" * 32).dial()
    second.hello(running=[("dep-1", 4)])
    assert second.expect("drop", charger="dep-1")["incarnation"] == 4
    assert second.is_closed() == 1013


def test_a_host_whose_process_was_killed_is_replaced_though_its_line_still_looks_open(
    world: World, link: RunningLink
) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    born = psutil.Process(child.pid).create_time()
    facts = {"machine": describe_machine(), "pid": child.pid, "pid_start": born}
    world.host(link, epoch="a" * 32, **facts).connects()
    child.kill()
    child.communicate()
    world.host(link, epoch="b" * 32).connects()


def test_a_host_that_runs_what_it_should_not_is_told_to_end_it(
    world: World, link: RunningLink
) -> None:
    host = world.host(link).connects(running=[("dep-strange", 2)])
    drop = host.expect("drop", charger="dep-strange")
    assert (drop["incarnation"], drop["reason"]) == (2, "superseded")


def test_a_digest_that_differs_is_mended_by_a_resync(world: World, link: RunningLink) -> None:
    host = world.host(link).connects()
    lost, kept = world.create("CP-1"), world.create("CP-2")
    world.place(lost)
    world.place(kept)
    host.is_given(lost)
    host.is_given(kept)
    host.sends_digest((kept, 1), ("dep-strange", 1))
    host.expect("resync")
    host.say({"t": "running", "running": [[kept, 1], ["dep-strange", 1]]})
    assert host.is_given(lost).session == 2
    host.expect("drop", charger="dep-strange")


def test_a_digest_that_agrees_changes_nothing(world: World, link: RunningLink) -> None:
    host = world.host(link).connects()
    charger_id = world.create()
    world.place(charger_id)
    host.is_given(charger_id)
    host.sends_digest((charger_id, 1))
    # The next answer to anything comes after whatever the digest caused.
    host.sends_digest()
    host.expect("resync")
    assert [message["t"] for message in host.heard] == ["welcome", "add", "resync"]


def test_a_newer_incarnation_supersedes_what_a_reconnecting_host_still_runs(
    world: World, link: RunningLink
) -> None:
    host = world.host(link).connects()
    charger_id = world.create()
    world.place(charger_id)
    host.is_given(charger_id)
    host.hangs_up()
    world.until(lambda: not world.host_row().connected)
    world.intend(charger_id)
    host = world.host(link).connects(running=[(charger_id, 1)])
    assert host.expect("drop", charger=charger_id)["incarnation"] == 1
    world.place(charger_id, 2)
    assert host.is_given(charger_id).incarnation == 2


def test_more_than_a_thousand_chargers_are_admitted_in_batches(
    world: World, link: RunningLink
) -> None:
    world.host(link, capacity=5000).connects().hangs_up()
    world.execute(
        """INSERT INTO chargers (id, organization_id, identity, brand_slug, model_slug, connector_type,
                                 ocpp_version, ws_url, status, desired_state, incarnation)
           SELECT 'dep-' || n, 'acme', 'CP-' || n, 'wallbox', 'wallbox-pulsar-plus', 'Type2', 'OCPP1.6',
                  'ws://127.0.0.1:9/ocpp', 'READY', 'running', 1 FROM generate_series(1, 1200) AS n"""
    )
    world.execute(
        """INSERT INTO runtimes (charger_id, incarnation, generation, organization_id, identity, run_id,
                                 provider, host_id)
           SELECT id, 1, 1, 'acme', identity, 'wfr_test', 'local', 'h1' FROM chargers"""
    )
    host = world.host(link, capacity=5000).connects()
    given = {host.expect("add")["charger"] for _ in range(1200)}
    assert len(given) == 1200


def test_a_host_that_stays_away_leaves_its_chargers_unknown_until_it_is_back(
    settings: Settings, sessions: sessionmaker[Session]
) -> None:
    settings = with_away(settings, 0.6)
    with make_world(settings, sessions) as world, RunningLink(settings) as link:
        host = world.host(link).connects()
        charger_id = world.create(status="READY")
        world.place(charger_id)
        host.goes_online(host.is_given(charger_id))
        world.until(lambda: world.charger(charger_id).verdict == "connected")
        host.hangs_up()
        world.until(lambda: world.charger(charger_id).verdict == "unknown")
        assert world.charger(charger_id).stage == "online"
        assert "cannot be heard" in world.charger(charger_id).hint
        world.host(link).connects(running=[(charger_id, 1)])
        world.until(lambda: world.charger(charger_id).verdict == "connected")
        assert world.charger(charger_id).hint is None


def test_chargers_of_a_link_that_died_are_unknown_to_the_others(
    settings: Settings, sessions: sessionmaker[Session]
) -> None:
    settings = with_away(settings, 0.6)
    with make_world(settings, sessions) as world, RunningLink(settings) as dying:
        host = world.host(dying).connects()
        charger_id = world.create(status="READY")
        world.place(charger_id)
        host.goes_online(host.is_given(charger_id))
        world.until(lambda: world.charger(charger_id).verdict == "connected")
        thawed = dying.freeze()
        try:
            with RunningLink(settings):
                world.until(lambda: world.charger(charger_id).verdict == "unknown")
                assert world.runtime(charger_id).link_id is None
        finally:
            thawed.set()


def test_a_link_that_ends_in_order_sends_its_hosts_to_the_next_one(
    world: World, settings: Settings
) -> None:
    with RunningLink(settings) as first:
        host = world.host(first).connects()
        charger_id = world.create()
        world.place(charger_id)
        host.is_given(charger_id)
        first.stop()
        assert host.is_closed() == 1012
    assert world.host_row().connected
    with RunningLink(settings) as second:
        again = world.host(second).connects(running=[(charger_id, 1)])
        assert again.is_given(charger_id).session == 2


def test_of_two_links_only_the_one_that_admitted_last_can_write(
    world: World, link: RunningLink, settings: Settings
) -> None:
    with RunningLink(settings) as other:
        stale = world.host(link).connects()
        charger_id = world.create()
        world.place(charger_id)
        old = stale.is_given(charger_id)
        fresh = world.host(other).connects(running=[(charger_id, 1)])
        new = fresh.is_given(charger_id)
        stale.tells_state(old, "offline", "csms_unreachable", error="dns")
        world.until(lambda: link.counters.fenced)
        fresh.goes_online(new)
        world.until(lambda: world.charger(charger_id).stage == "online")
        stages = [event.data["stage"] for event in world.events(charger_id, "stage")]
        assert stages == ["starting", "online"]
        assert world.runtime(charger_id).link_id == other.id


def test_a_process_that_is_seen_has_not_ended() -> None:
    from app.processes import has_ended

    own = psutil.Process(os.getpid())
    assert not has_ended(describe_machine(), own.pid, own.create_time())
    assert has_ended(describe_machine(), own.pid, own.create_time() - 500)
    assert not has_ended("another machine", own.pid, own.create_time() - 500)
    assert not has_ended(None, None, None)
